"""
The contract of the bus, stated once and held on four set-ups: embedded and RabbitMQ, each with SQLite and PostgreSQL.

A queue is emptied and counted: the figures a broker gives about itself may be old.
"""

from __future__ import annotations

import asyncio
import os
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

import aio_pika
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

import consent.tables
import gateway.store.tables
from gateway.bus import outbox
from gateway.bus.base import DELIVERIES, UNANSWERED, Bus, BusUnavailable, Message, Received, UnknownQueue, utc_now
from gateway.bus.broker import Broker
from gateway.bus.cloudevent import delivery_ready
from gateway.bus.embedded import EmbeddedBus
from gateway.bus.rabbitmq import RabbitBus
from gateway.bus.relay import Relay
from gateway.store.database import Database

POSTGRES_URL = os.environ.get("TDU_TEST_POSTGRES_URL", "postgresql+asyncpg://postgres@127.0.0.1:5432/postgres")
AMQP_URL = os.environ.get("TDU_TEST_AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/")
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
QUIET = 0.15
LIMIT = 3

pytestmark = pytest.mark.anyio


@dataclass(frozen=True)
class SetUp:
    """A bus and what it stands on."""

    bus: Bus
    database: Database
    prefix: str

    @property
    def on_broker(self) -> bool:
        """Whether a broker carries the messages."""
        return isinstance(self.bus, RabbitBus)


@pytest.fixture(scope="module")
def postgresql_url() -> Iterator[str]:
    """A fresh PostgreSQL database with every table."""
    name = f"test_bus_{uuid.uuid4().hex[:12]}"
    url = sa.make_url(POSTGRES_URL).set(database=name).render_as_string(hide_password=False)
    asyncio.run(_administer(f"CREATE DATABASE {name}"))
    asyncio.run(_create_tables(url))
    yield url
    asyncio.run(_administer(f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An address of a database with empty tables."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgresql_url"))
    url = f"sqlite+aiosqlite:///{tmp_path / 'bus.sqlite'}"
    asyncio.run(_create_tables(url))
    return url


@pytest.fixture(params=["embedded", "rabbitmq"])
async def setup(request: pytest.FixtureRequest, database_url: str) -> AsyncIterator[SetUp]:
    """A bus that is open, its outbox relayed, its queues deleted at the end."""
    prefix = f"test-{uuid.uuid4().hex[:12]}"
    async with AsyncExitStack() as stack:
        database = Database(database_url)
        stack.push_async_callback(database.close)
        await _empty(database)
        bus: Bus
        if request.param == "rabbitmq":
            bus = RabbitBus(AMQP_URL, partial(outbox.schedule, database), prefix=prefix, delivery_limit=LIMIT)
            stack.push_async_callback(_delete_queues, prefix)
        else:
            bus = EmbeddedBus(database, delivery_limit=LIMIT)
        await bus.open()
        stack.push_async_callback(bus.close)
        stop = asyncio.Event()
        relaying = asyncio.create_task(Relay(database, bus).run(stop))
        yield SetUp(bus, database, prefix)
        stop.set()
        await relaying


async def test_a_message_arrives_as_it_was_published(setup: SetUp) -> None:
    """What is taken from a queue is the event that was put there, trace context included, at its first attempt."""
    message = some_message()
    await setup.bus.publish([message])

    async with setup.bus.consume(DELIVERIES) as consumer:
        [received] = await receive(consumer, 1)
        await received.ack()

    assert (message, 1) == (received.message, received.attempts)


async def test_every_message_of_a_large_publication_is_confirmed_and_arrives(setup: SetUp) -> None:
    """Three hundred messages in one call are as many confirmations, and each arrives once."""
    messages = [some_message() for _ in range(300)]

    confirmed = await setup.bus.publish(messages)
    arrived = Counter(await drain(setup.bus, 300))

    assert frozenset(message.id for message in messages) == confirmed
    assert Counter(confirmed) == arrived


async def test_an_acknowledged_message_does_not_come_again(setup: SetUp) -> None:
    """After its acknowledgement a message is gone, for other consumers as well."""
    await setup.bus.publish([some_message()])

    async with setup.bus.consume(DELIVERIES) as consumer:
        [received] = await receive(consumer, 1)
        await received.ack()

    assert await drain(setup.bus, 0) == []


async def test_what_a_consumer_leaves_unanswered_goes_to_another(setup: SetUp) -> None:
    """Leaving the block gives messages back at once, with one attempt counted."""
    message = some_message()
    await setup.bus.publish([message])

    async with setup.bus.consume(DELIVERIES) as consumer:
        await receive(consumer, 1)
    async with setup.bus.consume(DELIVERIES) as consumer:
        [received] = await receive(consumer, 1)
        await received.ack()

    assert (message, 2) == (received.message, received.attempts)


