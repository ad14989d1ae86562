"""
The crossing, both halves on one screen: `receive` takes documents in, `deliver` hands them over.

    partner's format ─► adapter ─► shared document ─► gate ─► ledger + outbox ─► bus ─► gate again ─► adapter ─► partner

What cannot be recorded does not happen: a decision, what may leave and its ledger event are one transaction, and so are
a disclosure's event and the lease under which the document is handed over.
"""

from __future__ import annotations

from datetime import datetime
from time import time_ns

from anyio import to_thread
from sqlalchemy.exc import IntegrityError

from adapters.base import Adapter, Translation
from gateway import admission, handover
from gateway.admission import Acceptance
from gateway.auth.resource import Caller
from gateway.errors import busy
from gateway.handover import Handover
from gateway.services import Services
from gateway.store import idempotency
from gateway.store.idempotency import Attempt
from gateway.taken import take
from schemas import Document, Kind


async def receive(
    raw: bytes, *, adapter: Adapter, sender: Document, caller: Caller, attempt: Attempt, services: Services
) -> Acceptance:
    """
    Take a partner's message in: one document, or a file of many.

    (1) translate   partner's format -> shared documents
    (2) validate    each against its schema
    (3) find        the subject of each                 ┐
    (4) ask         the gate, per recipient             │ one
    (5) record      decision, ledger event, outbox      │ transaction
    (6) answer      what was permitted, what refused    ┘

    Durable when it returns. Raises `Problem` or `FileRefused` when nothing was taken in. A retry with the same idempotency
    key gives the same answer; without a key, a document already taken in is recognised and not sent twice.
    """
    now = services.clock()
    # (1) translate: pure and heavy, so beside the event loop
    translation = await to_thread.run_sync(admission.translate, raw, adapter, sender, now, services)
    services.fault_point("receive.translated")
    try:
        acceptance = await _take_in(translation, now, sender=sender, caller=caller, attempt=attempt, services=services)
    except IntegrityError:
        # Another request recorded the same document or person in the same instant: what it did is seen the second time.
        try:
            acceptance = await _take_in(
                translation, now, sender=sender, caller=caller, attempt=attempt, services=services
            )
        except IntegrityError as error:
            raise busy() from error
    services.fault_point("receive.committed")
    services.wake()
    return acceptance


async def _take_in(
    translation: Translation, now: datetime, *, sender: Document, caller: Caller, attempt: Attempt, services: Services
) -> Acceptance:
    """Steps (2) to (6) of `receive`; the transaction is whole or has no effect."""
    # (2) validate
    crossings = await to_thread.run_sync(admission.validate, translation, sender, caller, services)
    services.fault_point("receive.validated")
    async with services.database.write() as tx:
        if (earlier := await idempotency.earlier_answer(tx, attempt)) is not None:
            return Acceptance(earlier, again=True)
        # (3) find the subjects
        await admission.find_subjects(tx, crossings, caller, services, now)
        services.fault_point("receive.found")
        # (4) ask the gate
        await admission.decide(tx, crossings, caller, services)
        services.fault_point("receive.decided")
        # (5) record
        await admission.record(tx, crossings, caller, services, now)
        services.fault_point("receive.recorded")
        # (6) answer
        acceptance = admission.answer(crossings, translation)
        await idempotency.keep_answer(tx, attempt, acceptance.body, now)
        services.fault_point("receive.answered")
    admission.observe(crossings, services)
    return acceptance


async def deliver(
    *, caller: Caller, adapter: Adapter, limit: int, kinds: frozenset[Kind] | None, services: Services
) -> Handover:
    """
    Hand over to a partner what the bus brought to its mailbox, of some `kinds` only (None: of all).

    (1) take        what is available, under a lease    ┐
    (2) ask         the gate again: withdrawn since?    │ one
    (3) project     and translate                       │ transaction
    (4) record      the disclosure                      ┘
    (5) hand over   by returning
    (6) acknowledge later, by `acknowledgement.acknowledge`

    The disclosure is durable before anything is handed over. A lease that ends without acknowledgement offers its
    deliveries again, and each handing over is a disclosure of its own. Safe to call concurrently.
    """
    now, began = services.clock(), time_ns()
    async with services.database.write() as tx:
        # (1) take
        taken = await take(tx, caller, limit, kinds, services, now)
        services.fault_point("deliver.taken")
        # (2) ask the gate again
        await handover.decide_again(tx, taken, services)
        services.fault_point("deliver.decided")
        # (3) project and translate
        handed = handover.translate(taken, adapter, services)
        services.fault_point("deliver.translated")
        # (4) record the disclosure
        await handover.record(tx, handed, caller, services, now)
        services.fault_point("deliver.recorded")
    services.fault_point("deliver.committed")
    services.wake()
    handover.observe(handed, services, began)
    # (5) hand over
    return handed
