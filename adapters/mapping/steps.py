"""
The functions of a mapping file (`do:`): how partners write dates, numbers, identifiers, and how to write them again.

A step reads a text and gives a value, or raises `Unreadable`; `write` gives the partner's text back. A damage that a
spreadsheet did and that can be undone with certainty is undone and told; another is refused: nothing is guessed.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any, Final

from adapters.mapping import dates, numbers
from adapters.mapping.notes import (
    Notes,
    Read,
    Reason,
    Step,
    Write,
    unreadable,
)
from schemas.identity import fold

_NUMBER: Final = re.compile(r"-?[0-9]+(?:[.,][0-9]+)?")
_YES: Final = frozenset({"oui", "o", "yes", "y", "true", "vrai", "1", "x"})
_NO: Final = frozenset({"non", "n", "no", "false", "faux", "0"})


@dataclass(frozen=True, slots=True)
class Function:
    """
    A function as the mapping file names it: what it does, in French and English, its parameter, and how to make it.

    `parameter` is the JSON Schema of the parameter, None when there is none; `optional` says that it may be left out.
    """

    help_fr: str
    help_en: str
    make: Callable[..., Step]
    parameter: Mapping[str, Any] | None = None
    optional: bool = False


def _yes_no(yes: str, no: str, text: str, notes: Notes) -> bool:
    del notes
    word = fold(text)
    if word in _YES or word == fold(yes):
        return True
    if word in _NO or word == fold(no):
        return False
    raise unreadable("oui ou non", "yes or no")


def _make_yes_no(words: list[str] | None = None) -> Step:
    yes, no = words or ("Oui", "Non")
    return Step(partial(_yes_no, yes, no), lambda value: yes if value else no)


def _number(text: str, notes: Notes) -> float | int:
    del notes
    written = re.sub(r"[\s\u00a0\u202f€]", "", unicodedata.normalize("NFKC", text))
    if not _NUMBER.fullmatch(written) or len(written) > 17:
        raise unreadable("un nombre, comme 1 234,56", "a number, such as 1 234,56")
    number = float(written.replace(",", "."))
    return int(number) if number.is_integer() else number


def _integer(text: str, notes: Notes) -> int:
    number = _number(text, notes)
    if not isinstance(number, int):
        raise unreadable("un nombre entier", "an integer")
    return number


def _french_number(value: Any) -> str:
    return str(value).replace(".", ",")


def _cut(length: int, text: str, notes: Notes) -> str:
    if len(text) <= length:
        return text
    notes.warn(
        Reason(
            "text_cut",
            f"Ce texte dépassait {length} caractères : la suite n'est pas reprise.",
            f"This text was longer than {length} characters: the rest is not used.",
        )
    )
    return text[:length].rstrip()


def _plain(text: str, notes: Notes) -> str:
    del notes
    return text


def _step(read: Read, write: Write = str) -> Callable[..., Step]:
    return lambda: Step(read, write)


_LENGTH: Final = {"type": "integer", "minimum": 1, "maximum": 10000}
_TEXT: Final = {"type": "string", "minLength": 1, "maxLength": 100}

FUNCTIONS: Final[Mapping[str, Function]] = MappingProxyType(
    {
        "date_fr": Function(
            "date complète : 25/05/1998, 25-05-1998, 1998-05-25 ; réécrite 25/05/1998",
            "full date: 25/05/1998, 1998-05-25; written again as 25/05/1998",
            _step(dates.read_day, dates.write_french),
        ),
        "date_naissance": Function(
            "date de naissance, le jour ou le mois pouvant être inconnus (00) ; réécrite 25/05/1998",
            "birth date, whose day or month may be unknown (00); written again as 25/05/1998",
            _step(dates.read_birth, dates.write_french),
        ),
        "date_iso": Function(
            "comme date_naissance, réécrite 1998-05-25",
            "as date_naissance, written again as 1998-05-25",
            _step(dates.read_birth),
        ),
        "date": Function(
            "date dans une forme donnée, avec AAAA, MM, JJ : AAAAMMJJ",
            "date in a given form, of AAAA (year), MM, JJ (day): AAAAMMJJ",
            dates.in_form,
            _TEXT,
        ),
        "date_heure": Function(
            "date et heure ; sans décalage écrit, heure du fuseau donné (Europe/Paris par défaut)",
            "date and time; without a written offset, in the given time zone (Europe/Paris by default)",
            dates.with_time,
            _TEXT,
            optional=True,
        ),
        "date_heure_iso": Function(
            "comme date_heure, réécrite 2026-05-25T14:30:00+02:00",
            "as date_heure, written again as 2026-05-25T14:30:00+02:00",
            lambda zone="Europe/Paris": Step(dates.with_time(zone).read, str),
            _TEXT,
            optional=True,
        ),
        "rang": Function(
            "date et heure comme numéro d'ordre qui croît avec elle, pour le « sequence » d'un suivi ; une date sans heure : [minuit, rang] ; jamais réécrite",
            "date and time as a number that grows with it, for the sequence of a status; a date without a time: [minuit, rang]; never written again",
            dates.as_rank,
            _TEXT,
            optional=True,
        ),
        "minuit": Function(
            "date, prise à minuit dans le fuseau donné (Europe/Paris par défaut)",
            "date, taken at midnight in the given time zone (Europe/Paris by default)",
            dates.at_midnight,
            _TEXT,
            optional=True,
        ),
        "siret": Function("SIRET de 14 chiffres, clé vérifiée", "SIRET of 14 digits, checked", _step(numbers.siret)),
        "nir": Function(
            "NIR de 13 ou 15 caractères ; une clé fausse est signalée ; réécrit sur 15, ou 13 si on le demande",
            "NIR of 13 or 15 characters; a wrong key is told; written on 15, or 13 when asked",
            lambda length=15: Step(numbers.nir, lambda value: str(value)[:length]),
            {"enum": [13, 15]},
            optional=True,
        ),
        "nir_marque": Function(
            "ce que vaut le NIR de la colonne (key_ok, key_wrong…), pour subject.nir_flag",
            "what the NIR of the column is worth (key_ok, key_wrong…), for subject.nir_flag",
            lambda: Step(numbers.nir_flag, lambda value: ""),
        ),
        "telephone": Function(
            "numéro de téléphone, en un territoire donné (FR par défaut) ; réécrit comme on le compose",
            "telephone number, in a given territory (FR by default); written again as dialled",
            lambda territory="FR": Step(partial(numbers.phone, territory), numbers.dialled),
            {"type": "string", "pattern": "^[A-Z]{2}$"},
            optional=True,
        ),
        "courriel": Function("adresse électronique", "email address", _step(numbers.email)),
        "code_postal": Function("code postal de 5 chiffres", "postcode of 5 digits", _step(numbers.postcode)),
        "commune": Function("code Insee d'une commune", "Insee code of a commune", _step(numbers.commune)),
        "zeros": Function(
            "numéro d'une longueur donnée ; les zéros perdus à gauche sont remis, et signalés",
            "number of a given length; zeros lost on its left are put back, and told",
            lambda length: Step(partial(numbers.padded, length, True), str),
            _LENGTH,
        ),
        "sans_zeros": Function(
            "comme zeros, d'un format qui s'écrit sans les zéros : rien n'est signalé",
            "as zeros, of a format that is written without the zeros: nothing is told",
            lambda length: Step(partial(numbers.padded, length, False), lambda value: str(value).lstrip("0")),
            _LENGTH,
        ),
        "oui_non": Function(
            "oui ou non (o, n, vrai, faux, 1, 0, x) ; réécrit avec les deux mots donnés (Oui, Non par défaut)",
            "yes or no (o, n, true, false, 1, 0, x); written again with the two words given (Oui, Non by default)",
            _make_yes_no,
            {"type": "array", "items": {"type": "string"}, "minItems": 2, "maxItems": 2},
            optional=True,
        ),
        "nombre_fr": Function(
            "nombre à virgule : 1 234,56", "number with a comma: 1 234,56", _step(_number, _french_number)
        ),
        "entier": Function("nombre entier", "integer", _step(_integer)),
        "majuscules": Function("en majuscules", "in upper case", _step(lambda text, notes: text.upper())),
        "minuscules": Function("en minuscules", "in lower case", _step(lambda text, notes: text.lower())),
        "couper": Function(
            "texte coupé, et signalé, au-delà d'une longueur", "text cut, and told, beyond a length",
            lambda length: Step(partial(_cut, length), str), _LENGTH,
        ),
        "prefixe": Function(
            "retire un préfixe ; le remet en écrivant",
            "takes a prefix away; puts it back when writing",
            lambda prefix: Step(lambda text, notes: text.removeprefix(prefix), lambda value: f"{prefix}{value}"),
            _TEXT,
        ),
        "ajouter": Function(
            "ajoute un préfixe ; le retire en écrivant",
            "adds a prefix; takes it away when writing",
            lambda prefix: Step(lambda text, notes: prefix + text, lambda value: str(value).removeprefix(prefix)),
            _TEXT,
        ),
        "uuid": Function("identifiant UUID", "UUID", _step(numbers.uuid)),
        "identifiant_de": Function(
            "l'identifiant que ce format donne au document de ce genre qui a cette clé (une seule colonne)",
            "the identifier that this format gives to the document of this kind that has this key (one column)",
            lambda kind: Step(lambda text, notes: notes.document_id(kind, [text]), lambda value: ""),
            {"enum": ["referral", "bilan", "consent", "status"]},
        ),
        "texte": Function("texte sur une ligne (c'est le défaut)", "text on one line (the default)", _step(_plain)),
        "texte_long": Function(
            "texte dont on garde les fins de ligne", "text whose line ends are kept", _step(_plain)
        ),
    }
)  # fmt: skip
"""Every function of the mapping file, by name."""

KEEPS_LINES: Final = "texte_long"

MAKES_IDENTIFIER: Final = "identifiant_de"
"""The function that reads no value of the file: the same column read for a key keeps its own text."""


def make_step(name: str, parameter: Any = None) -> Step:
    """
    The step of a function. Raises `KeyError` for an unknown name and `ValueError` for a parameter that it refuses.
    """
    function = FUNCTIONS[name]
    return function.make() if parameter is None else function.make(parameter)
