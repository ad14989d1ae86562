"""
The dispatcher: hands over what waits for the systems that do not come for it, until stopped.

    (1) find       the endpoints for which something is due
    (2) deliver    `exchange.deliver`: lease, gate, disclosure recorded
    (3) carry      by the endpoint's transport
    (4) settle     what came of it

Each endpoint is served apart, so that a slow one holds back nobody. Several dispatchers may run side by side, in one process
or many: a delivery is under one lease at a time. One that dies leaves leases that end by themselves.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Final

from adapters import registry as adapters
from gateway.acknowledgement import acknowledge
from gateway.delivery import endpoints
from gateway.delivery.base import Answer, Endpoint, Outcome, Result, Transport, caller_of
from gateway.delivery.settlement import expire, settle
from gateway.errors import Problem
from gateway.exchange import deliver
from gateway.services import Services
from gateway.taken import waiting

_log = logging.getLogger(__name__)

_AT_ONCE: Final = 16
"""Endpoints served at the same time."""

_PROBE: Final = 4
"""Deliveries that an endpoint is tried with while it fails: more than one, so that none of them alone makes it look away."""


_LAST_MOMENT: Final = 0.8
"""Seconds left to what is under way when the process is told to stop; `gateway.composition` cancels a loop after one."""


class Dispatcher:
    """Serves the endpoints of some transports; one instance a process."""

    def __init__(
        self, services: Services, transports: Mapping[str, Transport], idle: timedelta = timedelta(milliseconds=500)
    ) -> None:
        """`idle` is the time between two looks when nobody says that something came."""
        self._services = services
        self._transports = transports
        self._idle = idle.total_seconds()
        self._nudged = asyncio.Event()
        self._serving: dict[str, asyncio.Task[None]] = {}
        self._looked: dict[str, datetime] = {}

    def nudge(self) -> None:
        """Say that something may be due; a hint, never needed."""
        self._nudged.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set; a failure is told, waited out and tried again. Raises nothing but a real cancellation."""
        try:
            while not stop.is_set():
                self._nudged.clear()
                try:
                    await self._serve_what_is_due(stop)
                except Exception as error:  # the text of a database error holds the row: its class is enough to act on
                    _log.warning("dispatcher.interrupted", extra={"error": type(error).__name__})
                await self._rest(stop)
        finally:
            await self._end()

    async def _end(self) -> None:
        """Let what is under way finish for a moment, then leave it: its leases end by themselves."""
        serving = list(self._serving.values())
        if serving:
            await asyncio.wait(serving, timeout=_LAST_MOMENT)
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)

    async def _serve_what_is_due(self, stop: asyncio.Event) -> None:
        now = self._services.clock()
        async with self._services.database.read() as tx:
            rows = await endpoints.pushed(tx, now)
        for row in rows:
            name, look = row.client_id, self._is_time_to_look(row.client_id, row.transport, now)
            if name in self._serving or row.transport not in self._transports or not (row.due or look):
                continue
            if len(self._serving) >= _AT_ONCE:
                break
            endpoint = endpoints.read(row, self._services.vault)
            self._serving[name] = asyncio.create_task(self._serve(endpoint, stop, look=look), name=f"serve {name}")

    def _is_time_to_look(self, client_id: str, transport: str, now: datetime) -> bool:
        every = self._transports[transport].look_every if transport in self._transports else None
        return every is not None and now - self._looked.get(client_id, datetime.min.replace(tzinfo=UTC)) >= every

    async def _serve(self, endpoint: Endpoint, stop: asyncio.Event, *, look: bool) -> None:
        try:
            if look:
                self._looked[endpoint.client_id] = self._services.clock()
                await self.collect(endpoint)
            while not stop.is_set() and not endpoint.suspended:
                again, endpoint = await self.hand_over(endpoint)
                if not again or endpoint.failures:
                    return
        except Exception as error:
            _log.warning("dispatcher.endpoint_interrupted", extra={"error": type(error).__name__})
            await asyncio.sleep(self._idle)
        finally:
            del self._serving[endpoint.client_id]

    async def hand_over(self, endpoint: Endpoint) -> tuple[bool, Endpoint]:
        """Hand over one lease's worth; says whether there may be more, and how the endpoint is after."""
        services, transport = self._services, self._transports[endpoint.transport]
        caller = caller_of(endpoint)
        if not await waiting(caller, services, endpoint.kinds):
            return False, endpoint
        handed = await deliver(
            caller=caller,
            adapter=adapters.get(endpoint.adapter),
            limit=min(transport.batch, _PROBE) if endpoint.failures else transport.batch,
            kinds=endpoint.kinds,
            services=services,
            one_a_person=True,
        )
        if not handed.parcels:
            return bool(handed.stopped or handed.unwritten), endpoint
        try:
            outcomes = await transport.hand_over(endpoint, handed)
        except Exception as error:  # what was recorded as handed over must be told of, whatever happened
            _log.error("dispatcher.transport_failed", extra={"error": type(error).__name__})
            told = Outcome(Result.FAILED, "internal_error")
            outcomes = {parcel.taken.delivery_id: told for parcel in handed.parcels}
        services.fault_point("dispatch.carried")
        after = await settle(endpoint, handed.lease, outcomes, transport.patience, services)
        if after.suspended:
            await transport.tell_suspended(after)
        return True, after

    async def collect(self, endpoint: Endpoint) -> None:
        """Record what a system answered since it was last looked at, and give up on what it never answered."""
        await expire(endpoint, self._services)
        for answer in await self._transports[endpoint.transport].collect(endpoint):
            await self._record(endpoint, answer)

    async def _record(self, endpoint: Endpoint, answer: Answer) -> None:
        try:
            await acknowledge(
                caller_of(endpoint),
                answer.about,
                self._services,
                refusal=answer.refusal,
                permanent=answer.refusal != "temporary",
            )
        except Problem as problem:  # about nothing of its own, or closed since: there is nothing to record
            _log.info("dispatcher.answer_ignored", extra={"code": problem.code, "client_id": endpoint.client_id})
        await answer.forget()

    async def _rest(self, stop: asyncio.Event) -> None:
        waits = [asyncio.create_task(event.wait()) for event in (self._nudged, stop)]
        try:
            await asyncio.wait(waits, timeout=self._idle, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waits:
                task.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.gather(*waits, return_exceptions=True)
