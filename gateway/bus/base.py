"""
The contract of the bus: publish, consume, answer.

At least once, in no promised order: a message may come twice, so whoever handles it keeps the ids of what it has done (the table
`inbox`, in the transaction of the effect). A message holds identifiers of exchanges and deliveries, so an erasure or a
withdrawal works whatever sits in a queue.

There is no way to delete a message by its id, nor to look for one: what became of a delivery is in the database.

    BusError
      UnknownQueue      the name is not in `QUEUES`: a mistake in the program
      BusUnavailable    the broker does not answer: try later
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

DELIVERIES: Final = "deliveries"
"""The queue of deliveries that a courier must hand over."""

QUEUES: Final = frozenset({DELIVERIES})
"""Every queue there is. Names are fixed: none ever holds an identifier."""

ATTEMPT: Final = "attempt"
"""CloudEvents extension of a retried message: how many times it was handed out before."""

DELIVERY_LIMIT: Final = 50
"""
How many times a message may be handed out without an answer before it is parked.

Whoever dies takes what it had prefetched with it, and a rolling update is several deaths: the limit catches what kills its
consumer each time, and leaves room for the rest. An explicit `retry` never counts: how long to try is the courier's policy.
"""

UNANSWERED: Final = "delivery_limit"
"""The reason of a message that was parked because it reached the limit."""


class BusError(Exception):
    """Something is wrong with the bus."""


class UnknownQueue(BusError, ValueError):
    """No such queue: the names are those of `QUEUES`."""


class BusUnavailable(BusError):
    """The broker does not answer; nothing was lost, try later."""


@dataclass(frozen=True, slots=True)
class Message:
    """
    One message: a CloudEvent 1.0 as a JSON object, whose `data` holds identifiers only.

    `id` is the event's id and the id of its outbox row, the same through every retry and every duplicate.
    """

    id: str
    queue: str
    event: dict[str, Any]

    @property
    def earlier(self) -> int:
        """How many times this message was handed out before it was last published."""
        return int(self.event.get(ATTEMPT, 0))

    def again(self, attempts: int) -> Message:
        """Make the copy to publish after `attempts` times handed out."""
        return replace(self, event={**self.event, ATTEMPT: attempts})


@dataclass(frozen=True, slots=True)
class Parked:
    """A message taken out of circulation, and why. An event that nobody can read is `{}`."""

    message: Message
    reason: str


class Received(Protocol):
    """
    One message in the hands of a consumer, until exactly one of the three answers.

    The answers may be given from any task. None raises when the broker is away: the message then comes again, by itself.
    """

    @property
    def message(self) -> Message:
        """What was published; after a retry its event has the extension `attempt`."""

    @property
    def attempts(self) -> int:
        """How many times it was handed out, this time included: 1 the first time. Deaths of consumers count."""

    async def ack(self) -> None:
        """
        Say that the work is done: the message leaves the bus.

        Nobody confirms it, and it may take effect a moment later: who dies or loses the broker at that moment gets the
        message again.
        """

    async def retry(self, after: timedelta) -> None:
        """
        Ask for it again, not before `after`, with the same id and one more attempt.

        The time is kept in the database, never in the broker, whose own requeue gives a message back at once and burns its
        delivery limit in milliseconds. Returns when the retry is durable, or when the message will come again by itself;
        may wait for a database that is away, which holds the consumer back. The message blocks nobody meanwhile.
        """

    async def park(self, reason: str) -> None:
        """
        Take it out of circulation, with a `reason` of at most 200 characters: a code, no value and no identifier.

        Durable when it returns, except when the broker is away: the message then comes again.
        """


class Bus(Protocol):
    """
    Carries messages between the outbox and the couriers.

    One instance serves one process and one event loop. Every method but `open` and `close` may be called concurrently.
    """

    async def open(self) -> None:
        """
        Connect and declare what is missing; call it once, before anything else.

        A broker that is away is not an error: what needs it connects when it comes back, and `check` says so.
        """

    async def close(self) -> None:
        """Disconnect. Leave the `consume` blocks first; a call that is under way fails as if the broker were away."""

    async def publish(self, messages: Sequence[Message]) -> frozenset[str]:
        """
        Put messages in their queues and return the ids that the broker confirmed: those are durable.

        The others may be there too, or not: the caller publishes them again, later, and what handles them recognises
        the duplicate by its id. Never raises for a broker that is away, a full queue or an unknown one: it returns fewer
        ids. Does not retry. Takes some seconds at most, whatever the network does.
        """

    def consume(self, queue: str, *, prefetch: int = 32) -> AbstractAsyncContextManager[AsyncIterator[Received]]:
        """
        Open the messages of one queue: an endless iterator, of which at most `prefetch` messages are unanswered.

        Several consumers share a queue, in one process or many; each message is with one of them at a time. A consumer
        keeps its messages as long as it lives, however slow. Survives the loss of the broker and resumes by itself;
        entering waits for a broker that is away. Iterate from one task. What is unanswered when the block is left goes back.
        Raises `UnknownQueue`.
        """

    async def depth(self, queue: str) -> int:
        """
        Estimate how many messages wait in a queue, those being handled and those parked left out.

        For metrics and back-pressure only: a broker may answer with an old figure. Raises `UnknownQueue`, `BusUnavailable`.
        """

    async def parked(self, queue: str, limit: int) -> Sequence[Parked]:
        """
        Look at up to `limit` messages parked from a queue, and leave them where they are.

        Two calls at the same moment may see different ones. Raises `UnknownQueue`, `BusUnavailable`.
        """

    async def check(self) -> None:
        """Say whether the bus can be used now, for readiness; raises `BusUnavailable`."""


def utc_now() -> datetime:
    """Tell the time, as the clocks of this package do unless they are given another."""
    return datetime.now(UTC)


def known(queue: str) -> str:
    """Return the name if it is a queue's; raises `UnknownQueue`."""
    if queue not in QUEUES:
        raise UnknownQueue(f"no such queue; the queues are: {', '.join(sorted(QUEUES))}")
    return queue


def cancelled_for_real() -> bool:
    """
    Say whether somebody cancelled the current task.

    A lost AMQP connection puts `CancelledError` into whoever waits for a confirmation, and nobody asked for it: taken for a
    cancellation it ends the task in silence.
    """
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
