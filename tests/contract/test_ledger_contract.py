"""What the ledger promises, on SQLite and on PostgreSQL alike: one suite, two databases."""

import asyncio
import os
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from consent.ledger.checkpoint import Checkpoint
from consent.ledger.commitment import Disclosure
from consent.ledger.event import Event, EventType, LedgerRecord, commit
from consent.ledger.export import ExportRefused, export
from consent.ledger.integration import integrate
from consent.ledger.mark import Mark, SequencerRefused
from consent.ledger.note import Signer
from consent.ledger.sequencer import Sequencer
from consent.ledger.store import EventConflict, Ledger, UnknownEvent
from consent.ledger.tiles import ENTRIES, encode_bundle, tiles_of
from consent.tables import ledger_checkpoints, ledger_events, ledger_tiles, metadata
from consent.verify import verify_directory, verify_receipt
from gateway.store.database import Database

pytestmark = pytest.mark.anyio

SIGNER = Signer.from_seed("journal.valombre.example", bytes(range(32)))
NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
POSTGRES = os.environ.get("TDU_TEST_POSTGRES_URL", "postgresql+asyncpg://postgres@127.0.0.1:5432/postgres")


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """The gateway runs on asyncio."""
    return "asyncio"


@asynccontextmanager
async def postgres_database() -> AsyncIterator[str]:
    """A new database on the real server, dropped afterwards; a missing server is an error, never a skip."""
    name = f"ledger_{uuid4().hex[:12]}"
    server = create_async_engine(POSTGRES, isolation_level="AUTOCOMMIT")
    try:
        async with server.connect() as connection:
            await connection.execute(sa.text(f"CREATE DATABASE {name}"))  # a name cannot be a parameter
        yield make_url(POSTGRES).set(database=name).render_as_string(hide_password=False)
        async with server.connect() as connection:
            await connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))
    finally:
        await server.dispose()


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
async def opened(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Database]:
    """One database of each kind for the module, with the tables of the house."""
    if request.param == "sqlite":
        folder = tmp_path_factory.mktemp("ledger")
        database = Database(f"sqlite+aiosqlite:///{folder / 'ledger.db'}")
        await _create(database)
        yield database
        await database.close()
        return
    async with postgres_database() as url:
        database = Database(url, pool_size=16)
        await _create(database)
        yield database
        await database.close()


async def _create(database: Database) -> None:
    async with database.write() as tx:
        await tx.run_sync(metadata.create_all)


@pytest.fixture
async def database(opened: Database) -> Database:
    """The database with an empty ledger."""
    async with opened.write() as tx:
        for table in (ledger_checkpoints, ledger_tiles, ledger_events):
            await tx.execute(sa.delete(table))
    return opened


def opening_of(event_id: str) -> bytes:
    """The opening of an event, as a subject's data key would derive it."""
    return UUID(event_id).bytes * 2


def record(event_id: str | None = None, **body: Any) -> LedgerRecord:
    """A record of a disclosure between fictitious partners."""
    fields = {"recipient": "99900002900010", "exchange_id": str(uuid4()), **body}
    event = Event(event_id or str(uuid4()), EventType.DISCLOSURE_MADE, NOW, "99900009400014", fields)
    return LedgerRecord(event, commit(event, opening_of(event.id)), b"sealed", subject_id=str(uuid4()))


async def append(database: Database, *records: LedgerRecord) -> None:
    """Append in a transaction of their own."""
    async with database.write() as tx:
        await Ledger().append(tx, records)


async def indexes(database: Database) -> list[int | None]:
    """The index of every event, in insertion order."""
    async with database.read() as tx:
        return list((await tx.execute(sa.select(ledger_events.c.index).order_by(ledger_events.c.seq))).scalars())


def sequencer(database: Database, **options: Any) -> Sequencer:
    """A sequencer on this database."""
    return Sequencer(database.write, SIGNER, **options)


async def verified(database: Database, folder: Path) -> int:
    """Export the log, verify it offline, and return its size."""
    async with database.read() as tx:
        head = await export(tx, folder, SIGNER.vkey)
    assert head is not None
    report = verify_directory(folder, SIGNER.vkey)
    assert report.to_json()["findings"] == []
    return head.size


