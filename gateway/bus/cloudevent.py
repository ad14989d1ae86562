"""
Messages as CloudEvents 1.0: built for the outbox, written to and read from AMQP 0-9-1 in binary content mode.

The `amqp` binding of CloudEvents is for AMQP 1.0; RabbitMQ has its own, with headers `ce-…`. Trace context travels as the
extension `traceparent` (CloudEvents, Distributed Tracing) and as the header of that name, which instrumentations look for.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import aio_pika
from cloudevents.core.bindings.rabbitmq import RabbitMQMessage, from_rabbitmq_event, to_binary_event
from cloudevents.core.exceptions import BaseCloudEventException
from cloudevents.core.v1.event import CloudEvent

from gateway.bus.base import ATTEMPT, Message

DELIVERY_READY: Final = "org.trait-dunion.delivery.ready.v1"
"""Type of the event that says: this delivery is recorded and may be handed over."""


class NotACloudEvent(ValueError):
    """What was read from the broker or the outbox is not a CloudEvent of ours; says why, without a value."""


def delivery_ready(
    event_id: str, *, source: str, now: datetime, data: Mapping[str, str], trace: str | None
) -> dict[str, Any]:
    """
    Build the event of one delivery, as a JSON object.

    `source` is the gateway's issuer; `data` holds identifiers only; `trace` is a W3C traceparent.
    Raises `NotACloudEvent` when the result would not be one: an empty `source`, say.
    """
    event: dict[str, Any] = {
        "specversion": "1.0",
        "id": event_id,
        "source": source,
        "type": DELIVERY_READY,
        "time": _time(now),
        "datacontenttype": "application/json",
        "data": dict(data),
    }
    if trace:
        event["traceparent"] = trace
    _parse(event)
    return event


def to_amqp(message: Message, extra: Mapping[str, str] | None = None) -> aio_pika.Message:
    """
    Write a message for the broker: persistent, under its id, with `extra` headers beside those of CloudEvents.

    Raises `NotACloudEvent`.
    """
    written = to_binary_event(_parse(message.event))
    headers: dict[str, Any] = {**written.headers, **(extra or {})}
    if "traceparent" in message.event:
        headers["traceparent"] = message.event["traceparent"]
    return aio_pika.Message(
        written.body,
        headers=headers,
        content_type=written.content_type,
        delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        message_id=message.id,
    )


def from_amqp(raw: aio_pika.abc.AbstractIncomingMessage, queue: str) -> Message:
    """Read a message from the broker; raises `NotACloudEvent`."""
    headers = {name: value for name, value in raw.headers.items() if isinstance(value, str)}
    try:
        event = from_rabbitmq_event(RabbitMQMessage(headers, raw.content_type, raw.body))
    except (BaseCloudEventException, ValueError, TypeError, AttributeError) as error:
        raise NotACloudEvent(type(error).__name__) from error
    data = event.get_data()
    if not isinstance(data, dict):
        raise NotACloudEvent("its data is not a JSON object")
    attributes = {
        name: _time(value) if isinstance(value, datetime) else value for name, value in event.get_attributes().items()
    }
    if ATTEMPT in attributes:
        attributes[ATTEMPT] = _count(attributes[ATTEMPT])
    return Message(event.get_id(), queue, {**attributes, "data": data})


def _parse(event: Mapping[str, Any]) -> CloudEvent:
    attributes = {name: value for name, value in event.items() if name != "data"}
    try:
        attributes["time"] = datetime.fromisoformat(event["time"])
        return CloudEvent(attributes, event["data"])
    except (BaseCloudEventException, KeyError, TypeError, ValueError) as error:
        raise NotACloudEvent(type(error).__name__) from error


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise NotACloudEvent("its attempt is not a number")
    return int(text)
