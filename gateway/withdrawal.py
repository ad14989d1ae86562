"""
Taking an agreement back, whole or in some of its lines; what falls with it; and who must be told.

A person who says no at the desk of an organisation says it to that organisation, whichever of the agreements that it
collected the no was recorded on: the gate lets nothing pass on the others either (`consent.coverage`). So these lines are
taken back with it, those who received something on their ground are told too, and the answer says which.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from consent.agreement import Agreement, Way
from consent.agreement import withdraw as withdrawn
from consent.coverage import stopped
from consent.gate import Notice
from consent.ledger.event import EventType
from gateway import notices
from gateway.auth.caller import Caller
from gateway.errors import Problem, not_found
from gateway.recording import scopes_of
from gateway.records import record_of
from gateway.services import Services
from gateway.store import agreements, idempotency, subjects
from gateway.store.crypto import DataKey
from gateway.store.database import Transaction
from gateway.store.idempotency import Attempt
from schemas import Document

BEYOND = "whoever received something must be told"
"""Why the transaction of a no sees what is others' too."""


@dataclass(frozen=True, slots=True)
class No:
    """A person's no: recorded by whom and when (`at`), through which channel, and when it was said."""

    caller: Caller
    at: datetime
    channel: str
    said_at: datetime


async def withdraw(
    agreement_id: str, scopes: Sequence[str] | None, channel: str, caller: Caller, attempt: Attempt, services: Services
) -> dict[str, Any]:
    """
    Take back an agreement, whole (`scopes` None) or per scope, and queue a notice to each recipient it let know something.

    No exchange is accepted on this ground once it has returned. `also_stopped` holds what fell with it. Raises `Problem`
    not_found, or conflict when it is already taken back. Any organisation that the agreement names may record it.
    """
    now = services.clock()
    no = No(caller, now, channel, now)
    async with services.database.write(beyond=BEYOND) as tx:
        if (earlier := await idempotency.earlier_answer(tx, attempt)) is not None:
            return dict(earlier)
        row = await agreements.get(tx, agreement_id, caller.partner, named=True)
        if row is None or caller.partner not in concerned(row):
            raise not_found()
        await subjects.lock(tx, [row.subject_id], change=True)
        # Read again: it may have changed before the lock.
        row = await agreements.get(tx, agreement_id, caller.partner, named=True) or row
        key = (await subjects.data_keys(tx, [row.subject_id], services.vault)).get(row.subject_id)
        if key is None:
            raise not_found()
        lines = _in_force(row, scopes)
        told = await _take_back(tx, row, lines, no, key, services)
        agreement = Agreement.from_document(row.decisive)
        ways = {way for scope in agreement.scopes if scope.id in lines for way in scope.ways}
        told["also_stopped"] = await _stop_others(tx, agreement, row.subject_id, ways, no, key=key, services=services)
        await idempotency.keep_answer(tx, attempt, told, no.at, 200)
        services.fault_point("withdraw.recorded")
    services.wake()
    return told


async def refuse(
    tx: Transaction,
    document: Document,
    subject_id: str,
    key: DataKey,
    caller: Caller,
    now: datetime,
    services: Services,
) -> list[dict[str, Any]]:
    """Take back what a refusal that was just recorded stops in earlier agreements; `also_stopped`, as of a withdrawal."""
    agreement = Agreement.from_document(document)
    no = No(caller, now, document["channel"], agreement.collected_at)
    return await _stop_others(tx, agreement, subject_id, agreement.lines.keys(), no, key=key, services=services)


def concerned(row: Any) -> set[str]:
    """Who an agreement concerns: the organisation that collected it and those it names."""
    return {row.collected_by} | _named(row)


async def _stop_others(
    tx: Transaction, said: Agreement, subject_id: str, ways: Set[Way], no: No, *, key: DataKey, services: Services
) -> list[dict[str, Any]]:
    """
    Take back what a no to some ways, recorded on the agreement `said`, stops in the others of the same person and organisation.

    Gives, for each that concerns the caller, the lines taken back (`withdrawn`), those that only go on for other recipients,
    purposes or kinds (`narrowed`), its state then, and the notices.
    """
    found = []
    for row in await agreements.others(tx, said.id, subject_id, said.collected_by):
        agreement = Agreement.from_document(row.decisive)
        lines = stopped(agreement, ways, no.said_at)
        if not lines.whole and not lines.cut:
            continue
        told: dict[str, Any] = {"id": row.id, "state": agreement.state_at(no.at).value, "notices": []}
        if lines.whole:
            told = await _take_back(tx, row, lines.whole, no, key, services)
        if no.caller.partner in concerned(row):
            found.append(told | {"withdrawn": list(lines.whole), "narrowed": list(lines.cut)})
    return found


async def _take_back(
    tx: Transaction, row: Any, lines: Sequence[str], no: No, key: DataKey, services: Services
) -> dict[str, Any]:
    """Keep the agreement without some lines, tell its recipients, and record it: one event an agreement."""
    caller = no.caller
    document = withdrawn(
        agreements.opened(row, key), no.at, scopes=lines, channel=no.channel, collected_by=caller.partner
    )
    await agreements.replace(tx, document, key, no.at)
    told = await notices.past_recipients(tx, row.subject_id, row.id, _named(row))
    sent = await notices.notify(
        tx,
        document,
        Notice.WITHDRAWAL,
        subject_id=row.subject_id,
        key=key,
        told=told,
        caller=caller,
        services=services,
    )
    body = {"agreement_id": row.id, "scopes": scopes_of(document), "notified": told, "client_id": caller.client_id}
    await services.ledger.append(tx, [record_of(EventType.AGREEMENT_WITHDRAWN, no.at, caller.partner, body, key)])
    return {"id": row.id, "state": Agreement.from_document(document).state_at(no.at).value, "notices": sent}


def _in_force(row: Any, scopes: Sequence[str] | None) -> list[str]:
    """The lines to take back. Raises `Problem` conflict when one of them, or the whole, is no longer there to be taken back."""
    known = {scope["id"] for scope in row.decisive["scopes"] if "withdrawn_at" not in scope}
    wanted = known if scopes is None else set(scopes)
    if row.decisive["state"] != "given" or not wanted or not wanted <= known:
        raise Problem(
            "conflict",
            "Cet accord, ou cette portée, n'est plus en cours : il n'y a rien à retirer.",
            "This agreement, or this scope, is no longer in force: there is nothing to withdraw.",
        )
    return sorted(wanted)


def _named(row: Any) -> set[str]:
    return {siret for scope in row.decisive["scopes"] for siret in scope["recipients"]}
