"""
The relay: publishes what the outbox holds and deletes what the bus confirmed, for as long as the process lives.

    (1) claim     due rows, for the time of a lease       one short transaction
    (2) publish   outside any transaction
    (3) settle    delete the confirmed, postpone the rest  one short transaction

Several relays may run side by side. One that dies between (2) and (3) causes duplicates, never a loss.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from enum import Enum

from opentelemetry.trace import SpanKind

from gateway import telemetry
from gateway.bus import outbox
from gateway.bus.base import DELIVERIES, Bus, Message, cancelled_for_real, utc_now
from gateway.store.database import Database, Transaction

log = logging.getLogger(__name__)


class Pass(Enum):
    """How one pass ended."""

    IDLE = "nothing was due"
    SENT = "the bus confirmed something: go on at once"
    FAILED = "nothing went through: wait before the next"


class Relay:
    """
    Runs the three steps whenever rows are due: at once after `nudge`, else within `idle`.

    A failure of the bus or of the database never ends it: it waits, longer each time up to some seconds, and goes on.
    """

    def __init__(
        self,
        database: Database,
        bus: Bus,
        *,
        batch: int = 256,
        idle: timedelta = timedelta(milliseconds=100),
        clock: Callable[[], datetime] = utc_now,
        system: str = telemetry.bus_system(""),
    ) -> None:
        """`batch` is the number of rows of one claim; `idle` the time between two looks at an empty outbox; `system` the bus's name in spans."""
        self._database = database
        self._bus = bus
        self._batch = batch
        self._idle = idle.total_seconds()
        self._clock = clock
        self._attributes = telemetry.messaging("publish", "send", system=system, destination=DELIVERIES)
        self._nudged = asyncio.Event()

    def nudge(self) -> None:
        """Say that a row was just committed; a hint to call from the event loop, never needed."""
        self._nudged.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Relay until `stop` is set, then finish the pass under way. Raises nothing but a real cancellation."""
        failures = 0
        while not stop.is_set():
            try:
                result = await self.once()
            except Exception as error:
                result = Pass.FAILED
                # The text of a database error holds the row: its class is enough to act on.
                log.error("A pass of the relay failed: %s", type(error).__name__, extra={"event": "relay.pass_failed"})
            failures = failures + 1 if result is Pass.FAILED else 0
            if failures:
                await _wait(stop, outbox.wait_before(failures + 1).total_seconds())
            elif result is Pass.IDLE:
                await self._rest(stop)

    async def once(self) -> Pass:
        """Do one pass over at most one batch. Raises what the database raises."""
        self._nudged.clear()
        # Reading first: on SQLite a claim takes the only write lock, which an idle relay must leave alone.
        async with self._database.read() as tx:
            if not await outbox.is_due(tx, self._clock()):
                return Pass.IDLE
        # (1) claim
        async with self._database.write() as tx:
            taken = await outbox.claim(tx, now=self._clock(), limit=self._batch)
        if not taken.messages:
            return Pass.IDLE
        # (2) publish
        confirmed = await self._publish(taken)
        # (3) settle
        async with self._database.write() as tx:
            await outbox.settle(tx, taken, confirmed, now=self._clock())
        return Pass.SENT if confirmed else Pass.FAILED

    async def oldest_age(self, tx: Transaction) -> timedelta:
        """Tell for how long the oldest unsent row has waited; zero when none does."""
        return await outbox.oldest_age(tx, self._clock())

    async def _publish(self, taken: outbox.Claim) -> frozenset[str]:
        try:
            return await self._traced(taken.messages)
        except asyncio.CancelledError:
            if cancelled_for_real():
                raise
            log.warning("The bus lost its connection while publishing", extra={"event": "relay.connection_lost"})
            return frozenset()

    async def _traced(self, messages: Sequence[Message]) -> frozenset[str]:
        """Publish under a span in each trace; the message carries it on, the row keeps the trace of its request."""
        batch = map(outbox.carried, messages)
        with telemetry.parts(f"publish {DELIVERIES}", SpanKind.PRODUCER, batch, self._attributes) as parts:
            sent = [outbox.under(message, parts) for message in messages] if parts else messages
            confirmed = await self._bus.publish(sent)
            late = [message for message in messages if message.id not in confirmed] if parts else ()
            parts.fail("unconfirmed", {outbox.carried(message).trace for message in late})
            return confirmed

    async def _rest(self, stop: asyncio.Event) -> None:
        nudged, stopped = asyncio.create_task(self._nudged.wait()), asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({nudged, stopped}, timeout=self._idle, return_when=asyncio.FIRST_COMPLETED)
        finally:
            nudged.cancel()
            stopped.cancel()


async def _wait(event: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