async def test_events_get_dense_indexes_in_insertion_order(database: Database) -> None:
    """One transaction's events follow one another in the log as they were given."""
    records = [record() for _ in range(300)]
    await append(database, *records)
    assert await indexes(database) == [None] * 300
    head = await sequencer(database).catch_up()
    assert head is not None
    assert head.size == 300
    assert await indexes(database) == list(range(300))
    async with database.read() as tx:
        bundle = await Ledger().bundle(tx, 0)
        query = sa.select(ledger_events).where(ledger_events.c.id == records[7].event.id)
        row = (await tx.execute(query)).one()
    assert bundle == encode_bundle([one.entry for one in records[:256]])
    assert (row.type, row.actor, row.recipient, row.occurred_at, row.subject_id, row.sealed) == (
        "disclosure_made", "99900009400014", "99900002900010", "2026-11-23T09:00:00.000000Z", records[7].subject_id, b"sealed",
    )  # fmt: skip
    assert row.exchange_id == records[7].event.body["exchange_id"]


async def test_an_event_that_is_given_twice_is_recorded_once(database: Database) -> None:
    """A retry, in another transaction or in the same one, changes nothing."""
    one, two = record(), record()
    await append(database, one)
    await append(database, one, two, two)
    await append(database)
    await sequencer(database).catch_up()
    assert await indexes(database) == [0, 1]


async def test_another_event_under_a_used_id_is_refused(database: Database) -> None:
    """An id stands for one content; the transaction that reuses it rolls back whole."""
    one = record()
    await append(database, one)
    with pytest.raises(EventConflict):
        await append(database, record(), record(one.event.id, exchange_id="another"))
    assert len(await indexes(database)) == 1


async def test_a_transaction_that_rolls_back_leaves_nothing_and_no_gap(database: Database) -> None:
    """An event exists if and only if what it proves was committed."""
    await append(database, record())
    with pytest.raises(RuntimeError):
        async with database.write() as tx:
            await Ledger().append(tx, [record()])
            raise RuntimeError("the business transaction fails")
    await append(database, record())
    await sequencer(database).catch_up()
    assert await indexes(database) == [0, 1]


async def test_nothing_waiting_signs_nothing(database: Database) -> None:
    """No checkpoint without an event, and no second one for the same size."""
    assert await sequencer(database).catch_up() is None
    async with database.read() as tx:
        assert await Ledger().head(tx) is None
        assert await Ledger().checkpoint(tx) is None
    await append(database, record())
    first = await sequencer(database).catch_up()
    assert first is not None
    assert await sequencer(database).catch_up() is None
    async with database.read() as tx:
        assert await Ledger().checkpoint(tx) == first.note


async def test_every_checkpoint_is_kept_and_each_continues_the_one_before(database: Database, tmp_path: Path) -> None:
    """Whatever the groups, the log verifies at every step against every earlier checkpoint, and all of them are stored."""
    notes = []
    for count in (1, 2, 252, 1, 1, 255, 300, 3):
        await append(database, *[record() for _ in range(count)])
        head = await sequencer(database).catch_up()
        assert head is not None
        notes.append(head.note)
        assert await verified(database, tmp_path) == head.size
    for seen in notes:
        assert verify_directory(tmp_path, SIGNER.vkey, seen=seen).ok
    async with database.read() as tx:
        stored = (await tx.execute(sa.select(ledger_checkpoints.c.note).order_by(ledger_checkpoints.c.size))).scalars()
        assert [note.decode() for note in notes] == list(stored)


async def test_a_group_has_a_limit_and_catching_up_takes_several(database: Database, tmp_path: Path) -> None:
    """A backlog is integrated in bounded transactions."""
    await append(database, *[record() for _ in range(1_000)])
    async with database.write() as tx:
        head = await integrate(tx, SIGNER, NOW, limit=400)
    assert head is not None
    assert head.size == 400
    await sequencer(database, limit=250).catch_up()
    assert await verified(database, tmp_path) == 1_000
    async with database.read() as tx:
        sizes = (await tx.execute(sa.select(ledger_checkpoints.c.size).order_by(ledger_checkpoints.c.size))).scalars()
        assert list(sizes) == [400, 650, 900, 1_000]


