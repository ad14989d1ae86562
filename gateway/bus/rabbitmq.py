"""
The bus on RabbitMQ, through aio-pika: quorum queues, persistent messages, publisher confirms.

Why a retry goes through the database. A queue gives a refused message back at once and counts it: a consumer that refuses
during two seconds of outage sends healthy messages to the dead letters. A queue with a time to live would hold
the retry in the broker, one queue per duration, and no one could see or change it. So `retry` writes the message to the outbox,
due at its time and under the same id, then acknowledges it: the relay publishes it again, and the broker's delivery
limit only ever counts consumers that died. Dying between the two makes a duplicate, which its id reveals.

Why publishing and consuming use connections of their own. A broker short of memory stops reading from whoever publishes,
and the acknowledgements of a consumer on the same connection with it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final

from aio_pika.abc import AbstractRobustChannel, AbstractRobustQueue
from aio_pika.exceptions import CONNECTION_EXCEPTIONS, DeliveryError, PublishError

from gateway.bus import rabbitmq_link as link
from gateway.bus.base import DELIVERY_LIMIT, QUEUES, BusUnavailable, Message, Parked, Received, cancelled_for_real, known
from gateway.bus.cloudevent import NotACloudEvent, from_amqp, to_amqp
from gateway.bus.rabbitmq_consumer import Consumer

log = logging.getLogger(__name__)

_WINDOW: Final = 256
"""How many confirms are awaited at once: beyond that the broker is no faster."""

Reschedule = Callable[[Message, timedelta], Awaitable[None]]
"""Keeps a message and publishes it again after a time; durable when it returns."""
