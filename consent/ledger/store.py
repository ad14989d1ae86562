"""
The ledger in the database: events enter in the transaction of what they prove; tiles, checkpoints and receipts come out.

There is no way to change or remove an event here, and no "events since number N": an event has its place in the log only
once the sequencer gave it one.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from consent.ledger.checkpoint import Checkpoint
from consent.ledger.commitment import Disclosure
from consent.ledger.event import LedgerRecord
from consent.ledger.keys import among
from consent.ledger.merkle import HASH_SIZE, Range, consistency_ranges, inclusion_ranges, range_hashes
from consent.ledger.proof import Receipt, extra_of
from consent.ledger.tiles import WIDTH, TileHashes, encode_bundle, tiles_for
from consent.rows import Insertion, insert_rows
from consent.tables import ledger_checkpoints, ledger_events, ledger_tiles

_COLUMNS = ("recipient", "exchange_id", "delivery_id", "convention_id")


class EventConflict(Exception):
    """
    An event id was used again for another event: a programming error of the caller, whose transaction must roll back.

    A retry is not a conflict: it gives the same event and the same opening.
    """


class UnknownEvent(LookupError):
    """No event has this id."""


class Ledger:
    """
    The append-only log of consent and exchange events.

    Keeps no state: every method works in the transaction it is given, may be called concurrently on different transactions,
    and leaves retrying to its caller.
    """

    async def append(self, tx: AsyncConnection, records: Sequence[LedgerRecord]) -> None:
        """
        Record events, in the order given.

        Durable when `tx` commits, not before; if `tx` rolls back nothing happened. Safe to call concurrently. The same event
        twice is recorded once. Raises EventConflict when an id already stands for another event.
        The place in the log and the receipt come later, from the sequencer.
        """
        if not records:
            return
        rows = [_row(record) for record in records]
        added = await insert_rows(tx, ledger_events, rows, ignore=True, returning=("id",))
        if len(added) < len(records):
            await self._refuse_conflicts(tx, records)

    def to_append(self, records: Sequence[LedgerRecord]) -> Insertion:
        """
        The rows that `append` writes, for a transaction that writes them with others, of events whose ids were just made.

        An id that is there already raises IntegrityError, whatever it stands for.
        """
        return Insertion(ledger_events, [_row(record) for record in records])

    async def head(self, tx: AsyncConnection) -> Checkpoint | None:
        """The last signed checkpoint with its note; None before the first. Never older than one seen before in `tx`."""
        return await self._newest(tx, sa.true())

    async def first(self, tx: AsyncConnection) -> Checkpoint | None:
        """The first checkpoint that was signed over this database, by this log or by one that it succeeds; None before it."""
        query = sa.select(ledger_checkpoints.c.note).order_by(ledger_checkpoints.c.size).limit(1)
        note = (await tx.execute(query)).scalar_one_or_none()
        return None if note is None else Checkpoint.parse(note.encode())[0]

    async def published(self, tx: AsyncConnection) -> Checkpoint | None:
        """The last head that was shown to the outside, with its note; None before the first. Never goes back."""
        return await self._newest(tx, ledger_checkpoints.c.published_at.is_not(None))

    async def checkpoint(self, tx: AsyncConnection) -> bytes | None:
        """What is served at `checkpoint`: the last published note, verbatim; None before the first."""
        head = await self.published(tx)
        return None if head is None else head.note

    async def tile(self, tx: AsyncConnection, level: int, n: int, width: int = WIDTH) -> bytes | None:
        """The first `width` hashes of a tile (32 bytes each); None when the log does not have that many."""
        query = sa.select(ledger_tiles.c.hashes).where(ledger_tiles.c.level == level, ledger_tiles.c.number == n)
        raw: bytes | None = (await tx.execute(query)).scalar_one_or_none()
        return raw[: width * HASH_SIZE] if raw is not None and len(raw) >= width * HASH_SIZE else None

    async def bundle(self, tx: AsyncConnection, n: int, width: int = WIDTH) -> bytes | None:
        """The entry bundle `n` cut to its first `width` entries; None when the log does not have that many."""
        index = ledger_events.c.index
        query = sa.select(ledger_events.c.entry).where(index >= n * WIDTH, index < n * WIDTH + width).order_by(index)
        entries = (await tx.execute(query)).scalars().all()
        return encode_bundle(entries) if len(entries) == width else None

    async def receipt(self, tx: AsyncConnection, event_id: str, disclosure: Disclosure | None = None) -> bytes | None:
        """
        The `.tlog-proof` file of an event; None while the sequencer has not placed it under a published head.

        The head is the last one that the quorum of witnesses cosigned, where it covers the event, else the last one published.

        With `disclosure` the receipt shows the event; without, only its entry, and so also after the opening was destroyed.
        Raises UnknownEvent, and EventConflict when the disclosure does not open this event's entry.
        """
        columns = ledger_events.c.index, ledger_events.c.entry
        found = (await tx.execute(sa.select(*columns).where(ledger_events.c.id == event_id))).one_or_none()
        if found is None:
            raise UnknownEvent(event_id)
        index, entry = found
        if disclosure is not None and disclosure.entry() != entry:
            raise EventConflict("the disclosure does not open this event")
        head = await self.published(tx)
        witnessed = ledger_checkpoints.c.witnessed_at.is_not(None), ledger_checkpoints.c.published_at.is_not(None)
        best = await self._newest(tx, *witnessed)
        # A head of the log that this one succeeds is not this log's word.
        if head and best and index is not None and index < best.size and best.origin == head.origin:
            head = best
        if index is None or head is None or head.size <= index:
            return None
        path = await self._proof(tx, inclusion_ranges(index, head.size))
        return Receipt(index, tuple(path), head.note, extra_of(disclosure or entry)).encode()

    async def event_at(self, tx: AsyncConnection, index: int) -> str:
        """The id of the event at a place in the log. Raises UnknownEvent."""
        query = sa.select(ledger_events.c.id).where(ledger_events.c.index == index)
        found: str | None = (await tx.execute(query)).scalar_one_or_none() if index < 2**63 else None
        if found is None:
            raise UnknownEvent(str(index))
        return found

    async def consistency(self, tx: AsyncConnection, old: int, new: int) -> list[bytes]:
        """
        The proof that the log of `old` entries is a prefix of the log of `new` entries (0 < old <= new <= head size).

        Raises ValueError for sizes out of order and TileInvalid for sizes the log has not reached.
        """
        return await self._proof(tx, consistency_ranges(old, new))

    async def _newest(self, tx: AsyncConnection, *conditions: sa.ColumnElement[bool]) -> Checkpoint | None:
        query = sa.select(ledger_checkpoints.c.note).where(*conditions)
        note = (await tx.execute(query.order_by(ledger_checkpoints.c.size.desc()).limit(1))).scalar_one_or_none()
        return None if note is None else Checkpoint.parse(note.encode())[0]

    async def _proof(self, tx: AsyncConnection, ranges: Sequence[Range]) -> list[bytes]:
        return range_hashes(ranges, TileHashes(await read_tiles(tx, tiles_for(ranges))))

    async def _refuse_conflicts(self, tx: AsyncConnection, records: Sequence[LedgerRecord]) -> None:
        columns = ledger_events.c.id, ledger_events.c.entry
        query = sa.select(*columns).where(ledger_events.c.id.in_([record.event.id for record in records]))
        stored = {row.id: row.entry for row in await tx.execute(query)}
        for record in records:
            if stored[record.event.id] != record.entry:
                raise EventConflict(f"event {record.event.id} was recorded with another content")


async def read_tiles(tx: AsyncConnection, names: Iterable[tuple[int, int]]) -> dict[tuple[int, int], bytes]:
    """The stored hashes of the tiles (level, n) that exist among `names`."""
    query = sa.select(ledger_tiles).where(among((ledger_tiles.c.level, ledger_tiles.c.number), names))
    return {(level, n): hashes for level, n, hashes in await tx.execute(query)}


def instant(moment: datetime) -> str:
    """An aware datetime as the UTC text kept in the tables."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def _row(record: LedgerRecord) -> dict[str, Any]:
    """The plain columns repeat the event's own body, so that they cannot say something else than what is committed to."""
    event = record.event
    return {
        "id": event.id,
        "type": event.type.value,
        "occurred_at": instant(event.occurred_at),
        "actor": event.actor,
        "subject_id": record.subject_id,
        "entry": record.entry,
        "sealed": record.sealed,
        "summary": event.summary().decode(),
        "label": record.label,
        **{column: event.body.get(column) for column in _COLUMNS},
    }
