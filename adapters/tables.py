"""
Correspondences of codes as files: a partner's value, the shared value, a note.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources.abc import Traversable
from io import StringIO
from typing import Final, Self

OTHERWISE: Final = "*"
"""The partner's value of the row that stands for every value which the table does not name."""


@dataclass(frozen=True, slots=True)
class Table:
    """
    A table `partner_value,shared_value,note` and the shared code list whose codes its second column gives.

    An empty shared value means "seen, and deliberately not mapped": the value is known, but no shared code is given. An
    empty partner's value means that the partner has no word for that shared code: it is in `unwritten`, with the reason.
    `partner_list`, when there is one, is the code list of all the values that the partner may send.
    """

    name: str
    code_list: str
    rows: dict[str, str]
    notes: dict[str, str]
    unwritten: Mapping[str, str] = field(default_factory=dict)
    partner_list: str | None = None

    @classmethod
    def read(cls, source: Traversable, code_list: str, partner_list: str | None = None) -> Self:
        """
        Read a table (CSV, UTF-8, comma). Raises `ValueError` when a partner's value comes twice, or when a shared code
        that the partner has no word for has no reason.
        """
        rows: dict[str, str] = {}
        notes: dict[str, str] = {}
        unwritten: dict[str, str] = {}
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
            if value in rows:
                raise ValueError(f"{source.name}: a value comes twice, line {reader.line_num}")
            rows[value] = shared
            notes[value] = note
        return cls(source.name.removesuffix(".csv"), code_list, rows, notes, unwritten, partner_list)

    def shared(self, value: str) -> str | None:
        """
        The shared code of a partner's value; None when there is none, for either reason (see `knows`).
        """
        return self.rows.get(value) or None

    def knows(self, value: str) -> bool:
        """
        Whether the table names this value, mapped or not.
        """
        return value in self.rows

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
        return next((value for value, code in self.rows.items() if code == shared and value != OTHERWISE), None)
