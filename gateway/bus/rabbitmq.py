"""
The bus on RabbitMQ, through aio-pika: quorum queues, persistent messages, publisher confirms.

Why a retry goes through the database. A queue gives a refused message back at once and counts it: a consumer that refuses
during two seconds of outage sends healthy messages to the dead letters. Queues with a time to live would hold the retry in
the broker, one per duration, where no one can see or change it. So `retry` writes the message to the outbox, due at its time
and under the same id, then acknowledges it: the relay publishes it again, and the broker's delivery limit only ever counts
consumers that died. Dying between the two makes a duplicate, which its id reveals.

Why publishing and consuming have connections of their own. A broker short of memory stops reading from whoever publishes,
and would stop reading the acknowledgements with it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from aio_pika import RobustConnection
from aio_pika.abc import AbstractIncomingMessage, AbstractRobustChannel

from gateway.bus.base import (
    DELIVERY_LIMIT,
    QUEUES,
    BusUnavailable,
    Message,
    Parked,
    Received,
    cancelled_for_real,
    known,
)
from gateway.bus.broker import AWAY, Broker, Outcome
from gateway.bus.broker import close as close_connection
from gateway.bus.cloudevent import NotACloudEvent, from_amqp, to_amqp
from gateway.bus.rabbitmq_consumer import PARKED_REASON, Consumer, Reschedule

log = logging.getLogger(__name__)

_WINDOW: Final = 256
"""How many confirms are awaited at once: with more the broker is no faster."""


class RabbitBus:
    """
    The contract `gateway.bus.base.Bus` on RabbitMQ.

    On one or two nodes a broker that is lost takes its messages with it: quorum queues promise something from three on.
    """

    def __init__(
        self,
        url: str,
        reschedule: Reschedule,
        *,
        prefix: str = "tdu",
        delivery_limit: int = DELIVERY_LIMIT,
        timeout: float = 3.0,
    ) -> None:
        """`url`: `amqp://user:password@host:port/vhost`; `reschedule` keeps a retried message until it is due."""
        self._broker = Broker(url, prefix, delivery_limit, timeout)
        self._reschedule = reschedule
        self._opening = asyncio.Lock()
        self._connection: RobustConnection | None = None
        self._channel: AbstractRobustChannel | None = None
        self._closing: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """See `Bus.open`."""
        await self._publisher()

    async def close(self) -> None:
        """See `Bus.close`."""
        if self._channel is not None:
            self._distrust(self._channel)
        await asyncio.gather(*self._closing)

    async def publish(self, messages: Sequence[Message]) -> frozenset[str]:
        """See `Bus.publish`. Up to 256 confirmations are awaited at once."""
        outcomes: dict[str, Outcome] = {}
        for start in range(0, len(messages), _WINDOW):
            outcomes |= await self._publish(messages[start : start + _WINDOW])
            if Outcome.LOST in outcomes.values():
                break
        for outcome, count in Counter(outcomes.values()).items():
            if outcome is not Outcome.CONFIRMED:
                log.warning(
                    "%d messages were not confirmed: %s",
                    count,
                    outcome.value,
                    extra={"event": f"bus.{outcome.name.lower()}"},
                )
        return frozenset(id_ for id_, outcome in outcomes.items() if outcome is Outcome.CONFIRMED)

    @asynccontextmanager
    async def consume(self, queue: str, *, prefetch: int = 32) -> AsyncIterator[AsyncIterator[Received]]:
        """See `Bus.consume`."""
        consumer = Consumer(self._broker, known(queue), self._reschedule)
        try:
            await consumer.start(prefetch)
            yield consumer
        finally:
            await consumer.stop()

    async def depth(self, queue: str) -> int:
        """See `Bus.depth`; the figure of a quorum queue may be some seconds old."""
        name = self._broker.name(known(queue))
        async with self._looking() as channel:
            declared = await channel.declare_queue(name, passive=True)
            return declared.declaration_result.message_count or 0

    async def parked(self, queue: str, limit: int) -> Sequence[Parked]:
        """See `Bus.parked`."""
        name = self._broker.dead_letters(known(queue))
        found: list[Parked] = []
        async with self._looking() as channel:
            dead = await channel.get_queue(name)
            while len(found) < limit and (raw := await dead.get(fail=False)) is not None:
                found.append(_parked(raw, queue))
        return found  # the channel is closed: what was looked at is back in its place

    async def check(self) -> None:
        """See `Bus.check`."""
        async with self._looking() as channel:
            for queue in QUEUES:
                await channel.declare_queue(self._broker.name(queue), passive=True)

    async def _publish(self, window: Sequence[Message]) -> dict[str, Outcome]:
        channel = await self._publisher()
        if channel is None:
            return dict.fromkeys((message.id for message in window), Outcome.LOST)
        outcomes = await asyncio.gather(*(self._publish_one(channel, message) for message in window))
        if Outcome.LOST in outcomes or Outcome.UNROUTABLE in outcomes:
            # A connection that swallowed a confirmation may go on doing so, and reopening declares a queue that was deleted.
            self._distrust(channel)
        return {message.id: outcome for message, outcome in zip(window, outcomes, strict=True)}

    async def _publish_one(self, channel: AbstractRobustChannel, message: Message) -> Outcome:
        if message.queue not in QUEUES:
            return Outcome.UNROUTABLE
        try:
            written = to_amqp(message)
        except NotACloudEvent:
            return Outcome.UNREADABLE
        return await self._broker.publish(channel, written, self._broker.name(message.queue))

    async def _publisher(self) -> AbstractRobustChannel | None:
        """Return the channel that publishes, opened and its queues declared if need be; None when the broker is away."""
        async with self._opening:
            if self._connection is not None and not self._connection.connected.is_set():
                return None
            if self._channel is None:
                try:
                    self._channel = await self._open_channel()
                except AWAY as error:
                    log.warning("The broker is away: %s", type(error).__name__, extra={"event": "bus.away"})
            return self._channel

    async def _open_channel(self) -> AbstractRobustChannel:
        connection = await self._broker.connect()
        try:
            async with asyncio.timeout(self._broker.timeout):
                channel = connection.channel(publisher_confirms=True, on_return_raises=True)
                await channel.initialize()
                await self._broker.declare(channel)
        except BaseException:  # whoever asked may have given up in the middle
            self._abandon(connection)
            raise
        self._connection = connection
        return channel

    def _distrust(self, channel: AbstractRobustChannel) -> None:
        """Leave the connection of a channel; the next publication opens another."""
        if channel is self._channel and self._connection is not None:
            self._abandon(self._connection)
            self._connection = self._channel = None

    def _abandon(self, connection: RobustConnection) -> None:
        """Close a connection in the background: a broken one takes its time."""
        task = asyncio.create_task(close_connection(connection))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    @asynccontextmanager
    async def _looking(self) -> AsyncIterator[AbstractRobustChannel]:
        """Open a channel to look at queues; raises `BusUnavailable`."""
        try:
            async with asyncio.timeout(self._broker.timeout):
                if await self._publisher() is None or self._connection is None:
                    raise BusUnavailable("the broker is away")
                async with self._connection.channel(publisher_confirms=False) as channel:
                    yield channel
        except asyncio.CancelledError as error:
            if cancelled_for_real():
                raise
            raise BusUnavailable("the broker went away") from error
        except AWAY as error:
            raise BusUnavailable("the broker does not answer as it should") from error


def _parked(raw: AbstractIncomingMessage, queue: str) -> Parked:
    try:
        message = from_amqp(raw, queue)
    except NotACloudEvent:
        message = Message(raw.message_id or "", queue, {})
    return Parked(message, str(raw.headers.get(PARKED_REASON) or raw.headers.get("x-first-death-reason")))