async def test_a_retry_comes_again_at_its_time_and_blocks_nobody(setup: SetUp) -> None:
    """A retried message keeps its id and its event, waits for its time, and lets the others pass."""
    first, second = some_message(), some_message()
    await setup.bus.publish([first])

    async with setup.bus.consume(DELIVERIES, prefetch=1) as consumer:
        [received] = await receive(consumer, 1)
        asked = utc_now()
        await received.retry(timedelta(seconds=0.3))
        await setup.bus.publish([second])
        [other] = await receive(consumer, 1)
        await other.ack()
        [again] = await receive(consumer, 1)
        waited = utc_now() - asked
        await again.ack()

    assert second == other.message
    assert (first.again(1), 2) == (again.message, again.attempts)
    assert waited >= timedelta(seconds=0.3)
    assert await drain(setup.bus, 0) == []


async def test_attempts_add_up_over_retries_and_lost_consumers(setup: SetUp) -> None:
    """A retry after an unanswered delivery continues the count, and never reaches the delivery limit."""
    await setup.bus.publish([some_message()])

    counts = []
    for _ in range(LIMIT):
        async with setup.bus.consume(DELIVERIES) as consumer:
            counts += [one.attempts for one in await receive(consumer, 1)]
        async with setup.bus.consume(DELIVERIES) as consumer:
            [received] = await receive(consumer, 1)
            counts.append(received.attempts)
            await received.retry(timedelta())

    # A consumer that leaves may have been handed the retried message already: that delivery counts, and nobody sees it.
    assert 1 == counts[0] and sorted(set(counts)) == counts
    assert await setup.bus.parked(DELIVERIES, 10) == []
    assert len(await drain(setup.bus, 1)) == 1


async def test_a_parked_message_is_kept_with_its_reason_and_never_comes_again(setup: SetUp) -> None:
    """Of three messages the parked one is listed, twice the same, and the two others are delivered."""
    messages = [some_message() for _ in range(3)]
    await setup.bus.publish(messages)

    async with setup.bus.consume(DELIVERIES) as consumer:
        for received in await receive(consumer, 3):
            await (received.park("unknown_adapter") if received.message == messages[1] else received.ack())
    looks = [await setup.bus.parked(DELIVERIES, 10) for _ in range(2)]

    assert [[(messages[1], "unknown_adapter")]] * 2 == [
        [(parked.message, parked.reason) for parked in look] for look in looks
    ]
    assert await drain(setup.bus, 0) == []


async def test_looking_at_parked_messages_stops_at_the_limit(setup: SetUp) -> None:
    """Three parked messages, two asked for: two are shown, and three are still there."""
    await setup.bus.publish([some_message() for _ in range(3)])

    async with setup.bus.consume(DELIVERIES) as consumer:
        for received in await receive(consumer, 3):
            await received.park("unknown_adapter")

    assert len(await setup.bus.parked(DELIVERIES, 2)) == 2
    assert len(await setup.bus.parked(DELIVERIES, 10)) == 3


async def test_what_kills_its_consumers_is_parked_after_the_limit(setup: SetUp) -> None:
    """A message that is never answered is handed out as often as the limit says, then parked; its neighbour arrives."""
    poison, healthy = some_message(), some_message()
    await setup.bus.publish([poison])
    for attempt in range(1, LIMIT + 1):
        async with setup.bus.consume(DELIVERIES, prefetch=1) as consumer:
            assert [attempt] == [received.attempts for received in await receive(consumer, 1)]
    await setup.bus.publish([healthy])

    assert [healthy.id] == await drain(setup.bus, 1)
    assert [(poison.id, UNANSWERED)] == [(one.message.id, one.reason) for one in await setup.bus.parked(DELIVERIES, 10)]


async def test_a_consumer_holds_no_more_than_its_prefetch(setup: SetUp) -> None:
    """With two of five messages held by one consumer, the three others go to the next one."""
    messages = [some_message() for _ in range(5)]
    await setup.bus.publish(messages)

    async with setup.bus.consume(DELIVERIES, prefetch=2) as slow:
        held = await receive(slow, 2)
        others = await drain(setup.bus, 3)
        for received in held:
            await received.ack()

    assert Counter(message.id for message in messages) == Counter([one.message.id for one in held] + others)
    assert len(others) == 3


async def test_consumers_share_a_queue_and_none_gets_the_message_of_another(setup: SetUp) -> None:
    """A hundred messages and four consumers that each take their time: every message is handled once."""
    messages = [some_message() for _ in range(100)]
    handled: list[list[str]] = [[], [], [], []]
    everything = asyncio.Event()

    async def work(mine: list[str]) -> None:
        async with setup.bus.consume(DELIVERIES, prefetch=8) as consumer:
            async for received in consumer:
                await asyncio.sleep(0.005)
                await received.ack()
                mine.append(received.message.id)
                if sum(map(len, handled)) == len(messages):
                    everything.set()

    await setup.bus.publish(messages)
    workers = [asyncio.create_task(work(mine)) for mine in handled]
    async with asyncio.timeout(20):
        await everything.wait()
    for worker in workers:
        worker.cancel()
    await asyncio.wait(workers)

    assert all(worker.cancelled() for worker in workers)
    assert Counter(message.id for message in messages) == sum(map(Counter, handled), Counter())
    assert all(handled)


