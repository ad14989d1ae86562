"""
The bytes of a flow: sealed and kept a piece at a time as they come, read back as a file, and what is told of each record.

Neither ever holds more than a piece in memory. Bytes are under the gateway's own key, since a flow is about many people, and
are deleted as soon as the flow ended.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import zlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
import sqlalchemy as sa

from gateway.services import Services
from gateway.store.database import Transaction
from gateway.store.tables import flow_pieces

BODY: Final = "body"
REPORT: Final = "report"

_PIECE: Final = 1_048_576
_AT_ONCE: Final = 50
"""Pieces deleted in one transaction: what others wait for on SQLite."""


@dataclass(slots=True)
class Kept:
    """What came: pieces, bytes, and their digests by the names of RFC 9530."""

    pieces: int = 0
    size: int = 0
    digests: dict[str, Any] = field(default_factory=lambda: {"sha-256": hashlib.sha256(), "sha-512": hashlib.sha512()})

    def digest(self, name: str) -> bytes:
        """One of the digests, of what came so far."""
        return bytes(self.digests[name].digest())


async def keep(flow_id: str, content: AsyncIterator[bytes], services: Services) -> Kept:
    """Seal the bytes as they come, each piece in a transaction of its own."""
    kept, waiting = Kept(), bytearray()

    async def write(piece: bytes) -> None:
        sealed = services.vault.own.seal(piece, _place(flow_id, BODY, kept.pieces))
        async with services.database.write() as tx:
            row = {"flow_id": flow_id, "part": BODY, "number": kept.pieces, "sealed": sealed}
            await tx.execute(sa.insert(flow_pieces).values(row))
        kept.pieces += 1

    async for chunk in content:
        kept.size += len(chunk)
        for digest in kept.digests.values():
            digest.update(chunk)
        waiting += chunk
        while len(waiting) >= _PIECE:
            await write(bytes(waiting[:_PIECE]))
            del waiting[:_PIECE]
    if waiting:
        await write(bytes(waiting))
    return kept


class Body(io.RawIOBase):
    """
    The bytes of a flow as a file, made in the event loop and read in another thread; a piece is fetched when the last one was read.
    """

    def __init__(self, flow_id: str, pieces: int, services: Services) -> None:
        super().__init__()
        self._flow_id = flow_id
        self._pieces = pieces
        self._services = services
        self._loop = asyncio.get_running_loop()
        self._next = 0
        self._left = memoryview(b"")

    def readable(self) -> bool:
        """It is only read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """The next bytes; 0 at the end. Raises `NoResultFound` once the flow was cancelled and its bytes are gone."""
        if not self._left and self._next < self._pieces:
            sealed = asyncio.run_coroutine_threadsafe(self._fetch(self._next), self._loop).result()
            plain = self._services.vault.own.open(sealed, _place(self._flow_id, BODY, self._next))
            self._left, self._next = memoryview(plain), self._next + 1
        part = self._left[: len(buffer)]
        buffer[: len(part)] = part
        self._left = self._left[len(part) :]
        return len(part)

    async def _fetch(self, number: int) -> bytes:
        async with self._services.database.read() as tx:
            return bytes((await tx.execute(_sealed(self._flow_id, BODY, number))).scalar_one())


async def tell(tx: Transaction, flow_id: str, number: int, lines: list[dict[str, Any]], services: Services) -> None:
    """Add what became of some records to the report, under the number of the first."""
    text = b"".join(orjson.dumps(line) + b"\n" for line in lines)
    sealed = services.vault.own.seal(zlib.compress(text), _place(flow_id, REPORT, number))
    row = {"flow_id": flow_id, "part": REPORT, "number": number, "sealed": sealed}
    await tx.execute(sa.insert(flow_pieces).values(row))


async def report(flow_id: str, services: Services) -> AsyncIterator[bytes]:
    """What was told so far, in the order of the file, a few records at a time (NDJSON)."""
    last = -1
    while True:
        mine = sa.and_(flow_pieces.c.flow_id == flow_id, flow_pieces.c.part == REPORT, flow_pieces.c.number > last)
        query = sa.select(flow_pieces.c.number, flow_pieces.c.sealed).where(mine).order_by(flow_pieces.c.number)
        async with services.database.read() as tx:
            row = (await tx.execute(query.limit(1))).first()
        if row is None:
            return
        last = row.number
        yield zlib.decompress(services.vault.own.open(row.sealed, _place(flow_id, REPORT, last)))


async def forget(flow_id: str, services: Services) -> None:
    """Delete the bytes of a flow, some pieces at a time."""
    mine = sa.and_(flow_pieces.c.flow_id == flow_id, flow_pieces.c.part == BODY)
    while True:
        some = sa.select(flow_pieces.c.number).where(mine).limit(_AT_ONCE)
        async with services.database.write() as tx:
            gone = await tx.execute(sa.delete(flow_pieces).where(mine, flow_pieces.c.number.in_(some)))
        if gone.rowcount < _AT_ONCE:
            return


async def forget_report(tx: Transaction, flow_id: str) -> None:
    """Delete what was told of a flow."""
    await tx.execute(sa.delete(flow_pieces).where(flow_pieces.c.flow_id == flow_id))


def _sealed(flow_id: str, part: str, number: int) -> sa.Select[Any]:
    return sa.select(flow_pieces.c.sealed).where(
        flow_pieces.c.flow_id == flow_id, flow_pieces.c.part == part, flow_pieces.c.number == number
    )


def _place(flow_id: str, part: str, number: int) -> str:
    return f"flow_pieces/{flow_id}/{part}/{number}"
