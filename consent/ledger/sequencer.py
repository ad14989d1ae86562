"""
The sequencer: gives waiting events their places in the log, extends the tree and signs its new head.

One lock makes it single, wherever and however often it is started. It selects on state (events without an index), never on
"number greater than the last seen": insertion order is not commit order, and such a cursor loses rows.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from consent.ledger.checkpoint import Checkpoint
from consent.ledger.merkle import EMPTY_ROOT, HASH_SIZE, consistency_ranges, leaf_hash, range_hashes, verify_consistency
from consent.ledger.note import Signer
from consent.ledger.store import Ledger, instant, read_tiles
from consent.ledger.tiles import Growth, RightEdge, TileHashes
from consent.tables import ledger_checkpoints, ledger_events, ledger_tiles

log = logging.getLogger(__name__)

_LOCK = 0x7464755F6C6F67  # "tdu_log": one advisory lock per database


class SequencerRefused(Exception):
    """
    The stored log does not recompute, or belongs to another key: nothing is signed until an operator has looked.

    Compare with the last checkpoint that a partner or a witness holds. If the database was restored from a backup and is
    behind that checkpoint, start a new log (new origin and key): continuing this one would contradict what was signed.
    """

    def __init__(self, message_fr: str, message_en: str) -> None:
        super().__init__(f"{message_fr} / {message_en}")
        self.message_fr = message_fr
        self.message_en = message_en


async def integrate(tx: AsyncConnection, signer: Signer, now: datetime, limit: int = 4096) -> Checkpoint | None:
    """
    Place up to `limit` waiting events in the log and sign its new head; None when nothing waits.

    Everything is durable together when `tx` commits: indexes without gap, tiles, checkpoint and its note. (1) Take the lock,
    (2) recompute the last signed root from what is stored, (3) give indexes, (4) extend the tree, (5) prove that the new tree
    continues the signed one, (6) sign and store.

    `tx` is READ COMMITTED on PostgreSQL and BEGIN IMMEDIATE on SQLite. Under another isolation two sequencers at once make
    one of them fail, never a gap nor a second history. Raises SequencerRefused; the caller rolls back.
    """
    waiting = sa.select(ledger_events.c.seq).where(ledger_events.c.index.is_(None)).limit(1)
    if (await tx.execute(waiting)).first() is None:
        return None
    if tx.dialect.name == "postgresql":  # (1); on SQLite the transaction already holds the only write lock
        await tx.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
    last = await Ledger().head(tx)
    edge = await _edge(tx, last, signer)  # (2)
    entries = await _assign(tx, edge.size, limit)  # (3)
    if not entries:
        return None
    growth = edge.extend([leaf_hash(entry) for entry in entries])  # (4)
    checkpoint = Checkpoint(signer.name, growth.edge.size, growth.edge.root())
    if last is not None:  # (5)
        _prove(last, edge, growth, checkpoint)
    await _store(tx, edge, growth)  # (6)
    signed = checkpoint.signed(signer)
    row = {"size": signed.size, "root": signed.root, "note": signed.note.decode(), "signed_at": instant(now)}
    await tx.execute(sa.insert(ledger_checkpoints).values(row))
    return signed


async def _edge(tx: AsyncConnection, last: Checkpoint | None, signer: Signer) -> RightEdge:
    """The right edge of the stored tree, once it recomputes the last signed root."""
    size, root = (0, EMPTY_ROOT) if last is None else (last.size, last.root)
    if last is not None and last.origin != signer.name:
        raise SequencerRefused(
            f"Le journal stocké se nomme {last.origin}, pas {signer.name} : une autre clé commence un autre journal.",
            f"The stored log is named {last.origin}, not {signer.name}: another key starts another log.",
        )
    names = RightEdge.names(size)
    stored = await read_tiles(tx, [(tile.level, tile.n) for tile in names])
    widths_hold = all(len(stored.get((tile.level, tile.n), b"")) == tile.width * HASH_SIZE for tile in names)
    edge = RightEdge(size, {level: hashes for (level, _), hashes in stored.items()})
    if not widths_hold or edge.root() != root:
        raise SequencerRefused(
            f"Les tuiles stockées ne redonnent pas la racine signée pour {size} entrées : rien n’est signé.",
            f"The stored tiles do not recompute the root signed for {size} entries: nothing is signed.",
        )
    highest = (await tx.execute(sa.select(sa.func.max(ledger_events.c.index)))).scalar_one()
    if (-1 if highest is None else highest) != size - 1:
        raise SequencerRefused(
            f"Les événements numérotés ne s’arrêtent pas à la taille signée ({size}) : rien n’est signé.",
            f"The numbered events do not end at the signed size ({size}): nothing is signed.",
        )
    return edge


async def _assign(tx: AsyncConnection, size: int, limit: int) -> list[bytes]:
    """
    Give the next indexes to waiting events, in insertion order; returns their entries in that order.

    One statement selects and numbers: with two, an event committed in between would shift the numbers.
    """
    events = ledger_events.c
    rank = sa.func.row_number().over(order_by=events.seq)
    waiting = (
        sa.select(events.seq, rank.label("rank"))
        .where(events.index.is_(None))
        .order_by(events.seq)
        .limit(limit)
        .subquery()
    )
    statement = (
        sa.update(ledger_events)
        .values(index=size - 1 + waiting.c.rank)
        .where(events.seq == waiting.c.seq)
        .returning(events.index, events.entry)
    )
    placed = sorted((index, entry) for index, entry in await tx.execute(statement))
    if [index for index, _ in placed] != list(range(size, size + len(placed))):
        raise SequencerRefused(
            "La numérotation a laissé un trou : rien n’est signé.", "Numbering left a gap: nothing is signed."
        )
    return [entry for _, entry in placed]


def _prove(last: Checkpoint, edge: RightEdge, growth: Growth, new: Checkpoint) -> None:
    """Check, as any outsider would, that the new head continues the last signed one. Raises ProofInvalid."""
    before = {(tile.level, tile.n): edge.partial[tile.level] for tile in RightEdge.names(edge.size)}
    proof = range_hashes(consistency_ranges(last.size, new.size), TileHashes({**before, **growth.tiles}))
    verify_consistency(last.size, new.size, last.root, new.root, proof)


async def _store(tx: AsyncConnection, edge: RightEdge, growth: Growth) -> None:
    """Write the tiles that changed: new ones are inserted, the partial ones grow at their end and only there."""
    grown = {(tile.level, tile.n) for tile in RightEdge.names(edge.size)} & growth.tiles.keys()
    for level, n in grown:
        columns = ledger_tiles.c
        same = columns.level == level, columns.number == n, columns.hashes == edge.partial[level]
        done = await tx.execute(sa.update(ledger_tiles).where(*same).values(hashes=growth.tiles[level, n]))
        if done.rowcount != 1:
            raise SequencerRefused(
                "Une tuile a changé pendant l’écriture.", "A tile changed while it was being written."
            )
    fresh = [
        {"level": level, "number": n, "hashes": hashes}
        for (level, n), hashes in growth.tiles.items()
        if (level, n) not in grown
    ]
    if fresh:
        await tx.execute(sa.insert(ledger_tiles), fresh)


class Sequencer:
    """
    Runs `integrate` again and again: every `interval` seconds, and sooner when nudged.

    An event that commits is under a signed checkpoint within one second while the database answers. A database error is
    logged and tried again, more and more slowly up to 5 seconds; `failures` counts those in a row, for readiness checks.
    SequencerRefused ends `run`: whoever started it must then report the gateway as not ready.
    Two sequencers on one database are harmless: the lock lets one work at a time.
    """

    def __init__(
        self,
        transaction: Callable[[], AbstractAsyncContextManager[AsyncConnection]],
        signer: Signer,
        *,
        interval: float = 0.2,
        limit: int = 4096,
    ) -> None:
        """`transaction` opens one durable write transaction, committed when its block ends without error."""
        self._transaction = transaction
        self._signer = signer
        self._interval = interval
        self._limit = limit
        self._nudged = asyncio.Event()
        self.failures = 0

    def nudge(self) -> None:
        """Ask for integration soon; call it after a commit, from the event loop that runs the sequencer."""
        self._nudged.set()

    async def catch_up(self) -> Checkpoint | None:
        """Integrate until nothing waits; returns the last checkpoint signed, None when nothing waited."""
        last = None
        while True:
            async with self._transaction() as tx:
                checkpoint = await integrate(tx, self._signer, datetime.now(UTC), self._limit)
            if checkpoint is None:
                return last
            last = checkpoint

    async def run(self, stop: asyncio.Event | None = None) -> None:
        """
        Work until `stop` is set, finishing the transaction under way, or until cancelled.

        Cancelling is safe at any moment too: a transaction is whole or has no effect.
        """
        stop = stop or asyncio.Event()
        while not stop.is_set():
            try:
                await self.catch_up()
                self.failures = 0
            except (SQLAlchemyError, OSError) as error:
                self.failures += 1
                kind = type(error).__name__  # the text of a database error may hold values
                log.warning(
                    "the ledger could not be sequenced", extra={"event": "ledger.sequencer_failed", "error": kind}
                )
            except SequencerRefused:
                log.critical("the ledger refuses to be signed", extra={"event": "ledger.sequencer_refused"})
                raise
            await self._pause(stop)

    async def _pause(self, stop: asyncio.Event) -> None:
        """Rest a moment, so that nudges make groups, then wait for a nudge or the interval."""
        interval = min(self._interval * 2**self.failures, max(5.0, self._interval))
        await asyncio.sleep(interval / 10)
        nudged, stopped = asyncio.create_task(self._nudged.wait()), asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({nudged, stopped}, timeout=interval, return_when=asyncio.FIRST_COMPLETED)
        finally:
            nudged.cancel()
            stopped.cancel()
            self._nudged.clear()
