"""
The outbox takes what the gate cleared and keeps it until the bus has it; the relay never stops, whatever the bus does.
"""

from __future__ import annotations

import asyncio
import logging
import os
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from cloudevents.core.v1.event import CloudEvent
from sqlalchemy.ext.asyncio import create_async_engine

import consent.tables
import gateway.store.tables
from consent.gate import Decision, decide_notice
from gateway.bus import outbox
from gateway.bus.base import DELIVERIES, Message
from gateway.bus.embedded import EmbeddedBus
from gateway.bus.outbox import BACK_OFF_LIMIT, LEASE, Outgoing
from gateway.bus.relay import Pass, Relay
from gateway.store.database import Database, instant, moment

POSTGRES_URL = os.environ.get("TDU_TEST_POSTGRES_URL", "postgresql+asyncpg://postgres@127.0.0.1:5432/postgres")
ISSUER = "https://passerelle.example"
DEPARTEMENT, ASSOCIATION = "99900002900010", "99900003700013"
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def postgresql_url() -> Iterator[str]:
    """A fresh PostgreSQL database with every table."""
    name = f"test_outbox_{uuid.uuid4().hex[:12]}"
    url = sa.make_url(POSTGRES_URL).set(database=name).render_as_string(hide_password=False)
    asyncio.run(_administer(f"CREATE DATABASE {name}"))
    asyncio.run(_create_tables(url))
    yield url
    asyncio.run(_administer(f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An address of a database with tables."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgresql_url"))
    url = f"sqlite+aiosqlite:///{tmp_path / 'outbox.sqlite'}"
    asyncio.run(_create_tables(url))
    return url


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A database whose outbox is empty."""
    database = Database(database_url, pool_size=20)
    async with database.write() as tx:
        await tx.execute(sa.delete(gateway.store.tables.outbox))
        await tx.execute(sa.delete(gateway.store.tables.bus_messages))
    yield database
    await database.close()


Script = Callable[[Sequence[Message]], frozenset[str]]


class ScriptedBus(EmbeddedBus):
    """A bus that confirms what a script says, or raises what it raises."""

    def __init__(self, database: Database, script: Script) -> None:
        super().__init__(database)
        self.script = script
        self.published: list[str] = []

    async def publish(self, messages: Sequence[Message]) -> frozenset[str]:
        """Remember what was published and answer as the script says."""
        self.published += [message.id for message in messages]
        return self.script(messages)


def confirms_all(messages: Sequence[Message]) -> frozenset[str]:
    """Confirm everything."""
    return frozenset(message.id for message in messages)


def confirms_nothing(_messages: Sequence[Message]) -> frozenset[str]:
    """Be away."""
    return frozenset()


async def test_the_outbox_refuses_what_the_gate_did_not_clear(database: Database) -> None:
    """Anything but the gate's own pass is refused, whatever it looks like, and nothing is written."""
    for forged in (None, True, decide_notice(DEPARTEMENT), object()):
        with pytest.raises(TypeError, match="only what the gate cleared"):
            await add(database, Outgoing("d", "e", "consent", DEPARTEMENT, forged, None))  # type: ignore[arg-type]

    assert await rows(database) == []


async def test_a_pass_for_one_recipient_and_kind_opens_no_other(database: Database) -> None:
    """The gate's pass for the département lets nothing leave for the association, and no other kind of document."""
    cleared = decide_notice(DEPARTEMENT).cleared()
    for recipient, kind in ((ASSOCIATION, "consent"), (DEPARTEMENT, "referral")):
        with pytest.raises(ValueError, match="another recipient or another kind"):
            await add(database, Outgoing("d", "e", kind, recipient, cleared, None))

    assert await rows(database) == []


