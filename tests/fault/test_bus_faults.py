"""
The bus under faults: connections cut, replies lost, processes killed, queues full or deleted. Twice perhaps, lost never.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import aio_pika
import aiormq
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

import consent.tables
import gateway.store.tables
from consent.gate import decide_notice
from gateway.bus import broker, outbox
from gateway.bus.base import DELIVERIES, Bus, Message, utc_now
from gateway.bus.broker import Broker
from gateway.bus.cloudevent import delivery_ready, to_amqp
from gateway.bus.embedded import EmbeddedBus
from gateway.bus.outbox import Outgoing
from gateway.bus.rabbitmq import RabbitBus
from gateway.bus.relay import Relay
from gateway.store.database import Database, instant
from gateway.store.tables import outbox as outbox_table
from ops.faults.proxy import Fault, FaultProxy

POSTGRES_URL = os.environ.get("TDU_TEST_POSTGRES_URL", "postgresql+asyncpg://postgres@127.0.0.1:5432/postgres")
AMQP_URL = os.environ.get("TDU_TEST_AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/")
DEPARTEMENT = "99900002900010"

pytestmark = pytest.mark.anyio


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    """An embedded database with every table."""
    database = Database(f"sqlite+aiosqlite:///{tmp_path / 'faults.sqlite'}")
    await create_tables(database)
    yield database
    await database.close()


@pytest.fixture
async def prefix() -> AsyncIterator[str]:
    """A name for queues that are deleted at the end."""
    prefix = f"test-{uuid.uuid4().hex[:12]}"
    yield prefix
    await delete_queues(prefix, with_dead_letters=True)


@pytest.fixture
async def proxy() -> AsyncIterator[FaultProxy]:
    """A proxy in front of the broker."""
    address = sa.make_url(AMQP_URL)
    async with FaultProxy(address.host or "127.0.0.1", address.port or 5672) as proxy:
        yield proxy


@pytest.fixture
def postgresql_url() -> Iterator[str]:
    """A fresh PostgreSQL database."""
    name = f"test_faults_{uuid.uuid4().hex[:12]}"
    asyncio.run(administer(f"CREATE DATABASE {name}"))
    yield sa.make_url(POSTGRES_URL).set(database=name).render_as_string(hide_password=False)
    asyncio.run(administer(f"DROP DATABASE {name} WITH (FORCE)"))


async def test_what_was_done_and_never_told_is_sent_again(database: Database, prefix: str, proxy: FaultProxy) -> None:
    """The broker's replies are lost: everything arrives, nothing is taken for sent; once healed it is sent again, under the same ids."""
    async with relaying(database, rabbit(database, prefix, proxy)), collecting(rabbit(database, prefix)) as arrived:
        proxy.fault(Fault.HALF_ACK)
        ids = await fill(database, 100)
        await until(lambda: set(arrived) == ids)
        unsent = await unsent_ids(database)
        proxy.heal()
        await until_sent(database)
        await until(lambda: arrived.total() > len(ids))

    assert unsent == ids
    assert set(arrived) == ids


async def test_nothing_is_lost_while_connections_are_cut_again_and_again(
    database: Database, prefix: str, proxy: FaultProxy
) -> None:
    """Relay and consumer behind a proxy that cuts them, within messages too: 300 messages arrive, both go on afterwards."""
    async with (
        relaying(database, rabbit(database, prefix, proxy)),
        collecting(rabbit(database, prefix, proxy)) as arrived,
    ):
        ids: set[str] = set()
        for number in range(6):
            ids |= await fill(database, 50)
            await asyncio.sleep(0.05)
            if number % 2:
                proxy.cut()
            else:
                proxy.cut_after(4_000)
        proxy.heal()
        ids |= await fill(database, 10)
        await until_sent(database)
        await until(lambda: set(arrived) == ids)

    assert len(ids) == 310


