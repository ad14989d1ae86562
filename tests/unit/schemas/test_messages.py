"""
What a partner reads about an invalid document: a sentence in two languages, a place, a nearest code, never a value.
"""

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

import schemas
from schemas import Issue, Kind, validate
from schemas.diagnosis import MAX_ISSUES, Diagnosis
from schemas.references import References

LISTS: dict[str, dict[str, tuple[str, str]]] = {
    "letter": {letter: (letter, letter) for letter in "abcdefghijklmnop"},
    "colour": {"red": ("Rouge", "Red"), "dark_blue": ("Bleu foncé", "Dark blue"), "grey": ("Gris", "Grey")},
    "need": {"food": ("Aide alimentaire", "Food aid"), "housing": ("Logement", "Housing")},
}

SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$id": "https://trait-dunion.example/schemas/trial/v1.json",
    "type": "object",
    "additionalProperties": False,
    "required": ["who"],
    "properties": {
        "who": {"$ref": "#/$defs/who", "title": "Personne", "x-title-en": "Person"},
        "colour": {"title": "Couleur", "x-title-en": "Colour", "enum": ["red", "dark_blue", "grey"], "x-code-list": "colour"},
        "shade": {"title": "Teinte", "x-title-en": "Shade", "type": "string", "pattern": "^[a-z_]+$", "x-code-list": "colour"},
        "date": {"title": "Date", "x-title-en": "Date", "type": "string", "format": "date", "pattern": "^[0-9-]+$", "maxLength": 10},
        "code": {"type": "string", "pattern": "^[0-9]{5}$", "examples": ["39990"]},
        "size": {"title": "Taille", "x-title-en": "Size", "type": "integer", "minimum": 1, "maximum": 9, "multipleOf": 2},
        "tags": {"type": "array", "minItems": 2, "maxItems": 3, "uniqueItems": True, "items": {"type": "string", "maxLength": 3}},
        "open": {"type": "object", "additionalProperties": {"type": "string", "minLength": 1}, "propertyNames": {"maxLength": 20}},
        "either": {
            "title": "Choix",
            "x-title-en": "Choice",
            "oneOf": [
                {"properties": {"kind": {"const": "a"}, "n": {"type": "integer"}}, "required": ["kind", "n"]},
                {"properties": {"kind": {"const": "b"}, "s": {"type": "string"}}, "required": ["kind", "s"]},
            ],
        },
        "text_or_none": {"oneOf": [{"type": "string", "pattern": "^a"}, {"type": "null"}]},
        "never": False,
        "exact": {"const": "v"},
        "letter": {"enum": list("abcdefghijklm")},
        "target": {
            "properties": {"siret": {}, "service": {"type": "string", "examples": ["dora--1"]}},
            "anyOf": [{"required": ["siret"]}, {"required": ["service"], "properties": {"service": {"pattern": "--"}}}],
        },
        "needs": {
            "type": "array",
            "items": {
                "properties": {"scheme": {}, "code": {"title": "Code", "x-title-en": "Code"}},
                "if": {"properties": {"scheme": {"const": "need"}}, "required": ["scheme"]},
                "then": {"properties": {"code": {"enum": ["food", "housing"]}}},
            },
        },
    },
    "not": {"required": ["colour", "shade"]},
    "dependentRequired": {"date": ["code"]},
    "$defs": {
        "who": {
            "title": "Inutilisé",
            "type": "object",
            "properties": {"name": {"title": "Nom", "x-title-en": "Name", "type": "string"}, "number": {}, "born": {}},
            "anyOf": [{"required": ["number"]}, {"required": ["name", "born"]}],
        }
    },
}  # fmt: skip

VALID: dict[str, Any] = {"who": {"number": "1"}}
SECRETS = ("269054958815780", "ROUVIÈRE-LANSAC")


