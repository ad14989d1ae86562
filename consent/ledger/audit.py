"""
The audit of a static log: every entry, every tile at every level and the root, recomputed from the files alone.

Memory is flat: the log is grown again from its entries by its right edge, and each file is compared as soon as what it must
hold is known. Older partial tiles that are still there are compared too.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from consent.ledger.checkpoint import Checkpoint
from consent.ledger.findings import Finding
from consent.ledger.lists import Covered
from consent.ledger.merkle import EMPTY_ROOT, HASH_SIZE, leaf_hash
from consent.ledger.source import Source
from consent.ledger.tiles import (
    ENTRIES,
    MAX_ENTRY,
    WIDTH,
    RightEdge,
    Tile,
    TileInvalid,
    decode_bundle,
    iter_bundle,
    split_hashes,
    tiles_of,
)

MAX_FINDINGS = 20
_MAX_FILE = WIDTH * (MAX_ENTRY + 2)


@dataclass(frozen=True, slots=True)
class Audit:
    """
    What was found, what lies beside the tree, how many entries and files were compared, where the entry that was looked for
    first stands (None when it does not, or none was), and how many roots of the index were compared.
    """

    findings: tuple[Finding, ...]
    warnings: tuple[Finding, ...]
    entries: int
    files: int
    index: int | None = None
    roots: int = 0


def audit(source: Source, signed: Checkpoint, seen: Checkpoint | None, wanted: bytes | None = None) -> Audit:
    """
    Compare the files of `source` with a verified checkpoint, and with an older verified one where there is one.

    Entries and leaf tiles state the same hashes; when they differ, those that recompute the signed root are right and the
    findings name the other file. When neither does, both are named, and that the root differs. `wanted` is an
    entry to look for on the way.
    """
    leaf = None if wanted is None else leaf_hash(wanted)
    walk = _Walk(source, signed.size, ENTRIES, seen, leaf)
    if walk.root != signed.root:
        other = _Walk(source, signed.size, 0, seen, leaf)
        if other.root == signed.root:
            walk = other
    findings = walk.findings[:MAX_FINDINGS]
    if len(walk.findings) > MAX_FINDINGS:
        findings.append(Finding("more_findings"))
    if walk.root != signed.root:
        findings.append(Finding("root_differs"))
    elif seen is not None and walk.roots.get(seen.size) != seen.root:
        findings.append(Finding("fork", index=seen.size))
    outside = tuple(source.outside(signed.size))
    return Audit(tuple(findings), outside, walk.edge.size, walk.files, walk.index, walk.index_roots.count)


class _IndexRoots:
    """
    The roots of the index, one after the other, as they stand in the log in clear: what they cover only ever grows.

    A root that covers less than an earlier one, begins elsewhere, claims entries that come after it, or differs from another
    that covers the same entries, would let an answer leave out what was in an earlier index.
    """

    def __init__(self) -> None:
        self.count = 0
        self._last: Covered | None = None

    def follows(self, place: int, entry: bytes) -> bool:
        """Take in the entry at a place; False when it is a root that does not follow the one before."""
        covered = Covered.parse(entry)
        if covered is None:
            return True
        last, self._last = self._last, covered
        self.count += 1
        if covered.size > place:
            return False
        if last is None or covered == last:
            return True
        return covered.start == last.start and covered.size > last.size


class _Walk:
    """
    One walk over the log that takes one row of files as given, bundles or leaf tiles, and compares all others with it.

    `root` is None when the given row is incomplete; `roots` has the root at the size that was seen before.
    """

    def __init__(self, source: Source, size: int, given: int, seen: Checkpoint | None, wanted: bytes | None) -> None:
        self.findings: list[Finding] = []
        self.edge = RightEdge()
        self.files = 0
        self.roots = {0: EMPTY_ROOT}
        self.index_roots = _IndexRoots()
        self.root: bytes | None = None
        self.index: int | None = None
        self._source = source
        self._wanted = wanted
        self._given = given
        self._seen = 0 if seen is None else seen.size
        if self._grow(size):
            self.root = self.edge.root()

    def _grow(self, size: int) -> bool:
        for tile in tiles_of(size):
            if tile.level == self._given:
                hashes = self._read(tile)
                if hashes is None:
                    return False
                for level in (ENTRIES, 0):
                    self._compare(Tile(level, tile.n, tile.width), hashes)
                if self._wanted is not None and self.index is None and self._wanted in hashes:
                    self.index = tile.start + hashes.index(self._wanted)
                self._extend(hashes)
        for tile in RightEdge.names(size):
            if tile.level > 0:
                self._compare(tile, split_hashes(self.edge.partial[tile.level], tile.width))
        return True

    def _extend(self, hashes: Sequence[bytes]) -> None:
        """Grow the tree, in two steps where the size seen before lies in between; compare the upper tiles that filled up."""
        cut = min(max(self._seen - self.edge.size, 0), len(hashes))
        for part in (hashes[:cut], hashes[cut:]):
            growth = self.edge.extend(part)
            self.edge = growth.edge
            for (level, n), raw in growth.tiles.items():
                if level > 0 and len(raw) == WIDTH * HASH_SIZE:
                    self._compare(Tile(level, n), split_hashes(raw, WIDTH))
            if self.edge.size == self._seen:
                self.roots[self._seen] = self.edge.root()

    def _compare(self, tile: Tile, expected: Sequence[bytes]) -> None:
        """Compare a tile or bundle, and every narrower one that is there, with the hashes it must hold or give."""
        for name in (tile, *self._source.narrower(tile)):
            if name.level == self._given and name == tile:
                continue
            if name.level == ENTRIES:
                self._compare_bundle(name, expected)
                continue
            found = self._read(name)
            if found is not None and found != expected[: name.width]:
                at = next(i for i, (one, other) in enumerate(zip(found, expected, strict=False)) if one != other)
                self._find(Finding("hash_differs", name.path, at * HASH_SIZE, _first_index(name, at)))

    def _compare_bundle(self, bundle: Tile, expected: Sequence[bytes]) -> None:
        """Compare entry by entry, so that a wrong length is reported where it stands and not where reading breaks down."""
        raw = self._raw(bundle)
        if raw is None:
            return
        try:
            for at, (offset, entry) in enumerate(iter_bundle(raw, bundle.width)):
                if leaf_hash(entry) != expected[at]:
                    self._find(Finding("entry_differs", bundle.path, offset, bundle.start + at))
                    return
        except TileInvalid as error:
            self._malformed(bundle, error)

    def _read(self, tile: Tile) -> list[bytes] | None:
        """The leaf hashes of a bundle, or the hashes of a tile; None, and a finding, when the file does not give them."""
        raw = self._raw(tile)
        if raw is None:
            return None
        try:
            if tile.level == ENTRIES:
                entries = decode_bundle(raw, tile.width)
                for at, entry in enumerate(entries, tile.start):
                    if not self.index_roots.follows(at, entry):
                        self._find(Finding("index_root", tile.path, index=at))
                return [leaf_hash(entry) for entry in entries]
            return split_hashes(raw, tile.width)
        except TileInvalid as error:
            self._malformed(tile, error)
            return None

    def _malformed(self, tile: Tile, error: TileInvalid) -> None:
        self._find(Finding("file_malformed", tile.path, error.offset, _first_index(tile, error.position)))

    def _raw(self, tile: Tile) -> bytes | None:
        raw = self._source.read(tile.path, _MAX_FILE + 1)
        if raw is None:
            self._find(Finding("file_missing", tile.path, index=_first_index(tile, 0)))
            return None
        self.files += 1
        return raw

    def _find(self, finding: Finding) -> None:
        """Keep the first findings, and whether there are more: a log that is wrong everywhere costs no memory."""
        if len(self.findings) <= MAX_FINDINGS:
            self.findings.append(finding)


def _first_index(tile: Tile, at: int) -> int:
    """The first entry under hash (or entry) number `at` of a tile."""
    return int((tile.start + at) * WIDTH ** max(tile.level, 0))
