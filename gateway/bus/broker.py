"""
What both sides of the RabbitMQ bus share: connections, the queues that must exist, and one confirmed publication.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from aio_pika import Message as AmqpMessage
from aio_pika import RobustConnection
from aio_pika.abc import AbstractChannel, AbstractQueue
from aio_pika.connection import make_url
from aio_pika.exceptions import CONNECTION_EXCEPTIONS, DeliveryError, PublishError

from gateway.bus.base import QUEUES, cancelled_for_real

Arguments = dict[str, Any]

log = logging.getLogger(__name__)

AWAY: Final = CONNECTION_EXCEPTIONS
"""What aio-pika raises when the broker is away: AMQP errors, network errors and time-outs, and a bare RuntimeError for a closed channel."""

_CONNECTION: Final = {"heartbeat": "3", "reconnect_interval": "1"}
"""Seconds. aiormq takes a silent connection for dead after three heartbeats and a little: 12 seconds."""

_MAX_LENGTH: Final = 1_000_000
"""Messages a queue holds before it refuses more; they then wait in the outbox. A reference weighs under 1 kB."""


class Outcome(Enum):
    """What became of one publication."""

    CONFIRMED = "durable"
    REFUSED = "the queue is full"
    UNROUTABLE = "the queue does not exist"
    UNREADABLE = "not a CloudEvent"
    LOST = "no answer: it may be there or not"


@dataclass(frozen=True, slots=True)
class Broker:
    """
    One RabbitMQ virtual host and our queues in it.

    `prefix` keeps several gateways apart on one broker; `delivery_limit` is that of `gateway.bus.base`; `timeout` (seconds)
    bounds each wait for the broker.
    """

    url: str
    prefix: str
    delivery_limit: int
    timeout: float

    def name(self, queue: str) -> str:
        """Name one of `QUEUES` on the broker."""
        return f"{self.prefix}.{queue}"

    def dead_letters(self, queue: str) -> str:
        """Name the queue of its parked messages."""
        return f"{self.prefix}.{queue}.dead"

    async def connect(self) -> RobustConnection:
        """
        Open a connection that reopens by itself, with its channels, queues and consumers; raises one of `AWAY`.

        A parameter in the address (`?heartbeat=…`) wins over ours.
        """
        url = make_url(self.url)
        connection = RobustConnection(url.with_query(_CONNECTION | dict(url.query)))
        try:
            async with asyncio.timeout(self.timeout):
                await connection.connect(timeout=self.timeout)
        except BaseException:
            await close(connection)
            raise
        return connection

    async def declare(self, channel: AbstractChannel) -> dict[str, AbstractQueue]:
        """
        Make the queues that are missing and return them by their name in `QUEUES`; raises one of `AWAY`.

        Every argument is written out, because the defaults lose messages: at-least-once dead lettering silently becomes
        at-most-once without reject-publish, and a delivery limit without dead letters drops. Other arguments than those a queue
        was made with are refused by the broker: changing one means another queue.
        """
        return {queue: await self._declare(channel, queue) for queue in sorted(QUEUES)}

    async def publish(self, channel: AbstractChannel, message: AmqpMessage, name: str) -> Outcome:
        """
        Publish to one queue and wait for the broker's word, some seconds at most; raises nothing but a real cancellation.

        `channel` must have confirms on and raise returned messages: by default an unroutable message is "published".
        """
        try:
            # Two limits: the channel's own leaves out the wait for a connection that is being reopened.
            async with asyncio.timeout(self.timeout):
                await channel.default_exchange.publish(message, name, mandatory=True, timeout=self.timeout)
        except asyncio.CancelledError:
            if cancelled_for_real():
                raise
            return Outcome.LOST
        except PublishError:
            return Outcome.UNROUTABLE
        except DeliveryError:
            return Outcome.REFUSED
        except AWAY:
            return Outcome.LOST
        return Outcome.CONFIRMED

    async def _declare(self, channel: AbstractChannel, queue: str) -> AbstractQueue:
        quorum: Arguments = {"x-queue-type": "quorum", "x-overflow": "reject-publish", "x-max-length": _MAX_LENGTH}
        dead = self.dead_letters(queue)
        # Looking at parked messages counts as a delivery: without a high limit, RabbitMQ 4 would drop those seen 20 times.
        unlimited = quorum | {"x-delivery-limit": 1_000_000}
        await channel.declare_queue(dead, durable=True, arguments=unlimited, timeout=self.timeout)
        limited = quorum | {
            "x-delivery-limit": self.delivery_limit - 1,  # the broker counts what comes after the first time
            "x-dead-letter-exchange": "",
            "x-dead-letter-routing-key": dead,
            "x-dead-letter-strategy": "at-least-once",
        }
        return await channel.declare_queue(self.name(queue), durable=True, arguments=limited, timeout=self.timeout)


async def close(connection: RobustConnection) -> None:
    """Close a connection, dead or alive, within some seconds."""
    try:
        async with asyncio.timeout(5):
            await connection.close()
    except asyncio.CancelledError:
        if cancelled_for_real():
            raise
    except AWAY as error:
        log.debug("A connection did not close properly: %s", type(error).__name__)
