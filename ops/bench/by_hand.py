"""
Parsers written by hand that read only who the documents are about: the least that a program would do with each file.

A format's cost is measured beside them: they check nothing, tell nothing, and leave everything else in the file. They give
the same identities as the adapter, which is asserted before anything is measured.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, timedelta
from typing import Any, Final, Literal

import python_calamine
from lxml import etree

from schemas import Document
from schemas.identity import read_birth_date

_KNOWN: Final[Mapping[str, Literal["month", "year"]]] = {"J": "month", "O": "year"}

Identity = tuple[str, str, str]
"""A birth name, the first given name, a birth date (empty when there is none)."""


def identities_of(documents: Iterable[Document]) -> set[Identity]:
    """
    Who documents are about, those that name somebody.
    """
    subjects = [document["subject"] for document in documents]
    return {
        (subject["birth_name"], subject["given_names"][0], subject.get("birth_date", ""))
        for subject in subjects
        if "birth_name" in subject and subject.get("given_names")
    }


def _date(text: str) -> str:
    read = read_birth_date(text[:10])
    return read.text if read else ""


def _people(found: Iterable[Mapping[str, Any]], name: str, given: str, date: str = "") -> Iterator[Identity]:
    for each in found:
        yield each[name], each[given], _date(str(each[date])) if date else ""


def _rows(raw: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(raw.decode("utf-8-sig"), newline=""), delimiter=";"))


def _sheet(raw: bytes, skip: int) -> list[dict[str, str]]:
    book = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(raw))
    header, *rows = book.get_sheet_by_name(book.sheet_names[0]).to_python()[skip:]
    return [dict(zip(map(str, header), map(str, row), strict=True)) for row in rows]


def _cnaf_rsa(raw: bytes) -> Iterator[Identity]:
    for _, household in etree.iterparse(io.BytesIO(raw), tag="InfosFoyerRSA"):
        for person in household.iterfind("Personne"):
            texts = {each.tag: each.text or "" for each in person.iterfind("Identification/*")}
            born = read_birth_date(texts["DTNAI"], _KNOWN.get(texts.get("TYPEDTNAI", ""), "day"))
            yield texts["NOMNAI"], texts["PRENOM"], born.text if born else ""
        household.clear()


def _departement(raw: bytes) -> Iterator[Identity]:
    for person in etree.fromstring(raw).iterfind("{*}Dossier/{*}Usager"):
        name, given, born = (
            person.findtext(f"{{*}}{tag}") or "" for tag in ("NomNaissance", "Prenom", "DateNaissance")
        )
        yield name, given, _date(born)


def _administration_plus(raw: bytes) -> Iterator[Identity]:
    for each in json.loads(raw)["applications"]:
        if each.get("personalDataWiped"):
            continue
        known: dict[str, str] = dict(each["userInfos"])
        for answer in each["answers"]:
            if answer.get("visibleByHelpers", True):
                known |= answer.get("userInfos", {})
        yield (
            known.get("Nom de naissance") or known["Nom de famille"],
            known["Prénom"],
            _date(known["Date de naissance"]),
        )


def _mon_suivi_social(raw: bytes) -> Iterator[Identity]:
    living = [each for each in json.loads(raw)["beneficiaries"] if each["status"] != "Deceased"]
    return _people(living, "birthName", "firstName", "birthDate")


def _contacts(raw: bytes) -> Iterator[Identity]:
    holders = [row for row in _rows(raw) if row["ROLE PERSONNE"] == "DEMANDEUR"]
    return _people(holders, "NOM RESPONSABLE DOSSIER", "PRENOM RESPONSABLE DOSSIER")


def _api_particulier(raw: bytes) -> Iterator[Identity]:
    for each in json.loads(raw)["consultations"]:
        asked = each["parametres"]
        day = (asked.get(f"{part}DateNaissance", 0) for part in ("annee", "mois", "jour"))
        yield asked["nomNaissance"], asked["prenoms"][0], _date("{:04}-{:02}-{:02}".format(*day))


def _civil(found: Mapping[str, Any]) -> Iterator[Identity]:
    return _people([found["usager"]["etatCivil"]], "nom", "prenom", "dateNaissance")


def _hubee(raw: bytes) -> Iterator[Identity]:
    for each in json.loads(raw):
        if "FormulaireQF" in each:
            person = each["Case"]["applicant"]
            yield person["lastName"], person["firstName"], _date(each["FormulaireQF"]["pivot_identity"]["birthdate"])


def _hl7v2(raw: bytes) -> Iterator[Identity]:
    for line in raw.decode().split("\r"):
        if line.startswith("PID|"):
            cells = line.split("|")
            name, born = cells[5].split("^"), cells[7]
            yield name[0], name[1], f"{born[:4]}-{born[4:6]}-{born[6:8]}"


def _rdv_tableur(raw: bytes) -> Iterator[Identity]:
    book = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(raw))
    header, *rows = book.get_sheet_by_index(0).to_python()
    places = [header.index(title) for title in ("Nom", "Prénom", "Date de\nNaissance")]
    for row in rows:
        name, given, born = (row[place] for place in places)
        if isinstance(born, float):  # days since the end of 1899, as spreadsheets count
            born = date(1899, 12, 30) + timedelta(days=born)
        yield str(name), str(given), _date(str(born))


def _rdv_webhook(raw: bytes) -> Iterator[Identity]:
    found = json.loads(raw)
    for each in found if isinstance(found, list) else [found]:
        data = each["data"]
        taking_part = [part["user"] for part in data.get("participations", ())]
        told = {part["id"] for part in taking_part}
        alone = [user for user in (*data.get("users", ()), *filter(None, [data.get("user")])) if user["id"] not in told]
        for user in taking_part + alone:
            yield user.get("birth_name") or user["last_name"], user["first_name"], _date(user["birth_date"])


def _shared_json(raw: bytes) -> Iterator[Identity]:
    lines = [json.loads(line) for line in raw.splitlines() if line.strip()]
    return iter(identities_of(lines))


BY_HAND: Final[Mapping[str, Callable[[bytes], Iterator[Identity]]]] = {
    "administration-plus": _administration_plus,
    "api-particulier": _api_particulier,
    "aidants-connect": lambda raw: _people(
        (each["usager"] for each in json.loads(raw)["mandats"]), "family_name", "given_name", "birthdate"
    ),
    "carnet-de-bord": lambda raw: _people(_rows(raw), "Nom*", "Prénom*", "Date de naissance*"),
    "ccas-suivi": lambda raw: _people(_sheet(raw, 2), "Nom de naissance", "Prénom", "Date de\nNaissance"),
    "cnaf-contacts": _contacts,
    "cnaf-rsa": _cnaf_rsa,
    "departement-dossiers": _departement,
    "dora": lambda raw: _people(json.loads(raw), "beneficiary_last_name", "beneficiary_first_name"),
    "france-travail-diagnostic": lambda raw: _civil(json.loads(raw)),
    "france-travail-orientation": lambda raw: (each for found in json.loads(raw) for each in _civil(found)),
    "france-travail-extrait": lambda raw: _people(_rows(raw), "nom", "prenom", "date_naissance"),
    "hl7v2": _hl7v2,
    "hubee": _hubee,
    "i-milo": lambda raw: _people([json.loads(raw)], "nomNaissance", "prenom", "dateNaissance"),
    "mon-suivi-social": _mon_suivi_social,
    "rdv-insertion": lambda raw: _people(
        ({**each, "name": each.get("birth_name") or each["last_name"]} for each in json.loads(raw)["users"]),
        "name",
        "first_name",
        "birth_date",
    ),
    "rdv-insertion-tableur": _rdv_tableur,
    "rdv-insertion-webhook": _rdv_webhook,
    "shared-json": _shared_json,
    "webrsa-orientation": lambda raw: _people(_rows(raw), "NOMNAI", "PRENOM", "DTNAI"),
}
"""By format; one whose documents name nobody (`dora-status`) has none."""
