"""
The courier: takes deliveries from the bus, asks the gate again, and puts them where the recipient's system takes them.

At least once from the bus, exactly once in effect: each message's id enters the inbox in the transaction of its effect.
A message that fails by itself is tried apart from its group, then set aside with its reason; when the database is away
everything waits, however long, and nothing is set aside.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import timedelta
from typing import Final

from opentelemetry.trace import SpanKind

from consent.rows import insert_rows
from gateway import handover, telemetry
from gateway.bus.base import DELIVERIES, Bus, Received
from gateway.bus.outbox import carried
from gateway.delivery.abandonment import abandon
from gateway.services import Services
from gateway.store.database import Transaction, instant, is_away
from gateway.store.tables import inbox
from gateway.taken import queued, update

_log = logging.getLogger(__name__)

_GROUP = 64
"""Messages brought in one transaction: the commit is what costs."""

_PAUSE = timedelta(seconds=2)
"""Before the bus is taken from again after it failed."""

_TRIES: Final = 4
"""How many times a message that fails by itself is tried before it is set aside."""

_FIRST_WAIT, _LONGEST_WAIT = 0.5, 30.0
"""Seconds between two tries: the wait doubles each time, and is drawn between its half and its whole."""


class Courier:
    """
    Brings what the bus carries to the mailboxes, until stopped; several may run side by side, in one or many processes.
    """

    def __init__(self, services: Services, bus: Bus, brought: Callable[[], None]) -> None:
        """Take from `bus` with the `services` of the flow; `brought` tells the dispatcher that something may be due."""
        self._services = services
        self._bus = bus
        self._brought = brought
        self._faults: dict[str, int] = {}
        system = telemetry.bus_system(services.settings.bus_url)
        self._attributes = telemetry.messaging("process", "process", system=system, destination=DELIVERIES)

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set; a failure is told, waited out and tried again."""
        while not stop.is_set():
            try:
                async with self._bus.consume(DELIVERIES, prefetch=_GROUP) as messages:
                    await self._carry(messages, stop)
            except Exception as error:  # the loop must outlive whatever the bus or the database does
                _log.warning("courier.interrupted", extra={"error": type(error).__name__})
                await _sleep(stop, _PAUSE)

    async def _carry(self, messages: AsyncIterator[Received], stop: asyncio.Event) -> None:
        waiting: asyncio.Queue[Received] = asyncio.Queue(_GROUP)
        reader = asyncio.create_task(_read(messages, waiting))
        stopped = asyncio.create_task(stop.wait())
        try:
            while not stop.is_set():
                first = asyncio.create_task(waiting.get())
                done, _ = await asyncio.wait({first, reader, stopped}, return_when=asyncio.FIRST_COMPLETED)
                if first not in done:
                    first.cancel()
                    if reader in done:
                        reader.result()
                    return
                group = [first.result()]
                while len(group) < _GROUP and not waiting.empty():
                    group.append(waiting.get_nowait())
                await self._bring_or_retry(group)
        finally:
            reader.cancel()
            stopped.cancel()
            await asyncio.gather(reader, stopped, return_exceptions=True)

    async def _bring_or_retry(self, group: Sequence[Received]) -> None:
        batch = (carried(received.message) for received in group)
        try:
            with telemetry.parts(f"process {DELIVERIES}", SpanKind.CONSUMER, batch, self._attributes):
                await self.bring(group)
        except Exception as error:
            _log.warning("courier.refused", extra={"error": type(error).__name__, "messages": len(group)})
            if len(group) > 1 and not is_away(error):
                for received in group:
                    await self._bring_or_retry([received])
                return
            for received in group:
                await self._try_later(received, error)
            return
        for received in group:
            self._faults.pop(received.message.id, None)
            await received.ack()

    async def _try_later(self, received: Received, error: Exception) -> None:
        if is_away(error):
            await received.retry(_wait(received.attempts))
            return
        # Counted here and not by the bus, whose attempts grow while the database is away too.
        faults = self._faults[received.message.id] = self._faults.get(received.message.id, 0) + 1
        if faults < _TRIES:
            await received.retry(_wait(faults))
            return
        del self._faults[received.message.id]
        reason = f"courier: {type(error).__name__}"
        _log.error("courier.set_aside", extra={"error": type(error).__name__})
        await received.park(reason)
        try:
            await abandon(self._services, received.message.event["data"]["delivery_id"], reason)
        except Exception as failure:  # the message keeps the reason; what the row says is for people
            _log.error("courier.not_told", extra={"error": type(failure).__name__})

    async def bring(self, group: Sequence[Received]) -> None:
        """Put the deliveries named by a group of messages in their mailboxes, or stop them; one transaction, no effect twice."""
        now = self._services.clock()
        async with self._services.database.write() as tx:
            fresh = await _first_time(tx, group, instant(now))
            taken = await queued(tx, fresh, self._services)
            self._services.fault_point("courier.taken")
            await handover.decide_again(tx, taken, self._services)
            permitted = [item for item in taken if item.decision is not None and item.decision.permit]
            stopped = [item for item in taken if item not in permitted]
            events = await handover.stop(tx, stopped, self._services, now)
            change = {"state": "available", "available_at": instant(now), "updated_at": instant(now)}
            await update(tx, permitted, change)
            await self._services.ledger.append(tx, events)
            self._services.fault_point("courier.recorded")
        self._services.measures.stopped(stopped)
        self._brought()


async def _first_time(tx: Transaction, group: Sequence[Received], at: str) -> list[str]:
    """Enter the messages in the inbox; gives the deliveries of those that were not there yet."""
    wanted = {received.message.id: received.message.event["data"]["delivery_id"] for received in group}
    rows = [{"consumer": "courier", "message_id": message_id, "received_at": at} for message_id in wanted]
    entered = await insert_rows(tx, inbox, rows, ignore=True, returning=("message_id",))
    return [wanted[row.message_id] for row in entered]


def _wait(attempts: int) -> timedelta:
    longest = min(_FIRST_WAIT * 2 ** min(attempts - 1, 16), _LONGEST_WAIT)
    return timedelta(seconds=longest * random.uniform(0.5, 1))  # noqa: S311 (spreads load; keeps no secret)


async def _read(messages: AsyncIterator[Received], waiting: asyncio.Queue[Received]) -> None:
    async for received in messages:
        await waiting.put(received)


async def _sleep(stop: asyncio.Event, pause: timedelta) -> None:
    try:
        await asyncio.wait_for(stop.wait(), pause.total_seconds())
    except TimeoutError:
        return
