"""
The steps of `exchange.receive`, each a plain function: translate, validate, find the subjects, ask the gate, record, answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import cache
from typing import Any

import sqlalchemy as sa

from adapters.base import Adapter, AdapterError, Context, FileRefused, Records, Source, Translated, Translation
from adapters.report import Coverage
from consent.conventions.collection import Conventions
from consent.gate import Request
from consent.gate import decide as ask_gate
from gateway import ingress, one_off, verdicts, volumes
from gateway.auth.caller import Caller
from gateway.auth.dpop import used_before
from gateway.crossing import Acceptance, Arrival, Crossing, Rows, Ruling
from gateway.directory.naming import name_recipients
from gateway.errors import Problem, busy
from gateway.scopes import demand_current, demand_signed
from gateway.services import Services
from gateway.store import subjects
from gateway.store.agreements import standing
from gateway.store.database import Transaction, for_each
from gateway.store.idempotency import Attempt, to_keep
from gateway.store.subjects import Identity
from gateway.store.tables import documents, exchanges
from gateway.telemetry import note
from gateway.versions import suppress_stale
from schemas import Document, Issue, Kind
from schemas import validate as validate_document
from schemas.remarks import flagged

CARRIED = frozenset({Kind.REFERRAL, Kind.BILAN, Kind.STATUS})
"""The kinds that the gate decides on; a convention is recorded by its own addresses."""

TAKEN = CARRIED | {Kind.CONSENT}
"""The kinds that pass through `receive`: of these, `gateway.sent_agreements` records the consents before the gate is asked."""


def translate(raw: bytes, adapter: Adapter, sender: Document, now: datetime, services: Services) -> Translation:
    """(1) The partner's bytes become shared documents; raises `FileRefused` or `Problem` file_refused."""
    try:
        return adapter.to_shared(raw, context(sender, now, services))
    except FileRefused:
        raise
    except AdapterError as error:
        issue = Issue(error.code, "", error.message_fr, error.message_en, line=error.line, column=error.column)
        raise Problem("file_refused", error.message_fr, error.message_en, issues=[issue]) from error


def already_shared(document: Document) -> Translation:
    """(1) What was sent is one shared document, and was read as one: nothing is left to translate."""
    return Translation((Translated(document, Source(1, None)),), (), Coverage(()), records=Records(1, 0, ()))


def context(sender: Document, now: datetime, services: Services) -> Context:
    """What an adapter needs to know beside the bytes of a sender."""
    return Context(
        organisation=sender,
        purpose="inform_about_rights",
        now=now,
        document_id=lambda key: services.vault.document_id(sender["siret"], key),
    )


def validate(
    translation: Translation,
    sender: Document,
    caller: Caller,
    services: Services,
    kinds: frozenset[Kind] = CARRIED,
) -> list[Crossing]:
    """
    (2) Complete each document with what only the gateway may say (its id, its sender) and validate it, if of one of `kinds`.

    A consent keeps its id, which is that of the agreement, and its text, which is looked at where it is recorded.
    Raises `Problem` document_invalid when no document of the message is valid; else the faulty ones are told in the answer.
    """
    crossings: list[Crossing] = []
    taken: set[str] = set()
    for translated in translation.documents:
        crossing = _validated(dict(translated.document), translated.source.line, sender, caller, services, kinds)
        if crossing.open and crossing.document["id"] in taken:
            crossing.issues.append(verdicts.repeated(crossing.line))
        if crossing.open:
            taken.add(crossing.document["id"])
        crossings.append(crossing)
    verdicts.demand_some(crossings, translation)
    one_off.check(crossings, caller)
    return crossings


