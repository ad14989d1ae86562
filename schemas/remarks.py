"""
What a document may say and still be doubtful: numbers and traits of the person that do not agree with each other.

Nothing here makes a document refused: registers disagree more often than the person does not exist. It is told to the sender,
who can ask the person, and a wrong NIR is flagged for those who receive it.
Sources: Insee (NIR), FranceConnect (pivot identity); two of these traits may legitimately differ (change of civil status).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from schemas.identity import BirthDate, NirReading, commune_is_valid, country_is_valid, read_birth_date, read_nir
from schemas.issue import Document, Issue, Kind
from schemas.positions import locate_all

FRANCE: Final = "99100"
_SEX_DIGITS: Final = {"female": "28", "male": "17"}
_TITLES: Final = {"madame": "female", "monsieur": "male"}
_KNOWN_MONTHS: Final = range(1, 13)

_SENTENCES: Final = {
    "nir_key_wrong": (
        "La clé de ce NIR n'est pas la bonne : il est pris et signalé. Vérifiez-le auprès de la personne.",
        "The key of this NIR is not the right one: it is taken and flagged. Check it with the person.",
    ),
    "nir_specimen": (
        "Ce NIR est celui des cartes d'exemple : il ne désigne personne et ne sert pas à reconnaître la personne.",
        "This NIR is the one of sample cards: it names nobody and is not used to recognise the person.",
    ),
    "nir_temporary": (
        "Ce numéro est un numéro d'attente ou provisoire : sa place est « nia ».",
        "This is a number of a person being registered, or a temporary one: its place is “nia”.",
    ),
    "nir_sex": (
        "Le premier chiffre de ce NIR et le sexe ou la civilité ne s'accordent pas : à vérifier.",
        "The first digit of this NIR and the sex or title do not agree: to be checked.",
    ),
    "nir_birth_date": (
        "L'année ou le mois de ce NIR et la date de naissance ne s'accordent pas : à vérifier.",
        "The year or the month of this NIR and the birth date do not agree: to be checked.",
    ),
    "nir_flag": (
        "Ce contrôle ne dit pas ce que montre le NIR : la passerelle le corrigera.",
        "This flag does not say what the NIR shows: the gateway will correct it.",
    ),
    "birth_country_wins": (
        "Une commune française est donnée avec un pays étranger : c'est le pays qui compte.",
        "A French municipality is given with a foreign country: the country is what counts.",
    ),
    "commune_is_country": (
        "Ce code est celui d'un pays : sa place est « cog_country ».",
        "This code is the one of a country: its place is “cog_country”.",
    ),
}  # fmt: skip


def remarks(kind: Kind, document: object, raw: bytes | None = None) -> list[Issue]:
    """
    What is doubtful in a document, valid or not; the empty list when nothing is, or when it names nobody.

    `raw` is the text it was read from: each remark then has a line and a column. No remark holds a value of the document.
    """
    subject = document.get("subject") if isinstance(document, dict) else None
    if not isinstance(subject, dict) or kind is Kind.CONVENTION:
        return []
    found = list(_about_numbers(subject)) + list(_about_places(subject))
    told = [Issue(code, f"/subject{pointer}", *_SENTENCES[code]) for code, pointer in found]
    if raw is None or not told:
        return told
    places = locate_all(raw, [issue.pointer for issue in told])
    return [
        replace(issue, line=place[0], column=place[1]) if (place := places.get(issue.pointer)) else issue
        for issue in told
    ]


def flagged(subject: Document) -> Document:
    """
    The subject with the `nir_flag` that its NIR (or NIA) deserves, so that whoever receives it knows; unchanged without one.

    What the sender says of a number that it mended itself (`key_added`, `key_wrong` with a key computed since) is kept.
    """
    read = _read(subject.get("nir", subject.get("nia")))
    if read is None or _flag_fits(read, subject.get("nir_flag")):
        return subject
    return {**subject, "nir_flag": read.flag}


def _about_numbers(subject: Document) -> Iterator[tuple[str, str]]:
    numbers = {name: read for name in ("nir", "nia") if (read := _read(subject.get(name))) is not None}
    for name, read in numbers.items():
        if read.key_ok is False:
            yield "nir_key_wrong", f"/{name}"
        if read.specimen:
            yield "nir_specimen", f"/{name}"
            continue
        if name == "nir" and read.kind != "nir":
            yield "nir_temporary", "/nir"
        if not _sex_agrees(read, subject):
            yield "nir_sex", f"/{name}"
        if not _birth_date_agrees(read, subject.get("birth_date")):
            yield "nir_birth_date", f"/{name}"
    about = numbers.get("nir" if "nir" in subject else "nia")
    if about is not None and "nir_flag" in subject and not _flag_fits(about, subject["nir_flag"]):
        yield "nir_flag", "/nir_flag"


def _about_places(subject: Document) -> Iterator[tuple[str, str]]:
    place = subject.get("birth_place")
    if isinstance(place, dict):
        commune, country = place.get("cog_commune"), place.get("cog_country")
        if isinstance(commune, str) and commune_is_valid(commune):
            if country_is_valid(commune) and commune.startswith("99"):
                yield "commune_is_country", "/birth_place/cog_commune"
            elif isinstance(country, str) and country_is_valid(country) and country not in {FRANCE, commune}:
                yield "birth_country_wins", "/birth_place/cog_country"
    address = subject.get("address")
    if isinstance(address, dict) and isinstance(code := address.get("cog_commune"), str) and code.startswith("99"):
        yield "commune_is_country", "/address/cog_commune"


def _read(number: Any) -> NirReading | None:
    return read_nir(number) if isinstance(number, str) else None


def _flag_fits(read: NirReading, said: Any) -> bool:
    if read.flag != "key_ok":
        return bool(said == read.flag)
    # The key is right: it may have been added or computed again by the sender, who alone knows what was received.
    return said in {"key_ok", "key_added", "key_wrong"}


def _sex_agrees(read: NirReading, subject: Document) -> bool:
    digit = read.nir[0]
    said = {subject.get("sex"), _TITLES.get(str(subject.get("title")))} & _SEX_DIGITS.keys()
    return digit in "34" or not said or any(digit in _SEX_DIGITS[str(each)] for each in said)


def _birth_date_agrees(read: NirReading, written: Any) -> bool:
    date: BirthDate | None = read_birth_date(written) if isinstance(written, str) else None
    if date is None:
        return True
    month = int(read.nir[3:5])
    same_month = date.precision == "year" or month not in _KNOWN_MONTHS or int(date.text[5:7]) == month
    return date.text[2:4] == read.nir[1:3] and same_month
