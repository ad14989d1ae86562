"""
The adapter `webrsa-orientation`: referrals as the rows of WebRSA's orientation CSV, both ways.

There is no NIR in this file, neither in nor out.
"""

from collections.abc import Sequence
from importlib.resources import files
from typing import Final

from adapters.base import AdapterError, Context, Records, Source, Translated, Translation, warning
from adapters.csv_cells import decode, read_rows, write_rows
from adapters.report import Tally, read_rules, shown_name
from adapters.tables import Table
from adapters.webrsa_orientation.reading import Row, referral
from adapters.webrsa_orientation.writing import cells
from schemas import Document, Issue, Kind

COLUMNS: Final = (
    "MATRICULE",
    "CIVILITE",
    "NOM",
    "NOMNAI",
    "PRENOM",
    "DTNAI",
    "ORGANISME_ORIENTATION_REFERENT",
    "ORGANISME_ORIENTATION_SIRET",
    "NATURE_ORIENTATION",
    "NOM_REFERENT",
    "PRENOM_REFERENT",
    "DATE_DEBUT_ORIENTATION",
    "CIBLE",
    "EMAIL",
    "TELEPHONE_FIXE",
    "TELEPHONE_PORTABLE",
    "ID_CD",
)
_CODE_LISTS: Final = {"civilite": "title", "nature_orientation": "orientation_type"}


class WebrsaOrientation:
    """
    UTF-8, `;`, one header line, the matricule without its left zeros, dates `YYYY-MM-DD`.
    """

    name = "webrsa-orientation"
    title = "Orientations au format CSV de WebRSA"
    media_types: tuple[str, ...] = ("text/csv",)
    output_media_type = "text/csv; charset=utf-8; header=present"
    kinds_in = frozenset({Kind.REFERRAL})
    kinds_out = frozenset({Kind.REFERRAL})

    def __init__(self) -> None:
        folder = files("adapters.webrsa_orientation") / "tables"
        self.fields = read_rules(folder / "elements.csv")
        self.tables = tuple(Table.read(folder / f"{name}.csv", codes) for name, codes in _CODE_LISTS.items())

    def to_shared(self, raw: bytes, context: Context) -> Translation:
        """
        Read a file of orientations; see `Adapter.to_shared`. An unknown column is counted and left.
        """
        text, guessed = decode(raw)
        issues: list[Issue] = []
        if guessed:
            issues.append(_not_utf8())
        tally = Tally(self.fields)
        tables = {table.name: table for table in self.tables}
        rows = read_rows(text, COLUMNS)
        _, header = next(rows)
        documents = []
        refused = 0
        for number, (line, found) in enumerate(rows, 1):
            for name, cell in zip(header, found, strict=True):
                if cell and name in COLUMNS:
                    tally.add(f"/{name}")
                elif cell:
                    tally.add_unknown(f"/{shown_name(name)}")
            row = Row(line, dict(zip(header, found, strict=True)), tables, issues)
            document = referral(row, context)
            if document:
                documents.append(Translated(document, Source(line, f"row {number}")))
            else:  # never without an issue that says why
                refused += 1
        counted = Records(len(documents), refused, ())
        return Translation(tuple(documents), tuple(issues), tally.coverage(), records=counted)

    def to_partner(self, documents: Sequence[Document]) -> bytes:
        """
        Write one row per referral; see `Adapter.to_partner`.
        """
        if any(document.get("kind") != Kind.REFERRAL for document in documents):
            raise AdapterError(
                "kind_not_carried",
                "Ce format ne porte que des orientations.",
                "This format carries referrals only.",
            )
        tables = {table.name: table for table in self.tables}
        return write_rows(COLUMNS, (cells(document, tables) for document in documents))


def _not_utf8() -> Issue:
    return warning(
        "encoding_guessed",
        "",
        "Le fichier n'est pas en UTF-8 : il a été lu comme du windows-1252. Exportez-le en UTF-8.",
        "The file is not UTF-8: it was read as windows-1252. Export it as UTF-8.",
        line=1,
    )
