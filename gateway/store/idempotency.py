"""
Idempotency of every POST that creates: the answer is stored in the transaction of the effect, and given again.

Same client, same key, same request: the same answer. Same key, other request: 422. (`Idempotency-Key`, IETF
draft-ietf-httpapi-idempotency-key-header.)
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from gateway.errors import Problem
from gateway.store.database import Transaction, instant
from gateway.store.tables import idempotency_keys


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request as idempotency sees it: its client, its key (None: no key given) and the keyed digest of what was sent."""

    client_id: str
    key: str | None
    digest: bytes


async def earlier_answer(tx: Transaction, attempt: Attempt) -> Any | None:
    """
    Give the answer already made to this request, or None.

    On PostgreSQL two simultaneous requests with one key wait for each other here, so that exactly one has an effect.
    Raises `Problem` idempotency_key_reused when the key was used for something else.
    """
    if attempt.key is None:
        return None
    if tx.dialect.name == "postgresql":
        lock = sa.func.hashtextextended(f"{attempt.client_id}|{attempt.key}", 0)
        await tx.execute(sa.select(sa.func.pg_advisory_xact_lock(lock)))
    query = sa.select(idempotency_keys).where(
        idempotency_keys.c.client_id == attempt.client_id, idempotency_keys.c.key == attempt.key
    )
    row = (await tx.execute(query)).one_or_none()
    if row is None:
        return None
    if row.request != attempt.digest:
        raise Problem(
            "idempotency_key_reused",
            "Cette clé d'idempotence a déjà servi pour une autre requête : prenez-en une nouvelle.",
            "This idempotency key was already used for another request: choose a new one.",
        )
    return row.response


async def keep_answer(tx: Transaction, attempt: Attempt, answer: Any, now: datetime, status: int = 202) -> None:
    """Store the answer beside the effect; nothing happens without a key."""
    if attempt.key is not None:
        values = {
            "client_id": attempt.client_id,
            "key": attempt.key,
            "request": attempt.digest,
            "status": status,
            "response": answer,
            "created_at": instant(now),
        }
        await tx.execute(sa.insert(idempotency_keys), [values])