async def find_subjects(tx: Transaction, arrivals: Sequence[Arrival], services: Services, now: datetime) -> None:
    """
    (3) Find or create the subject of each document, and recognise the documents already taken in.

    A message is refused (409, 422) when its only document names nobody or several people, or is older than what was sent.
    """
    await _recognise(tx, arrivals)
    await suppress_stale(tx, arrivals)
    waiting = [(crossing, arrival) for arrival in arrivals for crossing in arrival.waiting]
    identities = [
        Identity.of(crossing.document["subject"], arrival.caller.partner, services.vault)
        for crossing, arrival in waiting
    ]
    for (crossing, _), found in zip(waiting, await subjects.resolve(tx, identities, services.vault, now), strict=True):
        if isinstance(found, str):
            crossing.subject_id = found
        else:
            crossing.issues.append(verdicts.unfound(found, crossing.line))
    await name_recipients(tx, [crossing for crossing, _ in waiting])
    for arrival in arrivals:
        if len(arrival.crossings) == 1 and (issues := arrival.crossings[0].issues):
            arrival.refusal = Problem(issues[0].code, issues[0].message_fr, issues[0].message_en, issues=issues[:1])
    await subjects.lock(tx, {crossing.subject_id for crossing in _waiting(arrivals)}, change=False)


async def decide(tx: Transaction, arrivals: Sequence[Arrival], services: Services) -> Conventions:
    """
    (4) Ask the gate, per recipient: those the document names, else those the conventions route this kind to; gives the conventions.

    The time is taken here, once the subjects are held: a withdrawal may have been recorded while this waited for them.
    Raises `Problem` convention_outdated when a caller's token does not name a convention that permits, signature_required when
    one wants the request signed and it is not.
    """
    await one_off.spend(tx, arrivals)
    now = services.clock()
    conventions = await services.conventions.in_force(tx, now)
    state = await standing(tx, {crossing.subject_id for crossing in _waiting(arrivals)})
    for arrival in arrivals:
        sender = arrival.caller.partner
        for crossing in arrival.waiting:
            purpose = crossing.document["purpose"]
            named = [target.get("siret", "") for target in crossing.document.get("recipients", [])]
            recipients = named or conventions.routes(crossing.kind, sender, purpose, now)
            for recipient in dict.fromkeys(recipients):
                person = state[crossing.subject_id]
                at, channel = person.seen_at(now), arrival.caller.channel
                request = Request(crossing.kind, purpose, sender, recipient, at, channel)
                decision = ask_gate(request, conventions, person.agreements, person.objections, person.openings)
                crossing.rulings.append(Ruling(recipient, decision, request.at))
        used = [ruling.decision.convention for crossing in arrival.waiting for ruling in crossing.permitted]
        hashes = {convention.hash for convention in used if convention}
        demand_current(arrival.caller, hashes, conventions, now)
        demand_signed(arrival.caller, hashes, conventions)
    return conventions


async def record(
    tx: Transaction, arrivals: Sequence[Arrival], conventions: Conventions, services: Services, now: datetime
) -> Rows:
    """
    (5) Count what leaves, and prepare what records each decision, its ledger event and what may leave, for `save`.

    A document that may go nowhere is not kept: only the refusal is. Raises `Problem` volume_exceeded.
    """
    keys = await subjects.data_keys(tx, {crossing.subject_id for crossing in _waiting(arrivals)}, services.vault)
    rows = Rows(now)
    for arrival in arrivals:
        for crossing in arrival.waiting:
            key = keys.get(crossing.subject_id)
            if key is None:  # erased since it was found: sent again, the document is about somebody not known yet
                raise busy()
            rows.add(crossing, key, caller=arrival.caller, batch=arrival.batch, trace=arrival.trace)
    await volumes.count(tx, volumes.used_by(arrivals), conventions, now)
    return rows


async def answer(tx: Transaction, arrivals: Sequence[Arrival], rows: Rows, services: Services) -> None:
    """(6) Say what was taken in, per document and recipient: permitted, or refused and why; the answers are kept with `rows`."""
    waiting = _waiting(arrivals)
    pairs = [(crossing.subject_id, ruling.recipient) for crossing in waiting for ruling in crossing.permitted]
    aliases = subjects.aliases(pairs, services.vault)
    await rows.save(tx, services, aliases, to_keep(_answers(arrivals), rows.now))


