"""
The part of a mapping file's JSON Schema that describes a rule: where a value comes from, its functions, its condition.
"""

from typing import Any, Final

from adapters.mapping.source_grammar import TEXT
from adapters.mapping.steps import FUNCTIONS

CONTEXT: Final = ("now", "today", "organisation", "siret", "purpose")

PATH: Final[dict[str, Any]] = {
    **TEXT,
    "title": "Colonne ou chemin",
    "x-title-en": "Column or path",
    "description": "Le nom d'une colonne ; en JSON et XML un chemin « a/b », « ../a » (au-dessus), « /a » (depuis la "
    "racine), « @a » (attribut), « . » (l'élément lui-même).",
}
PATHS: Final[dict[str, Any]] = {"type": ["string", "array"], "items": PATH, "minItems": 1, "maxItems": 50}


def rule_schema() -> dict[str, Any]:
    """
    One rule: the name of a column, or where a value comes from, what is done to it, when.
    """
    return {
        "title": "Règle",
        "x-title-en": "Rule",
        "description": "Le nom d'une colonne, ou la règle entière.",
        "type": ["string", "object"],
        "additionalProperties": False,
        "properties": {
            "from": {
                **PATHS,
                "title": "D'où vient la valeur ; le premier rempli, ou tous pour une liste",
                "x-title-en": "Where the value comes from; the first filled, or all for a list",
            },
            "join": {
                "title": "Réunir les colonnes de « from » par ce texte",
                "x-title-en": "Join the columns of “from” with this text",
                "type": "string",
                "maxLength": 20,
            },
            "const": {
                "title": "Toujours cette valeur",
                "x-title-en": "Always this value",
                "type": ["string", "number", "boolean"],
            },
            "context": {
                "title": "Une valeur de l'envoi",
                "x-title-en": "A value of the sending",
                "enum": list(CONTEXT),
            },
            "jsonata": {
                "type": "string",
                "minLength": 1,
                "maxLength": 4000,
                "title": "Expression JSONata",
                "x-title-en": "JSONata expression",
            },
            "each": {
                **PATH,
                "title": "Un élément par élément de cette liste, ou par partie de cette colonne (split)",
                "x-title-en": "An item for each item of this list, or each part of this column (split)",
            },
            "fields": {
                "title": "Un objet fait de ces règles : de chaque élément de « each », sinon de l'enregistrement",
                "x-title-en": "An object made of these rules: of each item of “each”, else of the record",
                "type": "object",
                "additionalProperties": {"$ref": "#/$defs/rules"},
                "minProperties": 1,
            },
            "split": {
                "title": "Couper la valeur à ce séparateur, ou à l'un de ceux-ci",
                "x-title-en": "Cut the value at this separator, or at any of these",
                "type": ["string", "array"],
                "minLength": 1,
                "items": TEXT,
                "minItems": 1,
            },
            "do": {"$ref": "#/$defs/steps"},
            "table": {
                **TEXT,
                "title": "Table de codes (tables/NOM.csv)",
                "x-title-en": "Table of codes (tables/NAME.csv)",
            },
            "default": {
                "title": "Valeur quand il n'y en a pas",
                "x-title-en": "The value when there is none",
                "type": ["string", "number", "boolean"],
            },
            "required": {
                "title": "Sans elle, l'enregistrement n'est pas repris",
                "x-title-en": "Without it, the record is not used",
                "type": "boolean",
            },
            "when": {"$ref": "#/$defs/condition"},
            "note": {
                "type": "string",
                "maxLength": 1000,
                "title": "Note pour qui relit",
                "x-title-en": "A note for who reads it again",
            },
        },
    }


def condition_schema() -> dict[str, Any]:
    """
    What must hold: one condition, or several that must all hold.
    """
    one: dict[str, Any] = {
        "type": "object",
        "required": ["from"],
        "additionalProperties": False,
        "minProperties": 2,
        "properties": {
            "from": PATH,
            "is": {
                "title": "Vaut ceci, ou l'un de ceux-ci",
                "x-title-en": "Is this, or one of these",
                "type": ["string", "array"],
                "items": {"type": "string"},
            },
            "not": {
                "title": "Ne vaut pas ceci",
                "x-title-en": "Is not this",
                "type": ["string", "array"],
                "items": {"type": "string"},
            },
            "filled": {
                "title": "Rempli (true) ou vide (false)",
                "x-title-en": "Filled (true) or empty (false)",
                "type": "boolean",
            },
        },
    }
    return {
        **one,
        "type": ["object", "array"],
        "items": one,
        "title": "Condition ; toutes, si plusieurs",
        "x-title-en": "Condition; all of them, if several",
    }


def steps_schema() -> dict[str, Any]:
    """
    `do`: one function, or several in order.
    """
    plain = [name for name, function in FUNCTIONS.items() if function.parameter is None or function.optional]
    step = {
        "anyOf": [
            {"enum": plain},
            {
                "type": "object",
                "minProperties": 1,
                "maxProperties": 1,
                "additionalProperties": False,
                "properties": {
                    name: {**function.parameter, "description": function.help_fr}
                    for name, function in FUNCTIONS.items()
                    if function.parameter is not None
                },
            },
        ]
    }
    described = {"anyOf": [{"const": name, "description": FUNCTIONS[name].help_fr} for name in plain]}
    return {
        "title": "Fonction, ou fonctions dans l'ordre",
        "x-title-en": "Function, or functions in order",
        "if": {"type": "array"},
        "then": {"items": step, "minItems": 1},
        "else": {"anyOf": [described, step["anyOf"][1]]},
    }


def written_schema() -> dict[str, Any]:
    """
    One cell that the rules read backwards do not give.
    """
    return {
        "title": "Ce qui s'écrit dans cette colonne",
        "type": ["string", "object"],
        "additionalProperties": False,
        "properties": {
            "from": {**TEXT, "title": "Une place du document commun"},
            "const": {"type": "string"},
            "jsonata": {"type": "string", "minLength": 1, "maxLength": 4000},
            "do": {"$ref": "#/$defs/steps"},
            "table": TEXT,
        },
    }