async def test_concurrent_writers_and_two_sequencers_leave_no_gap_and_lose_nothing(
    database: Database, tmp_path: Path
) -> None:
    """8 writers of which some roll back, and 2 sequencers started by mistake: dense indexes, each committed event once."""
    committed: list[str] = []

    async def writer(number: int) -> None:
        chance = random.Random(number)
        for _ in range(25):
            records = [record() for _ in range(chance.randint(1, 5))]
            try:
                async with database.write() as tx:
                    await Ledger().append(tx, records)
                    await asyncio.sleep(chance.random() / 200)
                    if chance.random() < 0.2:
                        raise InterruptedError
                committed.extend(one.event.id for one in records)
            except InterruptedError:
                pass

    running = [asyncio.create_task(sequencer(database, interval=0.01, limit=7).run()) for _ in range(2)]
    await asyncio.gather(*(writer(number) for number in range(8)))
    for task in running:
        assert not task.done(), "a sequencer stopped"
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    await sequencer(database).catch_up()
    async with database.read() as tx:
        rows = (await tx.execute(sa.select(ledger_events.c.index, ledger_events.c.id))).all()
    assert sorted(index for index, _ in rows) == list(range(len(committed)))
    assert sorted(event_id for _, event_id in rows) == sorted(committed)
    assert await verified(database, tmp_path) == len(committed)


async def test_two_integrations_at_once_do_not_disturb_each_other(database: Database, tmp_path: Path) -> None:
    """The second waits for the first and goes on from its result."""
    await append(database, *[record() for _ in range(40)])

    async def step() -> None:
        async with database.write() as tx:
            await integrate(tx, SIGNER, NOW, limit=5)
            await asyncio.sleep(0.005)

    await asyncio.gather(*(step() for _ in range(8)))
    assert await indexes(database) == list(range(40))
    await sequencer(database).catch_up()
    assert await verified(database, tmp_path) == 40


async def test_receipts_verify_offline_and_show_their_event(database: Database) -> None:
    """Any event's receipt verifies with the public key alone, with and without disclosure, at any later size."""
    records = [record() for _ in range(600)]
    await append(database, *records[:270])
    async with database.read() as tx:
        assert await Ledger().receipt(tx, records[0].event.id) is None
    await sequencer(database).catch_up()
    await append(database, *records[270:])
    await sequencer(database).catch_up()
    async with database.read() as tx:
        for index in (0, 1, 255, 256, 269, 270, 511, 512, 598, 599):
            event = records[index].event
            shown = await Ledger().receipt(tx, event.id, Disclosure(event.canonical(), opening_of(event.id)))
            assert shown is not None
            report = verify_receipt(shown, SIGNER.vkey)
            assert (report.outcome, report.index, report.size) == ("valid", index, 600)
            assert report.event is not None
            assert report.event["id"] == event.id
            bare = await Ledger().receipt(tx, event.id)
            assert bare is not None
            assert event.id.encode() not in bare
            assert verify_receipt(bare, SIGNER.vkey, entry=records[index].entry).ok


async def test_an_erased_event_keeps_its_proof(database: Database, tmp_path: Path) -> None:
    """When the opening is destroyed nobody can show the event, and its place in the log still verifies."""
    records = [record() for _ in range(20)]
    await append(database, *records)
    await sequencer(database).catch_up()
    erased = records[4]
    async with database.write() as tx:
        await tx.execute(sa.update(ledger_events).where(ledger_events.c.id == erased.event.id).values(sealed=b""))
    async with database.read() as tx:
        raw = await Ledger().receipt(tx, erased.event.id)
        with pytest.raises(EventConflict):
            await Ledger().receipt(tx, erased.event.id, Disclosure(erased.event.canonical(), bytes(32)))
    assert raw is not None
    report = verify_receipt(raw, SIGNER.vkey)
    assert (report.outcome, report.index, report.event) == ("valid", 4, None)
    assert await verified(database, tmp_path) == 20


async def test_an_unknown_event_has_no_receipt(database: Database) -> None:
    """Not recorded and not yet placed are two answers."""
    async with database.read() as tx:
        with pytest.raises(UnknownEvent):
            await Ledger().receipt(tx, str(uuid4()))


