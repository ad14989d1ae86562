"""
The composition root: puts the parts together once, and runs the loops of this process's role.

Without HTTP, which only a process that serves loads (`gateway.app`): a command or a relay starts sooner.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import Any

from consent.ledger.event import EventType
from consent.ledger.mark import Mark
from consent.ledger.note import Signer
from consent.ledger.sequencer import Sequencer
from consent.ledger.store import Ledger
from gateway import telemetry
from gateway.audit.indexing import Indexer
from gateway.auth import Auth
from gateway.auth.certificates import Certificates
from gateway.auth.external import ExternalIssuer
from gateway.auth.registry import PartnerNames
from gateway.bus import outbox
from gateway.bus.base import Bus, utc_now
from gateway.bus.embedded import EmbeddedBus
from gateway.bus.rabbitmq import RabbitBus
from gateway.bus.relay import Relay
from gateway.delivery.amqp import AmqpTransport
from gateway.delivery.attached import Attached
from gateway.delivery.base import Transport
from gateway.delivery.courier import Courier
from gateway.delivery.dispatcher import Dispatcher
from gateway.delivery.replays import Replayer
from gateway.delivery.sftp import SftpTransport
from gateway.delivery.signing import MessageSigner
from gateway.delivery.webhook import WebhookTransport
from gateway.flows.taking import FlowTaker
from gateway.hubee.connector import HubeeConnector
from gateway.hubee.transport import HubeeTransport
from gateway.keeper import Keeper
from gateway.keys import Keys, read_ring, token_keys
from gateway.limits import Limits
from gateway.loops import Loops
from gateway.metrics import Publication
from gateway.outgoing import Resolve, SafeClient, system_resolver
from gateway.person.erased import ErasedList, set_aside
from gateway.quorum import Quorum
from gateway.records import record_of
from gateway.scopes import ConventionRights
from gateway.services import Services
from gateway.settings import Settings
from gateway.sources.base import Connector, Hook
from gateway.sources.collector import Collector
from gateway.sources.dora import DoraConnector
from gateway.sources.i_milo import IMiloConnector
from gateway.sources.rdv_insertion import RdvInsertionHook
from gateway.store.conventions import ConventionBook
from gateway.store.crypto import Vault
from gateway.store.database import Database, Transaction
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


@dataclass(frozen=True, slots=True)
class Runtime:
    """Everything one process holds: the services of the flow, the bus, and the loops."""

    services: Services
    bus: Bus
    relay: Relay
    courier: Courier
    sequencer: Sequencer
    indexer: Indexer
    witnessing: Witnessing
    keeper: Keeper
    signer: Signer
    auth: Auth
    publication: Publication
    outgoing: SafeClient
    message_signer: MessageSigner
    transports: Mapping[str, Transport]
    dispatcher: Dispatcher
    hooks: Mapping[str, Hook]
    connectors: Mapping[str, Connector]
    collector: Collector


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
    outgoing = SafeClient(settings.outgoing_ca_file, resolve)
    auth = Auth(
        database,
        settings.public_address,
        token_keys(settings),
        rights=ConventionRights(services),
        secret=keys.ring.secret("proofs"),
        clock=utc_now,
        certificates=Certificates(settings.proxies, settings.certificate_header, settings.certificate_verified_header),
        outgoing=outgoing,
        limits=services.limits,
        on_change=partial(_record_change, services),
        external=[ExternalIssuer(**each) for each in settings.external_issuers],
    )
    message_signer = MessageSigner(services.vault.message_key())
    transports: dict[str, Transport] = {
        "webhook": WebhookTransport(outgoing, message_signer, services.clock),
        "sftp": SftpTransport(resolve, services.clock, timedelta(seconds=settings.sftp_look_seconds)),
    }
    transports["hubee"] = HubeeTransport(outgoing, database, Attached(services), services.clock)
    if settings.bus_url:
        transports["amqp"] = AmqpTransport(
            settings.bus_url, settings.bus_prefix, settings.public_address, services.clock
        )
    dispatcher = Dispatcher(services, transports)
    connectors: dict[str, Connector] = {
        "hubee": HubeeConnector(outgoing, database, services.clock),
        "dora": DoraConnector(outgoing),
        "i-milo": IMiloConnector(outgoing),
    }
    return Runtime(
        services=services,
        bus=bus,
        relay=relay,
        courier=Courier(services, bus, dispatcher.nudge),
        sequencer=sequencer,
        witnessing=witnessing,
        indexer=Indexer(services),
        keeper=Keeper(services),
        signer=signer,
        auth=auth,
        publication=publication,
        outgoing=outgoing,
        message_signer=message_signer,
        transports=transports,
        dispatcher=dispatcher,
        hooks={"rdv-insertion": RdvInsertionHook(services.clock)},
        connectors=connectors,
        collector=Collector(services, connectors, auth.rights),
    )


@asynccontextmanager
async def running(runtime: Runtime, role: Role) -> AsyncIterator[Loops]:
    """Open the bus and run the loops of a role until the block ends; a loop that dies is told, and the process is not ready."""
    stop = asyncio.Event()
    loops: dict[str, tuple[Role, Coroutine[Any, Any, None]]] = {
        "relay": (Role.RELAY, runtime.relay.run(stop)),
        "courier": (Role.COURIER, runtime.courier.run(stop)),
        "dispatcher": (Role.COURIER, runtime.dispatcher.run(stop)),
        "collector": (Role.COURIER, runtime.collector.run(stop)),
        "replayer": (Role.COURIER, Replayer(runtime.services).run(stop)),
        "flows": (Role.COURIER, FlowTaker(runtime.services).run(stop)),
        "sequencer": (Role.SEQUENCER, runtime.witnessing.beside(runtime.sequencer, stop)),
        "indexer": (Role.SEQUENCER, runtime.indexer.run(stop)),
        "keeper": (Role.KEEPER, runtime.keeper.run(stop)),
    }
    async with AsyncExitStack() as stack:
        stack.push_async_callback(runtime.services.database.close)
        stack.push_async_callback(runtime.outgoing.close)
        for transport in runtime.transports.values():
            stack.push_async_callback(transport.close)
        await runtime.bus.open()
        stack.push_async_callback(runtime.bus.close)
        tasks = []
        for name, (loop_role, coroutine) in loops.items():
            if role in (Role.ALL, loop_role):
                task = asyncio.create_task(coroutine, name=name)
                task.add_done_callback(_tell)
                tasks.append(task)
            else:
                coroutine.close()
        try:
            yield Loops(tasks)
        finally:
            stop.set()
            await _end(tasks)


async def _record_change(services: Services, tx: Transaction, actor: str, body: dict[str, Any]) -> None:
    """A partner that registers a system by itself changes the configuration, as the operator's commands do."""
    event = record_of(EventType.CONFIGURATION_CHANGED, services.clock(), actor, body, services.vault.own)
    await services.ledger.append(tx, [event])
    services.wake()


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
