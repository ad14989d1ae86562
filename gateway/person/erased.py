"""
Who was erased, in a file outside the database: a backup that is restored brings nobody back.

An erasure leaves a row in the transaction that destroys; the sequencer writes it to the file before it publishes a head that
holds the certificate. So whoever has a certificate under a published head is in the file. It lies beside the mark of the
ledger, on another disk than the database and out of its backups, and holds only names of rows that no longer exist.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from consent.ledger.files import flush
from gateway.services import Services
from gateway.store import subjects as subjects_in_store
from gateway.store.database import Database
from gateway.store.tables import erasures, subject_data_keys, subject_keys, subjects

_NAME: Final = "erased"
_KEPT, _DROPPED = "objections-kept", "objections-dropped"
_BATCH: Final = 1000


class ErasedList:
    """The file of one gateway: a line each, `<subject id> objections-kept` or `<subject id> objections-dropped`."""

    def __init__(self, directory: Path) -> None:
        """`directory` is the marks' one, made when it is missing."""
        self.path = directory / _NAME

    def add(self, rows: Sequence[tuple[str, bool]]) -> None:
        """Add people, durably: each with whether their objections were kept. Raises OSError."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lines = "".join(f"{person} {_KEPT if kept else _DROPPED}\n" for person, kept in rows)
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            size = os.fstat(handle).st_size
            if size and os.pread(handle, 1, size - 1) != b"\n":  # a crash cut the last line; its row is written again
                lines = "\n" + lines
            rest = memoryview(lines.encode())
            while rest:
                rest = rest[os.write(handle, rest) :]
            os.fsync(handle)
        finally:
            os.close(handle)
        flush(self.path.parent)

    def read(self) -> dict[str, bool]:
        """Everybody in the file, and whether their objections were kept. A line that a crash cut is passed over. Raises OSError."""
        try:
            lines = self.path.read_text("ascii").splitlines()
        except FileNotFoundError:
            return {}
        words = [line.split(" ") for line in lines]
        return {pair[0]: pair[1] == _KEPT for pair in words if len(pair) == 2 and pair[1] in (_KEPT, _DROPPED)}


async def set_aside(database: Database, to: ErasedList) -> int:
    """Write to the file whoever waits for it in the database; gives how many. Raises OSError, SQLAlchemyError: do it again."""
    query = sa.select(erasures.c.person, erasures.c.objections_kept).limit(_BATCH)
    total = 0
    while True:
        async with database.read() as tx:
            rows = [(row.person, row.objections_kept) for row in await tx.execute(query)]
        if not rows:
            return total
        await asyncio.to_thread(to.add, rows)
        async with database.write() as tx:
            await tx.execute(sa.delete(erasures).where(erasures.c.person.in_([person for person, _ in rows])))
        total += len(rows)


async def erase_those_back(services: Services, listed: ErasedList) -> int:
    """
    Erase again whoever is in the file and in the database too: a backup was restored. Gives how many there were.

    For before anything else is done with the database.
    """
    everybody = await asyncio.to_thread(listed.read)
    back: list[str] = []
    for chunk in subjects_in_store.chunks(sorted(everybody)):
        query = sa.select(subjects.c.id).where(subjects.c.id.in_(chunk), subjects.c.erased_at.is_(None))
        async with services.database.read() as tx:
            back += (await tx.execute(query)).scalars()
    return await _again({person: everybody[person] for person in back}, services)


async def erase_those_without_key(services: Services) -> int:
    """
    Erase again whoever has no data key although they are recognised: the keys were restored from a later backup than the rest.

    Their objections are kept: that is what erasing does unless told otherwise. Gives how many there were.
    """
    has_key = sa.exists().where(subject_data_keys.c.subject_id == subject_keys.c.subject_id)
    async with services.database.read() as tx:
        query = sa.select(subject_keys.c.subject_id).where(~has_key).distinct()
        left: Sequence[str] = (await tx.execute(query)).scalars().all()
    return await _again(dict.fromkeys(left, True), services)


async def _again(people: dict[str, bool], services: Services) -> int:
    if not people:
        return 0
    from gateway.person.erasure import erase_again  # noqa: PLC0415 - every process looks, and hardly one has anybody to erase
    from gateway.person.traces import scrub  # noqa: PLC0415 - only who has somebody to erase again

    done = 0
    for person, kept in sorted(people.items()):
        done += await erase_again(person, services, keep_objections=kept)
    if done:
        await scrub(services.database)
    return done
