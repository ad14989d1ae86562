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
import random
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from gateway.bus.base import DELIVERY_LIMIT, QUEUES, UNANSWERED, BusUnavailable, Message, Parked, Received, known
from gateway.store.database import Database, Transaction, instant
from gateway.store.tables import bus_messages

log = logging.getLogger(__name__)

_NEVER: Final = "9999-12-31T23:59:59.999999Z"
"""When a parked message is handed out: the index of what is ready then passes it by."""

_AWAY: Final = (sa.exc.DBAPIError, sa.exc.TimeoutError, OSError)
"""What a database that is away raises."""

_READY = bus_messages.c.dead_reason.is_(None)


def _now() -> datetime:
    return datetime.now(UTC)


class EmbeddedBus:
    """
    The contract `gateway.bus.base.Bus` on a table, for SQLite and PostgreSQL.
    """

    def __init__(
        self,
        database: Database,
        *,
        visibility: timedelta = timedelta(seconds=30),
        delivery_limit: int = DELIVERY_LIMIT,
        poll: timedelta = timedelta(milliseconds=200),
        clock: Callable[[], datetime] = _now,
    ) -> None:
        """`visibility`: after how long the messages of a dead consumer come again; `poll`: how often an empty queue is looked at."""
        self.database = database
        self.visibility = visibility
        self.delivery_limit = delivery_limit
        self.poll = poll.total_seconds()
        self.clock = clock
        self._waiting: dict[str, set[asyncio.Event]] = {queue: set() for queue in QUEUES}

    async def open(self) -> None:
        """Do nothing: the table is made by the migrations."""

    async def close(self) -> None:
        """Do nothing: the database is closed by whoever opened it."""

    async def check(self) -> None:
        """See `Bus.check`."""
        await self._count(sa.select(sa.literal(0)).where(sa.exists().where(bus_messages.c.seq == 0)))

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
            async with self.database.write() as tx:
                await tx.execute(self._insert(), rows)
        except _AWAY as error:
            log.warning("The database did not take the messages: %s", type(error).__name__, extra={"event": "bus.away"})
            return frozenset()
        for queue in {row["queue"] for row in rows}:
            self.wake(queue)
        return frozenset(row["id"] for row in rows)

    @asynccontextmanager
    async def consume(self, queue: str, *, prefetch: int = 32) -> AsyncIterator[AsyncIterator[Received]]:
        """See `Bus.consume`."""
        consumer = _Consumer(self, known(queue), prefetch)
        self._waiting[queue].add(consumer.woken)
        keeping = asyncio.create_task(consumer.keep())
        try:
            yield consumer
        finally:
            self._waiting[queue].discard(consumer.woken)
            keeping.cancel()
            with suppress(asyncio.CancelledError):
                await keeping
            await consumer.give_back()

    async def depth(self, queue: str) -> int:
        """See `Bus.depth`; exact at the moment of the reading."""
        ready = (bus_messages.c.queue == known(queue), bus_messages.c.visible_at <= instant(self.clock()), _READY)
        return await self._count(sa.select(sa.func.count()).select_from(bus_messages).where(*ready))

    async def parked(self, queue: str, limit: int) -> Sequence[Parked]:
        """See `Bus.parked`; oldest first."""
        query = (
            sa.select(bus_messages)
            .where(bus_messages.c.queue == known(queue), bus_messages.c.visible_at == _NEVER, ~_READY)
            .order_by(bus_messages.c.seq)
            .limit(limit)
        )
        try:
            async with self.database.read() as tx:
                rows = (await tx.execute(query)).all()
        except _AWAY as error:
            raise BusUnavailable("the database does not answer") from error
        return [Parked(Message(row.id, row.queue, row.event), row.dead_reason) for row in rows]

    def wake(self, queue: str) -> None:
        """Tell the consumers of this process that a queue may have something for them."""
        for woken in self._waiting[queue]:
            woken.set()

    def _row(self, message: Message) -> dict[str, Any]:
        at = instant(self.clock())
        return {
            "id": message.id,
            "queue": message.queue,
            "event": message.event,
            "visible_at": at,
            "attempts": message.earlier,
        }

    def _insert(self) -> Any:
        insert = (sqlite.insert if self.database.dialect == "sqlite" else postgresql.insert)(bus_messages)
        return insert.on_conflict_do_update(
            index_elements=["queue", "id"],
            set_={name: insert.excluded[name] for name in ("event", "visible_at", "attempts")} | {"dead_reason": None},
            where=~_READY,
        )

    async def _count(self, query: sa.Select[tuple[int]]) -> int:
        try:
            async with self.database.read() as tx:
                return (await tx.execute(query)).scalar() or 0
        except _AWAY as error:
            raise BusUnavailable("the database does not answer") from error


