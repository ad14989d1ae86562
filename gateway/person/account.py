"""
Everything that the gateway knows about a person, and everybody to whom it was disclosed (RGPD art. 15, CRPA R114-9-7).

Gathered from the documents still held, the agreements and objections, and the person's own list in the ledger, whose proof of
completeness goes with it. Giving it is itself an event of that list.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
import sqlalchemy as sa

from consent.ledger.event import CATALOGUE, EventType
from consent.tables import agreements, objections
from gateway.audit import exports
from gateway.audit.criteria import Criteria, View
from gateway.audit.indexing import settled
from gateway.auth.caller import Caller
from gateway.person import finding
from gateway.records import record_of
from gateway.services import Services
from gateway.store import agreements as agreements_in_store
from gateway.store.crypto import DataKey
from gateway.store.database import Transaction, instant
from gateway.store.tables import deliveries, documents, exchanges, partners, subjects
from gateway.titles import field_titles
from schemas import Document, Kind

_DISCLOSED: Final = frozenset({EventType.DISCLOSURE_MADE, EventType.WITHDRAWAL_NOTIFIED})
_READ: Final = frozenset(
    {EventType.CONTENT_READ, EventType.LEDGER_SEARCHED, EventType.SIMULATION, EventType.BREAK_GLASS}
)


@dataclass(frozen=True, slots=True)
class Account:
    """What is told to the person: `told` as JSON values; `answer`, their list in the ledger as lines that verify offline."""

    told: dict[str, Any]
    answer: bytes


async def account(subject: Document, partner: str, caller: Caller, services: Services) -> Account:
    """
    Gather everything about a person; durable in the ledger when it returns. Raises `Problem` unknown_subject.

    The ledger's trace is that of the last 36 months: what is older is no longer kept.
    """
    now = services.clock()
    async with services.database.write() as tx:
        key = await finding.find(tx, subject, partner, services, change=False)
        held = await _held(tx, key)
        body = {"through": "person_account", "client_id": caller.client_id}
        await services.ledger.append(tx, [record_of(EventType.CONTENT_READ, now, caller.partner, body, key)])
    services.wake()
    await settled(services)
    criteria = Criteria(View("person_request"), subject=subject, partner=partner or None)
    pages = [page async for page in exports.pages(criteria, caller, services, "person_account")]
    answer = b"".join(exports.encoded(page, first=number == 0) for number, page in enumerate(pages))
    events = [_event(row) for page in pages for row in page.rows]
    told = {
        "made_at": instant(now),
        "gateway": services.settings.public_address,
        "operator": services.settings.operator_siret,
        "ledger": services.settings.origin,
        "trace_months": services.settings.trace_months,
        **held,
        "disclosures": [_disclosure(each, held) for each in events if each["type"] in _DISCLOSED and "body" in each],
        "readings": [each for each in events if each["type"] in _READ],
        "events": events,
    }
    async with services.database.read() as tx:
        told["organisations"] = await _names(tx, told)
    return Account(told, answer)


async def _held(tx: Transaction, key: DataKey) -> dict[str, Any]:
    """What the tables hold about the person, opened."""
    of = key.subject_id
    since = (await tx.execute(sa.select(subjects.c.created_at).where(subjects.c.id == of))).scalar_one()
    kept = (
        await tx.execute(sa.select(documents).where(documents.c.subject_id == of).order_by(documents.c.received_at))
    ).all()
    said = (
        await tx.execute(sa.select(agreements).where(agreements.c.subject_id == of).order_by(agreements.c.recorded_at))
    ).all()
    objected = (
        await tx.execute(sa.select(objections).where(objections.c.subject_id == of).order_by(objections.c.since))
    ).all()
    sent = (
        await tx.execute(sa.select(exchanges).where(exchanges.c.subject_id == of).order_by(exchanges.c.received_at))
    ).all()
    parts = (
        await tx.execute(sa.select(deliveries).where(deliveries.c.subject_id == of).order_by(deliveries.c.created_at))
    ).all()
    return {
        "known_since": since,
        "documents": [_document(row, key) for row in kept],
        "agreements": [agreements_in_store.opened(row, key) for row in said],
        "objections": [
            {"id": row.id, "recipient": row.recipient, "purpose": row.purpose, "since": row.since, "until": row.until}
            for row in objected
        ],
        "exchanges": [_exchange(row, [part for part in parts if part.exchange_id == row.id]) for row in sent],
    }


def _document(row: Any, key: DataKey) -> dict[str, Any]:
    return {
        "id": row.id,
        "kind": row.kind,
        "sender": row.sender,
        "received_at": row.received_at,
        "content": orjson.loads(key.open(row.sealed, f"documents/{row.id}")),
    }


def _exchange(row: Any, parts: Sequence[Any]) -> dict[str, Any]:
    return {
        "id": row.id,
        "kind": row.kind,
        "purpose": row.purpose,
        "sender": row.sender,
        "received_at": row.received_at,
        "recipients": [
            {
                "siret": part.recipient,
                "state": part.state,
                "handed_over": part.disclosures,
                "acknowledged_at": part.acknowledged_at,
                "reasons": part.decision["reasons"],
            }
            for part in parts
        ],
    }


def _event(row: Mapping[str, Any]) -> dict[str, Any]:
    wording = CATALOGUE[EventType(row["summary"]["type"])]
    told = {
        "id": row["id"],
        "index": row["index"],
        "type": row["summary"]["type"],
        "title": wording.title_fr,
        "occurred_at": row["summary"]["occurred_at"],
        "actor": row["summary"]["actor"],
    }
    return told | (
        {"body": orjson.loads(row["event"])["body"]} if "event" in row else {"withheld": row.get("withheld")}
    )


def _disclosure(event: Mapping[str, Any], held: Mapping[str, Any]) -> dict[str, Any]:
    """
    Who received what, when, from whom, on what ground: the line that the law speaks of.

    An attachment goes under the exchange of its document, whose event told the rest.
    """
    body = event["body"]
    exchange: Mapping[str, Any] = next((each for each in held["exchanges"] if each["id"] == body["exchange_id"]), {})
    convention = body["decision"]["convention"]
    return {
        "at": event["occurred_at"],
        "recipient": body["recipient"],
        "sender": body.get("sender", exchange.get("sender")),
        "kind": body.get("kind", "attachment"),
        "purpose": body.get("purpose", exchange.get("purpose")),
        "basis": body["decision"]["basis"],
        "convention": convention and convention["id"],
        "fields": _fields(body["kind"], body["left"]) if "left" in body else [],
        "event": event["id"],
        "index": event["index"],
    }


def _fields(kind: str, left: Sequence[str]) -> list[str]:
    """The French titles of the fields that left, once each, in the order in which they left."""
    titles = field_titles(Kind(kind))
    named = (titles.get(_pattern(pointer)) for pointer in left)
    return list(dict.fromkeys(", ".join([*title.within, title.title]) for title in named if title))


def _pattern(pointer: str) -> str:
    return "/".join("*" if part.isdecimal() else part for part in pointer.split("/"))


async def _names(tx: Transaction, told: Mapping[str, Any]) -> dict[str, str]:
    """The names of the organisations that the account speaks of."""
    sirets = {told["operator"], *(event["actor"] for event in told["events"])}
    sirets |= {each[name] for each in told["disclosures"] for name in ("sender", "recipient") if each[name]}
    sirets |= {part["siret"] for each in told["exchanges"] for part in each["recipients"]}
    query = sa.select(partners.c.siret, partners.c.name).where(partners.c.siret.in_(sorted(sirets)))
    return {row.siret: row.name for row in await tx.execute(query)}
