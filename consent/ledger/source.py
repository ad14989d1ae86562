"""
Where a static log is read from: a directory here, an address for whoever brings one (the verifier's program does).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from consent.ledger.findings import Finding
from consent.ledger.tiles import WIDTH, Tile, parse_path


class Source(Protocol):
    """A static log that can be read file by file; what its files hold is not trusted."""

    def read(self, path: str, limit: int) -> bytes | None:
        """The first `limit` bytes of a file; None when it is missing or cannot be read. Never raises for what is there."""

    def narrower(self, tile: Tile) -> Iterator[Tile]:
        """The narrower partial tiles of the same place that are there too, where that can be known."""

    def outside(self, size: int) -> Iterator[Finding]:
        """What lies beside the tree of `size` entries, where that can be known."""


class Directory:
    """A log in a directory, as `export` writes it."""

    def __init__(self, root: Path) -> None:
        """`root` holds `checkpoint`, `vkey` and `tile/`."""
        self._root = root

    def read(self, path: str, limit: int) -> bytes | None:
        """The first `limit` bytes of a file; None when it is missing or cannot be read."""
        try:
            with (self._root / path).open("rb") as file:
                return file.read(limit)
        except OSError:
            return None

    def narrower(self, tile: Tile) -> Iterator[Tile]:
        """The narrower partial tiles of the same place: an older export left them."""
        folder = self._root / (Tile(tile.level, tile.n).path + ".p")
        try:
            names = sorted(entry.name for entry in folder.iterdir())
        except OSError:
            return
        for name in names:
            if name.isdecimal() and name.isascii() and str(int(name)) == name and 0 < int(name) < tile.width:
                yield Tile(tile.level, tile.n, int(name))

    def outside(self, size: int) -> Iterator[Finding]:
        """Files that this tree does not speak for: an interrupted export leaves some; their content is not verified."""
        count, first = 0, None
        for path in self._root.rglob("*"):
            name = path.relative_to(self._root).as_posix()
            if path.is_dir() or name in ("checkpoint", "vkey"):
                continue
            try:
                tile = parse_path(name)
                inside = tile.start + tile.width <= size // WIDTH ** max(tile.level, 0)
            except ValueError:
                inside = False
            if not inside:
                count, first = count + 1, min(first or name, name)
        if count:
            yield Finding("outside_tree", file=ascii(first)[1:-1], index=count)
