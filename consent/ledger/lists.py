"""
The index of the log: every event is in the list of its day, of each organisation and convention that it names, and of the
person it is about; and all these lists are under one root that stands in the log itself, in clear.

    list     of (kind, value, day): rows in the order of the log, an RFC 6962 tree
    bucket   the lists whose keys begin with the same 16 bits, sorted by key, an RFC 6962 tree
    index    the 65,536 buckets, an RFC 6962 tree; its root is an entry of the log, `Covered`

Keys of organisations, conventions and days are plain hashes that anybody recomputes. The key of a person comes from a label
that only the person's data key gives: without it a list cannot be found, and nobody can tell whose it is.

Pure: the standard library only. The argument, and what it does not show, is in README.md beside this file.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from hashlib import sha256
from hmac import digest
from typing import Any, Final, Self

from consent.ledger.merkle import EMPTY_ROOT, HASH_SIZE, leaf_hash

ALL, PARTNER, CONVENTION, PERSON = "all", "partner", "convention", "person"
KINDS: Final = (PERSON, CONVENTION, PARTNER, ALL)
"""The kinds of lists, the narrowest first: a search by several criteria goes through the first of them."""

BUCKETS: Final = 65_536
KEY_SIZE: Final = 32
LAST_DAY: Final = 2**32 - 1

_PREFIX: Final = 28
_EPOCH: Final = date(1970, 1, 1).toordinal()
_COVERED: Final = b"\x02"
_COVERED_SIZE: Final = 1 + 8 + 8 + HASH_SIZE


def prefix_of(kind: str, value: str) -> bytes:
    """The 28 bytes with which the keys of all days of one list begin; a person's value is its label in hexadecimal."""
    return sha256(f"trait-dunion/list@v1\n{kind}\n{value}".encode()).digest()[:_PREFIX]


def key_of(prefix: bytes, day: int) -> bytes:
    """The key of one day's list, 32 bytes; days of one prefix sort by day."""
    return prefix + day.to_bytes(4, "big")


def day_of(occurred_at: str) -> int:
    """The day (UTC, counted from 1970-01-01) of an instant as events write it."""
    return date.fromisoformat(occurred_at[:10]).toordinal() - _EPOCH


def day_of_moment(moment: datetime) -> int:
    """The day (UTC, counted from 1970-01-01) of an aware moment."""
    return moment.astimezone(UTC).date().toordinal() - _EPOCH


def bucket_of(key: bytes) -> int:
    """The number of the bucket that holds a list."""
    return int.from_bytes(key[:2], "big")


def keys_of(summary: dict[str, Any], label: bytes | None) -> list[bytes]:
    """The keys of every list that an event is in, from its summary and the label of the person it is about, if any."""
    day = day_of(summary["occurred_at"])
    named = [(ALL, ""), *((PARTNER, siret) for siret in summary["partners"])]
    named += [(CONVENTION, ident) for ident in summary["conventions"]]
    keys = [key_of(prefix_of(kind, value), day) for kind, value in named]
    # A person's events are few: one list whatever the day, which tells nothing of when there were events.
    return keys if label is None else [*keys, key_of(prefix_of(PERSON, label.hex()), 0)]


def subject_tag(label: bytes, event_id: str) -> str:
    """
    What an event about a person carries of the person's label: HMAC-SHA-256 of its own id under it, in hexadecimal.

    Two events of one person look unrelated, until the label is shown; then each proves whose list it belongs to.
    """
    return digest(label, event_id.encode(), "sha256").hex()


def row_hash(index: int, entry: bytes, summary: bytes) -> bytes:
    """The leaf hash of one row of a list: an entry of the log, where it is, and the event's summary."""
    return leaf_hash(b"row\n" + index.to_bytes(8, "big") + len(entry).to_bytes(4, "big") + entry + summary)


def list_hash(key: bytes, count: int, root: bytes) -> bytes:
    """The leaf hash of one list in its bucket."""
    return leaf_hash(b"list\n" + key + count.to_bytes(8, "big") + root)


def bucket_hash(count: int, root: bytes) -> bytes:
    """The leaf hash of one bucket in the index."""
    return leaf_hash(b"bucket\n" + count.to_bytes(8, "big") + root)


EMPTY_BUCKET: Final = bucket_hash(0, EMPTY_ROOT)


@dataclass(frozen=True, slots=True)
class Covered:
    """
    The entry of the log that commits to the index: `root` covers the entries [start, size) of the log.

    It is in clear, 49 bytes: 0x02, start and size as big-endian uint64, and the root. Whoever reads the log sees each of them.
    """

    start: int
    size: int
    root: bytes

    def encode(self) -> bytes:
        """The log entry."""
        return _COVERED + self.start.to_bytes(8, "big") + self.size.to_bytes(8, "big") + self.root

    @classmethod
    def parse(cls, entry: bytes) -> Self | None:
        """Read a log entry back; None for an entry that is something else."""
        if len(entry) != _COVERED_SIZE or entry[:1] != _COVERED:
            return None
        start, size = int.from_bytes(entry[1:9], "big"), int.from_bytes(entry[9:17], "big")
        return cls(start, size, entry[17:]) if start <= size else None
