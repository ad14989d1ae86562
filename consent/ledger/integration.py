"""
Integration: waiting events get their places in the log, the tree grows, and its new head is signed, in one transaction.

It selects on state (events without an index), never on "number greater than the last seen": insertion order is not commit
order, and such a cursor loses rows.
"""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from consent.ledger.checkpoint import Checkpoint
from consent.ledger.mark import SequencerRefused
from consent.ledger.merkle import (
    EMPTY_ROOT,
    HASH_SIZE,
    ProofInvalid,
    consistency_ranges,
    leaf_hash,
    range_hashes,
    verify_consistency,
)
from consent.ledger.note import Signer
from consent.ledger.store import Ledger, instant, read_tiles
from consent.ledger.tiles import Growth, RightEdge, TileHashes, TileInvalid
from consent.tables import ledger_checkpoints, ledger_events, ledger_tiles

_LOCK = 0x7464755F6C6F67  # "tdu_log": one advisory lock per database


async def integrate(
    tx: AsyncConnection,
    signer: Signer,
    now: datetime,
    limit: int = 4096,
    mark: Checkpoint | None = None,
    *,
    succeeds: str | None = None,
) -> Checkpoint | None:
    """
    Place up to `limit` waiting events in the log and sign its new head; None when nothing waits.

    `mark` is the last head that this key is known to have signed, whatever the database says. `succeeds` is the origin of the
    log whose entries this one takes over, for its first head only (`consent.ledger.succession`).

    Everything is durable together when `tx` commits: indexes without gap, tiles, checkpoint and its note. (1) Take the lock,
    (2) prove that the stored log continues the mark, recompute the last signed root from what is stored, (3) give indexes, (4) extend the tree, (5) prove that the new tree
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
    await continues(tx, last, mark)
    edge = await _edge(tx, last, succeeds or signer.name)  # (2)
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


async def continues(tx: AsyncConnection, stored: Checkpoint | None, signed: Checkpoint | None) -> None:
    """
    Prove that the stored log, whose head is `stored`, continues a head that this log's key signed.

    Raises SequencerRefused.
    """
    if signed is None or stored == signed:
        return
    if stored is None or stored.size < signed.size:
        size = 0 if stored is None else stored.size
        raise SequencerRefused(
            f"La base n’a que {size} entrées, {signed.size} ont déjà été signées : sauvegarde restaurée ? Rien n’est signé ; "
            "« tdu ledger open-new » ouvre un nouveau journal (ops/runbooks/backups.md).",
            f"The database has only {size} entries, {signed.size} were signed already: a restored backup? Nothing is signed; "
            "“tdu ledger open-new” opens a new log (ops/runbooks/backups.md).",
        )
    try:
        if signed.size == 0:
            return
        proof = await Ledger().consistency(tx, signed.size, stored.size)
        verify_consistency(signed.size, stored.size, signed.root, stored.root, proof)
    except (ProofInvalid, TileInvalid):
        raise SequencerRefused(
            f"La base contredit les {signed.size} entrées déjà signées : rien n’est signé. Gardez les deux, c’est une preuve.",
            f"The database contradicts the {signed.size} entries that were signed already: nothing is signed. Keep both as evidence.",
        ) from None


async def _edge(tx: AsyncConnection, last: Checkpoint | None, origin: str) -> RightEdge:
    """The right edge of the stored tree, once it recomputes the last signed root."""
    size, root = (0, EMPTY_ROOT) if last is None else (last.size, last.root)
    if last is not None and last.origin != origin:
        raise SequencerRefused(
            f"Le journal stocké se nomme {last.origin}, pas {origin} : rien n’est signé. « tdu ledger open-new » ouvre un "
            "autre journal sur la même base.",
            f"The stored log is named {last.origin}, not {origin}: nothing is signed. “tdu ledger open-new” opens another "
            "log over the same database.",
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
