"""
The sentences, French first, that tell a partner what is wrong with a document.

They are built from the rule that was broken (the kind of error, the schema's titles, examples and codes) and never
from the value that broke it: a report may be logged, mailed or shown on a screen that others see.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

Sentences: TypeAlias = tuple[str, str]

_TYPES: Final = {
    "string": ("un texte", "a text"),
    "integer": ("un nombre entier", "an integer"),
    "number": ("un nombre", "a number"),
    "boolean": ("true ou false", "true or false"),
    "array": ("une liste", "a list"),
    "object": ("un objet", "an object"),
    "null": ("null", "null"),
}

_FORMATS: Final = {
    "date": ("une date AAAA-MM-JJ, comme 2026-03-14", "a date YYYY-MM-DD, such as 2026-03-14"),
    "date-time": (
        "une date et une heure avec leur décalage horaire, comme 2026-03-14T09:30:00+01:00",
        "a date and time with their offset, such as 2026-03-14T09:30:00+01:00",
    ),
    "time": ("une heure, comme 09:30:00+01:00", "a time, such as 09:30:00+01:00"),
    "duration": ("une durée ISO 8601, comme P6M", "an ISO 8601 duration, such as P6M"),
    "email": ("une adresse électronique", "an email address"),
    "uuid": ("un UUID", "a UUID"),
    "uri": ("une adresse complète (https://…)", "a complete address (https://…)"),
    "siret": (
        "un SIRET : 14 chiffres sans espace, dont la clé est juste",
        "a SIRET: 14 digits without spaces, with a right check digit",
    ),
    "nir": ("un NIR de 15 caractères sans espace", "a NIR of 15 characters without spaces"),
    "cog_commune": (
        "le code officiel géographique d'une commune (5 caractères, comme 2A004), qui n'est pas son code postal",
        "the official geographic code of a commune (5 characters, such as 2A004), which is not its postcode",
    ),
    "cog_country": (
        "le code officiel géographique d'un pays (comme 99100 pour la France)",
        "the official geographic code of a country (such as 99100 for France)",
    ),
    "partial_date": (
        "une date AAAA-MM-JJ, où le jour ou le mois inconnus s'écrivent 00",
        "a date YYYY-MM-DD, in which an unknown day or month is written 00",
    ),
}

# One sentence per keyword whose rule holds in one number or word, `{}`.
_LIMITS: Final = {
    "minLength": ("Ce texte est trop court : {} caractères au moins.", "This text is too short: at least {} characters."),
    "maxLength": ("Ce texte est trop long : {} caractères au plus.", "This text is too long: at most {} characters."),
    "minimum": ("Ce nombre est trop petit : {} au moins.", "This number is too small: at least {}."),
    "maximum": ("Ce nombre est trop grand : {} au plus.", "This number is too large: at most {}."),
    "exclusiveMinimum": ("Ce nombre doit être plus grand que {}.", "This number must be greater than {}."),
    "exclusiveMaximum": ("Ce nombre doit être plus petit que {}.", "This number must be less than {}."),
    "multipleOf": ("Ce nombre doit être un multiple de {}.", "This number must be a multiple of {}."),
    "minItems": ("La liste est trop courte : {} éléments au moins.", "The list is too short: at least {} items."),
    "maxItems": ("La liste est trop longue : {} éléments au plus.", "The list is too long: at most {} items."),
    "minProperties": ("Cet objet a trop peu de propriétés : {} au moins.", "This object has too few properties: at least {}."),
    "maxProperties": ("Cet objet a trop de propriétés : {} au plus.", "This object has too many properties: at most {}."),
    "const": ("La valeur attendue ici est {}.", "The value expected here is {}."),
}  # fmt: skip

_ONE: Final = {
    "minLength": ("Ce texte est vide.", "This text is empty."),
    "minItems": ("La liste est vide.", "The list is empty."),
    "minProperties": ("Cet objet est vide.", "This object is empty."),
    "maxLength": ("Ce texte est trop long : un seul caractère.", "This text is too long: one character only."),
    "maxItems": ("La liste est trop longue : un seul élément.", "The list is too long: one item only."),
}

_FIXED: Final = {
    "unknown_property": (
        "Cette propriété n'existe pas dans le schéma. Retirez-la, ou placez vos propres champs sous « local ».",
        "This property is not in the schema. Remove it, or put fields of your own under “local”.",
    ),
    "unevaluatedItems": ("Cet élément est de trop dans la liste.", "This item is one too many in the list."),
    "additionalItems": ("La liste a des éléments de trop.", "The list has too many items."),
    "uniqueItems": ("La liste contient deux fois le même élément.", "The list holds the same item twice."),
    "contains": ("Il manque à la liste un élément obligatoire.", "The list lacks an item that must be in it."),
    "propertyNames": (
        "Le nom d'une propriété de cet objet n'a pas la forme attendue.",
        "The name of a property of this object has not the expected form.",
    ),
    "not": (
        "Cette valeur, ou cette combinaison de propriétés, n'est pas admise ici.",
        "This value, or this combination of properties, is not allowed here.",
    ),
    "falseSchema": ("Rien n'est admis à cet endroit.", "Nothing is allowed here."),
    "anyOf": (
        "Cette valeur n'a aucune des formes admises ici.",
        "This value has none of the forms allowed here.",
    ),
    "oneOfMultiple": (
        "Cette valeur a plusieurs des formes admises ici : une seule doit convenir.",
        "This value has several of the forms allowed here: only one must fit.",
    ),
    "too_many_issues": (
        "D'autres problèmes suivent : corrigez ceux-ci, puis recommencez.",
        "There are more problems: mend these, then try again.",
    ),
    "unreadable": (
        "Ce document contient une valeur qui n'existe pas en JSON, ou un demi-caractère.",
        "This document holds a value that does not exist in JSON, or half of a character.",
    ),
    "other": ("Cette valeur ne suit pas le schéma.", "This value does not follow the schema."),
}


@dataclass(frozen=True, slots=True)
class Rule:
    """
    The rule that was broken: a JSON Schema keyword, its details, and what the schema says of the place.

    `title_fr` and `title_en` name the property (or the missing one), `example` comes from the schema's `examples`.
    """

    keyword: str
    details: dict[str, Any]
    title_fr: str = ""
    title_en: str = ""
    example: str = ""


def sentences(rule: Rule) -> Sentences:
    """
    The French and English sentences for a broken rule, without any value of the document.
    """
    if rule.keyword in _LIMITS:
        (limit,) = rule.details.values()
        french, english = _LIMITS[rule.keyword]
        if limit == 1:
            french, english = _ONE.get(rule.keyword, (french, english))
        shown = _json(limit)
        return _named(rule, (french.format(shown), english.format(shown)))
    builder = _BUILDERS.get(rule.keyword)
    if builder:
        return builder(rule)
    return _named(rule, _FIXED.get(rule.keyword, _FIXED["other"]))


def with_suggestion(told: Sentences, suggestion: str | None, labels: Sentences = ("", "")) -> Sentences:
    """
    The sentences, followed by the nearest allowed code if there is one, with its labels.
    """
    if suggestion is None:
        return told
    french, english = (f" ({label})" if label else "" for label in labels)
    return (
        f"{told[0]} Vouliez-vous dire « {suggestion} »{french} ?",
        f"{told[1]} Did you mean “{suggestion}”{english}?",
    )


def issue_code(keyword: str) -> str:
    """
    The stable word of a problem report for a JSON Schema keyword: `minLength` becomes `min_length`.
    """
    return _CODES.get(keyword) or re.sub(r"(?=[A-Z])", "_", keyword).lower()


def _named(rule: Rule, told: Sentences) -> Sentences:
    french = f"« {rule.title_fr} » : {told[0][0].lower()}{told[0][1:]}" if rule.title_fr else told[0]
    english = f"“{rule.title_en}”: {told[1][0].lower()}{told[1][1:]}" if rule.title_en else told[1]
    return french, english


def _json(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _type(rule: Rule) -> Sentences:
    french = " ou ".join(_TYPES[name][0] for name in rule.details["types"])
    english = " or ".join(_TYPES[name][1] for name in rule.details["types"])
    return _named(rule, (f"Il faut ici {french}.", f"Here must be {english}."))


def _format(rule: Rule) -> Sentences:
    french, english = _FORMATS.get(
        rule.details["format"], (f"le format {rule.details['format']}", f"the format {rule.details['format']}")
    )
    return _named(rule, (f"Il faut ici {french}.", f"Here must be {english}."))


def _pattern(rule: Rule) -> Sentences:
    french, english = "La forme n'est pas celle attendue", "The form is not the expected one"
    if rule.example:
        return _named(rule, (f"{french}. Exemple : {rule.example}.", f"{english}. Example: {rule.example}."))
    return _named(rule, (f"{french} ({rule.details['pattern']}).", f"{english} ({rule.details['pattern']})."))


def _enum(rule: Rule) -> Sentences:
    options = [_json(option) for option in rule.details["options"]]
    if len(options) > _SHOWN_OPTIONS:
        name = rule.details.get("list")
        french = f"Ce code n'est pas l'un des {len(options)} codes admis"
        english = f"This code is not one of the {len(options)} that are allowed"
        where = f" (/schemas/codes/{name}.json)" if name else ""
        return _named(rule, (f"{french}{where}.", f"{english}{where}."))
    listed = ", ".join(options)
    return _named(
        rule,
        (f"Ce code n'est pas admis. Codes admis : {listed}.", f"This code is not allowed. Allowed codes: {listed}."),
    )


def _not(rule: Rule) -> Sentences:
    """
    What the schema says of the rule, if it says something.
    """
    return _named(rule, rule.details.get("said") or _FIXED["not"])


def _misplaced(rule: Rule) -> Sentences:
    """
    A code that stands in one of two twin properties and belongs in the other.
    """
    there, special = rule.details["there"], rule.details["special"]
    if special:
        return _named(
            rule,
            (
                f"Ce code révèle une donnée particulière (santé, handicap, justice, séjour…) : sa place est « {there} ».",
                f"This code reveals special data (health, disability, justice, residence…): its place is “{there}”.",
            ),
        )
    return _named(
        rule,
        (
            f"Ce code n'est pas réservé : sa place est « {there} ».",
            f"This code is not reserved: its place is “{there}”.",
        ),
    )


def _required(rule: Rule) -> Sentences:
    name = rule.details["property"]
    french = f"Il manque « {rule.title_fr} » ({name})." if rule.title_fr else f"Il manque « {name} »."
    english = f"“{rule.title_en}” ({name}) is missing." if rule.title_en else f"“{name}” is missing."
    return french, english


def _alternatives(rule: Rule) -> Sentences:
    """
    Every branch of an anyOf or oneOf lacks properties: say what would be enough.
    """
    french = " ; ou ".join(_listed(names, "et") for names in rule.details["alternatives"])
    english = "; or ".join(_listed(names, "and") for names in rule.details["alternatives"])
    return _named(rule, (f"Il manque ici : {french}.", f"Missing here: {english}."))


def _listed(names: list[str], conjunction: str) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {conjunction} {names[-1]}"


_SHOWN_OPTIONS: Final = 12
_CODES: Final = {"alternatives": "any_of", "oneOfMultiple": "one_of"}
_BUILDERS: Final[dict[str, Callable[[Rule], Sentences]]] = {
    "type": _type,
    "format": _format,
    "pattern": _pattern,
    "enum": _enum,
    "misplaced": _misplaced,
    "not": _not,
    "required": _required,
    "alternatives": _alternatives,
}
