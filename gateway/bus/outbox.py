"""
The outbox: rows that wait for the bus, written in the transaction of what they announce.

A row is taken by pushing its `next_attempt_at` into the future (a lease), published outside any transaction, then deleted;
so no database lock is held during a network call, and the row of a relay that died is taken again when its lease ends.
Rows are selected on that column, never after "the last id seen": ids and clocks are not in the order of commits.

A row is only deleted or postponed by whoever holds the lease it read: the lease is the value of `next_attempt_at`. A retry
that arrives while the relay is still settling the same message replaces the value, and survives.
"""

from __future__ import annotations

import random
import uuid
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from consent.gate import Cleared
from consent.rows import Insertion, insert_all
from gateway.bus.base import DELIVERIES, Message
from gateway.bus.cloudevent import delivery_ready
from gateway.store.database import Database, Transaction, instant, moment, one_of
from gateway.store.tables import outbox
from gateway.telemetry import Carried, Parts

LEASE: Final = timedelta(seconds=10)
"""How long a relay has to publish what it took: more than a publication may last, less than a recovery may."""

BACK_OFF: Final = timedelta(seconds=0.5)
BACK_OFF_LIMIT: Final = timedelta(seconds=5)
"""First and longest wait of a row that the bus did not confirm; a healed broker gets everything within that time."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """
    One delivery that may leave: identifiers, and the gate's leave.

    `recipient` is a SIRET; `trace` the W3C traceparent of the request it comes from.
    """

    delivery_id: str
    exchange_id: str
    kind: str
    recipient: str
    cleared: Cleared
    trace: str | None


@dataclass(frozen=True, slots=True)
class Claim:
    """Rows taken by one relay, oldest first, and the end of the lease under which it holds them."""

    messages: tuple[Message, ...]
    attempts: dict[str, int]
    until: datetime


@dataclass(frozen=True, slots=True)
class InTrace:
    """What a span says of one message: see `telemetry.Carried`."""

    trace: str | None
    exchange_id: str
    delivery_id: str


async def add(tx: Transaction, items: Sequence[Outgoing], *, source: str, now: datetime) -> None:
    """
    Write one row per delivery; they exist when `tx` commits, not before.

    `source` is the gateway's issuer. Raises `TypeError` for what the gate did not clear, `ValueError` for what it
    cleared for somebody else: nothing else may leave.
    """
    await insert_all(tx, [to_insert(items, source=source, now=now)])


def to_insert(items: Sequence[Outgoing], *, source: str, now: datetime) -> Insertion:
    """The rows that `add` writes, for a transaction that writes them with others; raises as it does."""
    return Insertion(outbox, [_row(item, source, now) for item in items])


async def schedule(database: Database, message: Message, due: datetime) -> None:
    """
    Put a message that was already sent once back in the outbox, to be published at `due`; durable when it returns.

    Its age counts from `due`: a retry that waits for its time is not late. Replaces the row of the same message, if the relay
    has not finished with it.
    """
    row = {"id": message.id, "queue": message.queue, "event": message.event, "attempts": 0}
    row |= {"created_at": instant(due), "next_attempt_at": instant(due)}
    insert = sqlite.insert if database.dialect == "sqlite" else postgresql.insert
    async with database.write() as tx:
        await tx.execute(insert(outbox).values(row).on_conflict_do_update(index_elements=["id"], set_=row))


async def is_due(tx: Transaction, now: datetime) -> bool:
    """Say whether a row waits to be published; takes nothing, so a reading transaction will do."""
    query = sa.select(outbox.c.id).where(outbox.c.next_attempt_at <= instant(now)).limit(1)
    return (await tx.execute(query)).first() is not None


async def claim(tx: Transaction, *, now: datetime, limit: int, lease: timedelta = LEASE) -> Claim:
    """
    Take up to `limit` due rows for the time of a lease; nobody else gets them until it ends.

    Several relays may claim at once: each gets other rows (SKIP LOCKED on PostgreSQL; on SQLite, which ignores it, writing
    transactions exclude each other).
    """
    until = now + lease
    due = (
        sa.select(outbox.c.id)
        .where(outbox.c.next_attempt_at <= instant(now))
        .order_by(outbox.c.next_attempt_at, outbox.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("due")
    )
    taken = (
        sa.update(outbox)
        .where(outbox.c.id.in_(sa.select(due.c.id)))
        .values(next_attempt_at=instant(until), attempts=outbox.c.attempts + 1)
        .returning(outbox.c.id, outbox.c.queue, outbox.c.event, outbox.c.attempts, outbox.c.created_at)
    )
    rows = sorted((await tx.execute(taken)).all(), key=lambda row: (row.created_at, row.id))
    messages = tuple(Message(row.id, row.queue, row.event) for row in rows)
    return Claim(messages, {row.id: row.attempts for row in rows}, until)


async def settle(tx: Transaction, taken: Claim, confirmed: Collection[str], *, now: datetime) -> None:
    """
    Delete the rows of a claim that the bus confirmed, and give each other one the time of its next attempt.

    The wait doubles with each attempt up to a limit, and is drawn at random between its half and its whole, so that several
    relays do not come back together. Leaves alone a row whose lease ended and that another relay took.
    """
    ours = outbox.c.next_attempt_at == instant(taken.until)
    named = one_of(outbox.c.id, "values", tx.dialect.name)
    for ids in _chunks([message.id for message in taken.messages if message.id in confirmed]):
        await tx.execute(sa.delete(outbox).where(named, ours), {"values": ids})
    late: dict[int, list[str]] = defaultdict(list)
    for message in taken.messages:
        if message.id not in confirmed:
            late[taken.attempts[message.id]].append(message.id)
    for attempts, waiting in late.items():
        due = instant(now + wait_before(attempts + 1))
        for ids in _chunks(waiting):
            await tx.execute(sa.update(outbox).where(named, ours).values(next_attempt_at=due), {"values": ids})


async def oldest_age(tx: Transaction, now: datetime) -> timedelta:
    """Tell for how long the oldest unsent row has waited; zero when none does. Alert on this, never on their number."""
    oldest = (await tx.execute(sa.select(sa.func.min(outbox.c.created_at)))).scalar_one()
    return max(timedelta(), now - moment(oldest)) if oldest else timedelta()


def carried(message: Message) -> Carried:
    """Read from a message of the queue of deliveries what a span says of it."""
    data = message.event.get("data") or {}
    return InTrace(message.event.get("traceparent"), data.get("exchange_id", ""), data.get("delivery_id", ""))


def under(message: Message, parts: Parts) -> Message:
    """Make the message that carries the trace on from an operation of ours."""
    trace = parts.under(message.event.get("traceparent"))
    return replace(message, event={**message.event, "traceparent": trace}) if trace else message


def wait_before(attempt: int) -> timedelta:
    """Draw the wait before an attempt (2 is the first that waits): exponential, limited, with jitter."""
    longest: timedelta = min(BACK_OFF * 2 ** min(attempt - 2, 16), BACK_OFF_LIMIT)
    return longest * random.uniform(0.5, 1)  # noqa: S311 (spreads load; keeps no secret)


def _row(item: Outgoing, source: str, now: datetime) -> dict[str, Any]:
    if not isinstance(item.cleared, Cleared):
        raise TypeError("the outbox takes only what the gate cleared: pass the value of Decision.cleared()")
    if (item.cleared.recipient, item.cleared.decision.kind) != (item.recipient, item.kind):
        raise ValueError("the gate cleared this for another recipient or another kind of document")
    event_id = str(uuid.uuid4())
    data = {
        "delivery_id": item.delivery_id,
        "exchange_id": item.exchange_id,
        "kind": str(item.kind),
        "recipient": item.recipient,
    }
    event = delivery_ready(event_id, source=source, now=now, data=data, trace=item.trace)
    at = instant(now)
    return {"id": event_id, "queue": DELIVERIES, "event": event, "created_at": at, "next_attempt_at": at, "attempts": 0}


def _chunks(ids: Sequence[str], size: int = 500) -> list[Sequence[str]]:
    """Cut a list of ids so that no statement has too many parameters."""
    return [ids[start : start + size] for start in range(0, len(ids), size)]
