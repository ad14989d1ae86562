"""
Rows as CSV for a spreadsheet: semicolons, UTF-8 with its mark, and no cell that a spreadsheet would take for a formula.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from typing import Any, Final

COLUMNS: Final = (
    "index",
    "id",
    "occurred_at",
    "type",
    "title",
    "actor",
    "partners",
    "conventions",
    "purposes",
    "withheld",
    "event",
    "entry",
)
BOM: Final = "\ufeff"

_FORMULA: Final = ("=", "+", "-", "@", "|", "%", "＝", "＋", "－", "＠")
_ODD: Final = ("\t", "\r", "\n", "\0")


def head() -> str:
    """The mark that tells spreadsheets the encoding, and the names of the columns."""
    return BOM + _written([COLUMNS])


def lines(rows: Iterable[Mapping[str, Any]]) -> str:
    """The wanted rows of a page, one a line."""
    return _written([_cells(row) for row in rows if row["matches"]])


def safe(cell: str) -> str:
    """
    A cell that no spreadsheet runs: an apostrophe goes before what begins like a formula, whatever white space or quote hides it.

    Source: OWASP, CSV injection; the full-width signs are read as the plain ones by some spreadsheets.
    """
    hidden = cell.lstrip(" \t\r\n\0\u00a0\ufeff'\"")
    return f"'{cell}" if hidden.startswith(_FORMULA) or cell.startswith(_ODD) else cell


def _cells(row: Mapping[str, Any]) -> list[str]:
    summary = row["summary"]
    told = {**row, **summary, **{name: " ".join(summary[name]) for name in ("partners", "conventions", "purposes")}}
    return [safe(str(told.get(name, ""))) for name in COLUMNS]


def _written(rows: Iterable[Iterable[str]]) -> str:
    out = io.StringIO()
    csv.writer(out, delimiter=";", quoting=csv.QUOTE_ALL, lineterminator="\r\n").writerows(rows)
    return out.getvalue()