@dataclass(frozen=True, slots=True)
class _Held:
    """One message in the hands of a consumer; see `Received`."""

    consumer: _Consumer
    seq: int
    message: Message
    attempts: int

    async def ack(self) -> None:
        await self.consumer.answer(self, sa.delete(bus_messages))

    async def retry(self, after: timedelta) -> None:
        due = instant(self.consumer.bus.clock() + after)
        event = self.message.again(self.attempts).event
        await self.consumer.answer(self, sa.update(bus_messages).values(visible_at=due, event=event))

    async def park(self, reason: str) -> None:
        await self.consumer.answer(self, sa.update(bus_messages).values(visible_at=_NEVER, dead_reason=reason[:200]))


class _Consumer:
    """Iterates over one queue and holds what it has handed out."""

    def __init__(self, bus: EmbeddedBus, queue: str, prefetch: int) -> None:
        self.bus = bus
        self.woken = asyncio.Event()
        self._queue = queue
        self._prefetch = prefetch
        self._ready: deque[_Held] = deque()
        self._held: dict[int, _Held] = {}

    def __aiter__(self) -> _Consumer:
        return self

    async def __anext__(self) -> Received:
        while not self._ready:
            self.woken.clear()
            if await self._take():
                break
            with suppress(TimeoutError):
                async with asyncio.timeout(self.bus.poll):
                    await self.woken.wait()
        return self._ready.popleft()

    async def answer(self, held: _Held, statement: sa.Delete | sa.Update) -> None:
        """Apply an answer to the row, if it is still ours; when the database is away the message comes again."""
        self._held.pop(held.seq, None)
        try:
            async with self.bus.database.write() as tx:
                await tx.execute(
                    statement.where(bus_messages.c.seq == held.seq, bus_messages.c.attempts == held.attempts)
                )
        except _AWAY as error:
            log.warning("An answer was not recorded: %s", type(error).__name__, extra={"event": "bus.answer_lost"})
        self.woken.set()

    async def keep(self) -> None:
        """Keep what is held from being handed to another, for as long as this consumer lives."""
        while True:
            await asyncio.sleep(self.bus.visibility.total_seconds() / 3)
            await self._move(self.bus.clock() + self.bus.visibility)

    async def give_back(self) -> None:
        """Let the others have what is still held."""
        await self._move(self.bus.clock())
        self.bus.wake(self._queue)

    async def _take(self) -> bool:
        room = self._prefetch - len(self._held)
        if room <= 0:
            return False
        try:
            for held in await self._hand_out(room):
                self._held[held.seq] = held
                self._ready.append(held)
        except _AWAY as error:
            log.warning("The queue cannot be read: %s", type(error).__name__, extra={"event": "bus.away"})
            await asyncio.sleep(random.uniform(0.2, 1))  # noqa: S311 (spreads load; keeps no secret)
        return bool(self._ready)

    async def _hand_out(self, room: int) -> list[_Held]:
        now = self.bus.clock()
        due = sa.select(bus_messages.c.seq).where(
            bus_messages.c.queue == self._queue, bus_messages.c.visible_at <= instant(now), _READY
        )
        # Reading first: on SQLite taking needs the only write lock, which an idle consumer must leave alone.
        async with self.bus.database.read() as tx:
            if (await tx.execute(due.limit(1))).first() is None:
                return []
        due = due.order_by(bus_messages.c.visible_at, bus_messages.c.seq).limit(room)
        due_rows = due.with_for_update(skip_locked=True).cte("due")
        take = (
            sa.update(bus_messages)
            .where(bus_messages.c.seq.in_(sa.select(due_rows.c.seq)))
            .values(visible_at=instant(now + self.bus.visibility), attempts=bus_messages.c.attempts + 1)
            .returning(bus_messages.c.seq, bus_messages.c.id, bus_messages.c.event, bus_messages.c.attempts)
        )
        async with self.bus.database.write() as tx:
            rows = sorted((await tx.execute(take)).all(), key=lambda row: row.seq)
            held = [_Held(self, row.seq, Message(row.id, self._queue, row.event), row.attempts) for row in rows]
            return [one for one in held if not await self._is_poison(tx, one)]

    async def _is_poison(self, tx: Transaction, held: _Held) -> bool:
        """Park what its consumers never answered; a retried message counts from its last retry."""
        if held.attempts - held.message.earlier <= self.bus.delivery_limit:
            return False
        park = sa.update(bus_messages).values(visible_at=_NEVER, dead_reason=UNANSWERED)
        await tx.execute(park.where(bus_messages.c.seq == held.seq))
        log.error("A message was parked: its consumers die of it", extra={"event": "bus.parked"})
        return True

    async def _move(self, until: datetime) -> None:
        mine: list[Mapping[str, Any]] = [{"s": held.seq, "a": held.attempts} for held in self._held.values()]
        if not mine:
            return
        move = sa.update(bus_messages).where(
            bus_messages.c.seq == sa.bindparam("s"), bus_messages.c.attempts == sa.bindparam("a"), _READY
        )
        try:
            async with self.bus.database.write() as tx:
                await tx.execute(move.values(visible_at=instant(until)), mine)
        except _AWAY as error:
            log.warning("Held messages were not kept: %s", type(error).__name__, extra={"event": "bus.away"})
