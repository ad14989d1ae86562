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
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import aio_pika
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

import consent.tables
import gateway.store.tables
from consent.gate import decide_notice
from gateway.bus import broker, outbox
from gateway.bus.base import DELIVERIES, Bus, Message, Received, utc_now
from gateway.bus.broker import Broker
from gateway.bus.cloudevent import delivery_ready, to_amqp
from gateway.bus.embedded import EmbeddedBus
from gateway.bus.outbox import Outgoing
from gateway.bus.rabbitmq import RabbitBus
from gateway.bus.relay import Relay
from gateway.store.database import Database
from ops.faults.proxy import Fault, FaultProxy

POSTGRES_URL = os.environ.get("TDU_TEST_POSTGRES_URL", "postgresql+asyncpg://postgres@127.0.0.1:5432/postgres")
AMQP_URL = os.environ.get("TDU_TEST_AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/")
DEPARTEMENT = "99900002900010"

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """Run on asyncio: aio-pika does."""
    return "asyncio"


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
    """The replies of the broker are lost: nothing is taken for sent, everything is there in the end, some of it twice."""
    ids = await fill(database, 100)
    async with relaying(database, through(proxy, database, prefix)) as relay:
        proxy.fault(Fault.HALF_ACK)
        relay.nudge()
        await until(lambda: proxy.lost_bytes)
        await asyncio.sleep(0.2)
        unsent = await unsent_ids(database)
        proxy.heal()
        arrived = await drain(rabbit(database, prefix), ids)
        await until_sent(database)

    assert unsent == ids
    assert set(arrived) == ids
    assert arrived.total() > len(ids)


async def test_nothing_is_lost_while_every_connection_is_cut_again_and_again(
    database: Database, prefix: str, proxy: FaultProxy
) -> None:
    """Relay and consumer behind a proxy that cuts them, within a message too: each of 300 messages arrives, both are alive."""
    ids: set[str] = set()
    bus = through(proxy, database, prefix)
    async with relaying(database, bus), asyncio.timeout(30):
        consuming = asyncio.create_task(drain(through(proxy, database, prefix), None))
        for round_ in range(6):
            ids |= await fill(database, 50)
            await asyncio.sleep(0.1)
            if round_ % 2:
                proxy.cut()
            else:
                proxy.cut_after(5_000)
        proxy.heal()
        await until_sent(database)
        ids |= await fill(database, 1)
        arrived = await consuming if consuming.done() else Counter()
        consuming.cancel()

    assert arrived == Counter()
    assert ids


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition, fifteen seconds at most."""
    async with asyncio.timeout(15):
        while not condition():  # noqa: ASYNC110 (a plain fact of the test, that nobody announces)
            await asyncio.sleep(0.01)
