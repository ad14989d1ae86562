"""
The schemas of the package, loaded and compiled once: validation, the schemas themselves, the labels of their fields.

Compiled with jsonschema-rs: nothing is ever fetched, formats are asserted, an unknown format is an error of ours, and
regular expressions run in linear time.
"""

import json
from collections.abc import Callable, Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Final

import jsonschema_rs

from schemas import vocabulary
from schemas.diagnosis import Diagnosis
from schemas.identity import (
    commune_is_valid,
    country_is_valid,
    nir_has_form,
    partial_date_is_valid,
    siret_is_valid,
)
from schemas.issue import Issue, Kind
from schemas.labels import FieldLabel, leaves
from schemas.messages import Rule, sentences
from schemas.references import References

CURRENT_MAJOR: Final = 1

FORMATS: Final[Mapping[str, Callable[[str], bool]]] = MappingProxyType(
    {
        "cog_commune": commune_is_valid,
        "cog_country": country_is_valid,
        "nir": nir_has_form,
        "partial_date": partial_date_is_valid,
        "siret": siret_is_valid,
    }
)
"""The formats of our own, for any validator: a predicate on the text."""


class UnknownSchema(LookupError):
    """
    There is no schema of that name and version.
    """


@cache
def _schemas() -> Mapping[tuple[str, int], dict[str, Any]]:
    """
    Every `schemas/{name}/v{n}/schema.json`, by name and major version.
    """
    found = {}
    for folder in files("schemas").iterdir():
        if not folder.is_dir():
            continue
        for version in folder.iterdir():
            path = version / "schema.json"
            if version.name.removeprefix("v").isdecimal() and path.is_file():
                found[folder.name, int(version.name[1:])] = json.loads(path.read_text(encoding="utf-8"))
    return MappingProxyType(dict(sorted(found.items())))


def schema(name: str, major: int = CURRENT_MAJOR) -> Mapping[str, Any]:
    """
    A schema of the shared language by its name: a Kind, or a part that kinds share (`person`, `organisation`).

    Raises UnknownSchema.
    """
    try:
        return _schemas()[str(name), major]
    except KeyError:
        raise UnknownSchema(f"{name} v{major}") from None


def schema_versions() -> Mapping[str, tuple[int, ...]]:
    """
    The names of all schemas, each with its major versions.
    """
    versions: dict[str, tuple[int, ...]] = {}
    for name, major in _schemas():
        versions[name] = (*versions.get(name, ()), major)
    return versions


def validate(kind: Kind, document: object, raw: bytes | None = None, *, tolerant: bool = False) -> list[Issue]:
    """
    Everything wrong with a document of a kind, at once; the empty list when it is valid.

    With `raw`, the JSON text that the document was read from, each issue has a line and a column. `tolerant` is for a
    document written with a newer minor version: properties unknown here are allowed where the schema has `x-tolerant`.
    No issue holds a value of the document.
    """
    validator = _validator(kind, tolerant)
    try:
        # A valid document, the usual case, costs this one call.
        if validator.is_valid(document):
            return []
        errors = list(validator.iter_errors(document))
    except ValueError:
        # What no JSON text can hold (a set, half of a surrogate pair); the library's message would show the value.
        return [Issue("unreadable", "", *sentences(Rule("unreadable", {})))]
    return _diagnosis(kind).issues(errors, document, raw)


@cache
def fields(kind: Kind) -> Mapping[str, FieldLabel]:
    """
    The labelled leaves of a kind, by pointer pattern such as `/subject/birth_name` or `/reasons/*/code`.

    Scalars of an array are labelled under the array (`/subject/given_names/*`), values of an open map under the map
    (`/local/fields/*`). What is not here must not leave.
    """
    return MappingProxyType(leaves(references(), References.root(schema(kind))))


@cache
def references() -> References:
    """
    All the schemas of the package, to follow `$ref` between them.
    """
    return References(_schemas().values())


@cache
def _validator(kind: Kind, tolerant: bool) -> jsonschema_rs.Validator:
    prepare = _tolerant if tolerant else dict
    return jsonschema_rs.validator_for(
        prepare(schema(kind)),
        registry=jsonschema_rs.Registry([(found["$id"], prepare(found)) for found in _schemas().values()]),
        offline=True,
        validate_formats=True,
        ignore_unknown_formats=False,
        formats=dict(FORMATS),
        mask="***",
        pattern_options=jsonschema_rs.RegexOptions(),
    )


def _tolerant(node: Any) -> Any:
    """
    A schema that ignores unknown properties in each object marked `x-tolerant`.
    """
    if isinstance(node, list):
        return [_tolerant(item) for item in node]
    if not isinstance(node, Mapping):
        return node
    opened = ("additionalProperties", "unevaluatedProperties") if node.get("x-tolerant") is True else ()
    return {key: _tolerant(value) for key, value in node.items() if not (key in opened and value is False)}


@cache
def _diagnosis(kind: Kind) -> Diagnosis:
    lists = {
        name: {code.code: (code.label_fr, code.label_en) for code in vocabulary.code_list(name).values()}
        for name in vocabulary.code_lists()
    }
    return Diagnosis(references(), References.root(schema(kind)), lists)
