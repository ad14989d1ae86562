"""
Consuming from the embedded bus: taking rows, keeping them as long as the consumer lives, answering.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from gateway.bus.base import UNANSWERED, Message, Received
from gateway.store.database import Database, Transaction, instant
from gateway.store.tables import bus_messages

log = logging.getLogger(__name__)

NEVER: Final = "9999-12-31T23:59:59.999999Z"
"""When a parked message is handed out: the index of what is ready then passes it by."""

AWAY: Final = (sa.exc.DBAPIError, sa.exc.TimeoutError, OSError)
"""What a database that is away raises."""

READY: Final = bus_messages.c.dead_reason.is_(None)
_OURS = (bus_messages.c.seq == sa.bindparam("s"), bus_messages.c.attempts == sa.bindparam("a"))
_OURS_TO_CHANGE = sa.update(bus_messages).where(*_OURS, READY)


@dataclass(frozen=True, slots=True)
class Terms:
    """
    On what terms messages are handed out.

    `visibility`: after how long those of a dead consumer come again; `poll`: how often an empty queue is looked at.
    """

    database: Database
    visibility: timedelta
    delivery_limit: int
    poll: timedelta
    clock: Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class _Held:
    """One message in the hands of a consumer; see `Received`."""

    consumer: Consumer
    seq: int
    message: Message
    attempts: int

    async def ack(self) -> None:
        self.consumer.done(self)

    async def retry(self, after: timedelta) -> None:
        due = instant(self.consumer.terms.clock() + after)
        event = self.message.again(self.attempts).event
        await self.consumer.change(self, {"visible_at": due, "event": event})

    async def park(self, reason: str) -> None:
        await self.consumer.change(self, {"visible_at": NEVER, "dead_reason": reason[:200]})


class Consumer:
    """
    Iterates over one queue and holds what it has handed out.

    Acknowledged rows are deleted together, with the next taking: one commit for many messages, none to wait for.
    """

    def __init__(self, terms: Terms, queue: str, prefetch: int) -> None:
        self.terms = terms
        self.woken = asyncio.Event()
        self._queue = queue
        self._prefetch = prefetch
        self._ready: deque[_Held] = deque()
        self._held: dict[int, int] = {}
        self._done: dict[int, int] = {}  # both: the row's key, and the attempt that makes it ours
        self._late: dict[int, tuple[int, Mapping[str, Any]]] = {}
        """Answers that the database was not there to take: the attempt, and what is to be written in the row."""
        self._taking: asyncio.Task[None] | None = None

    def __aiter__(self) -> Consumer:
        return self

    async def __anext__(self) -> Received:
        while not self._ready:
            self.woken.clear()
            # A caller that gives up must not leave a message half taken: what was begun is finished beside it.
            self._taking = self._taking or asyncio.create_task(self._take())
            try:
                await asyncio.shield(self._taking)
            finally:
                self._taking = None if self._taking.done() else self._taking
            if not self._ready:
                looking = asyncio.get_running_loop().call_later(self.terms.poll.total_seconds(), self.woken.set)
                try:
                    await self.woken.wait()
                finally:
                    looking.cancel()
        return self._ready.popleft()

    def done(self, held: _Held) -> None:
        """Note that a message was handled; its row goes soon."""
        if self._held.pop(held.seq, None) is not None:
            self._done[held.seq] = held.attempts
            self.woken.set()

    async def change(self, held: _Held, values: Mapping[str, Any]) -> None:
        """Change the row of a message, if it is still ours, and let go of it; as soon as the database is back when it is away."""
        self._held.pop(held.seq, None)
        try:
            async with self.terms.database.write() as tx:
                await _answer(tx, {held.seq: (held.attempts, values)})
        except AWAY as error:
            log.warning(
                "An answer waits for the database: %s", type(error).__name__, extra={"event": "bus.answer_late"}
            )
            self._late[held.seq] = held.attempts, values
        self.woken.set()

    async def keep(self) -> None:
        """Keep what is held from being handed to another, for as long as this consumer lives."""
        while True:
            await asyncio.sleep(self.terms.visibility.total_seconds() / 3)
            await self._finish(self.terms.clock() + self.terms.visibility)

    async def leave(self) -> None:
        """Finish what is under way and let the others have what is still held."""
        if self._taking is not None:
            await asyncio.wait({self._taking})
        await self._finish(self.terms.clock())

    async def _finish(self, until: datetime) -> None:
        """Delete what is done, and hide what is held `until` then."""
        done, held, late = dict(self._done), _keys(self._held), dict(self._late)
        if not (done or held or late):
            return
        try:
            async with self.terms.database.write() as tx:
                await self._delete(tx, done)
                await _answer(tx, late)
                if held:
                    await tx.execute(_OURS_TO_CHANGE.values(visible_at=instant(until)), held)
        except AWAY as error:
            log.warning("Held messages were not kept: %s", type(error).__name__, extra={"event": "bus.away"})
            return
        self._forget(done, late)

    async def _take(self) -> None:
        room, done, late = self._prefetch - len(self._held), dict(self._done), dict(self._late)
        try:
            # Reading first: on SQLite taking needs the only write lock, which an idle consumer must leave alone.
            wanted = room if room > 0 and await self._is_due() else 0
            if not (done or wanted or late):
                return
            async with self.terms.database.write() as tx:
                await self._delete(tx, done)
                await _answer(tx, late)
                taken = await self._hand_out(tx, wanted) if wanted else []
        except AWAY as error:
            log.warning("The queue cannot be read: %s", type(error).__name__, extra={"event": "bus.away"})
            await asyncio.sleep(random.uniform(0.2, 1))  # noqa: S311 (spreads load; keeps no secret)
            return
        self._forget(done, late)
        self._held |= {held.seq: held.attempts for held in taken}
        self._ready.extend(taken)

    async def _is_due(self) -> bool:
        async with self.terms.database.read() as tx:
            return (await tx.execute(self._due().limit(1))).first() is not None

    async def _hand_out(self, tx: Transaction, count: int) -> list[_Held]:
        ordered = self._due().order_by(bus_messages.c.visible_at, bus_messages.c.seq).limit(count)
        due = ordered.with_for_update(skip_locked=True).cte("due")
        take = (
            sa.update(bus_messages)
            .where(bus_messages.c.seq.in_(sa.select(due.c.seq)))
            .values(
                visible_at=instant(self.terms.clock() + self.terms.visibility), attempts=bus_messages.c.attempts + 1
            )
            .returning(bus_messages.c.seq, bus_messages.c.id, bus_messages.c.event, bus_messages.c.attempts)
        )
        rows = sorted((await tx.execute(take)).all(), key=lambda row: row.seq)
        held = [_Held(self, row.seq, Message(row.id, self._queue, row.event), row.attempts) for row in rows]
        # A message that was retried counts from its last retry.
        poison = [one for one in held if one.attempts - one.message.earlier > self.terms.delivery_limit]
        if poison:
            log.error(
                "%d messages were parked: their consumers die of them", len(poison), extra={"event": "bus.parked"}
            )
            park = _OURS_TO_CHANGE.values(visible_at=NEVER, dead_reason=UNANSWERED)
            await tx.execute(park, _keys({one.seq: one.attempts for one in poison}))
        return [one for one in held if one not in poison]

    def _due(self) -> sa.Select[int]:
        due = bus_messages.c.visible_at <= instant(self.terms.clock())
        return sa.select(bus_messages.c.seq).where(bus_messages.c.queue == self._queue, due, READY)

    async def _delete(self, tx: Transaction, done: Mapping[int, int]) -> None:
        if done:
            await tx.execute(sa.delete(bus_messages).where(*_OURS), _keys(done))

    def _forget(self, done: Mapping[int, int], late: Mapping[int, Any]) -> None:
        for seq in done:
            self._done.pop(seq, None)
        for seq in late:
            self._late.pop(seq, None)


async def _answer(tx: Transaction, answers: Mapping[int, tuple[int, Mapping[str, Any]]]) -> None:
    """Change the rows that are still in the attempt they were answered in."""
    for seq, (attempts, values) in answers.items():
        await tx.execute(_OURS_TO_CHANGE.values(values), [{"s": seq, "a": attempts}])


def _keys(rows: Mapping[int, int]) -> list[dict[str, int]]:
    return [{"s": seq, "a": attempts} for seq, attempts in rows.items()]