async def test_a_row_is_a_cloudevent_that_holds_identifiers_only(database: Database) -> None:
    """The event is valid CloudEvents 1.0 under the id of its row, with four identifiers and the trace of its request."""
    await add(database, outgoing("delivery-1", "exchange-1", trace=TRACE), now=NOON)

    [row] = await rows(database)
    expected = {
        "specversion": "1.0",
        "id": row.id,
        "source": ISSUER,
        "type": "org.trait-dunion.delivery.ready.v1",
        "time": "2026-01-05T12:00:00Z",
        "datacontenttype": "application/json",
        "traceparent": TRACE,
        "data": {"delivery_id": "delivery-1", "exchange_id": "exchange-1", "kind": "consent", "recipient": DEPARTEMENT},
    }
    attributes = {name: value for name, value in row.event.items() if name != "data"}

    assert expected == row.event
    assert row.queue == DELIVERIES
    assert (
        row.id
        == CloudEvent({**attributes, "time": datetime.fromisoformat(attributes["time"])}, row.event["data"]).get_id()
    )


async def test_a_row_exists_with_its_transaction_and_not_without(database: Database) -> None:
    """What is rolled back is never published."""
    with pytest.raises(RuntimeError, match="changed our mind"):
        async with database.write() as tx:
            await outbox.add(tx, [outgoing()], source=ISSUER, now=NOON)
            raise RuntimeError("changed our mind")
    bus = ScriptedBus(database, confirms_all)

    assert Pass.IDLE is await Relay(database, bus).once()
    assert bus.published == []


async def test_a_pass_publishes_oldest_first_and_deletes_what_was_confirmed(database: Database) -> None:
    """Confirmed rows are gone, in the order in which they were written."""
    await add(database, outgoing(), now=NOON)
    [first] = await rows(database)
    await add(database, outgoing(), now=NOON + timedelta(seconds=1))
    bus = ScriptedBus(database, confirms_all)

    assert Pass.SENT is await Relay(database, bus).once()
    assert first.id == bus.published[0]
    assert (len(bus.published), await rows(database)) == (2, [])


async def test_what_is_not_confirmed_waits_longer_each_time_and_never_too_long(database: Database) -> None:
    """The wait is kept in the row: between half and all of a time that doubles up to its limit."""
    await add(database, outgoing(), now=NOON)
    clock = Clock(NOON)
    relay = Relay(database, ScriptedBus(database, confirms_nothing), clock=clock)
    waits = []
    for attempt in range(1, 9):
        assert Pass.FAILED is await relay.once()
        [row] = await rows(database)
        waits.append(moment(row.next_attempt_at) - clock.now)
        assert attempt == row.attempts
        assert Pass.IDLE is await relay.once()
        clock.now = moment(row.next_attempt_at)

    longest = [min(timedelta(seconds=0.5) * 2**attempt, BACK_OFF_LIMIT) for attempt in range(8)]
    assert all(limit / 2 <= wait <= limit for wait, limit in zip(waits, longest, strict=True))


async def test_a_row_that_never_goes_through_does_not_hold_the_others(database: Database) -> None:
    """One message that the bus always refuses among five: four are sent, one stays, and the pass counts as a success."""
    await add(database, *(outgoing() for _ in range(5)), now=NOON)
    poison = (await rows(database))[2].id
    bus = ScriptedBus(database, lambda messages: confirms_all(messages) - {poison})

    assert Pass.SENT is await Relay(database, bus).once()
    assert [poison] == [row.id for row in await rows(database)]


async def test_several_relays_never_take_the_same_row(database: Database) -> None:
    """Three relays side by side on three hundred rows publish each of them once."""
    await add(database, *(outgoing() for _ in range(300)), now=NOON)
    buses = [ScriptedBus(database, confirms_all) for _ in range(3)]

    async def empty(relay: Relay) -> None:
        while await relay.once() is not Pass.IDLE:
            pass

    await asyncio.gather(*(empty(Relay(database, bus, batch=20)) for bus in buses))

    published = [Counter(bus.published) for bus in buses]
    assert {1} == set(sum(published, Counter()).values())
    assert (sum(map(Counter.total, published)), await rows(database)) == (300, [])


