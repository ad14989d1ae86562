"""
An example of each function and of each key of a rule: what it gives is computed when it is shown, so that it cannot be wrong.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from adapters.base import fictitious_id
from adapters.mapping.grammar import mapping_schema
from adapters.mapping.notes import Reason
from adapters.mapping.steps import FUNCTIONS, make_step


@dataclass(frozen=True, slots=True)
class Example:
    """
    A function or a key as a person looks it up: its name, its sentence, how it is written, and (a function) what it gives.

    `told` are the codes of the remarks that the example makes; `gives` and `of` are "" for a key.
    """

    name: str
    help_fr: str
    help_en: str
    written: str
    of: str = ""
    gives: str = ""
    told: tuple[str, ...] = ()


def functions() -> tuple[Example, ...]:
    """
    Every function that `do:` knows, applied to its example. Raises `KeyError` for one that has none.
    """
    return tuple(_applied(name, *_TEXTS[name]) for name in FUNCTIONS)


def keys() -> tuple[Example, ...]:
    """
    Every key that a rule or a condition may have, with a rule that uses it. Raises `KeyError` for one that has none.
    """
    defined = mapping_schema()["$defs"]
    found = [
        *defined["rule"]["properties"].items(),
        *((name, said) for name, said in defined["condition"]["properties"].items() if name != "from"),
    ]
    return tuple(Example(name, _title(said, "title"), _title(said, "x-title-en"), _RULES[name]) for name, said in found)


class _Heard:
    def __init__(self) -> None:
        self.codes: list[str] = []

    def warn(self, reason: Reason) -> None:
        self.codes.append(reason.code)

    def document_id(self, kind: str, key: Sequence[str]) -> str:
        return fictitious_id(f"{kind}/{json.dumps(key)}")


def _applied(name: str, text: str, parameter: Any = None) -> Example:
    heard, function = _Heard(), FUNCTIONS[name]
    value = make_step(name, parameter).read(text, heard)
    written = name if parameter is None else f"{{{name}: {json.dumps(parameter, ensure_ascii=False)}}}"
    given = value if isinstance(value, str) else json.dumps(value)
    return Example(
        name, function.help_fr, function.help_en, f"do: {written}", text, given, tuple(dict.fromkeys(heard.codes))
    )


def _title(said: Mapping[str, Any], name: str) -> str:
    """
    The title of a key, or that of the definition which it refers to.
    """
    if "$ref" in said:
        said = mapping_schema()["$defs"][said["$ref"].rpartition("/")[2]]
    return str(said.get(name, ""))


_TEXTS: Final[Mapping[str, tuple[Any, ...]]] = MappingProxyType(
    {
        "date_fr": ("25/05/1998",),
        "date_naissance": ("00/03/1972",),
        "date_iso": ("25/05/1998",),
        "date": ("19980525", "AAAAMMJJ"),
        "date_heure": ("25/05/2026 14:30",),
        "date_heure_iso": ("25/05/2026 14:30",),
        "rang": ("25/05/2026 14:30",),
        "minuit": ("25/05/2026",),
        "siret": ("999 000 011 00018",),
        "nir": ("1 85 01 2A 001 001 10",),
        "nir_marque": ("185012A00100111",),
        "telephone": ("01 99 00 01 23",),
        "courriel": ("mailto:zoe@exemple.test",),
        "code_postal": ("39990",),
        "commune": ("2a004",),
        "zeros": ("55990", 7),
        "sans_zeros": ("55990", 7),
        "oui_non": ("Accepté", ["Accepté", "Refusé"]),
        "nombre_fr": ("1 234,56",),
        "entier": ("12",),
        "majuscules": ("Valombre",),
        "minuscules": ("Valombre",),
        "couper": ("Rappeler jeudi", 8),
        "prefixe": ("DOSSIER-12", "DOSSIER-"),
        "ajouter": ("12", "DOSSIER-"),
        "uuid": ("5B0E9D2C-4A17-4C3E-8F6A-1D2E3F4A5B6C",),
        "identifiant_de": ("D-1", "consent"),
        "texte": ("Rappeler jeudi",),
        "texte_long": ("Rappeler jeudi\nle matin",),
    }
)
"""For each function a text that it reads, then its parameter where it has one."""

_RULES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "from": "subject.phones[]: {from: [TEL1, TEL2], do: telephone}",
        "join": 'subject.address.lines[]: {from: [NUMERO, RUE], join: " "}',
        "const": "reasons[scheme=reason].code: {const: application_help}",
        "context": "created_at: {context: now}",
        "jsonata": 'notes: {from: [NOTE, AGE], jsonata: \'NOTE & " (" & AGE & ")"\'}',
        "each": 'rights[]: {each: DROITS, split: ",", fields: {right: {from: ., table: droit}}}',
        "fields": "rights[]: {fields: {right: {from: DROIT, table: droit, required: true}, note: REMARQUE}}",
        "split": 'subject.given_names[]: {from: PRENOMS, split: [",", " "]}',
        "do": "subject.birth_date: {from: NAISSANCE, do: date_naissance}",
        "table": "reasons[scheme=reason].code: {from: MOTIF, table: motif}",
        "default": "urgency: {from: URGENCE, table: urgence, default: normal}",
        "required": "subject.birth_name: {from: NOM, required: true}",
        "when": "notes: {from: NOTE, when: {from: ETAT, is: Ouvert}}",
        "note": "notes: {from: NOTE, note: Relu avec le partenaire}",
        "is": "notes: {from: NOTE, when: {from: ETAT, is: [Ouvert, Suivi]}}",
        "not": "notes: {from: NOTE, when: {from: ETAT, not: Clos}}",
        "filled": "notes: {from: NOTE, when: {from: ACCORD, filled: true}}",
    }
)
"""For each key a line of `fields` that uses it."""
