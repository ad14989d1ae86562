"""
Reads the flow's dates, flags, codes and texts; what cannot be read is told and left out, never guessed.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, timezone

from adapters.base import warning
from adapters.cnaf_rsa.blocks import Block
from adapters.tables import Table
from schemas import Document, Issue

HOUSEHOLD = "/Racine/InfosFoyerRSA"
"""The path of a household, under which every issue points."""

DEMAND = "/Racine/InfoDemandeRSA"
"""The path of an application in the instruction flows, whose blocks have the same names."""

_DATE = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:Z|[+-][0-9]{2}:[0-9]{2})?")
_TIME = re.compile(r"([0-9]{2}):([0-9]{2}):([0-9]{2})(?:[.,][0-9]*)?")
_LITERAL = re.compile(r"[0-9A-Za-z]{1,12}")
_FLAGS = {"1": True, "true": True, "0": False, "false": False}


@dataclass(slots=True)
class Local:
    """
    The partner's own words, kept beside the common ones: a status, codes, and fields that stay held back by default.
    """

    status: str | None = None
    codes: list[Document] = field(default_factory=list)
    fields: dict[str, str] = field(default_factory=dict)

    def keep(self, element: str, code: str) -> None:
        """
        Keep a code of the list that has its element's name.
        """
        kept = {"scheme": f"cnaf_rsa:{element}", "code": code}
        if kept not in self.codes:
            self.codes.append(kept)

    def copy(self) -> "Local":
        """
        The same words, to which those of one person can be added.
        """
        return Local(self.status, list(self.codes), dict(self.fields))

    def written(self) -> Document:
        """
        The property `local` of a document, empty when there is nothing to keep.
        """
        parts = {"status": self.status, "codes": self.codes, "fields": self.fields}
        return {name: part for name, part in parts.items() if part}


class Values:
    """
    Reads single values of one file, with its tables, and gathers what the sender should know.

    `records` is the path of the file's records, `HOUSEHOLD` or `DEMAND`: what is told points under it.
    """

    def __init__(self, tables: Mapping[str, Table], issues: list[Issue]) -> None:
        self._tables = tables
        self._issues = issues
        self._told: set[Issue] = set()
        self.records = HOUSEHOLD
        self.tellings = 0

    def code(self, block: Block, where: str, element: str, local: Local, table: str | None = None) -> str | None:
        """
        The shared code of an element, by the table that has its name in lower case, or by `table`.

        A code that the table does not know is told, its literal kept in `local` (held back by default).
        """
        literal = block.texts.get(element)
        if literal is None:
            return None
        found = self._tables[table or element.lower()]
        if not found.knows(literal):
            if _LITERAL.fullmatch(literal):
                local.fields[element] = literal
            self.tell(
                "code_unknown",
                f"{where}/{element}",
                "Ce code n'est pas dans la liste connue : il est gardé tel quel, sans être traduit.",
                "This code is not in the known list: it is kept as it is and not translated.",
                block.line,
            )
        return found.shared(literal)

    def shared(self, table: str, value: str) -> str | None:
        """
        The shared code of a value in a table, None when there is none; nothing is told.
        """
        return self._tables[table].shared(value)

    def is_withheld(self, element: str, literal: str) -> bool:
        """
        Whether a code reveals a check, a sanction, health or a residence permit, so that its literal is not kept.
        """
        return self._tables["withheld_codes"].knows(f"{element}:{literal}")

    def date(self, block: Block, where: str, element: str) -> str | None:
        """
        A date `YYYY-MM-DD` of the calendar; anything else is told and left out.
        """
        written = block.texts.get(element)
        if written is None:
            return None
        read = read_date(written)
        if read is None:
            self.tell(
                "date_unreadable",
                f"{where}/{element}",
                "Cette date n'est pas une date AAAA-MM-JJ du calendrier : elle n'est pas reprise.",
                "This is not a YYYY-MM-DD date of the calendar: it is not used.",
                block.line,
            )
        return read

    def flag(self, block: Block, where: str, element: str) -> bool | None:
        """
        A yes or no, written 1 or 0, true or false.
        """
        written = block.texts.get(element)
        if written is None:
            return None
        if written not in _FLAGS:
            self.tell(
                "flag_unreadable",
                f"{where}/{element}",
                "Cette valeur n'est ni 0 ni 1 : elle n'est pas reprise.",
                "This value is neither 0 nor 1: it is not used.",
                block.line,
            )
        return _FLAGS.get(written)

    def tell(self, code: str, pointer: str, message_fr: str, message_en: str, line: int) -> None:
        """
        Tell the sender something about one element, once, without its value.
        """
        self.tellings += 1
        pointer = pointer.replace(HOUSEHOLD, self.records, 1)
        issue = warning(code, pointer, message_fr, message_en, line=line)
        if issue not in self._told:
            self._told.add(issue)
            self._issues.append(issue)

    def forget_told(self) -> None:
        """
        Forget what was told, once it was passed on: a file of any length is read in the same memory.
        """
        self._told.clear()


def read_date(written: str) -> str | None:
    """
    A date of the calendar as `YYYY-MM-DD`, its offset left out (`2021-12-03+01:00` is met); None when it is not one.
    """
    match = _DATE.fullmatch(written)
    if match is None:
        return None
    try:
        date.fromisoformat(match[1])
    except ValueError:
        return None
    return match[1]


def clean(text: str) -> str:
    """
    A text with its accents composed (NFC) and its runs of spaces reduced to one.
    """
    return " ".join(unicodedata.normalize("NFC", text).split())


def french_moment(day: str, time: str) -> str:
    """
    A date and a time of metropolitan France as RFC 3339; midnight when the time is not one (3, 4 or no decimals are met).

    The offset follows the European rule (last Sundays of March and October, 01:00 UTC), so that no machine needs a
    time zone database to read a file.
    """
    match = _TIME.fullmatch(time)
    parts = [int(part) for part in match.groups()] if match else [0, 0, 0]
    if parts[0] > 23 or parts[1] > 59 or parts[2] > 59:
        parts = [0, 0, 0]
    wall = datetime.fromisoformat(day).replace(hour=parts[0], minute=parts[1], second=parts[2])
    in_utc = wall.replace(tzinfo=UTC) - timedelta(hours=1)
    summer = _last_sunday(wall.year, 3) <= in_utc < _last_sunday(wall.year, 10)
    return wall.replace(tzinfo=timezone(timedelta(hours=2 if summer else 1))).isoformat()


def _last_sunday(year: int, month: int) -> datetime:
    last = datetime(year, month, 31, 1, tzinfo=UTC)
    return last - timedelta(days=(last.weekday() + 1) % 7)