def issues(document: Any, raw: bytes | None = None) -> list[Issue]:
    """
    The issues of a document against the trial schema.
    """
    references = References([SCHEMA])
    validator = jsonschema_rs.validator_for(SCHEMA, offline=True, validate_formats=True, mask="***")
    return Diagnosis(references, References.root(SCHEMA), LISTS).issues(validator.iter_errors(document), document, raw)


def only(document: dict[str, Any]) -> Issue:
    """
    The single issue of the valid document changed by `document`.
    """
    (issue,) = issues(VALID | document)
    return issue


@pytest.mark.parametrize(
    ("change", "code", "pointer", "french", "english"),
    [
        ({"colour": "purple"}, "enum", "/colour", "« Couleur » : ce code n'est pas admis. Codes admis : red, dark_blue, grey.",
         "“Colour”: this code is not allowed. Allowed codes: red, dark_blue, grey."),
        ({"size": "2"}, "type", "/size", "« Taille » : il faut ici un nombre entier.", "“Size”: here must be an integer."),
        ({"size": 0}, "minimum", "/size", "« Taille » : ce nombre est trop petit : 1 au moins.",
         "“Size”: this number is too small: at least 1."),
        ({"size": 10}, "maximum", "/size", "« Taille » : ce nombre est trop grand : 9 au plus.",
         "“Size”: this number is too large: at most 9."),
        ({"size": 3}, "multiple_of", "/size", "« Taille » : ce nombre doit être un multiple de 2.",
         "“Size”: this number must be a multiple of 2."),
        ({"code": "3999"}, "pattern", "/code", "La forme n'est pas celle attendue. Exemple : 39990.",
         "The form is not the expected one. Example: 39990."),
        ({"date": "2026-02-30", "code": "39990"}, "format", "/date", "« Date » : il faut ici une date AAAA-MM-JJ, comme 2026-03-14.",
         "“Date”: here must be a date YYYY-MM-DD, such as 2026-03-14."),
        ({"date": "le 3 mars 2026", "code": "39990"}, "format", "/date", "« Date » : il faut ici une date AAAA-MM-JJ, comme 2026-03-14.",
         "“Date”: here must be a date YYYY-MM-DD, such as 2026-03-14."),
        ({"date": "2026-02-03"}, "required", "/code", "Il manque « code ».", "“code” is missing."),
        ({"tags": ["a"]}, "min_items", "/tags", "La liste est trop courte : 2 éléments au moins.", "The list is too short: at least 2 items."),
        ({"tags": list("abcd")}, "max_items", "/tags", "La liste est trop longue : 3 éléments au plus.",
         "The list is too long: at most 3 items."),
        ({"tags": ["a", "a"]}, "unique_items", "/tags", "La liste contient deux fois le même élément.", "The list holds the same item twice."),
        ({"tags": ["a", "long"]}, "max_length", "/tags/1", "Ce texte est trop long : 3 caractères au plus.",
         "This text is too long: at most 3 characters."),
        ({"open": {"x": ""}}, "min_length", "/open/*", "Ce texte est vide.", "This text is empty."),
        ({"open": {"x" * 21: "a"}}, "property_names", "/open", "Le nom d'une propriété de cet objet n'a pas la forme attendue.",
         "The name of a property of this object has not the expected form."),
        ({"never": 1}, "false_schema", "/never", "Rien n'est admis à cet endroit.", "Nothing is allowed here."),
        ({"exact": "w"}, "const", "/exact", "La valeur attendue ici est v.", "The value expected here is v."),
        ({"text_or_none": "b"}, "pattern", "/text_or_none", "La forme n'est pas celle attendue (^a).", "The form is not the expected one (^a)."),
        ({"text_or_none": 1}, "any_of", "/text_or_none", "Cette valeur n'a aucune des formes admises ici.",
         "This value has none of the forms allowed here."),
        ({"either": {"kind": "a", "n": "1"}}, "type", "/either/n", "Il faut ici un nombre entier.", "Here must be an integer."),
        ({"either": {"kind": "b"}}, "required", "/either/s", "Il manque « s ».", "“s” is missing."),
        ({"either": {"kind": "c"}}, "any_of", "/either", "« Choix » : cette valeur n'a aucune des formes admises ici.",
         "“Choice”: this value has none of the forms allowed here."),
        ({"target": {"service": "x"}}, "pattern", "/target/service", "La forme n'est pas celle attendue. Exemple : dora--1.",
         "The form is not the expected one. Example: dora--1."),
        ({"letter": "z"}, "enum", "/letter", "Ce code n'est pas l'un des 13 codes admis (/schemas/codes/letter.json).",
         "This code is not one of the 13 that are allowed (/schemas/codes/letter.json)."),
        ({"who": {"name": "x"}}, "any_of", "/who", "« Personne » : il manque ici : number ; ou born.", "“Person”: missing here: number; or born."),
        ({"who": {}}, "any_of", "/who", "« Personne » : il manque ici : number ; ou name et born.",
         "“Person”: missing here: number; or name and born."),
        ({"colour": "red", "shade": "red"}, "not", "", "Cette valeur, ou cette combinaison de propriétés, n'est pas admise ici.",
         "This value, or this combination of properties, is not allowed here."),
    ],
)  # fmt: skip
def test_says_what_is_wrong(change: dict[str, Any], code: str, pointer: str, french: str, english: str) -> None:
    """
    Each rule of a schema has its sentence in French and in English, at the right place.
    """
    expected = Issue(code, pointer, french, english)

    assert expected == only(change)


