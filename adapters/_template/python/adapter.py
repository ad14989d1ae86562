"""
A partner's list of people to call back, as a CSV of five columns, both ways. Copy this folder, then change everything.
"""

from collections.abc import Sequence
from importlib.resources import files
from typing import Final

from adapters.base import AdapterError, Context, Records, Source, Translated, Translation, warning
from adapters.csv_cells import decode, read_rows, write_rows
from adapters.report import Tally, read_rules, shown_name
from adapters.tables import Table
from schemas import Document, Issue, Kind
from schemas.identity import read_birth_date

COLUMNS: Final = ("NOM", "PRENOM", "NAISSANCE", "MOTIF", "DOSSIER")


class Template:
    """
    What the format is: encoding, separator, dates, what is peculiar to it.
    """

    name = "template"
    title = "Modèle d'adaptateur (CSV)"
    media_types: tuple[str, ...] = ("text/csv",)
    output_media_type = "text/csv; charset=utf-8; header=present"
    kinds_in = frozenset({Kind.REFERRAL})
    kinds_out = frozenset({Kind.REFERRAL})

    def __init__(self) -> None:
        folder = files("adapters._template.python") / "tables"
        # Every element of the format, with its treatment: the exam finds those that are not in the list.
        self.fields = read_rules(folder / "elements.csv")
        # Meaning is in tables, each bound to the shared list whose codes it gives.
        self._reasons = Table.read(folder / "motif.csv", "reason")
        self.tables = (self._reasons,)

    def to_shared(self, raw: bytes, context: Context) -> Translation:
        """
        Read a file; see `Adapter.to_shared`.
        """
        text, _ = decode(raw)
        issues: list[Issue] = []
        tally = Tally(self.fields)
        rows = read_rows(text, COLUMNS)
        _, header = next(rows)
        documents = []
        refused = 0
        for line, found in rows:
            # Count every cell: what the list does not name is told, never lost in silence.
            for name, cell in zip(header, found, strict=True):
                if cell and name in COLUMNS:
                    tally.add(f"/{name}")
                elif cell:
                    tally.add_unknown(f"/{shown_name(name)}")
            document = self._referral(dict(zip(header, found, strict=True)), line, issues, context)
            if document:
                documents.append(Translated(document, Source(line, None)))
            else:
                refused += 1
        # Each row gave a document or was refused with an issue; a row left out without one would be counted as set aside.
        counted = Records(len(documents), refused, ())
        return Translation(tuple(documents), tuple(issues), tally.coverage(), records=counted)

    def to_partner(self, documents: Sequence[Document]) -> bytes:
        """
        Write one row per referral; what the gate cut is an empty cell.
        """
        if any(document.get("kind") != Kind.REFERRAL for document in documents):
            raise AdapterError("kind_not_carried", "Ce format ne porte que des orientations.", "Referrals only.")
        return write_rows(COLUMNS, (self._cells(document) for document in documents))

    def _referral(self, cells: dict[str, str], line: int, issues: list[Issue], context: Context) -> Document | None:
        birth_date = read_birth_date(cells["NAISSANCE"])
        if not (cells["NOM"] and cells["PRENOM"] and birth_date):
            # Tell where and what to do, without the value.
            french = "Il manque le nom, le prénom ou la date de naissance : cette ligne n'est pas reprise."
            english = "The name, the given name or the birth date is missing: this row is not used."
            issues.append(warning("identity_incomplete", "/NOM", french, english, line=line))
            return None
        reason = self._reasons.shared(cells["MOTIF"])
        if cells["MOTIF"] and not self._reasons.knows(cells["MOTIF"]):
            french, english = "Ce motif n'est pas dans la liste connue.", "This reason is not in the known list."
            issues.append(warning("code_unknown", "/MOTIF", french, english, line=line))
        subject: Document = {
            "birth_name": cells["NOM"],
            "given_names": [cells["PRENOM"]],
            "birth_date": birth_date.text,
        }
        if cells["DOSSIER"]:
            subject["identifiers"] = [{"scheme": "partner", "value": cells["DOSSIER"]}]
        return {
            "kind": Kind.REFERRAL.value,
            "schema_version": "1.0",
            # The same row of a later file is the same referral; the gateway keys this text, so it may hold a number.
            "id": context.document_id("/".join(("template", *(cells[name] for name in COLUMNS)))),
            "created_at": context.now.isoformat(),
            "sender": context.organisation,
            "purpose": context.purpose,
            "subject": subject,
            "reasons": [{"scheme": "reason", "code": reason}] if reason else [],
        }

    def _cells(self, referral: Document) -> list[str]:
        subject = referral.get("subject", {})
        codes = [reason.get("code") for reason in referral.get("reasons", [])]
        numbers = [each["value"] for each in subject.get("identifiers", []) if each["scheme"] == "partner"]
        return [
            subject.get("birth_name", ""),
            next(iter(subject.get("given_names", [])), ""),
            subject.get("birth_date", ""),
            next((value for value, code in self._reasons.rows.items() if code in codes), ""),
            next(iter(numbers), ""),
        ]