def _answers(arrivals: Sequence[Arrival]) -> list[tuple[Attempt, Any]]:
    answered = []
    for arrival in arrivals:
        if arrival.acceptance is None and arrival.refusal is None and not arrival.replayed:
            arrival.acceptance = Acceptance(verdicts.answer_of(arrival.crossings, arrival.translation))
            answered.append((arrival.attempt, arrival.acceptance.body))
    return answered


def outcome(arrival: Arrival, services: Services) -> Acceptance:
    """
    Give what became of a message, once that is durable, and observe it. Raises the `Problem` that refused it.

    Called by the request's own task: numbers go to its span, and the exchange if it is the only one.
    """
    if arrival.replayed:
        raise used_before()
    if arrival.refusal is not None:
        raise arrival.refusal
    assert arrival.acceptance is not None
    if not arrival.acceptance.again:
        crossings = arrival.crossings
        services.measures.received(crossings)
        if len(crossings) == 1 and crossings[0].open:
            note({"tdu.exchange.id": crossings[0].exchange_id})
        note({"tdu.documents": len(crossings), "tdu.accepted": sum(1 for crossing in crossings if crossing.permitted)})
    return arrival.acceptance


def _waiting(arrivals: Sequence[Arrival]) -> list[Crossing]:
    return [crossing for arrival in arrivals for crossing in arrival.waiting]


async def _recognise(tx: Transaction, arrivals: Sequence[Arrival]) -> None:
    """
    Mark the documents their partner already sent and of which something was permitted: they are not sent twice.

    Another partner's document is never found: an id is made of its sender's SIRET (`Vault.document_id`).
    """
    waiting = {crossing.document["id"]: crossing for crossing in _waiting(arrivals)}
    for ids in subjects.chunks(sorted(waiting)):
        for row in await tx.execute(_already_sent(tx.dialect.name), {"document_id": ids}):
            waiting[row.document_id].earlier = row.id


@cache
def _already_sent(dialect: str) -> sa.Select[Any]:
    asked = exchanges.c.document_id
    kept = sa.select(asked, exchanges.c.id).join(documents, documents.c.id == asked)
    return for_each([asked], kept, dialect)


def _kind(document: Document) -> Kind:
    """Read the kind; what is none reads as a convention, which does not pass here either."""
    try:
        return Kind(document.get("kind", ""))
    except ValueError:
        return Kind.CONVENTION


def _validated(
    document: dict[str, Any],
    line: int | None,
    sender: Document,
    caller: Caller,
    services: Services,
    kinds: frozenset[Kind],
) -> Crossing:
    kind, said = _kind(document), document.get("sender", {})
    if isinstance(said, dict):
        document["sender"] = {**said, **sender}
    if kind is Kind.CONSENT:
        document.setdefault("collected_by", sender)
    issues = _faults(document, line, caller, kinds)
    if kind is Kind.CONSENT:
        document["id"] = str(document.get("id", ""))
        return Crossing(kind, document, line, issues)
    if not issues:
        document, hidden = ingress.cleaned(kind, document)
        # A NIR whose key is wrong is taken, and whoever receives it is told.
        document["subject"] = flagged(document["subject"])
        issues = [replace(issue, line=line) for issue in hidden]
    document["id"] = services.vault.document_id(caller.partner, str(document.get("id", "")))
    return Crossing(kind, document, line, issues)


def _faults(document: Document, line: int | None, caller: Caller, kinds: frozenset[Kind]) -> list[Issue]:
    kind = _kind(document)
    if kind not in kinds:
        return [
            Issue(
                "kind",
                "/kind",
                "Ce genre de document ne passe pas par cette adresse.",
                "This kind of document does not pass through this address.",
                line=line,
            )
        ]
    if f"{kind.value}:send" not in caller.scopes:
        return [
            Issue(
                "scope",
                "/kind",
                "Votre jeton ne permet pas d'envoyer ce genre de document.",
                "Your token does not allow this kind of document.",
                line=line,
            )
        ]
    return [replace(issue, line=issue.line or line) for issue in validate_document(kind, document)]