async def test_tiles_are_served_at_every_published_width(database: Database) -> None:
    """A reader who verified an older size still finds its partial tiles; a wider one than the log has does not exist."""
    await append(database, *[record() for _ in range(300)])
    await sequencer(database).catch_up()
    ledger = Ledger()
    async with database.read() as tx:
        full = await ledger.tile(tx, 0, 0)
        assert full is not None
        for width in (1, 3, 255, 256):
            assert await ledger.tile(tx, 0, 0, width) == full[: 32 * width]
        assert await ledger.tile(tx, 0, 1) is None
        assert await ledger.tile(tx, 0, 1, 45) is None
        assert await ledger.tile(tx, 1, 0, 2) is None
        assert await ledger.tile(tx, 7, 0, 1) is None
        assert await ledger.bundle(tx, 1, 45) is None
        for tile in tiles_of(300):
            read = (
                ledger.bundle(tx, tile.n, tile.width)
                if tile.level == ENTRIES
                else ledger.tile(tx, tile.level, tile.n, tile.width)
            )
            assert await read is not None


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
async def test_a_stored_log_that_does_not_recompute_is_never_signed(
    database: Database, statement: sa.Executable
) -> None:
    """After tampering or a partial restore the sequencer refuses, keeps the events waiting, and stops."""
    for count in (3, 297):
        await append(database, *[record() for _ in range(count)])
        await sequencer(database).catch_up()
    await append(database, record())
    await tamper(database, statement)
    async with database.read() as tx:
        before = await Ledger().head(tx)
    with pytest.raises(SequencerRefused, match="rien n’est signé"):
        await sequencer(database).run()
    async with database.read() as tx:
        assert before == await Ledger().head(tx)


async def test_another_key_does_not_continue_the_log(database: Database) -> None:
    """A log bears one name; a sequencer configured with another one stops."""
    await append(database, record())
    await sequencer(database).catch_up()
    await append(database, record())
    other = Sequencer(database.write, Signer.from_seed("autre.example", bytes(32)))
    with pytest.raises(SequencerRefused, match=r"journal\.valombre\.example"):
        await other.catch_up()


async def test_a_nudged_sequencer_publishes_within_one_second(database: Database) -> None:
    """Also without a nudge an event is under a signed checkpoint within a second of its commit."""
    runner = sequencer(database, interval=0.2)
    task = asyncio.create_task(runner.run())
    try:
        for nudged in (True, False, True, False):
            one = record()
            await append(database, one)
            if nudged:
                runner.nudge()
            assert await _within(1, partial(_published, database, one))
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _published(database: Database, one: LedgerRecord) -> bool:
    async with database.read() as tx:
        return await Ledger().receipt(tx, one.event.id) is not None


