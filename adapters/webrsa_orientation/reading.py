"""
From the seventeen cells of a row to a referral; what cannot be read is told and left out.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from adapters.base import Context, warning
from adapters.tables import Table
from schemas import Document, Issue, Kind
from schemas.identity import fold, read_birth_date, read_phone, read_siret

_NOTHING: Final = frozenset({"", "NULL", "null"})
_MATRICULE: Final = re.compile(r"[0-9]{1,7}")
_IDENTIFIER: Final = re.compile(r"[0-9A-Za-z._/ -]{1,60}")
_EMAIL: Final = re.compile(r"[^@\s]{1,64}@[A-Za-z0-9.-]{1,189}")


@dataclass(frozen=True, slots=True)
class Row:
    """
    One row of the file: its line, its cells by column, the tables of codes, and where to tell what is wrong.

    `kept` gathers the words of the partner that have no common equivalent.
    """

    line: int
    cells: Mapping[str, str]
    tables: Mapping[str, Table]
    issues: list[Issue]
    kept: dict[str, str] = field(default_factory=dict)

    def text(self, column: str) -> str | None:
        """
        The cell of a column; None for an empty one, or for the word that databases export for nothing.
        """
        cell = " ".join(self.cells[column].split())
        return None if cell in _NOTHING else cell

    def read(self, column: str, reader: Callable[[str], str | None]) -> str | None:
        """
        What `reader` makes of the cell; a cell that it cannot read is told and left out.
        """
        cell = self.text(column)
        if cell is None:
            return None
        value = reader(cell)
        if value is None:
            self.tell(
                "cell_unreadable",
                column,
                "Cette cellule n'a pas la forme attendue dans sa colonne : elle n'est pas reprise.",
                "This cell does not have the form expected in its column: it is not used.",
            )
        return value

    def code(self, column: str) -> str | None:
        """
        The shared code of a cell, by the table that has the column's name in lower case.

        A code that the table does not know is told, its literal kept in `kept`.
        """
        cell = self.text(column)
        if cell is None:
            return None
        table = self.tables[column.lower()]
        if not table.knows(cell.upper()):
            self.kept[column] = cell[:100]
            self.tell(
                "code_unknown",
                column,
                "Ce code n'est pas dans la liste connue : il est gardé tel quel, sans être traduit.",
                "This code is not in the known list: it is kept as it is and not translated.",
            )
        return table.shared(cell.upper())

    def tell(self, code: str, column: str, message_fr: str, message_en: str) -> None:
        """
        Tell the sender something about one cell, without its value.
        """
        self.issues.append(warning(code, f"/{column}", message_fr, message_en, line=self.line))


def referral(row: Row, context: Context) -> Document | None:
    """
    One row as a referral; None, and told, when it does not say enough of who it is about.

    Its identifier depends on the matricule, the names, the birth date and the date of the orientation: the same row
    in a later export is the same referral.
    """
    subject = _subject(row)
    if not {"birth_name", "given_names", "birth_date"} <= subject.keys():
        row.tell(
            "identity_incomplete",
            "NOMNAI",
            "Il manque le nom de naissance, le prénom ou la date de naissance : cette ligne n'est pas reprise.",
            "The birth name, the given name or the birth date is missing: this row is not used.",
        )
        return None
    orientation = _orientation(row)
    traits = [fold(subject["birth_name"]), fold(subject["given_names"][0]), subject["birth_date"]]
    key = "/".join([row.text("MATRICULE") or "", *traits, orientation.get("start_date", "")])
    document = {
        "kind": Kind.REFERRAL.value,
        "schema_version": "1.0",
        "id": context.document_id(f"webrsa-orientation/{key}"),
        "created_at": context.now.isoformat(),
        "sender": context.organisation,
        "purpose": context.purpose,
        "subject": subject,
    }
    rest = {"orientation": orientation, "local": {"fields": row.kept} if row.kept else None}
    return document | {name: part for name, part in rest.items() if part}


def _subject(row: Row) -> Document:
    birth_name, used_name = row.text("NOMNAI"), row.text("NOM")
    if birth_name is None and used_name is not None:
        birth_name = used_name
        row.tell(
            "birth_name_assumed",
            "NOMNAI",
            "Le nom de naissance manque : le nom d'usage en tient lieu. Complétez-le si les deux diffèrent.",
            "The birth name is missing: the name in use stands for it. Fill it in if the two differ.",
        )
    given_name = row.text("PRENOM")
    identifiers = [
        {"scheme": scheme, "value": value}
        for scheme, value in (
            ("caf_matricule", _matricule(row)),
            ("departement_internal", row.read("ID_CD", _identifier)),
        )
        if value
    ]
    phones = [row.read(column, read_phone) for column in ("TELEPHONE_FIXE", "TELEPHONE_PORTABLE")]
    email = row.read("EMAIL", _email)
    subject = {
        "title": row.code("CIVILITE"),
        "birth_name": birth_name,
        "used_name": used_name if used_name != birth_name else None,
        "given_names": [given_name] if given_name else None,
        "birth_date": row.read("DTNAI", _birth_date),
        "identifiers": identifiers,
        "phones": [phone for phone in phones if phone],
        "emails": [email] if email else None,
    }
    return {name: value for name, value in subject.items() if value}


def _orientation(row: Row) -> Document:
    structure = {
        "siret": row.read("ORGANISME_ORIENTATION_SIRET", read_siret),
        "name": row.text("ORGANISME_ORIENTATION_REFERENT"),
    }
    referent = {"first_name": row.text("PRENOM_REFERENT"), "last_name": row.text("NOM_REFERENT")}
    orientation = {
        "type": row.code("NATURE_ORIENTATION"),
        "start_date": row.read("DATE_DEBUT_ORIENTATION", _full_date),
        "target": row.text("CIBLE"),
        "structure": {name: value for name, value in structure.items() if value},
        "referent": {name: value for name, value in referent.items() if value},
    }
    return {name: value for name, value in orientation.items() if value}


def _matricule(row: Row) -> str | None:
    """
    The CAF number with the left zeros that the export strips; a longer number can be a NIR, and is left out.
    """
    return row.read("MATRICULE", lambda cell: cell.zfill(7) if _MATRICULE.fullmatch(cell) else None)


def _identifier(cell: str) -> str | None:
    return cell if _IDENTIFIER.fullmatch(cell) else None


def _email(cell: str) -> str | None:
    return cell if _EMAIL.fullmatch(cell) else None


def _birth_date(cell: str) -> str | None:
    read = read_birth_date(cell)
    return read.text if read else None


def _full_date(cell: str) -> str | None:
    read = read_birth_date(cell)
    return read.text if read and read.precision == "day" else None