async def test_no_row_is_skipped_while_others_are_being_written(database: Database) -> None:
    """Eight writers that commit out of order and a relay that reads meanwhile: every row is published."""
    bus = ScriptedBus(database, confirms_all)
    relay, stop = Relay(database, bus, idle=timedelta(milliseconds=2)), asyncio.Event()

    async def write(start: int) -> None:
        for number in range(15):
            async with database.write() as tx:
                await outbox.add(tx, [outgoing()], source=ISSUER, now=datetime.now(UTC))
                await asyncio.sleep(0.001 * ((start + number) % 5))

    running = asyncio.create_task(relay.run(stop))
    await asyncio.gather(*(write(start) for start in range(8)))
    await until(lambda: len(bus.published) >= 120)
    stop.set()
    await running

    assert (len(set(bus.published)), await rows(database)) == (120, [])


async def test_the_rows_of_a_relay_that_died_are_taken_again_after_its_lease(database: Database) -> None:
    """Dying between publishing and settling makes a duplicate under the same id, never a loss."""
    await add(database, outgoing(), now=NOON)
    async with database.write() as tx:
        [published] = (await outbox.claim(tx, now=NOON, limit=10)).messages
    bus, clock = ScriptedBus(database, confirms_all), Clock(NOON + LEASE - timedelta(milliseconds=1))
    heir = Relay(database, bus, clock=clock)

    assert Pass.IDLE is await heir.once()
    clock.now = NOON + LEASE
    assert Pass.SENT is await heir.once()
    assert [published.id] == bus.published


async def test_a_relay_that_comes_back_too_late_leaves_the_row_to_its_new_holder(database: Database) -> None:
    """Settling after the end of the lease changes nothing for the relay that took the row since."""
    await add(database, outgoing(), now=NOON)
    later = NOON + LEASE
    async with database.write() as tx:
        late = await outbox.claim(tx, now=NOON, limit=10)
    async with database.write() as tx:
        current = await outbox.claim(tx, now=later, limit=10)
    async with database.write() as tx:
        await outbox.settle(tx, late, [], now=later)

    assert late.messages == current.messages
    assert [instant(current.until)] == [row.next_attempt_at for row in await rows(database)]


async def test_a_retry_scheduled_while_its_first_sending_is_settled_survives(database: Database) -> None:
    """The consumer may be faster than the relay: the confirmation of the first sending must not delete the retry."""
    await add(database, outgoing(), now=NOON)
    due = NOON + timedelta(minutes=5)
    async with database.write() as tx:
        taken = await outbox.claim(tx, now=NOON, limit=10)
    [message] = taken.messages
    await outbox.schedule(database, message.again(1), due)
    async with database.write() as tx:
        await outbox.settle(tx, taken, {message.id}, now=NOON)

    [row] = await rows(database)
    assert (message.id, message.again(1).event, instant(due), 0) == (
        row.id,
        row.event,
        row.next_attempt_at,
        row.attempts,
    )


async def test_the_age_of_the_outbox_is_that_of_its_oldest_unsent_row(database: Database) -> None:
    """Nothing waits: zero. A row waits: since it was written, attempts or not. A retry: since it was due."""
    clock = Clock(NOON)
    relay = Relay(database, ScriptedBus(database, confirms_nothing), clock=clock)
    ages = [await age(database, relay)]
    await outbox.schedule(database, Message("retried", DELIVERIES, {}), NOON + timedelta(seconds=50))
    ages.append(await age(database, relay))
    await add(database, outgoing(), now=NOON)
    clock.now = NOON + timedelta(seconds=40)
    await relay.once()
    ages.append(await age(database, relay))

    assert [timedelta(), timedelta(), timedelta(seconds=40)] == ages


