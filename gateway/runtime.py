"""
What one process holds. A part is imported and put together when it is first asked for: a relay loads no courier, no adapter and
no authorization server, and starts sooner.

What the API needs is asked for while its application is made (`gateway.app`), before it says that it is ready.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from consent.ledger.event import EventType
from consent.ledger.note import Signer
from consent.ledger.sequencer import Sequencer
from gateway.bus.base import Bus, utc_now
from gateway.bus.relay import Relay
from gateway.keys import Keys, token_keys
from gateway.metrics import Publication
from gateway.outgoing import SafeClient
from gateway.outgoing_addresses import Resolve
from gateway.records import record_of
from gateway.services import Services
from gateway.store.database import Transaction
from gateway.witnessing import Witnessing

if TYPE_CHECKING:
    from gateway.audit.indexing import Indexer
    from gateway.auth.authority import Auth
    from gateway.delivery.base import Transport
    from gateway.delivery.courier import Courier
    from gateway.delivery.dispatcher import Dispatcher
    from gateway.delivery.replays import Replayer
    from gateway.delivery.signing import MessageSigner
    from gateway.flows.taking import FlowTaker
    from gateway.keeper import Keeper
    from gateway.scopes import ConventionRights
    from gateway.sources.base import Connector, Hook
    from gateway.sources.collector import Collector


@dataclass(frozen=True)
class Runtime:
    """The services of the flow, the bus and the ledger's side, which every role has; the other parts, made when asked for."""

    services: Services
    keys: Keys
    bus: Bus
    relay: Relay
    sequencer: Sequencer
    witnessing: Witnessing
    signer: Signer
    publication: Publication
    resolve: Resolve

    @cached_property
    def outgoing(self) -> SafeClient:
        """The client that knocks at partners' addresses; it reads the authorities of the machine."""
        return SafeClient(self.services.settings.outgoing_ca_file, self.resolve)

    @cached_property
    def rights(self) -> ConventionRights:
        """What the conventions open."""
        from gateway.scopes import ConventionRights

        return ConventionRights(self.services)

    @cached_property
    def auth(self) -> Auth:
        """The authorization server and the protection of its resources."""
        from gateway.auth.authority import Auth
        from gateway.auth.certificates import Certificates
        from gateway.auth.external import ExternalIssuer

        settings = self.services.settings
        return Auth(
            self.services.database,
            settings.public_address,
            token_keys(settings),
            rights=self.rights,
            secret=self.keys.ring.secret("proofs"),
            clock=utc_now,
            certificates=Certificates(
                settings.proxies, settings.certificate_header, settings.certificate_verified_header
            ),
            outgoing=self.outgoing,
            limits=self.services.limits,
            on_change=partial(_record_change, self.services),
            external=[ExternalIssuer(**each) for each in settings.external_issuers],
        )

    @cached_property
    def message_signer(self) -> MessageSigner:
        """What signs webhooks and answers."""
        from gateway.delivery.signing import MessageSigner

        return MessageSigner(self.services.vault.message_key())

    @cached_property
    def transports(self) -> Mapping[str, Transport]:
        """The ways out, by the name that an endpoint gives; AMQP only where there is a broker."""
        from gateway.delivery.amqp import AmqpTransport
        from gateway.delivery.attached import Attached
        from gateway.delivery.sftp import SftpTransport
        from gateway.delivery.webhook import WebhookTransport
        from gateway.hubee.transport import HubeeTransport

        services, settings = self.services, self.services.settings
        transports: dict[str, Transport] = {
            "webhook": WebhookTransport(self.outgoing, self.message_signer, services.clock),
            "sftp": SftpTransport(self.resolve, services.clock, timedelta(seconds=settings.sftp_look_seconds)),
            "hubee": HubeeTransport(self.outgoing, services.database, Attached(services), services.clock),
        }
        if settings.bus_url:
            transports["amqp"] = AmqpTransport(
                settings.bus_url, settings.bus_prefix, settings.public_address, services.clock
            )
        return transports

    @cached_property
    def hooks(self) -> Mapping[str, Hook]:
        """The partners' own webhooks that we take, by their way in."""
        from gateway.sources.rdv_insertion import RdvInsertionHook

        return {"rdv-insertion": RdvInsertionHook(self.services.clock)}

    @cached_property
    def connectors(self) -> Mapping[str, Connector]:
        """The systems that we ask, by their way in."""
        from gateway.hubee.connector import HubeeConnector
        from gateway.sources.dora import DoraConnector
        from gateway.sources.i_milo import IMiloConnector

        return {
            "hubee": HubeeConnector(self.outgoing, self.services.database, self.services.clock),
            "dora": DoraConnector(self.outgoing),
            "i-milo": IMiloConnector(self.outgoing),
        }

    @cached_property
    def dispatcher(self) -> Dispatcher:
        """The loop that pushes what is due."""
        from gateway.delivery.dispatcher import Dispatcher

        return Dispatcher(self.services, self.transports)

    @cached_property
    def courier(self) -> Courier:
        """The loop that takes from the bus."""
        from gateway.delivery.courier import Courier

        return Courier(self.services, self.bus, self.dispatcher.nudge)

    @cached_property
    def collector(self) -> Collector:
        """The loop that asks the connectors."""
        from gateway.sources.collector import Collector

        return Collector(self.services, self.connectors, self.rights)

    @cached_property
    def replayer(self) -> Replayer:
        """The loop that replays what was set aside."""
        from gateway.delivery.replays import Replayer

        return Replayer(self.services)

    @cached_property
    def flows(self) -> FlowTaker:
        """The loop that takes large flows in."""
        from gateway.flows.taking import FlowTaker

        return FlowTaker(self.services)

    @cached_property
    def indexer(self) -> Indexer:
        """The loop that keeps the index of the ledger."""
        from gateway.audit.indexing import Indexer

        return Indexer(self.services)

    @cached_property
    def keeper(self) -> Keeper:
        """The loop of what happens because time passes."""
        from gateway.keeper import Keeper

        return Keeper(self.services)


async def _record_change(services: Services, tx: Transaction, actor: str, body: dict[str, Any]) -> None:
    """A partner that registers a system by itself changes the configuration, as the operator's commands do."""
    event = record_of(EventType.CONFIGURATION_CHANGED, services.clock(), actor, body, services.vault.own)
    await services.ledger.append(tx, [event])
    services.wake()
