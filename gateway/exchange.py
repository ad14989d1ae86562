"""
The crossing, both halves on one screen: `receive` takes documents in, `deliver` hands them over.

    partner's format ─► adapter ─► shared document ─► gate ─► ledger + outbox ─► bus ─► gate again ─► adapter ─► partner

What cannot be recorded does not happen: a decision, what may leave and its ledger event are one transaction, and so are
a disclosure's event and the lease under which the document is handed over.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from time import time_ns
from typing import ParamSpec, TypeVar

from anyio import to_thread
from sqlalchemy.exc import IntegrityError

from adapters.base import Adapter
from gateway import admission, answers, handover, sent_agreements, verdicts
from gateway.auth.caller import Caller
from gateway.auth.replay import use_all
from gateway.crossing import Acceptance, Arrival
from gateway.errors import busy
from gateway.handover import Handover
from gateway.services import Services
from gateway.store import idempotency
from gateway.store.idempotency import Attempt
from gateway.taken import take
from schemas import Document, Kind

_P = ParamSpec("_P")
_T = TypeVar("_T")

_LONG = 32_768
"""Bytes of a message that is worked on beside the event loop; the way there and back costs as much as a short one."""


async def receive(
    raw: bytes,
    *,
    adapter: Adapter,
    sender: Document,
    caller: Caller,
    attempt: Attempt,
    services: Services,
    read: Document | None = None,
) -> Acceptance:
    """
    Take a partner's message in: one document, or a file of many.

    (1) translate   partner's format -> shared documents
    (2) validate    each against its schema; the agreements among them are recorded here, each by itself
    (3) find        the subject of each                 ┐
    (4) ask         the gate, per recipient             │ one
    (5) record      decision, ledger event, outbox      │ transaction
    (6) answer      what was permitted, what refused    ┘

    `read` is the one shared document that `raw` is, for who read it already. Durable when it returns. Raises `Problem` or
    `FileRefused` when nothing was taken in. A retry with the same idempotency key gives the same answer; without a key, a
    document already taken in is recognised and not sent twice.
    """
    await services.quorum.require()
    now = services.clock()
    # (1) translate: pure; what is long is done beside the event loop
    translation = (
        await _beside(raw, admission.translate, raw, adapter, sender, now, services)
        if read is None
        else admission.already_shared(read)
    )
    translation = await answers.complete_file(translation, caller, services)
    services.fault_point("receive.translated")
    # (2) validate
    crossings = await _beside(raw, admission.validate, translation, sender, caller, services, admission.TAKEN)
    services.fault_point("receive.validated")
    if given := sent_agreements.of(crossings):
        if (earlier := await sent_agreements.record(given, sender, caller, attempt, services)) is not None:
            return Acceptance(earlier, again=True)
        verdicts.demand_some(crossings, translation)
    await services.limits.of_caller("subjects", caller, sum(1 for crossing in crossings if crossing.open))
    # (3) to (6), in one transaction with the messages that wait beside this one
    arrival = Arrival(caller, attempt, crossings, translation)
    try:
        await services.together.join(arrival, partial(take_in, services=services))
    except IntegrityError:
        # Another process recorded the same document or person in the same instant: what it did is seen the second time.
        try:
            await services.together.join(arrival, partial(take_in, services=services))
        except IntegrityError as error:
            raise busy() from error
    services.fault_point("receive.committed")
    services.wake()
    return admission.outcome(arrival, services)


async def take_in(arrivals: Sequence[Arrival], services: Services) -> None:
    """
    Steps (3) to (6) of `receive` for messages that arrived together; the transaction is whole or has no effect.

    Each arrival ends with its acceptance or its refusal. Raises `Problem` or `IntegrityError` when one of them cannot stand.
    """
    now = services.clock()
    async with services.database.write(beyond="several partners share the transaction") as tx:
        proofs = [arrival.proof for arrival in arrivals if arrival.proof]
        await use_all(tx, proofs)
        known = await idempotency.earlier_answers(tx, [arrival.attempt for arrival in arrivals])
        for arrival, earlier in zip(arrivals, known, strict=True):
            arrival.begin(earlier)
        # (3) find the subjects
        await admission.find_subjects(tx, arrivals, services, now)
        services.fault_point("receive.found")
        # (4) ask the gate
        conventions = await admission.decide(tx, arrivals, services)
        services.fault_point("receive.decided")
        # (5) record
        rows = await admission.record(tx, arrivals, conventions, services, now)
        services.fault_point("receive.recorded")
        # (6) answer, and write all of it
        await admission.answer(tx, arrivals, rows, services)
        services.fault_point("receive.answered")
    for proof in proofs:
        proof.durable = True


async def deliver(
    *,
    caller: Caller,
    adapter: Adapter,
    limit: int,
    kinds: frozenset[Kind] | None,
    services: Services,
    one_a_person: bool = False,
) -> Handover:
    """
    Hand over to a partner what the bus brought for it, of some `kinds` only (None: of all), whatever the transport.

    (1) take        what is available, under a lease    ┐
    (2) ask         the gate again: withdrawn since?    │ one
    (3) project     and translate                       │ transaction
    (4) record      the disclosure                      ┘
    (5) hand over   by returning
    (6) acknowledge later, by `acknowledgement.acknowledge` or `delivery.settlement.settle`

    The disclosure is durable before anything is handed over. A lease that ends without acknowledgement offers its
    deliveries again, and each handing over is a disclosure of its own. Safe to call concurrently.
    """
    kinds = await services.quorum.open_to(kinds)
    now, began = services.clock(), time_ns()
    async with services.database.write(gate=True) as tx:
        # (1) take
        taken = await take(tx, caller, limit, kinds, services, now, one_a_person=one_a_person)
        services.fault_point("deliver.taken")
        # (2) ask the gate again
        await handover.decide_again(tx, taken, services, caller.channel)
        services.fault_point("deliver.decided")
        # (3) project and translate
        handed = handover.translate(taken, adapter, services)
        services.fault_point("deliver.translated")
        # (4) record the disclosure
        await handover.record(tx, handed, caller, services, now)
        services.fault_point("deliver.recorded")
    services.fault_point("deliver.committed")
    if not taken:
        await services.quorum.require()
    services.wake()
    handover.observe(handed, services, began)
    # (5) hand over
    return handed


async def _beside(raw: bytes, work: Callable[_P, _T], *args: _P.args, **named: _P.kwargs) -> _T:
    """Do what only computes: at once for a short message, in another thread for a long one."""
    if len(raw) <= _LONG:
        return work(*args, **named)
    return await to_thread.run_sync(partial(work, *args, **named))
