"""
The index in the database: the lists grow with the log, and each new root is itself written in the log.

One at a time, and one root at a time: nothing is indexed further before the root of what is indexed has its own place in
the log. So the lists that are stored are always those of the last root, and an answer can always be proven against it.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from consent.ledger.event import EventType, LedgerRecord
from consent.ledger.keys import joined
from consent.ledger.lists import EMPTY_BUCKET, Covered, bucket_hash, bucket_of, keys_of, list_hash, row_hash
from consent.ledger.merkle import HASH_SIZE, tree_root
from consent.ledger.store import Ledger
from consent.ledger.tiles import WIDTH, RightEdge
from consent.rows import insert_rows
from consent.tables import (
    ledger_events,
    ledger_index,
    ledger_index_tiles,
    ledger_list_rows,
    ledger_list_tiles,
    ledger_lists,
)

TOP: Final = 256
"""The number of the tile above the 256 tiles of buckets."""

_LOCK: Final = 0x7464755F696478  # "tdu_idx"
_CHUNK: Final = 5_000


class IndexRefused(Exception):
    """
    An event has no summary though the index had begun: an older version of the gateway wrote it. Nothing is indexed any
    further, since the answers would be claimed complete without it.
    """


Rows = dict[bytes, list[tuple[int, bytes]]]
"""By list key, the (index in the log, row hash) to append, in order."""


@dataclass(slots=True)
class _List:
    ident: int
    key: bytes
    edge: RightEdge


async def alone(tx: AsyncConnection, *, change: bool) -> None:
    """Hold the index until the transaction ends: to change it, or to read it whole. SQLite's transactions do it already."""
    if tx.dialect.name == "postgresql":
        lock = sa.func.pg_advisory_xact_lock if change else sa.func.pg_advisory_xact_lock_shared
        await tx.execute(sa.select(lock(_LOCK)))


async def state(tx: AsyncConnection) -> tuple[Covered, int | None] | None:
    """What the index covers, and the place in the log of the entry that says so (None: not placed yet); None without index."""
    query = sa.select(ledger_index, ledger_events.c.index.label("place")).join(
        ledger_events, ledger_events.c.id == ledger_index.c.event_id
    )
    row = (await tx.execute(query)).one_or_none()
    return None if row is None else (Covered(row.start, row.size, row.root), row.place)


async def extend(tx: AsyncConnection, record: Callable[[Covered], LedgerRecord], limit: int = 2_000) -> Covered | None:
    """
    Put up to `limit` more entries of the log in their lists, and append the entry that commits to the new root.

    None when nothing is left to index, or when the last root still waits for its place in the log. Everything is durable
    together when `tx` commits; safe to call concurrently. `record` makes the event of a root, whose entry is
    `Covered.encode()`. What was logged before there was an index stays outside: it begins with the first event that has a
    summary. Raises IndexRefused.
    """
    if not await _waiting(tx, await state(tx)):
        return None
    await alone(tx, change=True)
    known = await state(tx)  # read again: another may have worked meanwhile
    fresh = await _waiting(tx, known, limit)
    if not fresh:
        return None
    start = fresh[0].place if known is None else known[0].start
    await _append(tx, _grouped(fresh))
    covered = Covered(start, fresh[-1].place + 1, await _root(tx))
    made = record(covered)
    if made.entry != covered.encode():
        raise ValueError("the record of a root carries another entry")
    await Ledger().append(tx, [made])
    values = {"start": start, "size": covered.size, "root": covered.root, "event_id": made.event.id}
    if known is None:
        await tx.execute(sa.insert(ledger_index).values(id=1, **values))
    else:
        await tx.execute(sa.update(ledger_index).values(values))
    return covered


async def _waiting(tx: AsyncConnection, known: tuple[Covered, int | None] | None, limit: int = 100) -> Sequence[Any]:
    """The next entries to index; none while the last root has no place, nor when only roots are left."""
    if known is not None and known[1] is None:
        return []
    event = ledger_events.c
    query = sa.select(event.index.label("place"), event.type, event.entry, event.summary, event.label).order_by(
        event.index
    )
    if known is None:
        first = sa.select(sa.func.min(event.index)).where(event.summary.is_not(None)).scalar_subquery()
        query = query.where(event.index >= first)
    else:
        query = query.where(event.index >= known[0].size)
    rows = (await tx.execute(query.limit(limit))).all()
    return rows if any(row.type != EventType.INDEX_EXTENDED for row in rows) else []


def _grouped(events: Iterable[Any]) -> Rows:
    rows: Rows = defaultdict(list)
    for event in events:
        if event.summary is None:
            raise IndexRefused(f"entry {event.place} has no summary")
        summary = event.summary.encode()
        hashed = row_hash(event.place, event.entry, summary)
        for key in keys_of(orjson.loads(summary), event.label):
            rows[key].append((event.place, hashed))
    return rows


