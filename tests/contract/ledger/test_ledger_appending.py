"""Placing events in the log, and the sequencer that does it: on SQLite and on PostgreSQL alike."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from consent.ledger.event import LedgerRecord
from consent.ledger.integration import integrate
from consent.ledger.mark import SequencerRefused
from consent.ledger.note import Signer
from consent.ledger.sequencer import Sequencer
from consent.ledger.store import EventConflict, Ledger
from consent.ledger.tiles import encode_bundle
from consent.tables import ledger_checkpoints, ledger_events, ledger_tiles
from gateway.store.database import Database

pytestmark = pytest.mark.anyio


async def test_events_get_dense_indexes_in_insertion_order(log: Any) -> None:
    """One transaction's events follow one another in the log as they were given."""
    records = [log.record() for _ in range(300)]
    await log.append(*records)
    assert await log.indexes() == [None] * 300
    head = await log.sequencer().catch_up()
    assert head is not None
    assert head.size == 300
    assert await log.indexes() == list(range(300))
    async with log.database.read() as tx:
        bundle = await Ledger().bundle(tx, 0)
        query = sa.select(ledger_events).where(ledger_events.c.id == records[7].event.id)
        row = (await tx.execute(query)).one()
    assert bundle == encode_bundle([one.entry for one in records[:256]])
    assert (row.type, row.actor, row.recipient, row.occurred_at, row.subject_id, row.sealed) == (
        "disclosure_made", "99900009400014", "99900002900010", "2026-11-23T09:00:00.000000Z", records[7].subject_id, b"sealed",
    )  # fmt: skip
    assert row.exchange_id == records[7].event.body["exchange_id"]


async def test_an_event_that_is_given_twice_is_recorded_once(log: Any) -> None:
    """A retry, in another transaction or in the same one, changes nothing."""
    one, two = log.record(), log.record()
    await log.append(one)
    await log.append(one, two, two)
    await log.append()
    await log.sequencer().catch_up()
    assert await log.indexes() == [0, 1]


async def test_another_event_under_a_used_id_is_refused(log: Any) -> None:
    """An id stands for one content; the transaction that reuses it rolls back whole."""
    one = log.record()
    await log.append(one)
    with pytest.raises(EventConflict):
        await log.append(log.record(), log.record(one.event.id, exchange_id="another"))
    assert len(await log.indexes()) == 1


async def test_a_transaction_that_rolls_back_leaves_nothing_and_no_gap(log: Any) -> None:
    """An event exists if and only if what it proves was committed."""
    await log.append(log.record())
    with pytest.raises(RuntimeError):
        async with log.database.write() as tx:
            await Ledger().append(tx, [log.record()])
            raise RuntimeError("the business transaction fails")
    await log.append(log.record())
    await log.sequencer().catch_up()
    assert await log.indexes() == [0, 1]


async def test_nothing_waiting_signs_nothing(log: Any) -> None:
    """No checkpoint without an event, and no second one for the same size."""
    assert await log.sequencer().catch_up() is None
    async with log.database.read() as tx:
        assert await Ledger().head(tx) is None
        assert await Ledger().checkpoint(tx) is None
    await log.append(log.record())
    first = await log.sequencer().catch_up()
    assert first is not None
    assert await log.sequencer().catch_up() is None
    async with log.database.read() as tx:
        assert await Ledger().checkpoint(tx) == first.note


async def test_a_group_has_a_limit_and_catching_up_takes_several(log: Any, tmp_path: Path) -> None:
    """A backlog is integrated in bounded transactions."""
    await log.append(*[log.record() for _ in range(1_000)])
    async with log.database.write() as tx:
        head = await integrate(tx, log.signer, log.now, limit=400)
    assert head is not None
    assert head.size == 400
    await log.sequencer(limit=250).catch_up()
    assert await log.verified(tmp_path) == 1_000
    async with log.database.read() as tx:
        sizes = (await tx.execute(sa.select(ledger_checkpoints.c.size).order_by(ledger_checkpoints.c.size))).scalars()
        assert list(sizes) == [400, 650, 900, 1_000]


async def test_concurrent_writers_and_two_sequencers_leave_no_gap_and_lose_nothing(log: Any, tmp_path: Path) -> None:
    """8 writers of which some roll back, and 2 sequencers started by mistake: dense indexes, each committed event once."""
    committed: list[str] = []

    async def writer(number: int) -> None:
        chance = random.Random(number)
        for _ in range(25):
            records = [log.record() for _ in range(chance.randint(1, 5))]
            try:
                async with log.database.write() as tx:
                    await Ledger().append(tx, records)
                    await asyncio.sleep(chance.random() / 200)
                    if chance.random() < 0.2:
                        raise InterruptedError
                committed.extend(one.event.id for one in records)
            except InterruptedError:
                pass

    running = [asyncio.create_task(log.sequencer(interval=0.01, limit=7).run()) for _ in range(2)]
    await asyncio.gather(*(writer(number) for number in range(8)))
    for task in running:
        assert not task.done(), "a sequencer stopped"
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    await log.sequencer().catch_up()
    async with log.database.read() as tx:
        rows = (await tx.execute(sa.select(ledger_events.c.index, ledger_events.c.id))).all()
    assert sorted(index for index, _ in rows) == list(range(len(committed)))
    assert sorted(event_id for _, event_id in rows) == sorted(committed)
    assert await log.verified(tmp_path) == len(committed)


