"""
Statuses that answer a referral, completed with what only the gateway knows: about whom they are, and for whom.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace

import orjson
import sqlalchemy as sa

from adapters.base import Translated, Translation
from gateway.auth.caller import Caller
from gateway.errors import not_found
from gateway.services import Services
from gateway.store import subjects
from gateway.store.database import Transaction
from gateway.store.subjects import Identity
from gateway.store.tables import deliveries, exchanges
from gateway.versions import Numbered
from schemas import Document, Kind, validate

_AT_ONCE = 10_000
"""Referrals asked for by one query: databases bound the parameters of a statement."""


async def complete_status(body: Document, referral_id: str, caller: Caller, services: Services) -> Document:
    """
    Complete a status that answers a referral with what the gateway knows: about what, about whom, and for whom.

    Only a partner to whom the referral was disclosed may answer; raises `Problem` not_found otherwise.
    """
    async with services.database.read() as tx:
        found = await _answered(tx, [referral_id], caller, services)
    if not found:
        raise not_found()
    now = services.clock()
    return {
        "id": str(uuid.uuid4()),
        "created_at": now.isoformat(timespec="seconds"),
        "occurred_at": now.isoformat(timespec="seconds"),
        "purpose": "follow_up",
        **found[referral_id],
        **body,
        "kind": "status",
        "schema_version": "1.0",
        "referral_id": referral_id,
        **{name: found[referral_id][name] for name in ("recipients", "subject")},
    }


async def complete_file(translation: Translation, caller: Caller, services: Services) -> Translation:
    """
    Complete the statuses of a file that name a referral disclosed to their sender: about whom, and for whom, as `complete_status`.

    A partner's format has neither our pseudonyms nor the first sender's SIRET. What names another referral is left as it is.
    A format that does not number its statuses (`sequence` 0) does not know the referral either: it is then the newest one that
    was disclosed to the sender about that person, and the number is the next one.
    """
    answers = [each.document for each in translation.documents if _is_answer(each.document)]
    if not answers:
        return translation
    async with services.database.read() as tx:
        found = await _known(tx, answers, caller, services)
        strays = [each for each in answers if str(each["referral_id"]) not in found and each.get("sequence") == 0]
        renamed = {each["id"]: await _newest_referral(tx, each, caller, services) for each in strays}
        answers = [each | {"referral_id": renamed.get(each["id"]) or each["referral_id"]} for each in answers]
        found |= await _known(tx, answers, caller, services)
        newest = await _newest(tx, answers, caller)
    completed = iter([_completed(each, found.get(str(each["referral_id"])), newest) for each in answers])
    return replace(
        translation,
        documents=tuple(
            _numbered(each, next(completed)) if _is_answer(each.document) else each for each in translation.documents
        ),
    )


def _numbered(came: Translated, completed: Document) -> Translated:
    if came.document.get("sequence"):
        return replace(came, document=completed)
    return Numbered(completed, came.source)


def _completed(document: Document, known: Document | None, newest: Mapping[str, int]) -> Document:
    if known:
        document = {**known, **document, "recipients": known["recipients"], "subject": known["subject"]}
    if document.get("sequence") == 0:
        return document | {"sequence": newest.get(str(document["referral_id"]), 0) + 1}
    return document


async def _known(
    tx: Transaction, documents: Sequence[Document], caller: Caller, services: Services
) -> dict[str, Document]:
    """What the gateway knows for each of some statuses whose referral was disclosed to the caller, by the referral."""
    named, found = sorted({str(each["referral_id"]) for each in documents}), {}
    for start in range(0, len(named), _AT_ONCE):
        found.update(await _answered(tx, named[start : start + _AT_ONCE], caller, services))
    return found


async def _newest_referral(tx: Transaction, status: Document, caller: Caller, services: Services) -> str | None:
    """
    The newest referral that was disclosed to the caller about the person of a status, if it is valid otherwise.

    A format that does not say the sex may mean either: among those whom the caller was told about, that names one person or none.
    """
    if validate(Kind.STATUS, status):
        return None
    person, asked = status["subject"], set()
    for sex in [person["sex"]] if "sex" in person else ["unknown", "female", "male"]:
        identity = Identity.of(person | {"sex": sex}, caller.partner, services.vault)
        asked.add(await subjects.find(tx, identity))
    query = (
        sa.select(exchanges.c.document_id, deliveries.c.subject_id)
        .join(deliveries, deliveries.c.exchange_id == exchanges.c.id)
        .where(
            exchanges.c.kind == Kind.REFERRAL,
            deliveries.c.subject_id.in_(asked - {None}),
            deliveries.c.recipient == caller.partner,
            deliveries.c.disclosures > 0,
        )
        .order_by(exchanges.c.received_at.desc(), exchanges.c.id.desc())
    )
    rows = (await tx.execute(query)).all()
    return str(rows[0].document_id) if len({row.subject_id for row in rows}) == 1 else None


def _is_answer(document: Document) -> bool:
    return document.get("kind") == Kind.STATUS and "recipients" not in document and "referral_id" in document


async def _answered(
    tx: Transaction, referral_ids: Sequence[str], caller: Caller, services: Services
) -> dict[str, Document]:
    """What the gateway knows for a status about each of some referrals that were disclosed to the caller, by their ids."""
    query = (
        sa.select(exchanges.c.document_id, deliveries.c.subject_id, deliveries.c.sender)
        .join(exchanges, exchanges.c.id == deliveries.c.exchange_id)
        .where(
            exchanges.c.document_id.in_(referral_ids),
            exchanges.c.kind == Kind.REFERRAL,
            deliveries.c.recipient == caller.partner,
            deliveries.c.disclosures > 0,
        )
    )
    rows = (await tx.execute(query)).all()
    sequences = await _newest(tx, [{"referral_id": each} for each in referral_ids], caller)
    return {
        row.document_id: {
            "sequence": sequences.get(row.document_id, 0) + 1,
            "recipients": [{"siret": row.sender}],
            "subject": {"pseudonym": services.vault.pseudonym(row.subject_id, caller.partner)},
        }
        for row in rows
    }


async def _newest(tx: Transaction, documents: Sequence[Document], caller: Caller) -> dict[str, int]:
    """The number of the newest status that the caller sent about each referral that some statuses name."""
    named, found = sorted({str(each["referral_id"]) for each in documents}), {}
    for start in range(0, len(named), _AT_ONCE):
        newest = (
            sa.select(
                exchanges.c.about, sa.func.coalesce(sa.func.max(exchanges.c.version), sa.func.count()).label("newest")
            )
            .where(
                exchanges.c.about.in_(named[start : start + _AT_ONCE]),
                exchanges.c.kind == Kind.STATUS,
                exchanges.c.sender == caller.partner,
            )
            .group_by(exchanges.c.about)
        )
        found.update({row.about: row.newest for row in await tx.execute(newest)})
    return found


def encoded(document: Document) -> bytes:
    """Write a document that was read strictly back as JSON."""
    return orjson.dumps(document)
