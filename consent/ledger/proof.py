"""
Receipts: one file that shows, without any network, that one entry is in the log that a signed checkpoint describes.

The optional `extra` line carries what generic verifiers need from outside: either the event in clear with its opening, or
the bare entry when the event is not shown (or no longer can be). The line is not authenticated by the format; it needs no
authentication here, because what it yields is the entry, and the inclusion proof binds the entry to the signed root.

Source: C2SP tlog-proof.
"""

import json
import re
from dataclasses import dataclass
from typing import Self

from consent.ledger.checkpoint import Checkpoint
from consent.ledger.commitment import Disclosure, read_object
from consent.ledger.merkle import HASH_SIZE, leaf_hash, verify_inclusion
from consent.ledger.note import NoteInvalid, decode_base64, encode_base64
from consent.ledger.tiles import MAX_ENTRY

HEADER = "c2sp.org/tlog-proof@v1"
MEDIA_TYPE = "text/plain; charset=utf-8"
MAX_RECEIPT = 2_000_000

_INDEX = re.compile("index (0|[1-9][0-9]{0,18})", re.ASCII)


class ReceiptInvalid(ValueError):
    """A receipt is not of the format, or carries nothing that can be checked; ask for it again."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """The proof of one entry: its `index`, its inclusion `path` (the leaf's sibling first), a signed checkpoint, verbatim."""

    index: int
    path: tuple[bytes, ...]
    checkpoint: bytes
    extra: bytes | None = None

    def encode(self) -> bytes:
        """The `.tlog-proof` file."""
        lines = [HEADER]
        if self.extra is not None:
            lines.append(f"extra {encode_base64(self.extra)}")
        lines += [f"index {self.index}", *(encode_base64(step) for step in self.path), "", ""]
        return "\n".join(lines).encode() + self.checkpoint

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """Read a `.tlog-proof` file; nothing is verified yet. Raises ReceiptInvalid."""
        head, blank, checkpoint = raw.partition(b"\n\n")
        if not blank or len(raw) > MAX_RECEIPT:
            raise ReceiptInvalid("no proof followed by an empty line and a checkpoint")
        try:
            lines = head.decode("ascii").split("\n")
            if lines.pop(0) != HEADER:
                raise ReceiptInvalid(f"the first line is not {HEADER}")
            extra = decode_base64(lines.pop(0)[6:]) if lines and lines[0].startswith("extra ") else None
            index = _INDEX.fullmatch(lines.pop(0) if lines else "")
            path = tuple(decode_base64(line) for line in lines)
        except (UnicodeDecodeError, NoteInvalid):
            raise ReceiptInvalid("a line of the proof is not strict base64") from None
        if index is None or len(path) > 63 or any(len(step) != HASH_SIZE for step in path):
            raise ReceiptInvalid("the proof is not an index followed by at most 63 hashes of 32 bytes")
        return cls(int(index[1]), path, checkpoint, extra)

    def disclosure(self) -> Disclosure | None:
        """The event in clear that the receipt carries, if it does. Raises ReceiptInvalid."""
        return None if self.extra is None else disclosure_of(self.extra)

    def entry(self) -> bytes | None:
        """The log entry that the receipt carries or discloses, if it does. Raises ReceiptInvalid or DisclosureInvalid."""
        disclosure = self.disclosure()
        if disclosure is not None:
            return disclosure.entry()
        fields = {} if self.extra is None else _fields(self.extra)
        return _decoded(fields["entry"]) if "entry" in fields else None


def extra_of(shown: Disclosure | bytes) -> bytes:
    """The extra line's content: an event in clear with its opening, or a bare log entry (at most 65,535 bytes)."""
    if isinstance(shown, bytes):
        if len(shown) > MAX_ENTRY:
            raise ValueError(f"an entry has at most {MAX_ENTRY} bytes")
        return json.dumps({"entry": encode_base64(shown)}).encode()
    fields = {"event": shown.canonical.decode(), "opening": encode_base64(shown.opening)}
    return json.dumps(fields, ensure_ascii=False).encode()


def disclosure_of(extra: bytes) -> Disclosure | None:
    """The event in clear that an extra line's content shows, if it does. Raises ReceiptInvalid."""
    fields = _fields(extra)
    if not {"event", "opening"} & fields.keys():
        return None
    if fields.keys() != {"event", "opening"}:
        raise ReceiptInvalid("an event is shown without its opening, or an opening without its event")
    return Disclosure(fields["event"].encode(), _decoded(fields["opening"]))


def verify_entry(receipt: Receipt, entry: bytes, head: Checkpoint) -> None:
    """
    Check that the inclusion proof leads from `entry` to the root of `head`, which was read from the receipt's own checkpoint
    and verified. Raises ProofInvalid.
    """
    verify_inclusion(receipt.index, head.size, leaf_hash(entry), receipt.path, head.root)


def _fields(extra: bytes) -> dict[str, str]:
    try:
        fields = read_object(extra)
        "".join(fields.values()).encode()  # texts only, and no half of a surrogate pair
    except (ValueError, TypeError):
        raise ReceiptInvalid("the extra line is not a JSON object of texts") from None
    return fields


def _decoded(text: str) -> bytes:
    try:
        return decode_base64(text)
    except NoteInvalid:
        raise ReceiptInvalid("the extra line holds something that is not strict base64") from None