async def _append(tx: AsyncConnection, rows: Rows) -> None:
    """Append the rows to their lists, made when they do not exist, and hash again the buckets that hold these."""
    lists = await _lists(tx, sorted(rows))
    places, tiles, changed = [], [], []
    for found in lists:
        added = rows[found.key]
        growth = found.edge.extend([hashed for _, hashed in added])
        size = found.edge.size
        places += [{"list_id": found.ident, "position": size + i, "place": place} for i, (place, _) in enumerate(added)]
        for (level, number), hashes in growth.tiles.items():
            tiles.append({"list_id": found.ident, "level": level, "number": number, "hashes": hashes})
        changed.append({"ident": found.ident, "grown": growth.edge.size, "top": growth.edge.root()})
    await insert_rows(tx, ledger_list_rows, places)
    await _replace(tx, ledger_list_tiles, tiles)
    statement = sa.update(ledger_lists).where(ledger_lists.c.id == sa.bindparam("ident"))
    await tx.execute(statement.values(rows=sa.bindparam("grown"), root=sa.bindparam("top")), changed)
    await _hash_buckets(tx, sorted({bucket_of(key) for key in rows}))


async def _lists(tx: AsyncConnection, keys: Sequence[bytes]) -> list[_List]:
    """The lists of some keys with their right edges; those that do not exist yet are made, empty."""
    found = await _counted(tx, keys)
    missing = [key for key in keys if key not in found]
    if missing:
        new = [{"bucket": bucket_of(key), "key": key, "rows": 0, "root": tree_root([])} for key in missing]
        await tx.execute(sa.insert(ledger_lists), new)
        found |= await _counted(tx, missing)
    partial = await _partial(tx, list(found.values()))
    return [
        _List(ident, key, RightEdge(count, partial[ident])) for key, (ident, count) in sorted(found.items())
    ]  # in one order


async def _counted(tx: AsyncConnection, keys: Sequence[bytes]) -> dict[bytes, tuple[int, int]]:
    found = {}
    for chunk in _chunks(keys):
        buckets = sorted({bucket_of(key) for key in chunk})
        query = sa.select(ledger_lists.c.id, ledger_lists.c.key, ledger_lists.c.rows).where(
            ledger_lists.c.bucket.in_(buckets), ledger_lists.c.key.in_(chunk)
        )
        found.update({row.key: (row.id, row.rows) for row in await tx.execute(query)})
    return found


async def _partial(tx: AsyncConnection, lists: Sequence[tuple[int, int]]) -> Mapping[int, dict[int, bytes]]:
    """By list, the bytes of its partial tile at each level."""
    names = [(ident, tile.level, tile.n) for ident, count in lists for tile in RightEdge.names(count)]
    partial: dict[int, dict[int, bytes]] = defaultdict(dict)
    table = ledger_list_tiles.c
    for chunk in _chunks(names):
        query = joined(sa.select(ledger_list_tiles), (table.list_id, table.level, table.number), chunk)
        for row in await tx.execute(query):
            partial[row.list_id][row.level] = row.hashes
    return partial


async def _hash_buckets(tx: AsyncConnection, buckets: Sequence[int]) -> None:
    hashes: dict[int, list[bytes]] = defaultdict(list)
    table = ledger_lists.c
    for chunk in _chunks(buckets):
        query = sa.select(table.bucket, table.key, table.rows, table.root).where(table.bucket.in_(chunk))
        for row in await tx.execute(query.order_by(table.bucket, table.key)):
            hashes[row.bucket].append(list_hash(row.key, row.rows, row.root))
    tiles = await index_tiles(tx, sorted({bucket // WIDTH for bucket in buckets} | {TOP}))
    changed: dict[int, bytearray] = {}
    for bucket, lists in hashes.items():
        tile = changed.setdefault(bucket // WIDTH, bytearray(tiles[bucket // WIDTH]))
        _put(tile, bucket % WIDTH, bucket_hash(len(lists), tree_root(lists)))
    top = bytearray(tiles[TOP])
    for number, tile in changed.items():
        _put(top, number, tree_root(split(bytes(tile))))
    rows = [{"number": number, "hashes": bytes(tile)} for number, tile in sorted({**changed, TOP: top}.items())]
    await _replace(tx, ledger_index_tiles, rows)


async def index_tiles(tx: AsyncConnection, numbers: Sequence[int]) -> dict[int, bytes]:
    """Some tiles of the index: 256 hashes each, those of buckets (0 to 255) or of these tiles (256)."""
    tiles = dict.fromkeys(numbers, EMPTY_BUCKET * WIDTH)
    if TOP in tiles:
        tiles[TOP] = tree_root([EMPTY_BUCKET] * WIDTH) * WIDTH
    query = sa.select(ledger_index_tiles).where(ledger_index_tiles.c.number.in_(numbers))
    tiles.update({row.number: row.hashes for row in await tx.execute(query)})
    return tiles


async def _root(tx: AsyncConnection) -> bytes:
    return tree_root(split((await index_tiles(tx, [TOP]))[TOP]))


async def _replace(tx: AsyncConnection, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows, over those of the same key: each is whole, and only this transaction holds the index."""
    insert = (sqlite.insert if tx.dialect.name == "sqlite" else postgresql.insert)(table)
    keys = [column.name for column in table.primary_key.columns]
    await tx.execute(insert.on_conflict_do_update(index_elements=keys, set_={"hashes": insert.excluded.hashes}), rows)


def split(raw: bytes) -> list[bytes]:
    """The hashes of a tile."""
    return [raw[i : i + HASH_SIZE] for i in range(0, len(raw), HASH_SIZE)]


def _put(tile: bytearray, at: int, hashed: bytes) -> None:
    tile[at * HASH_SIZE : (at + 1) * HASH_SIZE] = hashed


def _chunks(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(values), _CHUNK):
        yield values[start : start + _CHUNK]
