"""
Group commit: what waits for the database at the same moment is written in one transaction.

A commit costs a disk write and each statement a round trip, whatever the number of rows: shared, they cost each request little.
Alone, nobody waits for anybody; among many, each waits a few milliseconds for the others.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, Protocol, TypeVar

LIMIT: Final = 64
"""Items of one transaction: more would make the first wait longer than it gains."""

_CROWD: Final = 5
"""Items of one group that show that as many may be on their way: fewer than that cost less to write twice than to wait for."""

_PAUSE: Final = 0.002
_LONGEST_WAIT: Final = 0.005
"""Seconds that a group waits for one more item, and for all those that come: less than a transaction takes when many share it."""


class Joining(Protocol):
    """What may share a transaction with others."""

    @property
    def apart(self) -> frozenset[Hashable]:
        """What two items of one transaction may not have in common, such as an idempotency key."""


T = TypeVar("T", bound=Joining)

Commit = Callable[[Sequence[T]], Awaitable[None]]
"""Writes some items in one transaction of its own: all of them durable when it returns, none if it raises."""


@dataclass(slots=True, eq=False)
class _Waiting(Generic[T]):
    item: T
    commit: Commit[T]
    done: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class GroupCommit(Generic[T]):
    """
    Commits together the items that wait together, in the order in which they came, one transaction at a time.

    `join` returns once its item is durable, and raises what committing it raised. A group that fails has had no effect and is
    tried again one by one, so that nobody pays for the fault of another. An item whose caller went away before its turn is
    left out: nothing was promised for it. Belongs to one event loop.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        """At most `limit` items are committed together."""
        self._limit = limit
        self._waiting: deque[_Waiting[T]] = deque()
        self._leader: asyncio.Task[None] | None = None
        self._crowded = False

    async def join(self, item: T, commit: Commit[T]) -> None:
        """Commit `item` with whatever waits beside it; all items are given the same `commit`."""
        waiting = _Waiting(item, commit)
        self._waiting.append(waiting)
        if self._leader is None or self._leader.done():
            self._leader = asyncio.create_task(self._lead(), name="group-commit")
        await waiting.done

    async def _lead(self) -> None:
        try:
            while self._waiting:
                await self._gather()
                if group := self._next_group():
                    self._crowded = len(group) >= _CROWD
                    await self._write(group)
        except BaseException:
            while self._waiting:
                self._waiting.popleft().done.cancel()
            raise

    async def _gather(self) -> None:
        """
        When the last group was a crowd, wait as long as others arrive: those it answered come back one after the other.

        Else they would go by halves for ever, each while the other waits, in twice as many transactions.
        """
        loop = asyncio.get_running_loop()
        until, before = loop.time() + _LONGEST_WAIT, 0
        while self._crowded and before < len(self._waiting) < self._limit and loop.time() < until:
            before = len(self._waiting)
            await asyncio.sleep(_PAUSE)

    def _next_group(self) -> list[_Waiting[T]]:
        """Take the first items that may stand together; the others keep their place."""
        group: list[_Waiting[T]] = []
        held: set[Hashable] = set()
        later: deque[_Waiting[T]] = deque()
        while self._waiting and len(group) < self._limit:
            waiting = self._waiting.popleft()
            if waiting.done.cancelled():
                continue
            # Whoever shares something with an item left for later must stay behind it.
            (group if held.isdisjoint(waiting.item.apart) else later).append(waiting)
            held |= waiting.item.apart
        self._waiting.extendleft(reversed(later))
        return group

    async def _write(self, group: Sequence[_Waiting[T]]) -> None:
        try:
            await group[0].commit([waiting.item for waiting in group])
        except Exception as error:
            if len(group) == 1:
                _tell(group[0].done, error)
                return
            await self._write_each(group)
        except BaseException:  # cancelled, or the process is ending
            for waiting in group:
                waiting.done.cancel()
            raise
        else:
            for waiting in group:
                _tell(waiting.done)

    async def _write_each(self, group: Sequence[_Waiting[T]]) -> None:
        left = deque(group)
        try:
            while left:
                await self._write([left.popleft()])
        except BaseException:
            for waiting in left:
                waiting.done.cancel()
            raise


def _tell(done: asyncio.Future[Any], error: BaseException | None = None) -> None:
    if done.cancelled():
        return
    if error is None:
        done.set_result(None)
    else:
        done.set_exception(error)