async def test_two_integrations_at_once_do_not_disturb_each_other(log: Any, tmp_path: Path) -> None:
    """The second waits for the first and goes on from its result."""
    await log.append(*[log.record() for _ in range(40)])

    async def step() -> None:
        async with log.database.write() as tx:
            await integrate(tx, log.signer, log.now, limit=5)
            await asyncio.sleep(0.005)

    await asyncio.gather(*(step() for _ in range(8)))
    assert await log.indexes() == list(range(40))
    await log.sequencer().catch_up()
    assert await log.verified(tmp_path) == 40


async def tamper(database: Database, statement: sa.Executable) -> None:
    """Change stored rows behind the ledger's back."""
    async with database.write() as tx:
        await tx.execute(statement)


@pytest.mark.parametrize(
    "statement",
    [
        sa.update(ledger_tiles)
        .where(ledger_tiles.c.level == 0, ledger_tiles.c.number == 1)
        .values(hashes=bytes(32 * 44)),
        sa.update(ledger_tiles).where(ledger_tiles.c.level == 1).values(hashes=bytes(32)),
        sa.delete(ledger_tiles).where(ledger_tiles.c.level == 1),
        sa.update(ledger_tiles).where(ledger_tiles.c.number == 1).values(hashes=bytes(32 * 45)),
        sa.delete(ledger_checkpoints).where(ledger_checkpoints.c.size == 300),
        sa.update(ledger_events).where(ledger_events.c.index == 299).values(index=300),
        sa.update(ledger_events).where(ledger_events.c.index == 299).values(index=None),
    ],
    ids=["leaf tile", "upper tile", "lost tile", "longer tile", "lost checkpoint", "moved index", "lost index"],
)
async def test_a_stored_log_that_does_not_recompute_is_never_signed(log: Any, statement: sa.Executable) -> None:
    """After tampering or a partial restore the sequencer refuses, keeps the events waiting, and stops."""
    for count in (3, 297):
        await log.append(*[log.record() for _ in range(count)])
        await log.sequencer().catch_up()
    await log.append(log.record())
    await tamper(log.database, statement)
    async with log.database.read() as tx:
        before = await Ledger().head(tx)
    with pytest.raises(SequencerRefused, match="rien n’est signé"):
        await log.sequencer().run()
    async with log.database.read() as tx:
        assert before == await Ledger().head(tx)


async def test_another_key_does_not_continue_the_log(log: Any) -> None:
    """A log bears one name; a sequencer configured with another one stops."""
    await log.append(log.record())
    await log.sequencer().catch_up()
    await log.append(log.record())
    other = Sequencer(log.database.write, Signer.from_seed("autre.example", bytes(32)))
    with pytest.raises(SequencerRefused, match=r"journal\.valombre\.example"):
        await other.catch_up()


async def test_a_nudged_sequencer_publishes_within_one_second(log: Any) -> None:
    """Also without a nudge an event is under a signed checkpoint within a second of its commit."""
    runner = log.sequencer(interval=0.2)
    task = asyncio.create_task(runner.run())
    try:
        for nudged in (True, False, True, False):
            one = log.record()
            await log.append(one)
            if nudged:
                runner.nudge()
            assert await log.within(1, partial(_published, log, one))
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _published(log: Any, one: LedgerRecord) -> bool:
    async with log.database.read() as tx:
        return await Ledger().receipt(tx, one.event.id) is not None


async def test_a_database_error_is_retried_and_counted(log: Any) -> None:
    """The sequencer outlives an outage: it counts the failures, then catches up and forgets them."""
    outage = [True]

    @asynccontextmanager
    async def flaky() -> AsyncIterator[AsyncConnection]:
        if outage[0]:
            raise OSError("no database")
        async with log.database.write() as tx:
            yield tx

    runner = Sequencer(flaky, log.signer, interval=0.01)

    async def has_failed(times: int) -> bool:
        return runner.failures >= times if times else runner.failures == 0

    await log.append(log.record())
    task = asyncio.create_task(runner.run())
    try:
        assert await log.within(5, partial(has_failed, 3))
        outage[0] = False
        assert await log.within(5, partial(has_failed, 0))
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert await log.indexes() == [0]