@pytest.mark.parametrize(
    ("change", "suggestion"),
    [
        ({"colour": "redd"}, "red"),
        ({"colour": "Bleu fonce"}, "dark_blue"),
        ({"colour": "DARK-BLUE"}, "dark_blue"),
        ({"shade": "Gris"}, "grey"),
        ({"colour": "x" * 200}, None),
        ({"colour": 12}, None),
        ({"needs": [{"scheme": "need", "code": "aide alimentaires"}]}, "food"),
        ({"couleur": "red"}, "colour"),
        ({"zzz": 1}, None),
    ],
)
def test_suggests_the_nearest_allowed_word(change: dict[str, Any], suggestion: str | None) -> None:
    """
    A mistyped code, a label in place of a code or a mistyped property name brings the nearest allowed word.
    """
    issue = only(change)

    assert suggestion == issue.suggestion
    assert (f"Vouliez-vous dire « {suggestion} »" in issue.message_fr) == (suggestion is not None)
    assert (f"Did you mean “{suggestion}”" in issue.message_en) == (suggestion is not None)


def test_a_suggested_code_comes_with_its_label() -> None:
    """
    A code is a word for programs: the label beside it says to people what it means, unless it says the same.
    """
    issue = only({"needs": [{"scheme": "need", "code": "aide alimentaires"}]})

    assert issue.message_fr.endswith("Vouliez-vous dire « food » (Aide alimentaire) ?")
    assert issue.message_en.endswith("Did you mean “food” (Food aid)?")
    assert only({"couleur": "red"}).message_fr.endswith("Vouliez-vous dire « colour » ?")


@pytest.mark.parametrize(
    ("kind", "change", "place", "there"),
    [
        (Kind.REFERRAL, {"rights": [{"right": "aah"}]}, "/rights/0/right", "special_rights"),
        (Kind.REFERRAL, {"special_rights": [{"right": "rsa"}]}, "/special_rights/0/right", "rights"),
        (Kind.REFERRAL, {"reasons": [{"scheme": "cnaf_difsoc", "code": "0402"}]}, "/reasons/0/code", "special_reasons"),
        (Kind.REFERRAL, {"constraints": [{"scheme": "constraint", "code": "health"}]}, "/constraints/0/code", "special_constraints"),
        (Kind.STATUS, {"outcome": {"right": "ame", "state": "opened"}}, "/outcome/right", "special_outcome"),
    ],
)  # fmt: skip
def test_a_reserved_code_is_told_where_it_belongs(kind: Kind, change: dict[str, Any], place: str, there: str) -> None:
    """
    A code that exists but reveals special data is not called unknown: the twin property where it belongs is named.
    """
    minimal = json.loads((Path(schemas.__file__).parent / kind / "v1" / "valid" / "minimal.json").read_bytes())
    (issue,) = validate(kind, minimal | change)

    assert ("misplaced", place) == (issue.code, issue.pointer)
    assert f"sa place est « {there} »" in issue.message_fr
    assert f"its place is “{there}”" in issue.message_en


