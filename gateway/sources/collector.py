"""
The collector: asks the systems that wait to be asked, and takes in what they give, until stopped.

    (1) claim     the sources that are due, held so that one process alone asks each
    (2) pull      the next message, by the source's connector
    (3) take in   `exchange.receive`: durable, or in quarantine when the message itself is refused
    (4) remember  where it was left
    (5) settle    tell the system that its message was taken

A process that dies between two steps leaves a hold that ends by itself; the message comes again, and is recognised.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Final

from gateway.auth.rights import Rights
from gateway.errors import Problem
from gateway.services import Services
from gateway.sources import store
from gateway.sources.arrival import Sender, attach, is_final, sender, take_in
from gateway.sources.base import Connector, Found, PullFailed, Settled, Source

_log = logging.getLogger(__name__)

_HOLD: Final = timedelta(minutes=5)
"""How long a source is held for one message; renewed at each."""


class Collector:
    """Asks the sources of some connectors; one instance a process."""

    def __init__(
        self,
        services: Services,
        connectors: Mapping[str, Connector],
        rights: Rights,
        idle: timedelta = timedelta(seconds=1),
    ) -> None:
        """`rights` say what a source's system may send; `idle` is the time between two looks at what is due."""
        self._services = services
        self._connectors = connectors
        self._rights = rights
        self._idle = idle.total_seconds()
        self._asking: dict[str, asyncio.Task[None]] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set; a failure is told, waited out and tried again. Raises nothing but a real cancellation."""
        try:
            while not stop.is_set():
                try:
                    await self._ask_what_is_due(stop)
                except Exception as error:  # the text of a database error holds the row: its class is enough to act on
                    _log.warning("collector.interrupted", extra={"error": type(error).__name__})
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), self._idle)
        finally:
            for task in self._asking.values():
                task.cancel()
            await asyncio.gather(*self._asking.values(), return_exceptions=True)

    async def _ask_what_is_due(self, stop: asyncio.Event) -> None:
        services = self._services
        async with services.database.write() as tx:
            due = await store.claim(tx, sorted(self._connectors), services.clock(), _HOLD)
        for client_id in due:
            self._asking[client_id] = asyncio.create_task(self._ask(client_id, stop), name=f"ask {client_id}")

    async def _ask(self, client_id: str, stop: asyncio.Event) -> None:
        try:
            await self.ask(client_id, stop)
        except Exception as error:
            _log.warning("collector.source_interrupted", extra={"client_id": client_id, "error": type(error).__name__})
        finally:
            del self._asking[client_id]

    async def ask(self, client_id: str, stop: asyncio.Event | None = None) -> None:
        """Ask one source to the end; what keeps it from being asked is recorded with the time of the next attempt."""
        services = self._services
        async with services.database.read() as tx:
            source = await store.get(tx, client_id, services.vault)
        if source is None or source.way not in self._connectors:
            return
        wait = timedelta()
        try:
            await self._take_all(source, stop)
        except PullFailed as failure:
            code, wait = failure.code, failure.retry_after or wait
        except Problem as problem:
            code = problem.code
        else:
            now = services.clock()
            async with services.database.write() as tx:
                await store.succeeded(tx, source, now, now + timedelta(seconds=source.settings["every_seconds"]))
            return
        _log.warning("collector.failed", extra={"client_id": client_id, "code": code})
        async with services.database.write() as tx:
            await store.failed(tx, source, code, wait, services.clock())

    async def _take_all(self, source: Source, stop: asyncio.Event | None) -> None:
        who = await sender(source, self._rights, self._services)
        async for found in self._connectors[source.way].pull(source):
            settled = await self._take(found, who)
            self._services.fault_point("collect.taken")
            go_on = await self._leave(source, found, settled)
            if not go_on or (stop is not None and stop.is_set()):
                return

    async def _take(self, found: Found, who: Sender) -> Settled:
        try:
            body = await take_in(found.raw, found.adapter, who, self._services)
        except Problem as problem:
            if not is_final(problem):
                raise
            return Settled(taken=False)
        exchanges = [each for each in body["exchanges"] if "exchange" in each]
        for exchange in exchanges:
            await attach(str(exchange["exchange"]), found.files, who, self._services)
        taken = bool(exchanges) or "flow" in body or any(each["state"] == "recorded" for each in body["exchanges"])
        return Settled(taken, tuple(str(each["document"]) for each in exchanges))

    async def _leave(self, source: Source, found: Found, settled: Settled) -> bool:
        async with self._services.database.write() as tx:
            go_on = await store.keep_hold(tx, source, self._services.clock() + _HOLD, found.cursor)
        self._services.fault_point("collect.remembered")
        if found.settle is not None:
            await found.settle(settled)
        self._services.fault_point("collect.settled")
        return go_on
