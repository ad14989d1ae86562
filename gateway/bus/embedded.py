"""
The bus in the gateway's own database: no broker to install, the same promises.

A message is a row of `bus_messages`. It is handed out by pushing `visible_at` into the future and counting the attempt; its
consumer keeps pushing as long as it lives, so a slow handler keeps its message and a dead one loses it within `visibility`.
The count of attempts also tells a late answer from a current one: an answer only touches the row it was handed.
Consumers in the process that publishes are woken at once; those of other processes look five times a second.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from gateway.bus.base import (
    DELIVERY_LIMIT,
    QUEUES,
    BusUnavailable,
    Message,
    Parked,
    Received,
    known,
    utc_now,
)
from gateway.bus.embedded_consumer import AWAY, NEVER, READY, Consumer, Terms
from gateway.store.database import Database, instant
from gateway.store.tables import bus_messages

log = logging.getLogger(__name__)

VISIBILITY: Final = timedelta(seconds=10)
"""Less than a recovery may last: what a killed process held is out of reach for as long."""


class EmbeddedBus:
    """
    The contract `gateway.bus.base.Bus` on a table, for SQLite and PostgreSQL.
    """

    def __init__(
        self,
        database: Database,
        *,
        visibility: timedelta = VISIBILITY,
        delivery_limit: int = DELIVERY_LIMIT,
        poll: timedelta = timedelta(milliseconds=200),
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        """`visibility`: after how long the messages of a dead consumer come again; `poll`: how often an empty queue is looked at."""
        self._terms = Terms(database, visibility, delivery_limit, poll, clock)
        self._waiting: dict[str, set[asyncio.Event]] = {queue: set() for queue in QUEUES}

    async def open(self) -> None:
        """Do nothing: the table is made by the migrations."""

    async def close(self) -> None:
        """Do nothing: the database is closed by whoever opened it."""

    async def check(self) -> None:
        """See `Bus.check`."""
        await self._count(sa.select(bus_messages.c.seq).limit(1))

    async def publish(self, messages: Sequence[Message]) -> frozenset[str]:
        """
        See `Bus.publish`. Confirmed at the commit, all or none.

        A message that is still in its queue is not added a second time; a parked one is put back to work.
        """
        rows = [self._row(message) for message in messages if message.queue in QUEUES]
        if len(rows) < len(messages):
            log.error("%d messages name an unknown queue", len(messages) - len(rows), extra={"event": "bus.unroutable"})
        if not rows:
            return frozenset()
        try:
            async with self._terms.database.write() as tx:
                await tx.execute(self._insert(), rows)
        except AWAY as error:
            log.warning("The database did not take the messages: %s", type(error).__name__, extra={"event": "bus.away"})
            return frozenset()
        for queue in {row["queue"] for row in rows}:
            self._wake(queue)
        return frozenset(row["id"] for row in rows)

    @asynccontextmanager
    async def consume(self, queue: str, *, prefetch: int = 32) -> AsyncIterator[AsyncIterator[Received]]:
        """See `Bus.consume`."""
        consumer = Consumer(self._terms, known(queue), prefetch)
        self._waiting[queue].add(consumer.woken)
        keeping = asyncio.create_task(consumer.keep())
        try:
            yield consumer
        finally:
            self._waiting[queue].discard(consumer.woken)
            keeping.cancel()
            await asyncio.wait({keeping})
            await consumer.leave()
            self._wake(queue)

    async def depth(self, queue: str) -> int:
        """See `Bus.depth`; exact at the moment of the reading."""
        ready = (bus_messages.c.queue == known(queue), bus_messages.c.visible_at <= instant(self._terms.clock()), READY)
        return await self._count(sa.select(sa.func.count()).select_from(bus_messages).where(*ready))

    async def parked(self, queue: str, limit: int) -> Sequence[Parked]:
        """See `Bus.parked`; oldest first."""
        query = (
            sa.select(bus_messages)
            .where(bus_messages.c.queue == known(queue), bus_messages.c.visible_at == NEVER, ~READY)
            .order_by(bus_messages.c.seq)
            .limit(limit)
        )
        try:
            async with self._terms.database.read() as tx:
                rows = (await tx.execute(query)).all()
        except AWAY as error:
            raise BusUnavailable("the database does not answer") from error
        return [Parked(Message(row.id, row.queue, row.event), row.dead_reason) for row in rows]

    def _wake(self, queue: str) -> None:
        """Tell the consumers of this process that a queue may have something for them."""
        for woken in self._waiting[queue]:
            woken.set()

    def _row(self, message: Message) -> dict[str, Any]:
        at = instant(self._terms.clock())
        return {
            "id": message.id,
            "queue": message.queue,
            "event": message.event,
            "visible_at": at,
            "attempts": message.earlier,
        }

    def _insert(self) -> Any:
        insert = (sqlite.insert if self._terms.database.dialect == "sqlite" else postgresql.insert)(bus_messages)
        return insert.on_conflict_do_update(
            index_elements=["queue", "id"],
            set_={name: insert.excluded[name] for name in ("event", "visible_at", "attempts")} | {"dead_reason": None},
            where=~READY,
        )

    async def _count(self, query: sa.Select[int]) -> int:
        try:
            async with self._terms.database.read() as tx:
                return (await tx.execute(query)).scalars().first() or 0
        except AWAY as error:
            raise BusUnavailable("the database does not answer") from error
