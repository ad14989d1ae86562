"""
Making a receipt from the static files alone: anybody who can read the log can prove any of its entries.
"""

from collections.abc import Iterator

from consent.ledger.checkpoint import Checkpoint
from consent.ledger.merkle import HASH_SIZE, inclusion_ranges, range_hash, range_hashes
from consent.ledger.note import NoteInvalid
from consent.ledger.proof import Receipt, extra_of
from consent.ledger.source import Source
from consent.ledger.tiles import ENTRIES, MAX_ENTRY, WIDTH, Tile, TileHashes, TileInvalid, decode_bundle, tiles_for

_MAX_NOTE = 1_000_000
_MAX_FILE = WIDTH * (MAX_ENTRY + 2)


class NotProvable(LookupError):
    """The log does not have this entry, or lacks what would prove it."""


def prove(source: Source, index: int) -> Receipt:
    """
    The receipt of entry `index` (from 0), showing the entry and no event; verify it with the log's key before relying on it.

    Raises NotProvable.
    """
    note = source.read("checkpoint", _MAX_NOTE)
    try:
        head = Checkpoint.parse(note or b"")[0]
        ranges = inclusion_ranges(index, head.size)
        tiles = {(level, n): _read(source, level, n, head.size) for level, n in tiles_for(ranges)}
        path = range_hashes(ranges, TileHashes(tiles))
        bundle = _tile(ENTRIES, index // WIDTH, head.size)
        entry = decode_bundle(_read(source, ENTRIES, bundle.n, head.size), bundle.width)[index % WIDTH]
    except (NoteInvalid, TileInvalid, ValueError) as error:
        raise NotProvable(str(error)) from None
    return Receipt(index, tuple(path), head.note, extra_of(entry))


def root_at(source: Source, size: int) -> bytes:
    """The root of the log's first `size` entries, from its tiles. Raises NotProvable when the log lacks what it takes."""
    try:
        head = Checkpoint.parse(source.read("checkpoint", _MAX_NOTE) or b"")[0]
        if not 0 < size <= head.size:
            raise NotProvable(f"the log has {head.size} entries")
        tiles = {(level, n): _read(source, level, n, head.size) for level, n in tiles_for([(0, size)])}
        return range_hash(0, size, TileHashes(tiles))
    except (NoteInvalid, TileInvalid, ValueError) as error:
        raise NotProvable(str(error)) from None


def entries(source: Source, start: int, end: int) -> Iterator[bytes]:
    """The log's entries from `start` (included) to `end` (excluded), as its bundles have them. Raises NotProvable."""
    try:
        head = Checkpoint.parse(source.read("checkpoint", _MAX_NOTE) or b"")[0]
        for n in range(start // WIDTH, -(-end // WIDTH)):
            bundle = _tile(ENTRIES, n, head.size)
            held = decode_bundle(_read(source, ENTRIES, n, head.size), bundle.width)
            yield from held[max(start - bundle.start, 0) : end - bundle.start]
    except (NoteInvalid, TileInvalid, ValueError) as error:
        raise NotProvable(str(error)) from None


def _tile(level: int, n: int, size: int) -> Tile:
    count = size // WIDTH ** max(level, 0)
    return Tile(level, n, min(WIDTH, count - n * WIDTH))


def _read(source: Source, level: int, n: int, size: int) -> bytes:
    tile = _tile(level, n, size)
    raw = source.read(tile.path, _MAX_FILE)
    if raw is None or (level != ENTRIES and len(raw) != tile.width * HASH_SIZE):
        raise NotProvable(f"{tile.path} is missing or malformed")
    return raw
