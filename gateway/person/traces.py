"""
What a database knows of a person, and how it lets go of it: rows about them are deleted, what counts and proves is about nobody.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

import sqlalchemy as sa

from consent.ledger.lists import PERSON, bucket_of, key_of, prefix_of
from consent.tables import break_glass, break_glass_mails, ledger_events, ledger_list_rows, ledger_lists
from consent.tables import metadata as consent_metadata
from gateway.store.database import Database, Transaction, instant
from gateway.store.tables import attachment_chunks, attachments, deliveries, exchanges, metadata, subjects

ERASED: Final = "erased"
"""Whom everything is about that was about somebody erased: nobody can tell one of them from another."""

_UNJOINED: Final = (exchanges, deliveries, ledger_events)
"""What keeps its rows, for counts and proofs, about nobody."""


def about_somebody() -> list[sa.Table]:
    """Every table whose rows are about a person and go with them; of the others, only what names the person goes."""
    tables = [*consent_metadata.sorted_tables, *metadata.sorted_tables]
    return [table for table in reversed(tables) if "subject_id" in table.c and table not in _UNJOINED]


async def destroy(tx: Transaction, subject_id: str, now: datetime) -> dict[str, int]:
    """Delete the key, what it sealed, what the person was found by, and what joined their rows; gives how many of each."""
    await _overwrite(tx, on=True)
    files = sa.select(attachments.c.id).where(attachments.c.subject_id == subject_id)
    await tx.execute(sa.delete(attachment_chunks).where(attachment_chunks.c.attachment_id.in_(files)))
    openings = sa.select(break_glass.c.id).where(break_glass.c.subject_id == subject_id)
    await tx.execute(sa.delete(break_glass_mails).where(break_glass_mails.c.opening_id.in_(openings)))
    counts = {}
    for table in about_somebody():
        gone = await tx.execute(sa.delete(table).where(table.c.subject_id == subject_id))
        counts[table.name] = int(gone.rowcount)
    counts["events"] = await unjoin(tx, subject_id)
    await tx.execute(sa.update(subjects).where(subjects.c.id == subject_id).values(erased_at=instant(now)))
    return counts


async def _overwrite(tx: Transaction, *, on: bool) -> None:
    """On SQLite, have deleted bytes overwritten in the file; it costs writes, so only here."""
    if tx.dialect.name == "sqlite":
        await tx.exec_driver_sql(f"PRAGMA secure_delete={'ON' if on else 'OFF'}")


async def unjoin(tx: Transaction, subject_id: str) -> int:
    """
    Have nothing name a person any more: their events lose content and label, their list its rows; gives how many events.

    The list itself keeps its hashes: the index would not verify otherwise. Nobody can tell whose it was.
    """
    events = ledger_events.c
    labels = sa.select(events.label).where(events.subject_id == subject_id, events.label.is_not(None)).distinct()
    keys = [key_of(prefix_of(PERSON, label.hex()), 0) for label in (await tx.execute(labels)).scalars()]
    for key in keys:
        ident = sa.select(ledger_lists.c.id).where(ledger_lists.c.bucket == bucket_of(key), ledger_lists.c.key == key)
        await tx.execute(sa.delete(ledger_list_rows).where(ledger_list_rows.c.list_id.in_(ident)))
    done = await tx.execute(
        sa.update(ledger_events)
        .where(events.subject_id == subject_id)
        .values(subject_id=ERASED, label=None, sealed=b"")
    )
    for table in (exchanges, deliveries):
        await tx.execute(sa.update(table).where(table.c.subject_id == subject_id).values(subject_id=ERASED))
    return int(done.rowcount)


async def scrub(database: Database) -> None:
    """
    Have the database let go of the bytes of deleted keys: what an update or a deletion leaves behind until somebody tidies up.

    On SQLite the write-ahead log is emptied, on PostgreSQL the table of keys is vacuumed. Its own write-ahead log and its
    archives keep them for their time: see the runbook of backups.
    """
    if database.dialect == "sqlite":
        async with database.engine.connect() as connection:
            await connection.exec_driver_sql("ROLLBACK")
            await connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            await connection.exec_driver_sql("BEGIN")
        return
    engine = database.engine.execution_options(isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        await connection.exec_driver_sql("VACUUM subject_data_keys")
