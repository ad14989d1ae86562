"""
The static log: the same public files that the gateway serves, written to a directory that any C2SP client reads.

Killing or failing any file call leaves the old tree or the new one: every tile is written under a temporary name, flushed
and renamed; the directories are flushed; the checkpoint comes last. No byte ever changes under an existing name, except the
checkpoint's own.
"""

import asyncio
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncConnection

from consent.ledger.checkpoint import Checkpoint, open_checkpoint
from consent.ledger.files import flush, write_durably
from consent.ledger.merkle import ProofInvalid, verify_consistency
from consent.ledger.note import NoteInvalid, Verifier
from consent.ledger.store import Ledger
from consent.ledger.tiles import ENTRIES, Tile, tiles_of


class ExportRefused(Exception):
    """
    The directory holds something that this log may not overwrite: another log, a later state, or altered files.

    Nothing was published. Keep the directory as evidence and export to an empty one.
    """

    def __init__(self, message_fr: str, message_en: str) -> None:
        super().__init__(f"{message_fr} / {message_en}")
        self.message_fr = message_fr
        self.message_en = message_en


async def export(tx: AsyncConnection, directory: Path, vkey: str) -> Checkpoint | None:
    """
    Bring the static log in `directory` up to the last published checkpoint; None while there is none.

    Only what the directory lacks is read and written. `vkey` is the log's public key, written beside it as the file `vkey`.
    One writer at a time holds the directory. Raises ExportRefused, and OSError when the disk refuses: run it again.
    """
    ledger, verifier = Ledger(), Verifier.parse(vkey)
    head = await ledger.published(tx)
    if head is None:
        return None
    static = StaticLog(directory)
    with static.held():
        published = static.checkpoint(verifier)
        since = 0 if published is None else published.size
        await _continues(ledger, tx, published, head)
        await asyncio.to_thread(static.put, "vkey", f"{vkey}\n".encode())
        for tile in tiles_of(head.size, since):
            await asyncio.to_thread(static.put, tile.path, await _content(ledger, tx, tile))
        await asyncio.to_thread(static.publish, head.note)
    return head


async def _continues(ledger: Ledger, tx: AsyncConnection, published: Checkpoint | None, head: Checkpoint) -> None:
    """Refuse to publish a head that does not continue what was published."""
    if published is None or published.size == 0:
        return
    if published.size > head.size:
        raise ExportRefused(
            f"Le dossier publie déjà {published.size} entrées, la base n’en a que {head.size} : sauvegarde restaurée ?",
            f"The directory already publishes {published.size} entries, the database has only {head.size}: a restored backup?",
        )
    proof = await ledger.consistency(tx, published.size, head.size)
    try:
        verify_consistency(published.size, head.size, published.root, head.root, proof)
    except ProofInvalid:
        raise ExportRefused(
            "Le dossier publie une autre histoire du même journal : gardez-le, c’est une preuve.",
            "The directory publishes another history of the same log: keep it, it is evidence.",
        ) from None


async def _content(ledger: Ledger, tx: AsyncConnection, tile: Tile) -> bytes:
    read = (
        ledger.bundle(tx, tile.n, tile.width)
        if tile.level == ENTRIES
        else ledger.tile(tx, tile.level, tile.n, tile.width)
    )
    raw = await read
    if raw is None:
        raise ExportRefused(
            f"La base n’a pas de quoi écrire {tile.path}.", f"The database lacks what {tile.path} holds."
        )
    return raw


class StaticLog:
    """
    The files of one log under `root`. Blocking; not for two threads at once.

    `put` makes a file durable except for its name; `publish` makes all names durable, then the checkpoint.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._touched: set[Path] = set()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the directory (created if missing), so that an older writer cannot publish over a newer one."""
        self._root.mkdir(parents=True, exist_ok=True)
        handle = os.open(self._root, os.O_RDONLY)
        try:
            _lock(handle)
            yield
        finally:
            os.close(handle)  # also releases the lock

    def checkpoint(self, verifier: Verifier) -> Checkpoint | None:
        """The checkpoint that is published here, verified; None when there is none. Raises ExportRefused."""
        try:
            return open_checkpoint((self._root / "checkpoint").read_bytes(), verifier).checkpoint
        except FileNotFoundError:
            return None
        except NoteInvalid as error:
            raise ExportRefused(
                "Le fichier checkpoint du dossier n’est pas signé par ce journal.",
                f"The checkpoint file of the directory is not this log's: {error}.",
            ) from None

    def put(self, path: str, content: bytes) -> None:
        """Write a file that never changes. A file that is already there must hold the same bytes. Raises ExportRefused."""
        target = self._root / path
        # Also for a file that is there: an earlier run may have been stopped before its name was durable.
        self._touch(target.parent)
        try:
            if target.read_bytes() == content:
                return
        except FileNotFoundError:
            write_durably(target, content)
            return
        raise ExportRefused(
            f"Le fichier {path} existe avec un autre contenu.", f"File {path} exists with another content."
        )

    def publish(self, note: bytes) -> None:
        """Replace the checkpoint, once everything it commits to is durable."""
        for directory in sorted(self._touched):
            flush(directory)
        write_durably(self._root / "checkpoint", note)
        flush(self._root)

    def _touch(self, directory: Path) -> None:
        missing = []
        while directory not in self._touched:
            self._touched.add(directory)
            if not directory.exists():
                missing.append(directory)
            if directory == self._root:
                break
            directory = directory.parent
        for new in reversed(missing):
            new.mkdir(exist_ok=True)


def _lock(handle: int) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ExportRefused(
            "Un autre export écrit dans ce dossier.", "Another export writes to this directory."
        ) from None
