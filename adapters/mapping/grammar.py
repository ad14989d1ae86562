"""
The JSON Schema of a mapping file: editors complete and check with it, and so does the loader.

Built from the functions and from the shared schemas, so that it names every target with its French description.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from adapters.mapping.rule_grammar import PATH, PATHS, condition_schema, rule_schema, steps_schema, written_schema
from adapters.mapping.source_grammar import TEXT, source_schema
from schemas import Kind, code_lists
from schemas.labels import nodes
from schemas.references import References, annotation
from schemas.registry import references, schema

KINDS: Final = (Kind.REFERRAL, Kind.BILAN, Kind.CONSENT, Kind.STATUS)
SCHEMA_ID: Final = "https://trait-dunion.example/schemas/mapping/v1.json"

_ENVELOPE: Final = frozenset({"/kind", "/schema_version", "/id"})


@cache
def mapping_schema() -> Mapping[str, Any]:
    """
    The schema, as plain JSON.
    """
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        "title": "Correspondance d'un format",
        "x-title-en": "Mapping of a format",
        "description": "Comment le fichier d'un partenaire devient des documents communs, et retour.",
        "type": "object",
        "required": ["title", "source", "documents"],
        "additionalProperties": False,
        "properties": {
            "title": {**TEXT, "title": "Nom du format, en français", "x-title-en": "Name of the format, in French"},
            "direction": {
                "title": "Sens",
                "x-title-en": "Direction",
                "description": "in : lu seulement (défaut) ; out : écrit seulement ; both : dans les deux sens.",
                "enum": ["in", "out", "both"],
            },
            "source": source_schema(),
            "tables": {
                "title": "Tables de codes",
                "x-title-en": "Tables of codes",
                "description": "Chaque fichier tables/NOM.csv, et la liste commune dont il donne les codes.",
                "type": "object",
                "additionalProperties": {
                    "if": {"type": "string"},
                    "then": {"enum": list(code_lists())},
                    "else": {
                        "type": "object",
                        "required": ["codes"],
                        "additionalProperties": False,
                        "properties": {
                            "codes": {"title": "Liste commune", "enum": list(code_lists())},
                            "crosswalk": {
                                "title": "Correspondance du langage commun, à partir de cette liste (sans fichier)",
                                "enum": list(code_lists()),
                            },
                            "partner": {
                                "title": "Liste de toutes les valeurs du partenaire",
                                "enum": list(code_lists()),
                            },
                        },
                    },
                },
            },
            "documents": {"title": "Documents", "type": "array", "minItems": 1, "maxItems": 20, "items": _document()},
            "ignored": {
                "title": "Ce qui n'est pas repris",
                "x-title-en": "What is left out",
                "description": "Chaque colonne ou chemin laissé (et tout ce qu'il contient), et pour quelle raison.",
                "type": "object",
                "additionalProperties": {"type": "string", "minLength": 8, "maxLength": 300},
            },
            "write": {
                "title": "Ce qui s'écrit en plus",
                "x-title-en": "What is written besides",
                "description": "Les colonnes que les règles lues à l'envers ne donnent pas.",
                "type": "object",
                "additionalProperties": {"$ref": "#/$defs/written"},
            },
        },
        "$defs": {
            "rule": rule_schema(),
            "rules": {
                "if": {"type": "array"},
                "then": {"items": {"$ref": "#/$defs/rule"}, "minItems": 1},
                "else": {"$ref": "#/$defs/rule"},
            },
            "condition": condition_schema(),
            "steps": steps_schema(),
            "written": written_schema(),
            **{f"targets_{kind}": _targets(kind) for kind in KINDS},
        },
    }


@cache
def words() -> frozenset[str]:
    """
    The keys that a mapping file may have, targets and functions aside.
    """
    schema = mapping_schema()
    blocks = [schema, schema["properties"]["source"], schema["properties"]["documents"]["items"]]
    blocks += [schema["$defs"][name] for name in ("rule", "condition", "written")]
    return frozenset(name for block in blocks for name in block["properties"])


def _document() -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["kind", "fields"],
        "additionalProperties": False,
        "properties": {
            "kind": {"title": "Genre de document", "enum": [kind.value for kind in KINDS]},
            "key": {
                **PATHS,
                "title": "Clé métier",
                "x-title-en": "Business key",
                "description": "Ce qui reconnaît le même dossier d'un envoi à l'autre ; par défaut tout l'enregistrement.",
            },
            "each": {**PATH, "title": "Un document par élément de cette liste"},
            "when": {"$ref": "#/$defs/condition"},
            "fields": {"type": "object", "additionalProperties": {"$ref": "#/$defs/rules"}, "minProperties": 1},
        },
        "allOf": [
            {
                "if": {"properties": {"kind": {"const": kind.value}}},
                "then": {"properties": {"fields": {"$ref": f"#/$defs/targets_{kind}"}}},
            }
            for kind in KINDS
        ],
    }


def _targets(kind: Kind) -> dict[str, Any]:
    """
    Every place of a kind that a rule may fill, so that an editor completes it.
    """
    found: dict[str, Any] = {}
    for node in nodes(references(), References.root(schema(kind))):
        if not node.pattern or node.pattern in _ENVELOPE or not node.leaf:
            continue
        title, described = annotation(node.parts, "title"), annotation(node.parts, "description")
        target = node.pattern[1:].replace("/*", "[]").replace("/", ".")
        found[target] = {
            "title": title or target,
            "description": described or title or target,
            "$ref": "#/$defs/rules",
        }
    return {"type": "object", "properties": dict(sorted(found.items()))}
