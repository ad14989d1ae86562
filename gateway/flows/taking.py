"""
The task of flows: read whole once, for only then is a file known to be whole; then taken in record by record, from where it was.

A record (a household) is taken in whole or not at all. Some are recorded in one transaction, with their decisions, their
events, their lines of the report and the cursor: whoever dies, what is recorded is before the cursor and nothing else is.
A flow is held by one loop at a time under a short lease; that two held it would change nothing, since the cursor is compared.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import timedelta
from io import BufferedReader
from time import monotonic
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError, NoResultFound

from adapters.base import FileRefused, Record, Streaming
from adapters.registry import ADAPTERS
from gateway import admission
from gateway.errors import Problem
from gateway.flows import body, outcome
from gateway.flows.outcome import Prepared, Stopped
from gateway.flows.reading import Reading, reading
from gateway.flows.task import OPEN, caller_of
from gateway.pressure import Pressure
from gateway.services import Services
from gateway.store.database import instant, is_away, moment
from gateway.store.tables import flows, systems

_log = logging.getLogger(__name__)

_BATCH: Final = 50
"""Records of one transaction: what others wait for on SQLite."""

_LEASE: Final = timedelta(seconds=10)
_RENEW: Final = 3.0
_IDLE: Final = 1.0
_PATIENCE: Final = 60.0
"""Seconds that a flow waits in the hands of its loop; beyond, it is put back for another time, and others pass."""

_BUFFER: Final = 65_536
_RETRIES: Final = 3


class _Lost(Exception):
    """The flow is no longer this loop's: cancelled, held by another one, or put back."""


