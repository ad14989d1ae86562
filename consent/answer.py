"""
The lines of an auditor's answer, read strictly: what was asked, the rows, the lists that a page shows.

Pure: the standard library only. What they prove is checked by `consent.completeness`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from consent.ledger.commitment import Disclosure, DisclosureInvalid, read_object
from consent.ledger.findings import Finding
from consent.ledger.lists import CONVENTION, KEY_SIZE, KINDS, LAST_DAY, PARTNER, PERSON, day_of, row_hash
from consent.ledger.merkle import ProofInvalid
from consent.ledger.note import NoteInvalid, decode_base64
from consent.ledger.subset import subset_root
from consent.ledger.summary import canonical, summarize

FORMAT = "trait-dunion/answer@v1"
MAX_LINE = 16_000_000

Place = tuple[int, int]


class Refused(Exception):
    """The answer does not hold; `finding` says where."""

    def __init__(self, code: str, index: int | None = None) -> None:
        super().__init__(code)
        self.finding = Finding(code, index=index)


@dataclass(frozen=True, slots=True)
class Asked:
    """What the answer says it answers: the list it goes through, and which of its rows were wanted."""

    kind: str
    value: str
    first_day: int
    last_day: int
    wanted: Mapping[str, Any]

    @classmethod
    def read(cls, header: Mapping[str, Any]) -> "Asked":
        """Read the first line; raises KeyError, TypeError or ValueError."""
        told, wanted = header["list"], header["wanted"]
        kind, value = str(told["kind"]), str(told["value"])
        first, last = whole_number(told["first_day"]), whole_number(told["last_day"])
        if header["format"] != FORMAT or kind not in KINDS or not first <= last <= LAST_DAY:
            raise ValueError("not an answer of this format")
        if (kind == PERSON and (first, last) != (0, 0)) or not isinstance(wanted, Mapping):
            raise ValueError("a person's list has no days")
        return cls(kind, value, first, last, wanted)

    def belongs(self, day: int, summary: Mapping[str, Any]) -> bool:
        """Whether a row may be in the list of a day."""
        if self.kind == PERSON:
            return True
        named = {PARTNER: "partners", CONVENTION: "conventions"}.get(self.kind)
        return day_of(summary["occurred_at"]) == day and (named is None or self.value in summary[named])


@dataclass(frozen=True, slots=True)
class Row:
    """One row of an answer: an entry of the log at its place, its summary, and the event where it is shown."""

    line: int
    index: int
    entry: bytes
    summary: Mapping[str, Any]
    matches: bool
    shown: Mapping[str, Any] | None


def read_row(numbered: tuple[int, Mapping[str, Any]]) -> Row:
    """Read a row; an event that is shown must open its entry and have the summary that the row has. Raises Refused."""
    line, row = numbered
    try:
        entry, summary, shown = decode_base64(row["entry"]), row["summary"], None
        if "event" in row:
            disclosure = Disclosure(row["event"].encode(), decode_base64(row["opening"]))
            shown = disclosure.read()
            told = summarize(shown["type"], shown["occurred_at"], shown["actor"], shown["body"])
            if disclosure.entry() != entry or told != canonical(summary):
                raise Refused("row_not_this", line)
        return Row(line, whole_number(row["index"]), entry, summary, row["matches"] is True, shown)
    except (KeyError, TypeError, ValueError, AttributeError, DisclosureInvalid, NoteInvalid):
        raise Refused("answer_malformed", line) from None


@dataclass(frozen=True, slots=True)
class Shown:
    """One list as a page shows it."""

    key: bytes
    count: int
    root: bytes
    first: int
    rows: int
    proof: Sequence[bytes]

    @classmethod
    def read(cls, told: Mapping[str, Any]) -> "Shown":
        """Read one list of a page; raises KeyError, TypeError, ValueError or NoteInvalid."""
        key, root = bytes.fromhex(told["key"]), decode_base64(told["root"])
        if len(key) != KEY_SIZE or told["key"] != key.hex():
            raise ValueError("the key of a list has 32 bytes")
        return cls(
            key,
            whole_number(told["count"]),
            root,
            whole_number(told["first"]),
            whole_number(told["rows"]),
            hashes_of(told["proof"]),
        )

    @property
    def day(self) -> int:
        """The day whose list it is, counted from 1970-01-01."""
        return int.from_bytes(self.key[-4:], "big")

    def check_rows(self, rows: Sequence[Row], start: Place, upto: Place | None) -> None:
        """The rows are those of the list from `start` to `upto` (its end), and all of them. Raises ProofInvalid."""
        first = start[1] if self.day == start[0] else 0
        end = upto[1] if upto is not None and self.day == upto[0] else self.count
        if (self.first, self.first + self.rows) != (first, end):
            raise ProofInvalid("a list does not show all its rows")
        shown = {
            first + i: row_hash(row.index, row.entry, canonical(row.summary)) for i, row in enumerate(rows)
        }  # by position: rows cannot change places
        if subset_root(self.count, shown, self.proof) != self.root:
            raise ProofInvalid("the rows are not those of the list")


def numbered(lines: Iterable[bytes]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """The lines with their numbers, from 1. Raises Refused at one that cannot be read without ambiguity."""
    for number, raw in enumerate(lines, 1):
        if len(raw) > MAX_LINE:
            raise Refused("answer_malformed", number)
        try:
            yield number, read_object(raw)
        except ValueError:
            raise Refused("answer_malformed", number) from None


def hashes_of(told: Iterable[str]) -> list[bytes]:
    """Hashes in strict base64; raises NoteInvalid."""
    return [decode_base64(each) for each in told]


def place_of(told: Sequence[Any]) -> Place:
    """A place in the lists: a day, and a position in its list. Raises ValueError."""
    day, position = told
    return whole_number(day), whole_number(position)


def whole_number(told: Any) -> int:
    """A whole number that no log exceeds; raises ValueError."""
    if not isinstance(told, int) or isinstance(told, bool) or not 0 <= told < 2**63:
        raise ValueError("not a whole number")
    return told
