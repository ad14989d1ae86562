"""
Statuses that answer a referral, completed with what only the gateway knows: about whom they are, and for whom.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import replace

import orjson
import sqlalchemy as sa

from adapters.base import Translation
from gateway.auth.resource import Caller
from gateway.errors import not_found
from gateway.services import Services
from gateway.store.database import Transaction
from gateway.store.tables import deliveries, exchanges
from schemas import Document, Kind

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
    """
    named = {str(each.document["referral_id"]) for each in translation.documents if _is_answer(each.document)}
    if not named:
        return translation
    found: dict[str, Document] = {}
    async with services.database.read() as tx:
        for start in range(0, len(named), _AT_ONCE):
            found |= await _answered(tx, sorted(named)[start : start + _AT_ONCE], caller, services)
    completed = [
        replace(
            each, document={**known, **each.document, "recipients": known["recipients"], "subject": known["subject"]}
        )
        if _is_answer(each.document) and (known := found.get(str(each.document["referral_id"])))
        else each
        for each in translation.documents
    ]
    return replace(translation, documents=tuple(completed))


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
    newest = (
        sa.select(
            exchanges.c.about, sa.func.coalesce(sa.func.max(exchanges.c.version), sa.func.count()).label("newest")
        )
        .where(
            exchanges.c.about.in_(referral_ids),
            exchanges.c.kind == Kind.STATUS,
            exchanges.c.sender == caller.partner,
        )
        .group_by(exchanges.c.about)
    )
    rows = (await tx.execute(query)).all()
    sequences = {row.about: row.newest for row in await tx.execute(newest)}
    return {
        row.document_id: {
            "sequence": sequences.get(row.document_id, 0) + 1,
            "recipients": [{"siret": row.sender}],
            "subject": {"pseudonym": services.vault.pseudonym(row.subject_id, caller.partner)},
        }
        for row in rows
    }


def encoded(document: Document) -> bytes:
    """Write a document that was read strictly back as JSON."""
    return orjson.dumps(document)
