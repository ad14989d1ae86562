"""
A static log read from an http address: the `/ledger` of a gateway, or any C2SP tlog-tiles prefix.
"""

import http.client
import time
import zlib
from collections.abc import Iterator
from urllib.parse import urlsplit

from consent.ledger.findings import Finding
from consent.ledger.merkle import HASH_SIZE
from consent.ledger.tiles import ENTRIES, WIDTH, Tile, TileInvalid, encode_bundle, iter_bundle, parse_path

TIMEOUT = 20.0
"""Seconds given to one answer."""

_PAUSES = (0.5, 2.0, 5.0)
"""Seconds before each new attempt at a server that is busy or does not answer."""

_BUSY = frozenset({429, 500, 502, 503, 504})


class Address:
    """
    A log at an http or https prefix. One connection, kept open; redirections are not followed; `failure` is the last reason
    why something could not be read.
    """

    def __init__(self, url: str) -> None:
        """`url` is the prefix under which `checkpoint` and `tile/` are. Raises ValueError."""
        parts = urlsplit(url.removesuffix("/checkpoint"))
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError(f"{url} : adresse http(s) attendue ; http(s) address expected")
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(parts.hostname, parts.port, timeout=TIMEOUT)
        self._prefix = parts.path.rstrip("/")
        self.failure: str | None = None

    def read(self, path: str, limit: int) -> bytes | None:
        """
        The first `limit` bytes of a file; None when it is missing or cannot be read.

        A partial tile that the log no longer keeps is cut from the full tile, which the format allows to replace it.
        """
        raw = self._get(path, limit)
        if raw is not None or ".p/" not in path:
            return raw
        tile = parse_path(path)
        full = self._get(Tile(tile.level, tile.n).path, limit)
        return None if full is None else _cut(full, tile)

    def narrower(self, _tile: Tile) -> Iterator[Tile]:
        """None that could be known: a server does not list its files."""
        return iter(())

    def outside(self, _size: int) -> Iterator[Finding]:
        """Nothing that could be known."""
        return iter(())

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _get(self, path: str, limit: int) -> bytes | None:
        for pause in (*_PAUSES, None):
            status, raw = self._ask(path, limit)
            if status == 200:
                return raw
            if pause is None or (status is not None and status not in _BUSY):
                return None
            time.sleep(pause)
        return None

    def _ask(self, path: str, limit: int) -> tuple[int | None, bytes]:
        try:
            self._connection.request("GET", f"{self._prefix}/{path}", headers={"User-Agent": "trait-dunion-verifier"})
            answer = self._connection.getresponse()
            raw = answer.read(limit)
            if not answer.isclosed():
                self._connection.close()  # longer than anything this log may hold: the rest is not waited for
            if answer.status != 200:
                self.failure = f"HTTP {answer.status} ({path})"
            if answer.headers.get("Content-Encoding") == "gzip":
                raw = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(raw, limit)
            return answer.status, raw
        except (OSError, http.client.HTTPException, zlib.error) as error:
            self._connection.close()
            self.failure = f"{type(error).__name__} ({path})"
            return None, b""


def _cut(full: bytes, tile: Tile) -> bytes:
    """The partial tile that a full one begins with; what does not have the form of a tile is left for the audit to refuse."""
    if tile.level != ENTRIES:
        return full[: tile.width * HASH_SIZE]
    try:
        return encode_bundle([entry for _, entry in iter_bundle(full, WIDTH)][: tile.width])
    except TileInvalid:
        return full
