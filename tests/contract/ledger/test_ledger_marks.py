"""A log that goes back, or beside what was signed, is never signed: the mark, on SQLite and on PostgreSQL alike."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from consent.ledger.integration import integrate
from consent.ledger.mark import Mark, SequencerRefused
from consent.ledger.note import Signer
from consent.ledger.store import Ledger
from consent.tables import ledger_checkpoints, ledger_events, ledger_tiles
from gateway.store.database import Database

pytestmark = pytest.mark.anyio


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


async def test_a_restored_backup_is_never_signed_over(log: Any, tmp_path: Path) -> None:
    """A database that came back from a backup is behind the mark: nothing is signed, however much is appended."""
    mark = Mark(tmp_path, log.signer.verifier)
    await log.append(*[log.record() for _ in range(3)])
    await log.sequencer(mark=mark).catch_up()
    old = await backup(log.database)
    await log.append(*[log.record() for _ in range(4)])
    head = await log.sequencer(mark=mark).catch_up()
    await restore(log.database, old)
    for _ in range(3):
        await log.append(*[log.record() for _ in range(3)])
        with pytest.raises(SequencerRefused, match="3 entrées, 7 ont déjà été signées"):
            await log.sequencer(mark=mark).run()
    assert mark.read() == head
    assert await log.published_size() == 3
    await restore(log.database, [[], [], []])
    await log.append(log.record())
    with pytest.raises(SequencerRefused, match="0 entrées, 7 ont déjà été signées"):
        await log.sequencer(mark=mark).catch_up()


async def test_another_history_is_never_signed_beside_the_mark(log: Any, tmp_path: Path) -> None:
    """A history that was signed without the mark, of its size or longer, is not continued where the mark is known."""
    mark = Mark(tmp_path, log.signer.verifier)
    await log.append(*[log.record() for _ in range(5)])
    await log.sequencer(mark=mark).catch_up()
    for size in (5, 9, 300):
        await restore(log.database, [[], [], []])
        await log.append(*[log.record() for _ in range(size)])
        await log.sequencer().catch_up()
        await log.append(log.record())
        with pytest.raises(SequencerRefused, match="contredit les 5 entrées"):
            await log.sequencer(mark=mark).catch_up()


async def test_a_copy_of_the_database_started_beside_the_first_does_not_fork_the_log(log: Any, tmp_path: Path) -> None:
    """Two databases, one key, one mark: whichever signs first goes on, and the other one is stopped before it signs."""
    mark = Mark(tmp_path / "marks", log.signer.verifier)
    await log.append(*[log.record() for _ in range(3)])
    await log.sequencer(mark=mark).catch_up()
    copy = Database(f"sqlite+aiosqlite:///{tmp_path / 'copy.db'}")
    await log.on(copy).create()
    await restore(copy, await backup(log.database))
    await log.append(*[log.record() for _ in range(50)])
    await log.on(copy).append(*[log.record() for _ in range(50)])
    outcomes = await asyncio.gather(
        *(log.on(one).sequencer(mark=mark, limit=5).catch_up() for one in (log.database, copy)), return_exceptions=True
    )
    await copy.close()
    assert ["Checkpoint", "SequencerRefused"] == sorted(type(outcome).__name__ for outcome in outcomes)
    head = mark.read()
    assert head is not None
    assert head.size == 53


async def test_a_mark_that_was_altered_stops_the_sequencer(log: Any, tmp_path: Path) -> None:
    """A mark is a signed head; anything else in its place is not quietly replaced."""
    mark = Mark(tmp_path, log.signer.verifier)
    await log.append(log.record())
    await log.sequencer(mark=mark).catch_up()
    for content in (
        b"",
        b"altered",
        mark.path.read_bytes()[:-3],
        Signer.from_seed("autre.example", bytes(32)).vkey.encode(),
    ):
        mark.path.write_bytes(content)
        with pytest.raises(SequencerRefused, match="n’est pas une tête signée"):
            await log.sequencer(mark=mark).catch_up()


async def test_a_crash_between_signature_and_mark_is_made_good(log: Any, tmp_path: Path) -> None:
    """A database ahead of the mark, which a crash or a lost file leaves, is proved to continue it and goes on."""
    mark = Mark(tmp_path, log.signer.verifier)
    for marked in (True, False, False, True, False):
        await log.append(*[log.record() for _ in range(130)])
        head = await log.sequencer(mark=mark if marked else None).catch_up()
    mark.path.unlink()
    await log.append(log.record())
    head = await log.sequencer(mark=mark).catch_up()
    assert mark.read() == head
    assert head is not None
    assert head.size == 651


async def test_what_a_dead_sequencer_signed_is_published_by_the_next(log: Any, tmp_path: Path) -> None:
    """A signed head is not shown before it is marked; whoever runs next marks it and shows it, with nothing else to do."""
    mark = Mark(tmp_path, log.signer.verifier)
    one = log.record()
    await log.append(one)
    async with log.database.write() as tx:
        signed = await integrate(tx, log.signer, log.now)
    assert await log.published_size() is None
    async with log.database.read() as tx:
        assert await Ledger().receipt(tx, one.event.id) is None
        assert await Ledger().checkpoint(tx) is None
    assert await log.sequencer(mark=mark).catch_up() is None
    assert mark.read() == signed
    assert await log.published_size() == 1


async def test_a_mark_that_cannot_be_written_publishes_nothing(log: Any, tmp_path: Path) -> None:
    """A full or lost disk under the mark stops publication, is counted as a failure, and is made good afterwards."""
    mark = Mark(tmp_path / "marks", log.signer.verifier)
    await log.append(log.record())
    (tmp_path / "marks").touch()
    runner = log.sequencer(mark=mark, interval=0.01)
    task = asyncio.create_task(runner.run())

    async def failed() -> bool:
        return runner.failures > 1

    async def public() -> bool:
        return await log.published_size() == 1

    try:
        assert await log.within(5, failed)
        assert await log.published_size() is None
        (tmp_path / "marks").unlink()
        assert await log.within(10, public)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
