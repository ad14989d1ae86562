"""
From signed to published: a head is shown to the outside once it can no longer be contradicted by this log's own operator by
accident, and, where there are witnesses, once they had their chance to cosign it.

    signed        in the transaction that places its entries
    marked        in the file outside the database (`consent.ledger.mark`)
    witnessed     cosignatures are added to its note as they come; `witnessed_at` when they make the quorum
    published     what `checkpoint` serves and receipts stand on; never goes back
"""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from consent.ledger.checkpoint import Checkpoint, open_checkpoint
from consent.ledger.note import Note, Verifier
from consent.ledger.policy import Policy
from consent.ledger.store import instant
from consent.tables import ledger_checkpoints

_heads = ledger_checkpoints.c


async def unpublished(tx: AsyncConnection) -> Checkpoint | None:
    """The last signed head while it is not published; None when it is, and before the first."""
    query = sa.select(_heads.note, _heads.published_at).order_by(_heads.size.desc()).limit(1)
    row = (await tx.execute(query)).one_or_none()
    return None if row is None or row.published_at is not None else Checkpoint.parse(row.note.encode())[0]


async def publish(tx: AsyncConnection, head: Checkpoint, now: datetime) -> None:
    """Show a head to the outside, if it is not shown already."""
    waiting = _heads.size == head.size, _heads.published_at.is_(None)
    await tx.execute(sa.update(ledger_checkpoints).where(*waiting).values(published_at=instant(now)))


async def add_cosignatures(
    tx: AsyncConnection, size: int, lines: Sequence[str], policy: Policy, log: Verifier, now: datetime
) -> bool:
    """
    Add verified cosignature lines to the note of the head of `size` entries; tells whether they make the quorum.

    Raises NoteInvalid when a line does not verify: then nothing may be committed.
    """
    query = sa.select(ledger_checkpoints).where(_heads.size == size).with_for_update()
    row = (await tx.execute(query)).one()
    note = Note.parse(row.note.encode()).with_lines(lines)
    quorum = policy.satisfied(open_checkpoint(note, log, policy.keys).witnessed)
    at = row.witnessed_at or (instant(now) if quorum else None)
    change = sa.update(ledger_checkpoints).where(_heads.size == size).values(note=note.decode(), witnessed_at=at)
    await tx.execute(change)
    return quorum


async def witnessed_size(tx: AsyncConnection) -> int:
    """The size of the last head that the quorum cosigned; -1 before the first."""
    query = sa.select(sa.func.max(_heads.size)).where(_heads.witnessed_at.is_not(None))
    size: int | None = (await tx.execute(query)).scalar_one()
    return -1 if size is None else size


async def unwitnessed_since(tx: AsyncConnection) -> str | None:
    """When the first head after the last witnessed one was signed: since then the quorum has been away. None when it is not."""
    witnessed = sa.select(sa.func.max(_heads.size)).where(_heads.witnessed_at.is_not(None)).scalar_subquery()
    query = (
        sa.select(_heads.signed_at).where(_heads.size > sa.func.coalesce(witnessed, -1)).order_by(_heads.size).limit(1)
    )
    return (await tx.execute(query)).scalar_one_or_none()
