"""
The high-water mark: the last head that this key signed, in a file outside the database.

A database comes back from a backup, from a replica that lagged behind, or is copied and started twice; whatever it then says,
a head that was signed must be continued or nothing more be signed. The file belongs to the key and not to the database: keep
it on another disk than the database, and out of the database's backups.
"""

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path

from consent.ledger.checkpoint import Checkpoint, open_checkpoint
from consent.ledger.files import flush, write_durably
from consent.ledger.note import NoteInvalid, Verifier

_PATIENCE = 0.01


class SequencerRefused(Exception):
    """
    The stored log does not recompute, belongs to another key, or contradicts what was signed: nothing is signed until an
    operator has looked.

    Compare with the last checkpoint that a partner or a witness holds. If the database was restored from a backup and is
    behind that checkpoint, start a new log (new origin and key): continuing this one would contradict what was signed.
    """

    def __init__(self, message_fr: str, message_en: str) -> None:
        super().__init__(f"{message_fr} / {message_en}")
        self.message_fr = message_fr
        self.message_en = message_en


class Mark:
    """The mark of one key in `directory`, which is made when it is missing."""

    def __init__(self, directory: Path, key: Verifier) -> None:
        """`key` is the log's: another key has another mark, so that a new log starts without one."""
        name = sha256(key.vkey.encode()).hexdigest()[:16]
        self.path = directory / f"{name}.checkpoint"
        self._lock = directory / f"{name}.lock"
        self._key = key

    @asynccontextmanager
    async def held(self) -> AsyncIterator[Checkpoint | None]:
        """
        Hold the mark and give what it says: None before anything was signed.

        Whoever signs holds it from reading the mark to raising it, so that two sequencers started by mistake, even on two
        databases, take turns. Raises SequencerRefused when the file is not a head signed by this key, OSError.
        """
        self._lock.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(self._lock, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            while not _taken(handle):  # noqa: ASYNC110 - another process holds it: nothing tells when it lets go
                await asyncio.sleep(_PATIENCE)
            yield self.read()
        finally:
            os.close(handle)  # also releases the lock

    def read(self) -> Checkpoint | None:
        """What the mark says. Raises SequencerRefused, OSError."""
        try:
            return open_checkpoint(self.path.read_bytes(), self._key).checkpoint
        except FileNotFoundError:
            return None
        except NoteInvalid as error:
            raise SequencerRefused(
                f"La marque {self.path} n’est pas une tête signée par la clé de ce journal : rien n’est signé.",
                f"The mark {self.path} is not a head signed by this log's key ({error}): nothing is signed.",
            ) from None

    def raise_to(self, head: Checkpoint) -> None:
        """Make `head`, which must continue what the mark said, the new mark, durably. The mark is held. Raises OSError."""
        write_durably(self.path, head.note)
        flush(self.path.parent)


def _taken(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
