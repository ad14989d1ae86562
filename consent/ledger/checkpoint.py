"""
The signed head of the log: its origin, its size and its root, as a note.

Source: C2SP tlog-checkpoint.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

from consent.ledger.merkle import EMPTY_ROOT, HASH_SIZE
from consent.ledger.note import ED25519, Note, NoteInvalid, Signer, Verifier, decode_base64, encode_base64

_SIZE = re.compile("0|[1-9][0-9]{0,18}", re.ASCII)


class EmptyTreeInvalid(NoteInvalid):
    """A checkpoint of size 0 bears another root than that of the empty tree."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """
    The state of a log: `size` entries with this `root` (32 bytes), under the name `origin`.

    `note` is the signed note it was read from or written to, verbatim; two notes may state the same head, so it is never
    compared.
    """

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()
    note: bytes = field(default=b"", compare=False, repr=False)

    @property
    def text(self) -> str:
        """What is signed, with its final newline."""
        return "\n".join([self.origin, str(self.size), encode_base64(self.root), *self.extensions, ""])

    @classmethod
    def parse(cls, raw: bytes) -> tuple[Self, Note]:
        """Read a checkpoint without verifying any signature: never act on it alone. Raises NoteInvalid."""
        note = Note.parse(raw)
        lines = note.text[:-1].split("\n")
        if len(lines) < 3 or not all(lines):
            raise NoteInvalid("malformed", "a checkpoint has at least three lines, none of them empty")
        origin, size, root, *extensions = lines
        if not _SIZE.fullmatch(size) or int(size) >= 2**63:
            raise NoteInvalid("malformed", "the second line of a checkpoint is its size, a decimal number")
        digest = decode_base64(root)
        if len(digest) != HASH_SIZE:
            raise NoteInvalid("malformed", "the third line of a checkpoint is a root of 32 bytes in base64")
        if size == "0" and digest != EMPTY_ROOT:
            raise EmptyTreeInvalid(
                "malformed", "the checkpoint of an empty log does not have the root of the empty tree"
            )
        return cls(origin, int(size), digest, tuple(extensions), raw), note

    def signed(self, signer: Signer) -> "Checkpoint":
        """The same checkpoint with its note, signed by the log's own key. Raises ValueError for another log's key."""
        if signer.name != self.origin:
            raise ValueError("a checkpoint is signed by the key that bears its origin")
        return Checkpoint(self.origin, self.size, self.root, self.extensions, signer.sign(self.text).encode())


@dataclass(frozen=True, slots=True)
class OpenCheckpoint:
    """A checkpoint whose log signature was verified, and the witnesses that cosigned it, with the time each of them stated."""

    checkpoint: Checkpoint
    witnessed: Mapping[Verifier, int]

    @property
    def cosigned(self) -> dict[str, int]:
        """The names of the witnesses, with the time of each."""
        return {key.name: time for key, time in self.witnessed.items()}


def open_checkpoint(raw: bytes, log: Verifier, witnesses: Sequence[Verifier] = ()) -> OpenCheckpoint:
    """
    Read a checkpoint and verify it: signed by the log's key, whose name is the origin.

    Cosignatures by `witnesses` are verified and reported; how many are enough is the caller's policy. Raises NoteInvalid.
    """
    if log.kind != ED25519:
        raise NoteInvalid("malformed", "the key given for the log is a witness's key")
    checkpoint, note = Checkpoint.parse(raw)
    if checkpoint.origin != log.name:
        raise NoteInvalid("unsigned", "the checkpoint bears the name of another log")
    verified = note.verify([log, *witnesses])
    if log not in verified:
        raise NoteInvalid("unsigned", "the log's own key did not sign this checkpoint")
    return OpenCheckpoint(checkpoint, {key: time for key, time in verified.items() if time is not None})
