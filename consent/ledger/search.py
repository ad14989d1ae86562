"""
Reading a list of the index, a page at a time, each page with the proof that nothing in it was left out.

A page begins where the one before ended and proves itself alone: against the root of the index, which is an entry of the log,
which a signed checkpoint describes. The list may have grown between two pages; a page says what its own proof covers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from consent.ledger.indexer import TOP, alone, index_tiles, split, state
from consent.ledger.keys import among
from consent.ledger.lists import KINDS, LAST_DAY, PERSON, Covered, bucket_of, key_of, list_hash, prefix_of
from consent.ledger.merkle import Range, consistency_ranges, range_hashes, tree_root
from consent.ledger.note import encode_base64
from consent.ledger.store import Ledger, read_tiles
from consent.ledger.subset import hidden_ranges
from consent.ledger.tiles import WIDTH, TileHashes, tiles_for
from consent.tables import ledger_events, ledger_list_rows, ledger_list_tiles, ledger_lists

_CHUNK: Final = 5_000


@dataclass(frozen=True, slots=True)
class Place:
    """
    Where a page begins: a day, and how many rows of that day's list come before; `count` is how many that list had then.
    """

    day: int
    position: int = 0
    count: int = 0


class NotIndexed(Exception):
    """The log has no index yet, or its last root has not been placed: ask again in a second."""


@dataclass(frozen=True, slots=True)
class Asked:
    """
    One list over some days: of everything (`all`), of an organisation (SIRET), of a convention (id), of a person (label, hex).

    Days are counted from 1970-01-01, both included; a person's list has no days.
    """

    kind: str
    value: str = ""
    first_day: int = 0
    last_day: int = LAST_DAY

    def __post_init__(self) -> None:
        """Refuse what names no list."""
        if self.kind not in KINDS or not 0 <= self.first_day <= self.last_day <= LAST_DAY:
            raise ValueError("no such list")
        if self.kind == PERSON:
            object.__setattr__(self, "first_day", 0)
            object.__setattr__(self, "last_day", 0)

    @property
    def prefix(self) -> bytes:
        """What the keys of its lists begin with."""
        return prefix_of(self.kind, self.value)


@dataclass(frozen=True, slots=True)
class Shown:
    """A list as the page shows it: its key, how many rows it has, its root; which rows it gives, and the hashes of the rest."""

    key: bytes
    count: int
    root: bytes
    first: int = 0
    rows: int = 0
    proof: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """
    Some rows of `ledger_events`, in order, and what proves that they are all the rows between `start` and `next`.

    `next` None: up to the end. `lists` are neighbours in their bucket, from position `lists_first` of `lists_count`. `grown`
    proves that the list the page before cut only grew at its end.
    """

    checkpoint: bytes
    covered: Covered
    covered_index: int
    start: Place
    next: Place | None
    rows: Sequence[Any]
    inclusion: Sequence[bytes]
    bucket_proof: Sequence[bytes]
    lists: Sequence[Shown]
    lists_first: int
    lists_count: int
    lists_proof: Sequence[bytes]
    grown: Sequence[bytes]


async def page(tx: AsyncConnection, asked: Asked, start: Place | None, limit: int) -> Page:
    """
    Read up to `limit` rows of a list from `start` (None: its beginning) on, with their proof.

    Raises NotIndexed. Reads one state of the index whatever happens meanwhile.
    """
    await alone(tx, change=False)
    known = await state(tx)
    if known is None or known[1] is None:
        raise NotIndexed
    covered, covered_index = known[0], int(known[1])
    head = await Ledger().published(tx)
    if head is None or head.size <= covered_index:
        raise NotIndexed
    begin = start or Place(asked.first_day)
    bucket = await _bucket(tx, bucket_of(asked.prefix))
    shown, first, upto = await _choose(tx, asked, bucket, begin, limit)
    rows = await _rows(tx, bucket, shown)
    wanted = sorted({covered_index, *(row.place for row in rows)})
    hidden = hidden_ranges(head.size, wanted)
    inclusion = range_hashes(hidden, TileHashes(await read_tiles(tx, tiles_for(hidden))))
    return Page(
        checkpoint=head.note,
        covered=covered,
        covered_index=covered_index,
        start=begin,
        next=upto,
        rows=rows,
        inclusion=inclusion,
        bucket_proof=await _bucket_proof(tx, bucket_of(asked.prefix)),
        lists=shown,
        lists_first=first,
        lists_count=len(bucket),
        lists_proof=_proof([list_hash(each.key, each.rows, each.root) for each in bucket], first, len(shown)),
        grown=await _grown(tx, bucket, key_of(asked.prefix, begin.day), begin),
    )


async def _bucket(tx: AsyncConnection, number: int) -> Sequence[Any]:
    """All lists of a bucket, in the order of their keys."""
    query = sa.select(ledger_lists).where(ledger_lists.c.bucket == number).order_by(ledger_lists.c.key)
    return (await tx.execute(query)).all()


async def _choose(
    tx: AsyncConnection, asked: Asked, bucket: Sequence[Any], begin: Place, limit: int
) -> tuple[list[Shown], int, Place | None]:
    """The lists that the page shows, with a neighbour on each side, the position of the first, and where the page ends."""
    lower, upper = key_of(asked.prefix, begin.day), key_of(asked.prefix, asked.last_day)
    first = sum(1 for each in bucket if each.key < lower)
    shown, upto, at = [], None, first
    while at < len(bucket) and bucket[at].key <= upper and upto is None:
        found, day = bucket[at], int.from_bytes(bucket[at].key[-4:], "big")
        skip = min(begin.position, found.rows) if day == begin.day else 0
        rows = min(found.rows - skip, limit)
        limit -= rows
        if skip + rows < found.rows:
            upto = Place(day, skip + rows, found.rows)
        proof = await _hashes(tx, found, hidden_ranges(found.rows, range(skip, skip + rows)))
        shown.append(Shown(found.key, found.rows, found.root, skip, rows, proof))
        at += 1
    neighbours = bucket[max(first - 1, 0) : first], bucket[at : at + 1]
    before, after = ([Shown(each.key, each.rows, each.root) for each in some] for some in neighbours)
    return [*before, *shown, *after], first - len(before), upto


async def _grown(tx: AsyncConnection, bucket: Sequence[Any], key: bytes, begin: Place) -> tuple[bytes, ...]:
    """The proof that the list which the page before cut continues what it was then."""
    for found in bucket:
        if found.key == key and 0 < begin.count < found.rows:
            return await _hashes(tx, found, consistency_ranges(begin.count, found.rows))
    return ()


async def _hashes(tx: AsyncConnection, found: Any, ranges: Sequence[Range]) -> tuple[bytes, ...]:
    """The hashes of some nodes of a list's tree."""
    names = tiles_for(ranges)
    table = ledger_list_tiles.c
    keys = [(found.id, level, number) for level, number in sorted(names)]
    query = sa.select(ledger_list_tiles).where(among((table.list_id, table.level, table.number), keys))
    tiles = {(row.level, row.number): row.hashes for row in await tx.execute(query)} if names else {}
    return tuple(range_hashes(ranges, TileHashes(tiles)))


