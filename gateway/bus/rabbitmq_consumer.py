"""
Consuming from RabbitMQ: a connection of its own, its prefetched messages, and the answers to them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from typing import Final

from aio_pika import RobustConnection
from aio_pika.abc import AbstractIncomingMessage, AbstractRobustChannel

from gateway.bus.base import Message, Received, cancelled_for_real, utc_now
from gateway.bus.broker import AWAY, Broker, Outcome, close
from gateway.bus.cloudevent import NotACloudEvent, from_amqp, to_amqp
from gateway.bus.outbox import wait_before

log = logging.getLogger(__name__)

PARKED_REASON: Final = "x-parked-reason"
"""Header of a message that a consumer parked."""

Reschedule = Callable[[Message, datetime], Awaitable[None]]
"""Keeps a message and publishes it again at an instant; durable when it returns."""


class Consumer:
    """Iterates over one queue of one broker, through the losses of its connection."""

    def __init__(self, server: Broker, queue: str, reschedule: Reschedule) -> None:
        self.broker = server
        self.queue = queue
        self.reschedule = reschedule
        self.channel: AbstractRobustChannel
        self._connection: RobustConnection | None = None
        self._arrived: asyncio.Queue[AbstractIncomingMessage] = asyncio.Queue()

    async def start(self, prefetch: int) -> None:
        """Connect and begin to receive; waits for a broker that is away."""
        for attempt in count(2):
            try:
                async with asyncio.timeout(2 * self.broker.timeout):
                    await self._start(prefetch)
                return
            except AWAY as error:
                log.warning("The broker is away: %s", type(error).__name__, extra={"event": "bus.away"})
            except asyncio.CancelledError:
                if cancelled_for_real():
                    raise
            await self.stop()
            await asyncio.sleep(wait_before(attempt).total_seconds())

    async def stop(self) -> None:
        """Disconnect: the broker gives what is unanswered to others."""
        if self._connection is not None:
            await close(self._connection)
            self._connection = None

    def __aiter__(self) -> Consumer:
        return self

    async def __anext__(self) -> Received:
        while True:
            raw = await self._arrived.get()
            if raw.channel.is_closed:
                continue  # it came over a connection that was lost: the broker hands it out again
            try:
                message = from_amqp(raw, self.queue)
            except NotACloudEvent as error:
                log.error("A message was parked: not one of ours, %s", error, extra={"event": "bus.parked"})
                await _quietly(raw.reject(requeue=False))
                continue
            return _Held(self, raw, message, message.earlier + _redelivered(raw) + 1)

    async def _start(self, prefetch: int) -> None:
        self._connection = await self.broker.connect()
        # With confirms, for the copies that are parked.
        self.channel = self._connection.channel(publisher_confirms=True, on_return_raises=True)
        await self.channel.initialize()
        await self.channel.set_qos(prefetch_count=prefetch)
        queues = await self.broker.declare(self.channel)
        # Not the iterator of the library: it ends by itself when the broker stays away for a minute.
        await queues[self.queue].consume(self._arrived.put)


@dataclass(frozen=True, slots=True)
class _Held:
    """One message in the hands of a consumer; see `Received`."""

    consumer: Consumer
    raw: AbstractIncomingMessage
    message: Message
    attempts: int

    async def ack(self) -> None:
        await _quietly(self.raw.ack())

    async def retry(self, after: timedelta) -> None:
        due = utc_now() + after
        for attempt in count(2):
            try:
                await self.consumer.reschedule(self.message.again(self.attempts), due)
                break
            except Exception as error:
                log.warning("A retry cannot be kept yet: %s", type(error).__name__, extra={"event": "bus.retry_waits"})
            await asyncio.sleep(wait_before(attempt).total_seconds())
            if self.raw.channel.is_closed:
                return  # the broker hands it out again, to somebody else perhaps
        await self.ack()

    async def park(self, reason: str) -> None:
        copy = to_amqp(self.message, {PARKED_REASON: reason[:200]})
        name = self.consumer.broker.dead_letters(self.message.queue)
        if await self.consumer.broker.publish(self.consumer.channel, copy, name) is Outcome.CONFIRMED:
            await self.ack()
        else:
            # The broker then moves it by itself, when it can, without our reason.
            await _quietly(self.raw.reject(requeue=False))


def _redelivered(raw: AbstractIncomingMessage) -> int:
    counted = raw.headers.get("x-delivery-count", 0)
    return counted if isinstance(counted, int) else 0


async def _quietly(answer: Awaitable[None]) -> None:
    """Give an answer; when its connection was lost the broker has taken the message back already."""
    try:
        await answer
    except asyncio.CancelledError:
        if cancelled_for_real():
            raise
    except AWAY as error:
        log.info("An answer was not given: %s", type(error).__name__, extra={"event": "bus.answer_lost"})