async def _within(seconds: float, ask: Callable[[], Awaitable[bool]]) -> bool:
    """Ask every 10 ms until the answer is yes or the time is over."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if await ask():
            return True
        await asyncio.sleep(0.01)
    return False


async def test_a_database_error_is_retried_and_counted(database: Database) -> None:
    """The sequencer outlives an outage: it counts the failures, then catches up and forgets them."""
    outage = [True]

    @asynccontextmanager
    async def flaky() -> AsyncIterator[AsyncConnection]:
        if outage[0]:
            raise OSError("no database")
        async with database.write() as tx:
            yield tx

    runner = Sequencer(flaky, SIGNER, interval=0.01)

    async def has_failed(times: int) -> bool:
        return runner.failures >= times if times else runner.failures == 0

    await append(database, record())
    task = asyncio.create_task(runner.run())
    try:
        assert await _within(5, partial(has_failed, 3))
        outage[0] = False
        assert await _within(5, partial(has_failed, 0))
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert await indexes(database) == [0]


async def test_an_export_follows_the_log_and_refuses_to_go_back(database: Database, tmp_path: Path) -> None:
    """The directory grows with the log; a database behind it, or with another history, may not publish there."""
    async with database.read() as tx:
        assert await export(tx, tmp_path, SIGNER.vkey) is None
    for _ in range(3):
        await append(database, *[record() for _ in range(130)])
        await sequencer(database).catch_up()
        await verified(database, tmp_path)
    published = (tmp_path / "checkpoint").read_bytes()
    for count, reason in ((389, "sauvegarde restaurée"), (390, "autre histoire"), (391, "autre histoire")):
        async with database.write() as tx:
            for table in (ledger_checkpoints, ledger_tiles, ledger_events):
                await tx.execute(sa.delete(table))
        await append(database, *[record() for _ in range(count)])
        await sequencer(database).catch_up()
        async with database.read() as tx:
            with pytest.raises(ExportRefused, match=reason):
                await export(tx, tmp_path, SIGNER.vkey)
        assert (tmp_path / "checkpoint").read_bytes() == published
    assert verify_directory(tmp_path, SIGNER.vkey, seen=published).ok
    async with database.read() as tx:
        with pytest.raises(ExportRefused, match="n’est pas signé par ce journal"):
            await export(tx, tmp_path, Signer.from_seed("journal.valombre.example", bytes(32)).vkey)


async def test_a_proof_of_consistency_is_refused_beyond_the_log(database: Database) -> None:
    """Sizes that were not reached or are out of order have no proof."""
    await append(database, *[record() for _ in range(5)])
    await sequencer(database).catch_up()
    async with database.read() as tx:
        for old, new in ((0, 5), (4, 3), (3, 6)):
            with pytest.raises(ValueError, match=r"proof|short"):
                await Ledger().consistency(tx, old, new)


LEDGER = (ledger_events, ledger_tiles, ledger_checkpoints)


async def backup(database: Database) -> list[list[dict[str, Any]]]:
    """Every row of the ledger, as a backup would hold them."""
    async with database.read() as tx:
        return [[dict(row._mapping) for row in await tx.execute(sa.select(table))] for table in LEDGER]


async def restore(database: Database, rows: list[list[dict[str, Any]]]) -> None:
    """Put the rows of a backup back in place of what is there."""
    async with database.write() as tx:
        for table in LEDGER:
            await tx.execute(sa.delete(table))
        for table, kept in zip(LEDGER, rows, strict=True):
            if kept:
                await tx.execute(sa.insert(table), kept)


async def published_size(database: Database) -> int | None:
    """The size that the outside sees."""
    async with database.read() as tx:
        head = await Ledger().published(tx)
    return None if head is None else head.size


async def test_a_restored_backup_is_never_signed_over(database: Database, tmp_path: Path) -> None:
    """A database that came back from a backup is behind the mark: nothing is signed, however much is appended."""
    mark = Mark(tmp_path, SIGNER.verifier)
    await append(database, *[record() for _ in range(3)])
    await sequencer(database, mark=mark).catch_up()
    old = await backup(database)
    await append(database, *[record() for _ in range(4)])
    head = await sequencer(database, mark=mark).catch_up()
    await restore(database, old)
    for _ in range(3):
        await append(database, *[record() for _ in range(3)])
        with pytest.raises(SequencerRefused, match="3 entrées, 7 ont déjà été signées"):
            await sequencer(database, mark=mark).run()
    assert mark.read() == head
    assert await published_size(database) == 3
    await restore(database, [[], [], []])
    await append(database, record())
    with pytest.raises(SequencerRefused, match="0 entrées, 7 ont déjà été signées"):
        await sequencer(database, mark=mark).catch_up()


async def test_another_history_is_never_signed_beside_the_mark(database: Database, tmp_path: Path) -> None:
    """A history that was signed without the mark, of its size or longer, is not continued where the mark is known."""
    mark = Mark(tmp_path, SIGNER.verifier)
    await append(database, *[record() for _ in range(5)])
    await sequencer(database, mark=mark).catch_up()
    for size in (5, 9, 300):
        await restore(database, [[], [], []])
        await append(database, *[record() for _ in range(size)])
        await sequencer(database).catch_up()
        await append(database, record())
        with pytest.raises(SequencerRefused, match="contredit les 5 entrées"):
            await sequencer(database, mark=mark).catch_up()


async def test_a_copy_of_the_database_started_beside_the_first_does_not_fork_the_log(
    database: Database, tmp_path: Path
) -> None:
    """Two databases, one key, one mark: whichever signs first goes on, and the other one is stopped before it signs."""
    mark = Mark(tmp_path / "marks", SIGNER.verifier)
    await append(database, *[record() for _ in range(3)])
    await sequencer(database, mark=mark).catch_up()
    copy = Database(f"sqlite+aiosqlite:///{tmp_path / 'copy.db'}")
    await _create(copy)
    await restore(copy, await backup(database))
    await append(database, *[record() for _ in range(50)])
    await append(copy, *[record() for _ in range(50)])
    outcomes = await asyncio.gather(
        *(sequencer(one, mark=mark, limit=5).catch_up() for one in (database, copy)), return_exceptions=True
    )
    await copy.close()
    assert ["Checkpoint", "SequencerRefused"] == sorted(type(outcome).__name__ for outcome in outcomes)
    head = mark.read()
    assert head is not None
    assert head.size == 53


async def test_a_mark_that_was_altered_stops_the_sequencer(database: Database, tmp_path: Path) -> None:
    """A mark is a signed head; anything else in its place is not quietly replaced."""
    mark = Mark(tmp_path, SIGNER.verifier)
    await append(database, record())
    await sequencer(database, mark=mark).catch_up()
    for content in (
        b"",
        b"altered",
        mark.path.read_bytes()[:-3],
        Signer.from_seed("autre.example", bytes(32)).vkey.encode(),
    ):
        mark.path.write_bytes(content)
        with pytest.raises(SequencerRefused, match="n’est pas une tête signée"):
            await sequencer(database, mark=mark).catch_up()


async def test_a_crash_between_signature_and_mark_is_made_good(database: Database, tmp_path: Path) -> None:
    """A database ahead of the mark, which a crash or a lost file leaves, is proved to continue it and goes on."""
    mark = Mark(tmp_path, SIGNER.verifier)
    for marked in (True, False, False, True, False):
        await append(database, *[record() for _ in range(130)])
        head = await sequencer(database, mark=mark if marked else None).catch_up()
    mark.path.unlink()
    await append(database, record())
    head = await sequencer(database, mark=mark).catch_up()
    assert mark.read() == head
    assert head is not None
    assert head.size == 651


async def test_what_a_dead_sequencer_signed_is_published_by_the_next(database: Database, tmp_path: Path) -> None:
    """A signed head is not shown before it is marked; whoever runs next marks it and shows it, with nothing else to do."""
    mark = Mark(tmp_path, SIGNER.verifier)
    one = record()
    await append(database, one)
    async with database.write() as tx:
        signed = await integrate(tx, SIGNER, NOW)
    assert await published_size(database) is None
    async with database.read() as tx:
        assert await Ledger().receipt(tx, one.event.id) is None
        assert await Ledger().checkpoint(tx) is None
    assert await sequencer(database, mark=mark).catch_up() is None
    assert mark.read() == signed
    assert await published_size(database) == 1


async def test_what_is_published_never_goes_back(database: Database) -> None:
    """While witnesses keep a sequencer waiting, another one publishes a later head; the late one changes nothing."""
    first, released = asyncio.Event(), asyncio.Event()

    class Late:
        """Witnesses that take their time."""

        async def before_signing(self) -> None:
            """Nothing against it."""

        async def before_publication(self, head: Checkpoint) -> None:
            """Wait to be released."""
            assert head.size == 1
            first.set()
            await released.wait()

    await append(database, record())
    waiting = asyncio.create_task(sequencer(database, witnesses=Late()).catch_up())
    await first.wait()
    await append(database, record())
    await sequencer(database).catch_up()
    assert await published_size(database) == 2
    released.set()
    await waiting
    assert await published_size(database) == 2


async def test_a_mark_that_cannot_be_written_publishes_nothing(database: Database, tmp_path: Path) -> None:
    """A full or lost disk under the mark stops publication, is counted as a failure, and is made good afterwards."""
    mark = Mark(tmp_path / "marks", SIGNER.verifier)
    await append(database, record())
    (tmp_path / "marks").touch()
    runner = sequencer(database, mark=mark, interval=0.01)
    task = asyncio.create_task(runner.run())

    async def failed() -> bool:
        return runner.failures > 1

    async def public() -> bool:
        return await published_size(database) == 1

    try:
        assert await _within(5, failed)
        assert await published_size(database) is None
        (tmp_path / "marks").unlink()
        assert await _within(10, public)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