@pytest.mark.parametrize("fault", [Fault.REFUSE, Fault.BLACKHOLE, Fault.DROP_UP], ids=lambda fault: fault.name.lower())
async def test_relay_and_consumer_come_back_after_an_outage(
    database: Database, prefix: str, proxy: FaultProxy, fault: Fault
) -> None:
    """The broker is out of reach for a while: the outbox keeps everything, and it arrives when the broker is back."""
    async with (
        relaying(database, rabbit(database, prefix, proxy)),
        collecting(rabbit(database, prefix, proxy)) as arrived,
    ):
        before = await fill(database, 10)
        await until(lambda: set(arrived) == before)
        await until_sent(database)
        proxy.fault(fault)
        during = await fill(database, 20)
        await asyncio.sleep(1)
        unsent = await unsent_ids(database)
        proxy.heal()
        await until(lambda: set(arrived) == before | during)
        await until_sent(database)

    assert unsent == during


async def test_a_silent_connection_is_given_up_by_its_heartbeat(
    database: Database, prefix: str, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A consumer whose connection went dead without a word opens another and gets what was on its way."""
    monkeypatch.setattr(aiormq.connection.Connection, "HEARTBEAT_GRACE_MULTIPLIER", 1)  # three, for whoever has time
    silent = rabbit(database, prefix, proxy, heartbeat=1)
    async with relaying(database, rabbit(database, prefix)), collecting(silent) as arrived:
        proxy.strand()
        ids = await fill(database, 5)
        await until_sent(database)
        await until(lambda: set(arrived) == ids)


async def test_a_queue_that_was_deleted_is_declared_again(database: Database, prefix: str) -> None:
    """An unroutable message is never taken for sent, and the relay makes the queue again by itself."""
    async with relaying(database, rabbit(database, prefix)):
        await delete_queues(prefix)
        ids = await fill(database, 3)
        await until_sent(database)
        async with collecting(rabbit(database, prefix)) as arrived:
            await until(lambda: set(arrived) == ids)


async def test_a_full_queue_leaves_the_rest_to_the_outbox(
    database: Database, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A queue that is full refuses, drops nothing, and what it refused comes when there is room."""
    monkeypatch.setattr(broker, "_MAX_LENGTH", 5)
    async with relaying(database, rabbit(database, prefix)):
        ids = await fill(database, 40)  # a burst may pass whole: the broker notices a little late
        await until_async(lambda: attempted(database))
        ids |= await fill(database, 40)
        await until_async(lambda: attempted(database))
        unsent = await unsent_ids(database)
        async with collecting(rabbit(database, prefix)) as arrived:
            await until(lambda: set(arrived) == ids)
            await until_sent(database)

    assert unsent


async def test_a_retry_waits_for_the_database_and_is_not_lost(database: Database, prefix: str) -> None:
    """While the database is away the message stays with its consumer, which passes it on as soon as it can."""
    failures = [OSError("away"), OSError("away")]

    async def reschedule(message: Message, due: datetime) -> None:
        if failures:
            raise failures.pop()
        await outbox.schedule(database, message, due)

    bus = RabbitBus(AMQP_URL, reschedule, prefix=prefix)
    async with relaying(database, bus):
        ids = await fill(database, 1)
        async with bus.consume(DELIVERIES) as consumer, asyncio.timeout(15):
            await (await anext(consumer)).retry(timedelta())
            again = await anext(consumer)
            await again.ack()

    assert ({again.message.id}, 2, []) == (ids, again.attempts, failures)


async def test_foreign_bytes_on_the_broker_are_parked_and_block_nobody(database: Database, prefix: str) -> None:
    """What another program put in our queue and is no CloudEvent of ours goes to the dead letters, and ours arrives."""
    bus = rabbit(database, prefix)
    event = delivery_ready("ours", source="https://passerelle.example", now=utc_now(), data={}, trace=None)
    foreign = [
        aio_pika.Message(b"\xff\x00"),
        aio_pika.Message(b"[]", headers={"ce-time": "yesterday"}),
        to_amqp(Message("x", DELIVERIES, {**event, "attempt": "many"})),
    ]
    await bus.open()
    async with await aio_pika.connect(AMQP_URL) as connection:
        channel = await connection.channel()
        for message in foreign:
            await channel.default_exchange.publish(message, f"{prefix}.{DELIVERIES}")
    await bus.publish([Message("ours", DELIVERIES, event)])
    async with bus.consume(DELIVERIES) as consumer, asyncio.timeout(15):
        received = await anext(consumer)
        await received.ack()
    await until_async(lambda: parked(bus, 3))
    reasons = [one.reason for one in await bus.parked(DELIVERIES, 10)]
    await bus.close()

    assert received.message.event == event
    assert reasons == ["rejected"] * 3


@pytest.mark.parametrize("kind", ["embedded", "rabbitmq"])
async def test_what_a_killed_consumer_held_goes_to_another(database: Database, prefix: str, kind: str) -> None:
    """A process that dies with SIGKILL while it holds ten messages loses none of them."""
    bus = EmbeddedBus(database) if kind == "embedded" else rabbit(database, prefix)
    async with relaying(database, bus):
        ids = await fill(database, 20)
        await until_sent(database)
        arguments = (kind, database.url.render_as_string(hide_password=False), AMQP_URL, prefix)
        victim = await asyncio.create_subprocess_exec(
            sys.executable, "-c", VICTIM, *arguments, stdout=asyncio.subprocess.PIPE
        )
        assert victim.stdout is not None
        held = await asyncio.wait_for(victim.stdout.readline(), 15)
        victim.send_signal(signal.SIGKILL)
        await victim.wait()
        async with collecting(bus) as arrived:
            await until(lambda: set(arrived) == ids)

    assert held == b"10\n"
    assert arrived.total() == 20


async def test_the_embedded_bus_survives_the_loss_of_its_database(postgresql_url: str) -> None:
    """PostgreSQL out of reach: publishing confirms nothing and raises nothing; relay and consumer go on once it is back."""
    address = sa.make_url(postgresql_url)
    async with FaultProxy(address.host or "127.0.0.1", address.port or 5432) as proxy, AsyncExitStack() as stack:
        direct = Database(postgresql_url)
        stack.push_async_callback(direct.close)
        await create_tables(direct)
        database = Database(address.set(host="127.0.0.1", port=proxy.port).render_as_string(hide_password=False))
        stack.push_async_callback(database.close)
        bus = EmbeddedBus(database, visibility=timedelta(seconds=2))
        async with relaying(database, bus), collecting(bus) as arrived:
            before = await fill(direct, 10)
            await until(lambda: set(arrived) == before)
            proxy.fault(Fault.REFUSE)
            during = await fill(direct, 20)
            confirmed = await bus.publish([Message("m", DELIVERIES, {"data": {}})])
            await asyncio.sleep(0.5)
            proxy.heal()
            await until(lambda: set(arrived) == before | during)
            await until_sent(direct)

    assert confirmed == frozenset()


VICTIM = """
import asyncio, sys
from datetime import timedelta
from gateway.bus.embedded import EmbeddedBus
from gateway.bus.rabbitmq import RabbitBus
from gateway.store.database import Database

kind, database, amqp, prefix = sys.argv[1:]

async def main():
    embedded = EmbeddedBus(Database(database), visibility=timedelta(seconds=1))
    bus = embedded if kind == "embedded" else RabbitBus(amqp, None, prefix=prefix)
    async with bus.consume("deliveries", prefetch=10) as consumer:
        held = [await anext(consumer) for _ in range(10)]
        print(len(held), flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


def rabbit(database: Database, prefix: str, proxy: FaultProxy | None = None, *, heartbeat: int = 3) -> RabbitBus:
    """Make a bus on the broker, through a proxy if there is one, that does not wait long."""
    url = sa.make_url(AMQP_URL).update_query_dict({"heartbeat": str(heartbeat)})
    if proxy is not None:
        url = url.set(host="127.0.0.1", port=proxy.port)
    return RabbitBus(
        url.render_as_string(hide_password=False), partial(outbox.schedule, database), prefix=prefix, timeout=0.7
    )


@asynccontextmanager
async def relaying(database: Database, bus: Bus) -> AsyncIterator[None]:
    """Open a bus and relay the outbox to it; the relay must live until the end."""
    stop = asyncio.Event()
    await bus.open()
    running = asyncio.create_task(Relay(database, bus, idle=timedelta(milliseconds=20)).run(stop))
    try:
        yield
        assert not running.done()
    finally:
        stop.set()
        await running
        await bus.close()


@asynccontextmanager
async def collecting(bus: Bus) -> AsyncIterator[Counter[str]]:
    """Acknowledge whatever comes and count the ids; the consumer must live until the end."""
    arrived: Counter[str] = Counter()

    async def collect() -> None:
        async with bus.consume(DELIVERIES) as consumer:
            ready.set()
            async for received in consumer:
                arrived[received.message.id] += 1
                await received.ack()

    ready = asyncio.Event()
    running = asyncio.create_task(collect())
    try:
        await asyncio.wait_for(ready.wait(), 15)
        yield arrived
        assert not running.done()
    finally:
        running.cancel()
        await asyncio.wait({running})


async def fill(database: Database, count: int) -> set[str]:
    """Commit so many rows to the outbox and tell their ids."""
    cleared = decide_notice(DEPARTEMENT).cleared()
    before = await unsent_ids(database)
    items = [Outgoing(str(uuid.uuid4()), "exchange", "consent", DEPARTEMENT, cleared, None) for _ in range(count)]
    async with database.write() as tx:
        await outbox.add(tx, items, source="https://passerelle.example", now=utc_now())
        return {row.id for row in await tx.execute(sa.select(outbox_table.c.id))} - before


async def unsent_ids(database: Database) -> set[str]:
    """Tell which messages wait in the outbox."""
    async with database.read() as tx:
        return {row.id for row in await tx.execute(sa.select(outbox_table.c.id))}


async def until_sent(database: Database) -> None:
    """Wait until the outbox is empty."""

    async def sent() -> bool:
        return not await unsent_ids(database)

    await until_async(sent)


async def attempted(database: Database) -> bool:
    """Say whether every row that is left was tried, and put off."""
    async with database.read() as tx:
        rows = (await tx.execute(sa.select(outbox_table.c.attempts, outbox_table.c.next_attempt_at))).all()
    soon = instant(utc_now() + outbox.LEASE / 2)
    return all(row.attempts and row.next_attempt_at < soon for row in rows)


async def parked(bus: Bus, count: int) -> bool:
    """Say whether so many messages are parked."""
    return len(await bus.parked(DELIVERIES, count)) == count


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition, fifteen seconds at most."""
    async with asyncio.timeout(15):
        while not condition():  # noqa: ASYNC110 (a plain fact of the test, that nobody announces)
            await asyncio.sleep(0.01)


async def until_async(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait for a condition that must be asked for, fifteen seconds at most."""
    async with asyncio.timeout(15):
        while not await condition():  # noqa: ASYNC110 (a plain fact of the test, that nobody announces)
            await asyncio.sleep(0.02)


async def create_tables(database: Database) -> None:
    """Create every table."""
    async with database.write() as tx:
        await tx.run_sync(consent.tables.metadata.create_all)
        await tx.run_sync(gateway.store.tables.metadata.create_all)


async def delete_queues(prefix: str, *, with_dead_letters: bool = False) -> None:
    """Delete the queues of a test."""
    ours = Broker(AMQP_URL, prefix, 2, 5)
    names = [ours.name(DELIVERIES)] + [ours.dead_letters(DELIVERIES)] * with_dead_letters
    async with await aio_pika.connect(AMQP_URL) as connection:
        channel = await connection.channel()
        for name in names:
            await channel.queue_delete(name, if_unused=False, if_empty=False)


async def administer(statement: str) -> None:
    """Run one statement on the server, outside any transaction."""
    engine = create_async_engine(POSTGRES_URL, isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        await connection.execute(sa.text(statement))
    await engine.dispose()
