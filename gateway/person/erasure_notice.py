"""
The notice of an erasure: the last message that names a person as its recipient knows them, gone with its acknowledgement.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from consent.gate import Notice
from consent.texts import texts
from gateway import notices
from gateway.auth.caller import Caller
from gateway.person.traces import ERASED
from gateway.services import Services
from gateway.store.database import Transaction, instant
from gateway.store.tables import deliveries, documents, exchanges, subjects
from schemas import Document, code_list

_TEXT: Final = "effacement-2026-11"


async def tell(
    tx: Transaction,
    ident: str,
    recipient: str,
    pseudonym: str,
    sender: Document,
    *,
    caller: Caller,
    services: Services,
) -> dict[str, str]:
    """Queue the notice of one recipient: about a new person with no key, sealed under the gateway's own."""
    now, nobody = services.clock(), str(uuid.uuid4())
    await tx.execute(sa.insert(subjects).values(id=nobody, created_at=instant(now)))
    [sent] = await notices.notify(
        tx,
        _notice(ident, recipient, pseudonym, sender, now),
        Notice.ERASURE,
        subject_id=nobody,
        key=services.vault.own,
        told=[recipient],
        caller=caller,
        services=services,
    )
    return sent


def _notice(ident: str, recipient: str, pseudonym: str, sender: Document, now: datetime) -> Document:
    at, text = now.isoformat(timespec="seconds"), texts()[_TEXT]
    return {
        "kind": "consent",
        "schema_version": "1.0",
        "id": ident,
        "created_at": at,
        "sender": sender,
        "recipients": [{"siret": recipient}],
        "purpose": "follow_up",
        "subject": {"pseudonym": pseudonym},
        "agreement_type": "consent",
        "state": "refused",
        "collected_by": sender,
        "collected_at": at,
        "channel": "oral_with_professional",
        "evidence": {"level": "declared_by_professional"},
        "text": {"version": text.version, "sha256": text.sha256, "language": text.language},
        "scopes": [
            {
                "id": "effacement",
                "purposes": sorted(code_list("purpose")),
                "kinds": ["referral", "bilan", "status"],
                "categories": ["exchange"],
                "recipients": [recipient],
            }
        ],
        "valid_from": at,
        "duration": "one_year",
    }


async def forget_notice(tx: Transaction, row: Any) -> None:
    """Delete the notice of an erasure once it is closed: it was the last thing that held the person's pseudonym."""
    of = sa.select(exchanges.c.document_id).where(exchanges.c.id == row.exchange_id).scalar_subquery()
    await tx.execute(sa.delete(documents).where(documents.c.id == of))
    for table in (exchanges, deliveries):
        await tx.execute(sa.update(table).where(table.c.subject_id == row.subject_id).values(subject_id=ERASED))
    await tx.execute(sa.delete(subjects).where(subjects.c.id == row.subject_id))