async def test_the_relay_survives_whatever_the_bus_does(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lost connection that looks like a cancellation, an error, silence: the row is sent in the end."""
    monkeypatch.setattr(outbox, "BACK_OFF", timedelta(milliseconds=10))
    failures: list[BaseException | None] = [asyncio.CancelledError(), None, OSError("gone"), asyncio.CancelledError()]

    def script(messages: Sequence[Message]) -> frozenset[str]:
        if not failures:
            return confirms_all(messages)
        if (failure := failures.pop()) is not None:
            raise failure
        return frozenset()

    await add(database, outgoing(), now=NOON)
    bus, stop = ScriptedBus(database, script), asyncio.Event()
    clock = Clock(NOON, step=LEASE + BACK_OFF_LIMIT)
    running = asyncio.create_task(Relay(database, bus, clock=clock).run(stop))
    await until(lambda: len(bus.published) >= 5)
    stop.set()
    await running

    assert (len(bus.published), len(set(bus.published)), await rows(database)) == (5, 1, [])


async def test_the_relay_ends_when_it_is_really_cancelled(database: Database) -> None:
    """A cancellation that somebody asked for is obeyed, even in the middle of a publication."""
    entered = asyncio.Event()

    class SlowBus(ScriptedBus):
        async def publish(self, messages: Sequence[Message]) -> frozenset[str]:
            entered.set()
            await asyncio.sleep(60)
            return confirms_all(messages)

    await add(database, outgoing(), now=NOON)
    running = asyncio.create_task(Relay(database, SlowBus(database, confirms_all)).run(asyncio.Event()))
    await entered.wait()
    running.cancel()

    with pytest.raises(asyncio.CancelledError):
        await running


async def test_a_nudge_is_enough_and_so_is_time(database: Database) -> None:
    """With an hour between two looks, a nudge publishes at once; without any nudge, a short time does."""
    for idle, nudged in ((timedelta(hours=1), True), (timedelta(milliseconds=5), False)):
        bus, stop = ScriptedBus(database, confirms_all), asyncio.Event()
        relay = Relay(database, bus, idle=idle)
        running = asyncio.create_task(relay.run(stop))
        await asyncio.sleep(0.05)
        await add(database, outgoing(), now=NOON)
        if nudged:
            relay.nudge()
        await until(lambda bus=bus: len(bus.published) == 1)  # type: ignore[misc]
        stop.set()
        await asyncio.wait_for(running, 5)

        assert await rows(database) == []


async def test_an_idle_relay_looks_now_and_then_and_rests_in_between(database: Database) -> None:
    """With nothing to do it looks about as often as it says: it does not spin."""
    looks = 0

    def counting() -> datetime:
        nonlocal looks
        looks += 1
        return datetime.now(UTC)

    relay = Relay(database, EmbeddedBus(database), idle=timedelta(milliseconds=100), clock=counting)
    stop = asyncio.Event()
    running = asyncio.create_task(relay.run(stop))
    await asyncio.sleep(1)
    stop.set()
    await running
    assert 1 <= looks <= 12


async def test_what_the_relay_logs_holds_no_identifier(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    """Failures are logged by their class and number: no delivery, exchange, message or organisation."""
    caplog.set_level(logging.DEBUG, logger="gateway.bus")
    item = outgoing("delivery-9", "exchange-9")
    await add(database, item, now=NOON)
    [row] = await rows(database)

    def script(_messages: Sequence[Message]) -> frozenset[str]:
        stop.set()
        raise ValueError(f"could not send {row.id} delivery-9 exchange-9 {DEPARTEMENT}")

    def lost(_messages: Sequence[Message]) -> frozenset[str]:
        raise asyncio.CancelledError(row.id)

    stop = asyncio.Event()
    # In a task of its own, as in a gateway: nobody ever cancelled it, whatever earlier tests did to the one they share.
    await asyncio.create_task(Relay(database, ScriptedBus(database, lost)).once())
    await Relay(database, ScriptedBus(database, script), clock=lambda: NOON.replace(year=2100)).run(stop)

    logged = "\n".join(str(vars(record)) for record in caplog.records)
    assert [vars(record)["event"] for record in caplog.records] == ["relay.connection_lost", "relay.pass_failed"]
    assert [secret for secret in (row.id, "delivery-9", "exchange-9", DEPARTEMENT) if secret in logged] == []


async def test_consumers_of_the_same_process_are_woken_at_once(database: Database) -> None:
    """An embedded consumer that would look again in an hour gets a message as soon as it is published."""
    bus = EmbeddedBus(database, poll=timedelta(hours=1))
    async with bus.consume(DELIVERIES) as consumer:
        waiting = asyncio.ensure_future(anext(consumer))
        await asyncio.sleep(0.1)
        await bus.publish([Message("m", DELIVERIES, {"data": {}})])
        received = await asyncio.wait_for(waiting, 5)
        await received.ack()

    assert received.message.id == "m"


async def test_a_slow_consumer_keeps_its_message_and_a_dead_one_loses_it(database: Database) -> None:
    """Three times the visibility later a living consumer still holds its message; once it stops, another gets it."""
    visibility = timedelta(seconds=0.3)
    slow, other = (EmbeddedBus(database, visibility=visibility) for _ in range(2))
    await slow.publish([Message("m", DELIVERIES, {"data": {}})])
    async with slow.consume(DELIVERIES) as consumer, other.consume(DELIVERIES) as second:
        await anext(consumer)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(second), 0.9)
    async with other.consume(DELIVERIES) as second:
        again = await asyncio.wait_for(anext(second), 5)
        await again.ack()

    assert (again.message.id, again.attempts) == ("m", 2)


async def test_an_answer_that_comes_after_another_consumer_took_over_has_no_effect(database: Database) -> None:
    """A consumer that slept past its visibility can no longer park nor delete what another holds."""
    clock = Clock(NOON)
    bus = EmbeddedBus(database, clock=clock, visibility=timedelta(minutes=1))
    await bus.publish([Message("m", DELIVERIES, {"data": {}})])
    async with bus.consume(DELIVERIES) as sleeper:
        late = await anext(sleeper)
        clock.now = NOON + timedelta(minutes=2)
        async with bus.consume(DELIVERIES) as other:
            current = await anext(other)
            await late.park("too_late")
            await current.retry(timedelta())

    async with bus.consume(DELIVERIES) as consumer:
        again = await anext(consumer)
        await again.ack()
    assert (again.attempts, await bus.parked(DELIVERIES, 10)) == (3, [])


async def test_publishing_a_parked_message_puts_it_back_to_work(database: Database) -> None:
    """A replay through the outbox, under the same id, is not swallowed by the parked copy."""
    bus = EmbeddedBus(database)
    message = Message("m", DELIVERIES, {"data": {}})
    await bus.publish([message])
    async with bus.consume(DELIVERIES) as consumer:
        await (await anext(consumer)).park("unknown_adapter")
        await bus.publish([message])
        again = await asyncio.wait_for(anext(consumer), 5)
        await again.ack()

    assert (message, 1, []) == (again.message, again.attempts, await bus.parked(DELIVERIES, 10))


@dataclass
class Clock:
    """A clock that moves when told, or by a step at each look."""

    now: datetime
    step: timedelta = timedelta()

    def __call__(self) -> datetime:
        """Tell the time."""
        self.now += self.step
        return self.now


def outgoing(delivery: str | None = None, exchange: str | None = None, *, trace: str | None = None) -> Outgoing:
    """Make one delivery that the gate really cleared."""
    decision: Decision = decide_notice(DEPARTEMENT)
    ids = (delivery or str(uuid.uuid4()), exchange or str(uuid.uuid4()))
    return Outgoing(*ids, decision.kind, DEPARTEMENT, decision.cleared(), trace)


async def add(database: Database, *items: Outgoing, now: datetime = NOON) -> None:
    """Write to the outbox and commit."""
    async with database.write() as tx:
        await outbox.add(tx, items, source=ISSUER, now=now)


async def rows(database: Database) -> Sequence[sa.Row[tuple[object, ...]]]:
    """Read the outbox."""
    async with database.read() as tx:
        return (await tx.execute(sa.select(gateway.store.tables.outbox).order_by("created_at", "id"))).all()


async def age(database: Database, relay: Relay) -> timedelta:
    """Ask the relay how old the oldest unsent row is."""
    async with database.read() as tx:
        return await relay.oldest_age(tx)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition, fifteen seconds at most."""
    async with asyncio.timeout(15):
        while not condition():  # noqa: ASYNC110 (a plain fact of the test, that nobody announces)
            await asyncio.sleep(0.005)


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
