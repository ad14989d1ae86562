"""
Correspondences of codes as files: a partner's value, the shared value, a note.
"""

import csv
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources.abc import Traversable
from io import StringIO
from typing import Final, Self

from schemas import code_list, crosswalk

OTHERWISE: Final = "*"
"""The partner's value of the row that stands for every value which the table does not name."""

AMBIGUOUS: Final = "\0"


@dataclass(frozen=True, slots=True)
class Table:
    """
    A table `partner_value,shared_value,note` and the shared code list whose codes its second column gives.

    An empty shared value means "seen, and deliberately not mapped": the value is known, but no shared code is given. An
    empty partner's value means that the partner has no word for that shared code: it is in `unwritten`, with the reason.
    A fourth column, `direction`, may say `out`: the row is only for writing, a word for a code that is never read from it.
    `partner_list`, when there is one, is the code list of all the values that the partner may send. A table made of a
    crosswalk of the shared language has no file (`crosswalk`).
    """

    name: str
    code_list: str
    rows: dict[str, str]
    notes: dict[str, str]
    unwritten: Mapping[str, str] = field(default_factory=dict)
    partner_list: str | None = None
    preferred: Mapping[str, str] = field(default_factory=dict)
    crosswalk: bool = False
    _folded: Mapping[str, str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """
        Prepare the values as people type them; those that only their case tells apart are left to their exact form.
        """
        folded: dict[str, str] = {}
        for value, shared in self.rows.items():
            key = _fold(value)
            folded[key] = shared if folded.get(key, shared) == shared else AMBIGUOUS
        object.__setattr__(self, "_folded", {key: shared for key, shared in folded.items() if shared != AMBIGUOUS})

    @classmethod
    def of_crosswalk(cls, name: str, partner_list: str, shared_list: str) -> Self:
        """
        The table that a crosswalk of the shared language makes: the nearest code each way, and nothing where it has none.

        Raises `UnknownCodeList`.
        """
        forwards, backwards = crosswalk(partner_list, shared_list), crosswalk(shared_list, partner_list)
        ways = {code: forwards[code][0] if code in forwards else None for code in code_list(partner_list)}
        return cls(
            name,
            shared_list,
            {code: way.code if way else "" for code, way in ways.items()},
            {code: way.note_fr if way else "" for code, way in ways.items()},
            {code: f"{shared_list}--{partner_list}" for code in code_list(shared_list) if code not in backwards},
            partner_list,
            {code: found[0].code for code, found in backwards.items()},
            crosswalk=True,
        )

    @classmethod
    def read(cls, source: Traversable, code_list: str, partner_list: str | None = None) -> Self:
        """
        Read a table (CSV, UTF-8, comma). Raises `ValueError` when a partner's value comes twice, or when a shared code
        that the partner has no word for has no reason.
        """
        rows: dict[str, str] = {}
        notes: dict[str, str] = {}
        unwritten: dict[str, str] = {}
        preferred: dict[str, str] = {}
        reader = csv.DictReader(StringIO(source.read_text(encoding="utf-8"), newline=""), strict=True)
        for row in reader:
            value, shared, note = row["partner_value"], row["shared_value"], row["note"]
            if not value:
                if not (shared and note):
                    raise ValueError(
                        f"{source.name}: a row without a partner's value has no reason, line {reader.line_num}"
                    )
                unwritten[shared] = note
                continue
            if row.get("direction") == "out":
                preferred[shared] = value
                continue
            if value in rows:
                raise ValueError(f"{source.name}: a value comes twice, line {reader.line_num}")
            rows[value] = shared
            notes[value] = note
        return cls(source.name.removesuffix(".csv"), code_list, rows, notes, unwritten, partner_list, preferred)

    def shared(self, value: str) -> str | None:
        """
        The shared code of a partner's value; None when there is none, for either reason (see `knows`).
        """
        found = self.rows.get(value)
        return (self._folded.get(_fold(value)) if found is None else found) or None

    def knows(self, value: str) -> bool:
        """
        Whether the table names this value, mapped or not, whatever its case, its spaces and the form of its accents.
        """
        return value in self.rows or _fold(value) in self._folded

    @property
    def otherwise(self) -> str | None:
        """
        The shared code of the values that the table does not name: that of the row `*`; None without such a row.
        """
        return self.rows.get(OTHERWISE) or None

    def partner(self, shared: object) -> str | None:
        """
        The partner's value of a shared code: the first row that gives it, the row `*` aside.
        """
        if isinstance(shared, str) and shared in self.preferred:
            return self.preferred[shared]
        return next((value for value, code in self.rows.items() if code == shared and value != OTHERWISE), None)


def _fold(value: str) -> str:
    return " ".join(unicodedata.normalize("NFC", value).casefold().split())
