"""
Records per second of each format, beside a parser written by hand for the same file and, everywhere, the library's own
parse of the same bytes: for XML, lxml's is the floor.

The four generic formats carry the same referral of 35 values, so their hand-written parsers end alike: what a mapping costs
is the ratio. The parser written by hand reads 26 of the 35, checks the same document, and says nothing to anybody: no
remark, no place, no count of elements. Every other format is measured on its largest sample, beside the parser of
`by_hand` that reads only who the documents are about.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final

import hl7
import python_calamine
from lxml import etree

from adapters.base import Adapter, AdapterError, Context
from adapters.cnaf_rsa.fictitious import fictitious_flow
from adapters.exam import EXAM_CONTEXT, Sitting
from adapters.registry import ADAPTERS
from adapters.tables import Table
from ops.bench.by_hand import BY_HAND, identities_of
from ops.bench.measured import Goal, Measured, Say, microseconds
from schemas import Document, Kind, validate
from schemas.identity import read_birth_date, read_nir, read_phone

RECORDS: Final = 500
HOUSEHOLDS: Final = 300
_GENERIC: Final = ("orientation-csv", "orientation-xlsx", "orientation-json", "orientation-xml")
_CONTEXT: Final = Context(
    EXAM_CONTEXT.organisation,
    EXAM_CONTEXT.purpose,
    EXAM_CONTEXT.now,
    lambda key: "3f1c2b7a-8d4e-4a6b-9c1d-5e2f7a8b9c0d",
)

Parse = Callable[[bytes], object]


def run(say: Say) -> Measured:
    """Records per second; times the parse of the library, times a parser written by hand."""
    figures: dict[str, float] = {}
    goals: dict[str, Goal] = {}
    referral = _referral()
    for name in _GENERIC:
        say(f"{name}: {RECORDS} records")
        adapter = ADAPTERS[name]
        raw = adapter.to_partner([{**referral, "reference": f"VAL-{number}"} for number in range(RECORDS)])
        by_hand = _BY_HAND[name]
        documents = [each.document for each in adapter.to_shared(raw, _CONTEXT).documents]
        assert [_common(each) for each in documents] == [_common(each) for each in by_hand(raw)], "not the same work"
        taken, alone, hand = microseconds(
            partial(adapter.to_shared, raw, _CONTEXT),
            partial(_LIBRARY[name], raw),
            partial(_all, by_hand, raw),
            rounds=3,
        )
        _tell(figures, name, RECORDS, taken, alone)
        figures[f"{name}_times_hand_written_ratio"] = taken / hand
        goals[f"{name}_times_hand_written_ratio"] = Goal(taken / hand, 6.0, at_most=True)
    say(f"cnaf-rsa: {HOUSEHOLDS} households")
    _measure(figures, "cnaf-rsa", fictitious_flow(HOUSEHOLDS, 5), HOUSEHOLDS)
    for name, adapter in ADAPTERS.items():
        if name not in {*_GENERIC, "cnaf-rsa"} and (found := largest(adapter)):
            say(f"{name}: its largest sample, {found[1]} documents")
            _measure(figures, name, *found)
    return Measured(figures, goals)


def _measure(figures: dict[str, float], name: str, raw: bytes, records: int) -> None:
    """
    One format beside the library's parse of the same bytes, and beside a parser of the identities when there is one.
    """
    adapter, by_hand = ADAPTERS[name], BY_HAND.get(name)
    tasks: list[Callable[[], object]] = [
        partial(adapter.to_shared, raw, EXAM_CONTEXT),
        partial(_any_library, raw),
    ]
    if by_hand:
        read = set(by_hand(raw))
        given = identities_of(each.document for each in adapter.to_shared(raw, EXAM_CONTEXT).documents)
        assert given and given <= read, "not the same people"
        tasks.append(partial(_all, by_hand, raw))
    taken, alone, *hand = microseconds(*tasks, rounds=3)
    _tell(figures, name, records, taken, alone)
    if hand:
        figures[f"{name}_times_identity_by_hand_ratio"] = taken / hand[0]


def _all(by_hand: Callable[[bytes], Iterator[Any]], raw: bytes) -> list[Any]:
    return list(by_hand(raw))


def _tell(figures: dict[str, float], name: str, records: int, taken: float, alone: float) -> None:
    figures[f"{name}_records_per_s"] = records / taken * 1e6
    figures[f"{name}_times_library_parse_ratio"] = taken / alone


def largest(adapter: Adapter) -> tuple[bytes, int] | None:
    """
    The sample that gives the most documents, and how many.
    """
    best: tuple[bytes, int] | None = None
    for case in Sitting(adapter).inbound:
        try:
            count = len(adapter.to_shared(case.partner or b"", EXAM_CONTEXT).documents)
        except AdapterError:
            continue
        if case.partner and count > (best[1] if best else 0):
            best = case.partner, count
    return best


def _referral() -> Document:
    (case,) = (case for case in Sitting(ADAPTERS["orientation-csv"]).inbound if case.name == "tableau-complet")
    documents = case.shared or []
    return documents[0]


def _common(document: Document) -> tuple[Any, ...]:
    subject = document["subject"]
    return (
        document["reference"], subject["birth_name"], subject["given_names"], subject["birth_date"], subject["nir"],
        subject["phones"], [reason["code"] for reason in document["reasons"]], document["situation"]["housing"],
    )  # fmt: skip


def _any_library(raw: bytes) -> object:
    """
    The parse of the library that the bytes are for.
    """
    if raw.startswith(b"PK"):
        return _calamine(raw)
    if raw.lstrip(b"\xef\xbb\xbf \r\n").startswith(b"<"):
        return etree.fromstring(raw)
    if raw.lstrip().startswith((b"{", b"[")):
        return [json.loads(line) for line in raw.splitlines()] if b"}\n{" in raw else json.loads(raw)
    if raw.startswith(b"MSH"):
        return [hl7.parse(f"MSH{message}") for message in raw.decode().split("MSH")[1:]]
    return list(csv.reader(io.StringIO(raw.decode("utf-8-sig", errors="replace")), delimiter=";"))


def _calamine(raw: bytes) -> list[list[Any]]:
    book = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(raw))
    return book.get_sheet_by_name(book.sheet_names[0]).to_python()


def _csv_rows(raw: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(raw.decode("utf-8-sig"), newline=""), delimiter=";"))


_LIBRARY: Final[dict[str, Parse]] = {
    "orientation-csv": lambda raw: list(csv.reader(io.StringIO(raw.decode("utf-8-sig"), newline=""), delimiter=";")),
    "orientation-xlsx": _calamine,
    "orientation-json": json.loads,
    "orientation-xml": etree.fromstring,
}


def _by_hand_csv(raw: bytes) -> Iterator[Document]:
    tables = _tables("orientation-csv")
    for row in _csv_rows(raw):
        yield _document(
            row,
            tables,
            row["Téléphones"].split(","),
            row["Prénoms"].replace(",", " ").split(),
            row["Motifs"].split(","),
        )


def _by_hand_xlsx(raw: bytes) -> Iterator[Document]:
    tables = _tables("orientation-xlsx")
    header, *rows = _calamine(raw)
    for cells in rows:
        row = dict(zip(header, cells, strict=True))
        yield _document(
            row,
            tables,
            row["Téléphones"].split(","),
            row["Prénoms"].replace(",", " ").split(),
            row["Motifs"].split(","),
        )


def _by_hand_json(raw: bytes) -> Iterator[Document]:
    tables = _tables("orientation-json")
    for each in json.loads(raw)["orientations"]:
        person, place, structure = each["personne"], each["personne"]["adresse"], each["orientation"]["structure"]
        row = {
            "Référence": each["reference"], "Civilité": person["civilite"], "Nom de naissance": person["nom_naissance"],
            "Nom d'usage": person["nom_usage"], "Date de naissance": person["date_naissance"], "Sexe": person["sexe"],
            "NIR": person["nir"], "Numéro CAF": person["numero_caf"],
            "Identifiant France Travail": person["identifiant_france_travail"], "Courriels": person["courriels"][0],
            "Adresse": place["lignes"][0], "Complément d'adresse": place["lignes"][1], "Code postal": place["code_postal"],
            "Commune": place["commune"], "Situation familiale": each["situation"]["famille"],
            "Enfants à charge": each["situation"]["enfants"], "Logement": each["situation"]["logement"],
            "Situation professionnelle": each["situation"]["profession"], "Type d'orientation": each["orientation"]["type"],
            "Structure": structure["nom"], "SIRET de la structure": structure["siret"], "Observations": each["observations"],
        }  # fmt: skip
        yield _document(row, tables, person["telephones"], person["prenoms"], each["motifs"])


def _by_hand_xml(raw: bytes) -> Iterator[Document]:
    tables = _tables("orientation-xml")
    paths = {
        "Civilité": "Personne/Civilite", "Nom de naissance": "Personne/NomNaissance", "Nom d'usage": "Personne/NomUsage",
        "Date de naissance": "Personne/DateNaissance", "Sexe": "Personne/Sexe", "NIR": "Personne/Nir",
        "Numéro CAF": "Personne/NumeroCaf", "Identifiant France Travail": "Personne/IdentifiantFranceTravail",
        "Courriels": "Personne/Courriel", "Adresse": "Personne/Adresse/Ligne", "Complément d'adresse": "Personne/Adresse/Ligne[2]",
        "Code postal": "Personne/Adresse/CodePostal", "Commune": "Personne/Adresse/Commune",
        "Situation familiale": "Situation/Famille", "Enfants à charge": "Situation/Enfants", "Logement": "Situation/Logement",
        "Situation professionnelle": "Situation/Profession", "Type d'orientation": "Orientation/Type",
        "Structure": "Orientation/Structure/Nom", "SIRET de la structure": "Orientation/Structure/Siret",
        "Observations": "Observations",
    }  # fmt: skip
    for each in etree.fromstring(raw):
        row = {name: each.findtext(path) or "" for name, path in paths.items()}
        row["Référence"] = str(each.get("reference"))
        phones = [str(found.text) for found in each.iterfind("Personne/Telephone")]
        names = [str(found.text) for found in each.iterfind("Personne/Prenom")]
        yield _document(row, tables, phones, names, [str(found.text) for found in each.iterfind("Motifs/Motif")])


_BY_HAND: Final[dict[str, Callable[[bytes], Iterator[Document]]]] = {
    "orientation-csv": _by_hand_csv,
    "orientation-xlsx": _by_hand_xlsx,
    "orientation-json": _by_hand_json,
    "orientation-xml": _by_hand_xml,
}


def _tables(name: str) -> dict[str, Table]:
    return {table.name: table for table in ADAPTERS[name].tables}


def _document(
    row: dict[str, Any], tables: dict[str, Table], phones: list[str], names: list[str], reasons: list[str]
) -> Document:
    """
    The end that the hand-written parsers share: the same readings of identity, and the same validation, as the mappings.
    """
    birth, nir = read_birth_date(row["Date de naissance"]), read_nir(row["NIR"])
    document = {
        "kind": "referral",
        "schema_version": "1.0",
        "id": _CONTEXT.document_id(row["Référence"]),
        "created_at": _CONTEXT.now.isoformat(),
        "sender": _CONTEXT.organisation,
        "purpose": _CONTEXT.purpose,
        "reference": row["Référence"],
        "subject": {
            "title": tables["civilite"].shared(row["Civilité"]),
            "birth_name": row["Nom de naissance"],
            "used_name": row["Nom d'usage"],
            "given_names": names,
            "birth_date": birth.text if birth else "",
            "sex": tables["sexe"].shared(row["Sexe"]),
            "nir": nir.nir if nir else "",
            "nir_flag": nir.flag if nir else "",
            "identifiers": [
                {"scheme": "caf_matricule", "value": row["Numéro CAF"]},
                {"scheme": "france_travail", "value": row["Identifiant France Travail"]},
            ],
            "phones": [read_phone(phone) for phone in phones],
            "emails": [row["Courriels"]],
            "address": {
                "lines": [row["Adresse"], row["Complément d'adresse"]],
                "postcode": row["Code postal"],
                "commune": row["Commune"],
            },
        },
        "situation": {
            "family_situation": tables["famille"].shared(row["Situation familiale"]),
            "children_count": int(row["Enfants à charge"]),
            "housing": tables["logement"].shared(row["Logement"]),
            "employment": tables["profession"].shared(row["Situation professionnelle"]),
        },
        "reasons": [{"scheme": "reason", "code": tables["motif"].shared(reason.strip())} for reason in reasons],
        "orientation": {
            "type": tables["orientation"].shared(row["Type d'orientation"]),
            "structure": {"name": row["Structure"], "siret": row["SIRET de la structure"]},
        },
        "notes": row["Observations"],
    }
    assert not validate(Kind.REFERRAL, document)
    return document