async def _rows(tx: AsyncConnection, bucket: Sequence[Any], shown: Sequence[Shown]) -> list[Any]:
    """The rows that the lists show, list after list, as rows of `ledger_events` with their `place`."""
    ident = {each.key: each.id for each in bucket}
    places: list[int] = []
    for each in shown:
        if each.rows:
            position = ledger_list_rows.c.position
            query = sa.select(ledger_list_rows.c.place).where(
                ledger_list_rows.c.list_id == ident[each.key], position >= each.first, position < each.first + each.rows
            )
            places += (await tx.execute(query.order_by(position))).scalars()
    found: dict[int, Any] = {}
    for i in range(0, len(places), _CHUNK):
        query = sa.select(ledger_events, ledger_events.c.index.label("place")).where(
            ledger_events.c.index.in_(places[i : i + _CHUNK])
        )
        found.update({row.place: row for row in await tx.execute(query)})
    return [found[place] for place in places]


async def _bucket_proof(tx: AsyncConnection, number: int) -> list[bytes]:
    """The 16 hashes beside one bucket, from left to right."""
    tiles = await index_tiles(tx, [number // WIDTH, TOP])
    inner, outer = split(tiles[number // WIDTH]), split(tiles[TOP])
    below, above = hidden_ranges(WIDTH, [number % WIDTH]), hidden_ranges(WIDTH, [number // WIDTH])
    ranges = [(outer, r) for r in above if r[1] <= number // WIDTH]
    ranges += [(inner, r) for r in below]
    ranges += [(outer, r) for r in above if r[0] > number // WIDTH]
    return [tree_root(hashes[start:end]) for hashes, (start, end) in ranges]


def _proof(hashes: Sequence[bytes], first: int, count: int) -> list[bytes]:
    return [tree_root(hashes[start:end]) for start, end in hidden_ranges(len(hashes), range(first, first + count))]


def page_line(page: Page) -> dict[str, Any]:
    """The proof of a page as a line of an answer (`consent.completeness` reads it back); its rows are the lines after it."""
    return {
        "page": {
            "start": [page.start.day, page.start.position],
            "next": None if page.next is None else [page.next.day, page.next.position],
            "checkpoint": page.checkpoint.decode(),
            "covered": {"index": page.covered_index, "entry": encode_base64(page.covered.encode())},
            "inclusion": _encoded(page.inclusion),
            "grown": _encoded(page.grown),
            "bucket": {"count": page.lists_count, "proof": _encoded(page.bucket_proof)},
            "lists": {
                "first": page.lists_first,
                "proof": _encoded(page.lists_proof),
                "shown": [
                    {
                        "key": each.key.hex(),
                        "count": each.count,
                        "root": encode_base64(each.root),
                        "first": each.first,
                        "rows": each.rows,
                        "proof": _encoded(each.proof),
                    }
                    for each in page.lists
                ],
            },
        }
    }


def _encoded(hashes: Sequence[bytes]) -> list[str]:
    return [encode_base64(each) for each in hashes]
