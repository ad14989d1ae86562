"""
Correspondences of codes as files: a partner's value, the shared value, a note.
"""

import csv
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from io import StringIO
from typing import Final, Self

OTHERWISE: Final = "*"
"""The partner's value of the row that stands for every value which the table does not name."""


@dataclass(frozen=True, slots=True)
class Table:
    """
    A table `partner_value,shared_value,note` and the shared code list whose codes its second column gives.

    An empty shared value means "seen, and deliberately not mapped": the value is known, but no shared code is given.
    """

    name: str
    code_list: str
    rows: dict[str, str]
    notes: dict[str, str]

    @classmethod
    def read(cls, source: Traversable, code_list: str) -> Self:
        """
        Read a table (CSV, UTF-8, comma). Raises `ValueError` when a partner's value comes twice.
        """
        rows: dict[str, str] = {}
        notes: dict[str, str] = {}
        for row in csv.DictReader(StringIO(source.read_text(encoding="utf-8"), newline=""), strict=True):
            value = row["partner_value"]
            if value in rows:
                raise ValueError(f"{source.name}: a value comes twice, line {len(rows) + 2}")
            rows[value] = row["shared_value"]
            notes[value] = row["note"]
        return cls(source.name.removesuffix(".csv"), code_list, rows, notes)

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