async def test_an_unknown_queue_is_never_confirmed(setup: SetUp) -> None:
    """A message for a queue that does not exist is left to its sender, and does not hold back the one beside it."""
    message = some_message()
    lost = Message(str(uuid.uuid4()), "nowhere", message.event)

    assert frozenset({message.id}) == await setup.bus.publish([lost, message])
    assert [message.id] == await drain(setup.bus, 1)
    with pytest.raises(UnknownQueue):
        await setup.bus.depth("nowhere")
    with pytest.raises(UnknownQueue):
        await setup.bus.parked("nowhere", 1)
    with pytest.raises(UnknownQueue):
        async with setup.bus.consume("nowhere"):
            pass


async def test_publishing_again_may_double_a_message_and_never_loses_it(setup: SetUp) -> None:
    """A sender that did not hear a confirmation publishes again: one or two copies arrive, under one id."""
    message = some_message()

    first = await setup.bus.publish([message])
    second = await setup.bus.publish([message])

    assert first == second == {message.id}
    assert {message.id} == set(await drain(setup.bus, 1))


async def test_depth_tells_that_messages_wait(setup: SetUp) -> None:
    """The estimate comes to the number of messages that wait, and back to zero."""
    await setup.bus.check()
    await setup.bus.publish([some_message() for _ in range(7)])
    await eventually(setup.bus, 7)

    await drain(setup.bus, 7)

    await eventually(setup.bus, 0)


async def test_a_bus_out_of_reach_says_so_and_takes_nothing(setup: SetUp, tmp_path: Path) -> None:
    """Without its server a bus confirms nothing, raises nothing when publishing, and is not ready."""
    away: Bus
    if setup.on_broker:
        away = RabbitBus("amqp://guest:guest@127.0.0.1:1/", partial(outbox.schedule, setup.database), timeout=1)
    else:
        away = EmbeddedBus(Database(f"sqlite+aiosqlite:///{tmp_path}/no/such/directory/bus.sqlite"))
    await away.open()

    assert frozenset() == await away.publish([some_message()])
    with pytest.raises(BusUnavailable):
        await away.check()
    with pytest.raises(BusUnavailable):
        await away.depth(DELIVERIES)
    with pytest.raises(BusUnavailable):
        await away.parked(DELIVERIES, 1)
    await away.close()


def some_message() -> Message:
    """Make a message as the outbox does, about a delivery that does not exist."""
    event_id = str(uuid.uuid4())
    data = {
        "delivery_id": str(uuid.uuid4()),
        "exchange_id": str(uuid.uuid4()),
        "kind": "referral",
        "recipient": "99900002900010",
    }
    event = delivery_ready(event_id, source="https://passerelle.example", now=utc_now(), data=data, trace=TRACE)
    return Message(event_id, DELIVERIES, event)


async def receive(consumer: AsyncIterator[Received], count: int) -> list[Received]:
    """Take exactly so many messages, or fail."""
    async with asyncio.timeout(15):
        return [await anext(consumer) for _ in range(count)]


async def drain(bus: Bus, expected: int) -> list[str]:
    """Acknowledge what is expected, then whatever else comes before the queue stays quiet, and tell the ids."""
    ids: list[str] = []
    async with bus.consume(DELIVERIES, prefetch=100) as consumer:
        while True:
            try:
                async with asyncio.timeout(15 if len(ids) < expected else QUIET):
                    received = await anext(consumer)
            except TimeoutError:
                return ids
            await received.ack()
            ids.append(received.message.id)


async def eventually(bus: Bus, depth: int) -> None:
    """Wait until the estimate is right."""
    async with asyncio.timeout(15):
        while await bus.depth(DELIVERIES) != depth:  # noqa: ASYNC110 (the broker tells nobody)
            await asyncio.sleep(0.05)


async def _administer(statement: str) -> None:
    engine = create_async_engine(POSTGRES_URL, isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        await connection.execute(sa.text(statement))
    await engine.dispose()


async def _create_tables(url: str) -> None:
    database = Database(url)
    async with database.write() as tx:
        await tx.run_sync(consent.tables.metadata.create_all)
        await tx.run_sync(gateway.store.tables.metadata.create_all)
    await database.close()


async def _empty(database: Database) -> None:
    async with database.write() as tx:
        await tx.execute(sa.delete(gateway.store.tables.bus_messages))
        await tx.execute(sa.delete(gateway.store.tables.outbox))


async def _delete_queues(prefix: str) -> None:
    ours = Broker(AMQP_URL, prefix, LIMIT, 5)
    connection = await aio_pika.connect(AMQP_URL)
    async with connection:
        channel = await connection.channel()
        for name in (ours.name(DELIVERIES), ours.dead_letters(DELIVERIES)):
            await channel.queue_delete(name, if_unused=False, if_empty=False)
