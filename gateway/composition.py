"""
The composition root: puts the parts together once, and runs the loops of this process's role.

Without HTTP, which only a process that serves loads (`gateway.app`): a command or a relay starts sooner.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import Any, Final

from consent.ledger.mark import Mark
from consent.ledger.note import Signer
from consent.ledger.sequencer import Sequencer
from consent.ledger.store import Ledger
from gateway import telemetry
from gateway.auth.registry import PartnerNames
from gateway.bus import outbox
from gateway.bus.base import Bus, utc_now
from gateway.bus.embedded import EmbeddedBus
from gateway.bus.relay import Relay
from gateway.keys import Keys, read_ring
from gateway.limits import Limits
from gateway.loops import Loops
from gateway.metrics import Publication
from gateway.outgoing_addresses import Resolve, system_resolver
from gateway.person.erased import ErasedList, set_aside
from gateway.quorum import Quorum
from gateway.runtime import Runtime
from gateway.services import Services
from gateway.settings import Settings
from gateway.store.conventions import ConventionBook
from gateway.store.crypto import Vault
from gateway.store.database import Database
from gateway.witnessing import Witnessing

_log = logging.getLogger(__name__)


class Role(StrEnum):
    """What one process does; `all` is the embedded default."""

    ALL = "all"
    API = "api"
    RELAY = "relay"
    COURIER = "courier"
    SEQUENCER = "sequencer"
    KEEPER = "keeper"


def assemble(
    settings: Settings,
    keys: Keys,
    *,
    clock: Callable[[], datetime] | None = None,
    fault_point: Callable[[str], None] | None = None,
    resolve: Resolve = system_resolver,
) -> Runtime:
    """Put the parts together; opens nothing yet. `clock`, `fault_point` and `resolve` are for the tests."""
    database = Database(settings.database)
    bus: Bus = EmbeddedBus(database, clock=clock or utc_now)
    if settings.bus_url:
        from gateway.bus.rabbitmq import RabbitBus  # noqa: PLC0415 - the embedded bus needs no client of a broker

        bus = RabbitBus(settings.bus_url, partial(outbox.schedule, database), prefix=settings.bus_prefix)
    signer = Signer(settings.origin, keys.ledger)
    quorum = Quorum(database, settings.ledger_policy, timedelta(hours=settings.ledger_quorum_hours), clock or utc_now)
    witnessing = Witnessing(database, quorum, signer.verifier, clock or utc_now)
    mark = Mark(settings.marks, signer.verifier)
    sequencer = Sequencer(
        database.write,
        signer,
        mark=mark,
        witnesses=witnessing,
        set_aside=partial(set_aside, database, ErasedList(settings.marks)),
        clock=clock or utc_now,
    )
    relay = Relay(database, bus, system=telemetry.bus_system(settings.bus_url), clock=clock or utc_now)
    publication = Publication(database, sequencer, clock or utc_now, quorum)

    def wake() -> None:
        sequencer.nudge()
        relay.nudge()

    services = Services(
        settings=settings,
        database=database,
        vault=Vault(keys.ring, partial(read_ring, settings.kek)),
        ledger=Ledger(),
        conventions=ConventionBook(),
        names=PartnerNames(database),
        wake=wake,
        measures=publication.measures,
        limits=Limits(settings.limits),
        quorum=quorum,
    )
    if clock is not None:
        services = replace(services, clock=clock)
    if fault_point is not None:
        services = replace(services, fault_point=fault_point)
    return Runtime(
        services=services,
        keys=keys,
        bus=bus,
        relay=relay,
        sequencer=sequencer,
        witnessing=witnessing,
        signer=signer,
        publication=publication,
        resolve=resolve,
    )


_OUTSIDE: Final = (Role.ALL, Role.API, Role.COURIER)
"""The roles that speak to the partners' own systems."""

_LOOPS: Final[Mapping[str, tuple[Role, Callable[[Runtime, asyncio.Event], Coroutine[Any, Any, None]]]]] = {
    "relay": (Role.RELAY, lambda runtime, stop: runtime.relay.run(stop)),
    "courier": (Role.COURIER, lambda runtime, stop: runtime.courier.run(stop)),
    "dispatcher": (Role.COURIER, lambda runtime, stop: runtime.dispatcher.run(stop)),
    "collector": (Role.COURIER, lambda runtime, stop: runtime.collector.run(stop)),
    "replayer": (Role.COURIER, lambda runtime, stop: runtime.replayer.run(stop)),
    "flows": (Role.COURIER, lambda runtime, stop: runtime.flows.run(stop)),
    "sequencer": (Role.SEQUENCER, lambda runtime, stop: runtime.witnessing.beside(runtime.sequencer, stop)),
    "indexer": (Role.SEQUENCER, lambda runtime, stop: runtime.indexer.run(stop)),
    "keeper": (Role.KEEPER, lambda runtime, stop: runtime.keeper.run(stop)),
}
"""Each loop, the role that it belongs to, and how it is started."""


@asynccontextmanager
async def running(runtime: Runtime, role: Role) -> AsyncIterator[Loops]:
    """Open the bus and run the loops of a role until the block ends; a loop that dies is told, and the process is not ready."""
    stop = asyncio.Event()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(runtime.services.database.close)
        if role in _OUTSIDE:
            stack.push_async_callback(runtime.outgoing.close)
            for transport in runtime.transports.values():
                stack.push_async_callback(transport.close)
        await runtime.bus.open()
        stack.push_async_callback(runtime.bus.close)
        tasks = []
        for name, (loop_role, started) in _LOOPS.items():
            if role in (Role.ALL, loop_role):
                task = asyncio.create_task(started(runtime, stop), name=name)
                task.add_done_callback(_tell)
                tasks.append(task)
        try:
            yield Loops(tasks)
        finally:
            stop.set()
            await _end(tasks)


def _tell(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()):
        _log.critical("loop.died", extra={"loop": task.get_name(), "error": type(error).__name__})


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    """Let the loops finish what is under way, then cancel those that only wait."""
    if not tasks:
        return
    _, waiting = await asyncio.wait(tasks, timeout=1)
    for task in waiting:
        task.cancel()
    for task in waiting:
        with suppress(asyncio.CancelledError):
            await task