class FlowTaker:
    """Takes flows in, until stopped; several may run side by side."""

    def __init__(self, services: Services) -> None:
        """Work with the `services` of the flow of documents."""
        self._services = services
        self._pressure = Pressure(services.database, services.settings.outbox_limit)

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set; a failure is told, waited out and tried again."""
        while not stop.is_set():
            try:
                if await self.once(stop):
                    continue
            except Exception as error:  # the text of a database error holds the row: its class is enough to act on
                _log.warning("flows.interrupted", extra={"error": type(error).__name__})
            try:
                await asyncio.wait_for(stop.wait(), _IDLE)
            except TimeoutError:
                continue

    async def once(self, stop: asyncio.Event) -> bool:
        """Work on one flow until it ends, is lost or has to wait; False when there is none."""
        work = await _Work.claimed(self._services, self._pressure, stop)
        if work is None:
            return False
        try:
            await work.through()
        except _Lost:
            await work.put_back()
        except Stopped as stopped:
            await work.end("stopped", stopped.problem)
        except FileRefused as refusal:
            await work.end("refused", outcome.of_file(refusal))
        except Exception as error:
            if is_away(error) or isinstance(error, NoResultFound | asyncio.TimeoutError):
                raise
            _log.error("flows.failed", extra={"error": type(error).__name__})
            await work.end("stopped", outcome.INTERNAL)
        return True


class _Work:
    """One flow in the hands of a loop."""

    def __init__(self, row: Any, services: Services, pressure: Pressure, stop: asyncio.Event, held_by: str) -> None:
        self._flow, self._services, self._pressure, self._stop = row, services, pressure, stop
        self._held_by = held_by
        self._renewed = monotonic()
        self._caller = caller_of(row)
        adapter = ADAPTERS[row.adapter]
        assert isinstance(adapter, Streaming)
        self._adapter = adapter

    @classmethod
    async def claimed(cls, services: Services, pressure: Pressure, stop: asyncio.Event) -> _Work | None:
        """Hold the oldest flow that nobody holds and that waits for nothing; None when there is none."""
        now, held_by = services.clock(), str(uuid.uuid4())
        free = sa.or_(flows.c.held_until.is_(None), flows.c.held_until < instant(now))
        due = sa.or_(flows.c.not_before.is_(None), flows.c.not_before <= instant(now))
        query = sa.select(flows).where(flows.c.state.in_(OPEN), free, due).order_by(flows.c.id).limit(1)
        async with services.database.read() as tx:
            if (await tx.execute(query)).first() is None:
                return None
        async with services.database.write() as tx:
            row = (await tx.execute(query.with_for_update(skip_locked=True))).first()
            if row is None:
                return None
            held = {"held_by": held_by, "held_until": instant(now + _LEASE), "not_before": None}
            await tx.execute(sa.update(flows).where(flows.c.id == row.id).values(held))
        return cls(row, services, pressure, stop, held_by)

    async def through(self) -> None:
        """Read the flow whole, then take it in; raises `_Lost`, `Stopped` or `FileRefused`."""
        sender = await outcome.sender_of(self._flow.partner, self._services)
        context = admission.context(sender, moment(self._flow.created_at), self._services)

        def records() -> Iterator[Record]:
            source = BufferedReader(body.Body(self._flow.id, self._flow.pieces, self._services), _BUFFER)
            return self._adapter.records(source, context)

        if self._flow.state == "reading":
            await self._count(records)
        position = 0
        async with reading(records) as source:
            while found := await self._next(source):
                start, position = position, position + len(found)
                if position > self._flow.cursor:
                    skipped = max(0, self._flow.cursor - start)
                    await self._take(start + skipped, found[skipped:], sender)
        await self.end("done")

    async def _count(self, records: Callable[[], Iterator[Record]]) -> None:
        """Read to the end, which tells that the file is whole, and keep the number of its records."""
        total = 0
        async with reading(records) as source:
            while found := await self._next(source):
                total += len(found)
        await self._change({"state": "running", "total": total})
        self._services.fault_point("flow.read")

    async def _next(self, source: Reading) -> Sequence[Record]:
        if self._stop.is_set():
            raise _Lost
        if monotonic() - self._renewed > _RENEW:
            await self._change({})
        return await source.next(_BATCH)

    async def _take(self, start: int, found: Sequence[Record], sender: dict[str, Any]) -> None:
        """Take some records in, waiting as long as the gateway is closed, full, or the sender at its limit."""
        prepared = await outcome.prepare(found, self._flow.id, sender, self._caller, self._services)
        people = sum(each.people for each in prepared)
        await self._once_allowed(self._services.quorum.require)
        await self._once_allowed(self._pressure.demand_room)
        await self._once_allowed(lambda: self._services.limits.of_caller("subjects", self._caller, people))
        await self._settle(start, prepared)

    async def _settle(self, start: int, prepared: Sequence[Prepared]) -> None:
        """Record some records together; when that cannot be, one by one, so that each is judged by itself."""
        if len(prepared) == 1:
            await self._settle_one(start, prepared[0])
            return
        try:
            await self._record(start, prepared)
        except (Problem, IntegrityError):
            for rank, each in enumerate(prepared):
                await self._settle_one(start + rank, each)

    async def _settle_one(self, start: int, each: Prepared) -> None:
        tries = 0
        while True:
            try:
                await self._record(start, [each])
                return
            except IntegrityError:  # another process recorded the same person in the same instant: it is seen next time
                tries += 1
                if tries > _RETRIES:
                    raise
            except Problem as problem:
                if problem.code in outcome.STOPPING:
                    raise Stopped(outcome.of_problem(problem)) from problem
                if "Retry-After" not in problem.headers:
                    each = each.refused(problem)
                else:
                    await self._wait(float(problem.headers["Retry-After"]))

    async def _record(self, start: int, prepared: Sequence[Prepared]) -> None:
        """One transaction: everything that taking these records in changes, and the cursor behind them."""
        services, now = self._services, self._services.clock()
        arrivals = [each.arrival for each in prepared if each.arrival is not None]
        async with services.database.write() as tx:
            row = (await tx.execute(self._mine(flows.c.state == "running", flows.c.cursor == start))).first()
            if row is None:
                raise _Lost
            if row.disabled_at is not None:
                raise Stopped(outcome.DISABLED)
            for arrival in arrivals:
                arrival.begin(None)
            await admission.find_subjects(tx, arrivals, services, now)
            conventions = await admission.decide(tx, arrivals, services)
            rows = await admission.record(tx, arrivals, conventions, services, now)
            await admission.answer(tx, arrivals, rows, services)
            lines = [each.line(start + rank + 1) for rank, each in enumerate(prepared)]
            await body.tell(tx, self._flow.id, start, lines, services)
            change = outcome.counted(row, lines) | {"cursor": start + len(lines)} | self._lease()
            await tx.execute(sa.update(flows).where(flows.c.id == row.id).values(change))
            services.fault_point("flow.recorded")
        self._renewed = monotonic()
        services.measures.received([crossing for arrival in arrivals for crossing in arrival.crossings])
        services.wake()

    async def _once_allowed(self, demand: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await demand()
                return
            except Problem as problem:
                await self._wait(float(problem.headers.get("Retry-After", _IDLE)))

    async def _wait(self, seconds: float) -> None:
        """Wait and keep the flow; what is long is put back for then. Raises `_Lost`."""
        if seconds > _PATIENCE:
            await self._change({"not_before": instant(self._services.clock() + timedelta(seconds=seconds))})
            raise _Lost
        until = monotonic() + seconds
        while (left := until - monotonic()) > 0:
            try:
                await asyncio.wait_for(self._stop.wait(), min(left, _RENEW))
            except TimeoutError:
                await self._change({})
            else:
                raise _Lost

    async def end(self, state: str, problem: dict[str, Any] | None = None) -> None:
        """Write how the flow ended, then delete its bytes; what was taken in stays."""
        at = instant(self._services.clock())
        try:
            await self._change({"state": state, "problem": problem, "finished_at": at, "held_until": None})
        except _Lost:
            return
        self._services.fault_point("flow.ended")
        await body.forget(self._flow.id, self._services)

    async def put_back(self) -> None:
        """Let another loop, or this one later, go on from the cursor; of a flow that was cancelled, delete the bytes."""
        async with self._services.database.write() as tx:
            mine = sa.and_(flows.c.id == self._flow.id, flows.c.held_by == self._held_by)
            changed = sa.update(flows).where(mine).values(held_until=None).returning(flows.c.state)
            state = (await tx.execute(changed)).scalar_one_or_none()
        if state == "cancelled":
            await body.forget(self._flow.id, self._services)

    async def _change(self, values: dict[str, Any]) -> None:
        """Change the row of the flow, and hold it longer; raises `_Lost`."""
        async with self._services.database.write() as tx:
            mine = (flows.c.id == self._flow.id, flows.c.held_by == self._held_by, flows.c.state.in_(OPEN))
            changed = await tx.execute(sa.update(flows).where(*mine).values(self._lease() | values))
        if changed.rowcount != 1:
            raise _Lost
        self._renewed = monotonic()

    def _lease(self) -> dict[str, Any]:
        now = self._services.clock()
        return {"held_until": instant(now + _LEASE), "updated_at": instant(now)}

    def _mine(self, *conditions: sa.ColumnElement[bool]) -> sa.Select[Any]:
        query = sa.select(flows, systems.c.disabled_at).join(systems, systems.c.client_id == flows.c.client_id)
        mine = (flows.c.id == self._flow.id, flows.c.held_by == self._held_by, *conditions)
        return query.where(*mine).with_for_update(of=flows)