def test_a_nir_among_identifiers_is_told_its_own_field() -> None:
    """
    Where a rule says what must not be, the schema's own sentence about it is told.
    """
    minimal = json.loads((Path(schemas.__file__).parent / "referral" / "v1" / "valid" / "minimal.json").read_bytes())
    subject = {"identifiers": [{"scheme": "nir", "value": "284073999000162"}]}
    (issue,) = validate(Kind.REFERRAL, minimal | {"subject": subject})

    assert ("not", "/subject/identifiers/0") == (issue.code, issue.pointer)
    assert "leurs propres champs : nir, nia, msa_matricule" in issue.message_fr
    assert "284073999000162" not in repr(issue)


def test_what_is_of_the_wrong_type_is_told_once() -> None:
    """
    A value of another type is not also called a code that is not allowed.
    """
    minimal = json.loads((Path(schemas.__file__).parent / "referral" / "v1" / "valid" / "minimal.json").read_bytes())

    assert ["type"] == [issue.code for issue in validate(Kind.REFERRAL, minimal | {"urgency": None})]


def test_says_everything_at_once() -> None:
    """
    All the problems of a document come together, not one at a time.
    """
    found = issues({"colour": "x", "size": "2", "tags": [1, 2], "extra": 1})

    assert {"/who", "/colour", "/size", "/tags/0", "/tags/1", "/*"} == {issue.pointer for issue in found}


def test_gives_the_place_in_the_text() -> None:
    """
    With the text it was read from, each issue has a line and a column, and they come in the order of the text.
    """
    raw = '{\n  "size": "2",\n  "NOM É": 1,\n  "open": {"été": 1},\n  "tags": ["a",\n    "trop"]\n}'.encode()

    found = [(issue.pointer, issue.line, issue.column) for issue in issues(json.loads(raw), raw)]

    assert found == [("/who", 1, 1), ("/size", 2, 11), ("/*", 3, 12), ("/open/*", 4, 19), ("/tags/1", 6, 5)]


def test_stops_at_a_number_that_people_read() -> None:
    """
    A document wrong everywhere gets a bounded report that says so.
    """
    found = issues(VALID | {"open": {str(number): 1 for number in range(1000)}})

    assert (len(found), found[-1].code) == (MAX_ISSUES + 1, "too_many_issues")


def plant(value: Any, secret: str) -> Any:
    """
    A document in which each text, number and open property name is the secret.
    """
    if isinstance(value, dict):
        return {**{key: plant(child, secret) for key, child in value.items()}, secret: secret}
    if isinstance(value, list):
        return [plant(child, secret) for child in value] + [secret, secret]
    return secret


@pytest.mark.parametrize("secret", SECRETS)
def test_never_shows_a_value(secret: str) -> None:
    """
    With a NIR or a name as every value and as property names, no part of any issue holds it.
    """
    everything = {
        name: {"kind": {}, "n": {}, "name": {}, "scheme": {}} if name in {"who", "either", "open"} else [{}]
        for name in SCHEMA["properties"]
    }
    scalars = dict.fromkeys(SCHEMA["properties"], secret)
    needs = {
        "needs": [{"scheme": "need", "code": secret}],
        "shade": secret,
        "code": secret,
        "date": secret,
        "exact": secret,
    }

    found = [
        issue
        for document in (plant(everything, secret), scalars, needs, secret, [secret])
        for issue in issues(document)
    ]

    assert len(found) > 30
    assert not [issue for issue in found if secret in str(issue)]
