"""
Correspondences of codes as files: a partner's value, the shared value, a note.
"""

import csv
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.resources.abc import Traversable
from io import StringIO
from typing import Final, Self

from schemas import code_list, crosswalk

OTHERWISE: Final = "*"
"""The partner's value of the row that stands for every value which the table does not name."""

AMBIGUOUS: Final = "\0"

HEADER: Final = ("partner_value", "shared_value", "note")
"""The names on the first line of a table."""


class TableRefused(ValueError):
    """
    A table cannot be read: `line` (from 1) and a sentence in each language, which says what to do.
    """

    def __init__(self, line: int, message_fr: str, message_en: str) -> None:
        super().__init__(f"{message_fr} / {message_en}")
        self.line = line
        self.message_fr = message_fr
        self.message_en = message_en


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
        Read a table: CSV in UTF-8 or, as spreadsheets save it in French, Windows-1252; commas or semicolons. Raises
        `TableRefused`, also when a partner's value comes twice, or when a shared code that the partner has no word for has
        no reason.
        """
        rows: dict[str, str] = {}
        notes: dict[str, str] = {}
        unwritten: dict[str, str] = {}
        preferred: dict[str, str] = {}
        for line, row in _lines(source.read_bytes()):
            value, shared, note = (row[name] or "" for name in HEADER)
            if not value:
                if not (shared and note):
                    raise TableRefused(
                        line,
                        "Une ligne sans valeur du partenaire dit un code commun, et dans « note » pourquoi il n'a pas de mot pour lui.",
                        "A row without a partner's value says a shared code, and in “note” why the partner has no word for it.",
                    )
                unwritten[shared] = note
                continue
            if row.get("direction") == "out":
                preferred[shared] = value
                continue
            if value in rows:
                raise TableRefused(
                    line,
                    "Cette valeur du partenaire y est déjà, plus haut : gardez une seule des deux lignes.",
                    "This partner's value is already there, above: keep one of the two rows.",
                )
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


def _lines(raw: bytes) -> Iterator[tuple[int, dict[str, str | None]]]:
    """
    The rows of a table that hold something, each with its line.
    """
    try:
        text = _decoded(raw)
    except UnicodeDecodeError:
        raise TableRefused(
            1,
            "L'encodage n'est ni UTF-8 ni Windows-1252 : enregistrez le fichier en « CSV UTF-8 ».",
            "The encoding is neither UTF-8 nor Windows-1252: save the file as “CSV UTF-8”.",
        ) from None
    first = text.partition("\n")[0]
    reader = csv.DictReader(StringIO(text, newline=""), delimiter=";" if ";" in first else ",", strict=True)
    try:
        reader.fieldnames = [name.strip().casefold() for name in reader.fieldnames or ()]
        if not set(HEADER) <= set(reader.fieldnames):
            raise TableRefused(
                1,
                f"La première ligne doit être « {','.join(HEADER)} » (ou avec des points-virgules).",
                f"The first line must be “{','.join(HEADER)}” (or with semicolons).",
            )
        for row in reader:
            if any(value for name, value in row.items() if name):
                yield reader.line_num, row
    except csv.Error:
        raise TableRefused(
            max(reader.reader.line_num, 1),
            "Cette ligne n'est pas du CSV : un guillemet y est ouvert ou fermé au mauvais endroit.",
            "This line is not CSV: a quotation mark is opened or closed in the wrong place.",
        ) from None


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("windows-1252")
