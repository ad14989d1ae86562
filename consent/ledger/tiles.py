"""
The tree as static files of at most 256 hashes: their paths, their contents and how a tree grows by its right edge.

Level 0 holds leaf hashes; hash j of level l is the root of entries [j * 256^l, (j + 1) * 256^l), that is of a *full* tile
below. A tile only ever grows to the right, so its first W hashes are the partial tile of width W for good.

Pure. Source: C2SP tlog-tiles.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from consent.ledger.merkle import HASH_SIZE, Range, perfect_subtrees, range_hash, tree_root

WIDTH = 256
MAX_ENTRY = 65_535
MAX_LEVEL = 63

_NUMBER = re.compile(r"(?:x[0-9]{3}/)*[0-9]{3}")
_PATH = re.compile(rf"tile/(entries|0|[1-9][0-9]?)/({_NUMBER.pattern})(?:\.p/([1-9][0-9]{{0,2}}))?")


class TileInvalid(ValueError):
    """
    A tile or an entry bundle does not have the form that its name announces.

    `offset` is the first wrong byte, `position` the number of the hash or entry that it belongs to.
    """

    def __init__(self, message: str, offset: int, position: int) -> None:
        super().__init__(message)
        self.offset = offset
        self.position = position


@dataclass(frozen=True, slots=True, order=True)
class Tile:
    """The name of a tile: `level` 0 to 63 (-1 for an entry bundle), number `n`, and how many hashes or entries it holds."""

    level: int
    n: int
    width: int = WIDTH

    @property
    def path(self) -> str:
        """The path under the log's prefix, such as `tile/0/x001/234.p/12`."""
        digits = str(self.n)
        digits = digits.zfill(-(-len(digits) // 3) * 3)
        groups = [digits[i : i + 3] for i in range(0, len(digits), 3)]
        number = "/".join([*(f"x{group}" for group in groups[:-1]), groups[-1]])
        kind = "entries" if self.level == ENTRIES else str(self.level)
        return f"tile/{kind}/{number}" + (f".p/{self.width}" if self.width < WIDTH else "")

    @property
    def start(self) -> int:
        """The position, in its level, of the first hash (or the index of the first entry)."""
        return self.n * WIDTH


ENTRIES = -1


def parse_path(path: str) -> Tile:
    """
    Read a path under the log's prefix back into a tile name.

    Only the one spelling that `Tile.path` writes is accepted. Raises ValueError.
    """
    match = _PATH.fullmatch(path)
    if match is not None:
        kind, number, width = match.groups()
        tile = Tile(
            level=ENTRIES if kind == "entries" else int(kind),
            n=int(number.replace("x", "").replace("/", "")),
            width=int(width) if width else WIDTH,
        )
        if tile.level <= MAX_LEVEL and tile.path == path:
            return tile
    raise ValueError("not the path of a tile")


def tiles_of(size: int, since: int = 0) -> Iterator[Tile]:
    """
    The tiles and entry bundles that a tree of `size` entries is served from, bundles first, then level by level.

    With `since`, only those that a reader who has the tree of `since` entries does not have yet.
    """
    yield from _row(ENTRIES, size, since)
    level = 0
    while size:
        yield from _row(level, size, since)
        level, size, since = level + 1, size // WIDTH, since // WIDTH


def _row(level: int, count: int, since: int) -> Iterator[Tile]:
    if count == since:
        return
    for n in range(since // WIDTH, count // WIDTH):
        yield Tile(level, n)
    if count % WIDTH:
        yield Tile(level, count // WIDTH, count % WIDTH)


def encode_bundle(entries: Iterable[bytes]) -> bytes:
    """The bytes of an entry bundle: for each entry a big-endian uint16 length, then the entry."""
    parts = []
    for entry in entries:
        if len(entry) > MAX_ENTRY:
            raise ValueError(f"an entry has {len(entry)} bytes, more than {MAX_ENTRY}")
        parts += [len(entry).to_bytes(2, "big"), entry]
    return b"".join(parts)


def iter_bundle(raw: bytes, width: int) -> Iterator[tuple[int, bytes]]:
    """The (offset, entry) of the `width` entries of a bundle, exactly. Raises TileInvalid where the form breaks."""
    at = 0
    for position in range(width):
        length = int.from_bytes(raw[at : at + 2], "big")
        if len(raw) < at + 2 + length:
            raise TileInvalid(f"the bundle ends inside entry {position} of {width}", at, position)
        yield at, raw[at + 2 : at + 2 + length]
        at += 2 + length
    if at != len(raw):
        raise TileInvalid(f"the bundle has {len(raw) - at} bytes after its {width} entries", at, width - 1)


def decode_bundle(raw: bytes, width: int) -> list[bytes]:
    """The `width` entries of a bundle, exactly. Raises TileInvalid."""
    return [entry for _, entry in iter_bundle(raw, width)]


def split_hashes(raw: bytes, width: int) -> list[bytes]:
    """The `width` hashes of a tile, exactly. Raises TileInvalid when the length is another one."""
    if len(raw) != width * HASH_SIZE:
        offset = min(len(raw), width * HASH_SIZE)
        message = f"the tile has {len(raw)} bytes instead of {width * HASH_SIZE}"
        raise TileInvalid(message, offset, min(offset // HASH_SIZE, width - 1))
    return [raw[i : i + HASH_SIZE] for i in range(0, len(raw), HASH_SIZE)]


def tiles_for(ranges: Iterable[Range]) -> set[tuple[int, int]]:
    """The (level, n) of the tiles that hold everything needed to hash these ranges of entries."""
    return {
        (height // 8, position >> (8 - height % 8))
        for start, end in ranges
        for height, position in perfect_subtrees(start, end)
    }


class TileHashes:
    """
    The hashes of perfect subtrees, read from tiles held in memory: the `Subtree` of `consent.ledger.merkle`.

    `tiles` maps (level, n) to the concatenated hashes of that tile; a tile may be wider than needed.
    Calling raises TileInvalid when a hash that is needed is not there.
    """

    def __init__(self, tiles: Mapping[tuple[int, int], bytes]) -> None:
        self._tiles = tiles

    def __call__(self, height: int, position: int) -> bytes:
        level, rest = divmod(height, 8)
        first = position << rest
        n, offset = first // WIDTH, first % WIDTH * HASH_SIZE
        raw = self._tiles.get((level, n), b"")[offset : offset + (HASH_SIZE << rest)]
        if len(raw) != HASH_SIZE << rest:
            raise TileInvalid(f"tile {level}/{n} is too short for this tree", offset + len(raw), first % WIDTH)
        return tree_root([raw[i : i + HASH_SIZE] for i in range(0, len(raw), HASH_SIZE)])


@dataclass(frozen=True, slots=True)
class RightEdge:
    """
    What is needed to append to a tree: its size and, per level, the bytes of its partial tile.

    `partial` has one item per level whose partial tile is not empty.
    """

    size: int = 0
    partial: Mapping[int, bytes] = field(default_factory=dict)

    @staticmethod
    def names(size: int) -> list[Tile]:
        """The partial tiles that make the edge of a tree of `size` entries: those to fetch before appending."""
        return [tile for tile in tiles_of(size) if tile.level != ENTRIES and tile.width < WIDTH]

    def root(self) -> bytes:
        """The root of the tree. Raises TileInvalid when a partial tile is shorter than the size says."""
        tiles = {(level, self.size // WIDTH ** (level + 1)): raw for level, raw in self.partial.items()}
        return range_hash(0, self.size, TileHashes(tiles))

    def extend(self, leaves: Sequence[bytes]) -> "Growth":
        """Append entries, given by their leaf hashes. Inputs are not changed."""
        partial, changed = dict(self.partial), dict[tuple[int, int], bytes]()
        count, fresh, level = self.size, leaves, 0
        while fresh:
            n, width = divmod(count, WIDTH)
            hashes = [*split_hashes(partial.pop(level, b""), width), *fresh]
            full = len(hashes) // WIDTH
            for i in range(0, len(hashes), WIDTH):
                changed[level, n + i // WIDTH] = b"".join(hashes[i : i + WIDTH])
            if len(hashes) % WIDTH:
                partial[level] = changed[level, n + full]
            fresh = [tree_root(hashes[i * WIDTH : (i + 1) * WIDTH]) for i in range(full)]
            count, level = n, level + 1
        return Growth(RightEdge(self.size + len(leaves), partial), changed)


@dataclass(frozen=True, slots=True)
class Growth:
    """The result of appending: the new right edge, and the whole new content of every tile that changed, by (level, n)."""

    edge: RightEdge
    tiles: Mapping[tuple[int, int], bytes]
