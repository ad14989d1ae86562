"""
Idempotency of every POST that creates: the answer is stored in the transaction of the effect, and given again.

Same client, same key, same request: the same answer. Same key, other request: 422. (`Idempotency-Key`, IETF
draft-ietf-httpapi-idempotency-key-header.)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from consent.rows import Insertion, insert_all
from gateway.errors import Problem
from gateway.store.database import Transaction, for_each, instant
from gateway.store.tables import idempotency_keys


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request as idempotency sees it: its client, its key (None: no key given) and the keyed digest of what was sent."""

    client_id: str
    key: str | None
    digest: bytes


async def earlier_answer(tx: Transaction, attempt: Attempt) -> Any | None:
    """
    Give the answer already made to this request, or None; see `earlier_answers`.

    Raises `Problem` idempotency_key_reused when the key was used for something else.
    """
    [found] = await earlier_answers(tx, [attempt])
    if isinstance(found, Problem):
        raise found
    return found


async def earlier_answers(tx: Transaction, attempts: Sequence[Attempt]) -> list[Any | Problem | None]:
    """
    Give, for each request, the answer already made to it, or `Problem` idempotency_key_reused, or None.

    On PostgreSQL two simultaneous requests with one key wait for each other here, so that exactly one has an effect.
    """
    keyed = sorted({(attempt.client_id, attempt.key) for attempt in attempts if attempt.key is not None})
    if not keyed:
        return [None] * len(attempts)
    if tx.dialect.name == "postgresql":
        # In one order, so that no two transactions wait for each other.
        await tx.execute(_one_at_a_time(), {"names": [f"{client}|{key}" for client, key in keyed]})
    clients, keys = zip(*keyed, strict=True)
    found = await tx.execute(_of_these(tx.dialect.name), {"client_id": clients, "key": keys})
    rows = {(row.client_id, row.key): row for row in found}
    return [_answer(rows.get((attempt.client_id, attempt.key)), attempt) for attempt in attempts]


@cache
def _one_at_a_time() -> sa.Select[Any]:
    names = sa.bindparam("names", type_=postgresql.ARRAY(sa.Text))
    ordered = sa.select(sa.func.hashtextextended(sa.func.unnest(names), 0).label("lock")).order_by("lock").subquery()
    return sa.select(sa.func.pg_advisory_xact_lock(ordered.c.lock))


@cache
def _of_these(dialect: str) -> sa.Select[Any]:
    """The keys asked for; on SQLite perhaps another client's of the same name besides."""
    return for_each(tuple(idempotency_keys.primary_key.columns), sa.select(idempotency_keys), dialect)


def _answer(row: Any, attempt: Attempt) -> Any | Problem | None:
    if row is None:
        return None
    if row.request == attempt.digest:
        return row.response
    return Problem(
        "idempotency_key_reused",
        "Cette clé d'idempotence a déjà servi pour une autre requête : prenez-en une nouvelle.",
        "This idempotency key was already used for another request: choose a new one.",
    )


async def keep_answer(tx: Transaction, attempt: Attempt, answer: Any, now: datetime, status: int = 202) -> None:
    """Store the answer beside the effect; nothing happens without a key."""
    await insert_all(tx, [to_keep([(attempt, answer)], now, status)])


def to_keep(answers: Iterable[tuple[Attempt, Any]], now: datetime, status: int = 202) -> Insertion:
    """The rows that store each answer, for a transaction that writes them with its effects; none for a request without a key."""
    rows = [
        {
            "client_id": attempt.client_id,
            "key": attempt.key,
            "request": attempt.digest,
            "status": status,
            "response": answer,
            "created_at": instant(now),
        }
        for attempt, answer in answers
        if attempt.key is not None
    ]
    return Insertion(idempotency_keys, rows)
