"""What the ledger shows of itself, receipts, tiles, checkpoints and files: on SQLite and on PostgreSQL alike."""

import asyncio
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa

from consent.ledger.checkpoint import Checkpoint
from consent.ledger.commitment import Disclosure
from consent.ledger.export import ExportRefused, export
from consent.ledger.note import Signer
from consent.ledger.store import EventConflict, Ledger, UnknownEvent
from consent.ledger.tiles import ENTRIES, tiles_of
from consent.tables import ledger_checkpoints, ledger_events, ledger_tiles
from consent.verify import verify_directory, verify_receipt

pytestmark = pytest.mark.anyio


async def test_every_checkpoint_is_kept_and_each_continues_the_one_before(log: Any, tmp_path: Path) -> None:
    """Whatever the groups, the log verifies at every step against every earlier checkpoint, and all of them are stored."""
    notes = []
    for count in (1, 2, 252, 1, 1, 255, 300, 3):
        await log.append(*[log.record() for _ in range(count)])
        head = await log.sequencer().catch_up()
        assert head is not None
        notes.append(head.note)
        assert await log.verified(tmp_path) == head.size
    for seen in notes:
        assert verify_directory(tmp_path, log.signer.vkey, seen=seen).ok
    async with log.database.read() as tx:
        stored = (await tx.execute(sa.select(ledger_checkpoints.c.note).order_by(ledger_checkpoints.c.size))).scalars()
        assert [note.decode() for note in notes] == list(stored)


async def test_receipts_verify_offline_and_show_their_event(log: Any) -> None:
    """Any event's receipt verifies with the public key alone, with and without disclosure, at any later size."""
    records = [log.record() for _ in range(600)]
    await log.append(*records[:270])
    async with log.database.read() as tx:
        assert await Ledger().receipt(tx, records[0].event.id) is None
    await log.sequencer().catch_up()
    await log.append(*records[270:])
    await log.sequencer().catch_up()
    async with log.database.read() as tx:
        for index in (0, 1, 255, 256, 269, 270, 511, 512, 598, 599):
            event = records[index].event
            shown = await Ledger().receipt(tx, event.id, Disclosure(event.canonical(), log.opening_of(event.id)))
            assert shown is not None
            report = verify_receipt(shown, log.signer.vkey)
            assert (report.outcome, report.index, report.size) == ("valid", index, 600)
            assert report.event is not None
            assert report.event["id"] == event.id
            bare = await Ledger().receipt(tx, event.id)
            assert bare is not None
            assert event.id.encode() not in bare
            assert verify_receipt(bare, log.signer.vkey, entry=records[index].entry).ok


async def test_an_erased_event_keeps_its_proof(log: Any, tmp_path: Path) -> None:
    """When the opening is destroyed nobody can show the event, and its place in the log still verifies."""
    records = [log.record() for _ in range(20)]
    await log.append(*records)
    await log.sequencer().catch_up()
    erased = records[4]
    async with log.database.write() as tx:
        await tx.execute(sa.update(ledger_events).where(ledger_events.c.id == erased.event.id).values(sealed=b""))
    async with log.database.read() as tx:
        raw = await Ledger().receipt(tx, erased.event.id)
        with pytest.raises(EventConflict):
            await Ledger().receipt(tx, erased.event.id, Disclosure(erased.event.canonical(), bytes(32)))
    assert raw is not None
    report = verify_receipt(raw, log.signer.vkey)
    assert (report.outcome, report.index, report.event) == ("valid", 4, None)
    assert await log.verified(tmp_path) == 20


async def test_an_unknown_event_has_no_receipt(log: Any) -> None:
    """Not recorded and not yet placed are two answers."""
    async with log.database.read() as tx:
        with pytest.raises(UnknownEvent):
            await Ledger().receipt(tx, str(uuid4()))


async def test_tiles_are_served_at_every_published_width(log: Any) -> None:
    """A reader who verified an older size still finds its partial tiles; a wider one than the log has does not exist."""
    await log.append(*[log.record() for _ in range(300)])
    await log.sequencer().catch_up()
    ledger = Ledger()
    async with log.database.read() as tx:
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


async def test_an_export_follows_the_log_and_refuses_to_go_back(log: Any, tmp_path: Path) -> None:
    """The directory grows with the log; a database behind it, or with another history, may not publish there."""
    async with log.database.read() as tx:
        assert await export(tx, tmp_path, log.signer.vkey) is None
    for _ in range(3):
        await log.append(*[log.record() for _ in range(130)])
        await log.sequencer().catch_up()
        await log.verified(tmp_path)
    published = (tmp_path / "checkpoint").read_bytes()
    for count, reason in ((389, "sauvegarde restaurée"), (390, "autre histoire"), (391, "autre histoire")):
        async with log.database.write() as tx:
            for table in (ledger_checkpoints, ledger_tiles, ledger_events):
                await tx.execute(sa.delete(table))
        await log.append(*[log.record() for _ in range(count)])
        await log.sequencer().catch_up()
        async with log.database.read() as tx:
            with pytest.raises(ExportRefused, match=reason):
                await export(tx, tmp_path, log.signer.vkey)
        assert (tmp_path / "checkpoint").read_bytes() == published
    assert verify_directory(tmp_path, log.signer.vkey, seen=published).ok
    async with log.database.read() as tx:
        with pytest.raises(ExportRefused, match="n’est pas signé par ce journal"):
            await export(tx, tmp_path, Signer.from_seed("journal.valombre.example", bytes(32)).vkey)


async def test_a_proof_of_consistency_is_refused_beyond_the_log(log: Any) -> None:
    """Sizes that were not reached or are out of order have no proof."""
    await log.append(*[log.record() for _ in range(5)])
    await log.sequencer().catch_up()
    async with log.database.read() as tx:
        for old, new in ((0, 5), (4, 3), (3, 6)):
            with pytest.raises(ValueError, match=r"proof|short"):
                await Ledger().consistency(tx, old, new)


async def test_what_is_published_never_goes_back(log: Any) -> None:
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

    await log.append(log.record())
    waiting = asyncio.create_task(log.sequencer(witnesses=Late()).catch_up())
    await first.wait()
    await log.append(log.record())
    await log.sequencer().catch_up()
    assert await log.published_size() == 2
    released.set()
    await waiting
    assert await log.published_size() == 2
