"""
Read files of the directory: each record against the public schema v1, and what a search looks for drawn from it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from data_inclusion.schema.v1 import Service, Structure
from pydantic import BaseModel, ValidationError

from schemas import MalformedJson, parse_json

Record = dict[str, Any]

MAX_BYTES: Final = 1_000_000_000
_MAX_ITEMS: Final = 100_000_000
_ID: Final = 200

NOT_REPUBLISHED: Final = frozenset({"contact_nom_prenom"})
"""The name of a natural person, inside directory data: it is left at the door."""

OLDER: Final = frozenset({"typologie", "profils", "types", "modes_orientation_accompagnateur", "zone_diffusion_type"})
"""Names of the schema v0: a record that has one may pass the schema v1 in part, and would be half read."""


class DirectoryRefused(Exception):
    """A file that is not one of the directory: nothing of it is used."""

    def __init__(self, code: str, message_fr: str, message_en: str) -> None:
        """Say what is wrong, in a word and in two sentences."""
        super().__init__(code)
        self.code, self.message_fr, self.message_en = code, message_fr, message_en


@dataclass(slots=True)
class Found:
    """What files gave: structures and services by id, and how many records were left out, by reason."""

    structures: dict[str, Record] = field(default_factory=dict)
    services: dict[str, Record] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)


def read(structures: bytes, services: bytes) -> Found:
    """
    The records of two files, each a JSON array. A record that is wrong is left out and counted by the field that is.

    Raises `DirectoryRefused` when a file is no array of records.
    """
    found = Found()
    for name, record in _valid(structures, Structure, "structure", found.left_out):
        found.structures[name] = record
    for name, record in _valid(services, Service, "service", found.left_out):
        if record["structure_id"] in found.structures:
            found.services[name] = record
        else:
            found.left_out["service: structure_id (unknown)"] += 1
    return found


def facets(service: Mapping[str, Any], structure: Mapping[str, Any]) -> set[tuple[str, str]]:
    """What a search finds a service by: its themes and their categories, its publics, its zones, the commune where it is."""
    themes = service.get("thematiques", ())
    pairs = {("theme", each) for theme in themes for each in (theme, theme.partition("--")[0])}
    pairs |= {("public", each) for each in service.get("publics", ())}
    pairs |= {("zone", "france" if each == "99100" else each) for each in service.get("zone_eligibilite", ())}
    if place := service.get("code_insee") or structure.get("code_insee"):
        pairs.add(("place", place))
    return pairs


def _valid(raw: bytes, model: type[BaseModel], what: str, left_out: Counter[str]) -> Iterator[tuple[str, Record]]:
    seen: set[str] = set()
    for record in _records(raw):
        faults = _faults(record, model, seen)
        for fault in faults:
            left_out[f"{what}: {fault}"] += 1
        if not faults:
            plain: Record = model.model_validate(record).model_dump(
                mode="json", exclude_none=True, exclude=set(NOT_REPUBLISHED)
            )
            plain |= {name: sorted(plain[name]) for name in _SETS & plain.keys()}
            seen.add(plain["id"])
            yield plain["id"], plain


def _faults(record: Any, model: type[BaseModel], seen: set[str]) -> Sequence[str]:
    if not isinstance(record, dict):
        return ["record (object)"]
    if older := sorted(OLDER & record.keys()):
        return [f"{older[0]} (schema v0)"]
    try:
        model.model_validate(record)
    except ValidationError as error:
        return sorted(
            {f"{'.'.join(str(part) for part in each['loc'][:1])} ({each['type']})" for each in error.errors()}
        )
    name = record["id"]
    if len(name) > _ID or not name.startswith(f"{record['source']}--"):
        return ["id (source--id)"]
    return ["id (repeated)"] if name in seen else []


def _records(raw: bytes) -> Sequence[Any]:
    try:
        found = parse_json(raw, max_bytes=MAX_BYTES, max_items=_MAX_ITEMS)
    except MalformedJson as error:
        raise DirectoryRefused(error.code, error.message_fr, error.message_en) from None
    if not isinstance(found, list):
        raise DirectoryRefused(
            "not_a_directory",
            "Un fichier de l'annuaire est une liste JSON d'objets.",
            "A file of the directory is a JSON array of objects.",
        )
    return found


_SETS: Final = frozenset(
    {"thematiques", "publics", "modes_accueil", "modes_mobilisation", "mobilisable_par", "reseaux_porteurs"}
)
"""Lists without an order of their own: written in one, so that the same file gives the same rows."""
