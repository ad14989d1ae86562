"""
Two versions of a schema are compared for those who rely on the older one.
"""

import copy
from typing import Any

import pytest

from schemas import Kind, schema, schema_versions
from schemas.compatibility import diff
from schemas.references import UnknownReference

BASE: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$id": "https://trait-dunion.example/schemas/trial/v1.json",
    "type": "object",
    "required": ["id"],
    "properties": {
        "id": {"type": "string", "x-category": "exchange", "x-sensitivity": "ordinary"},
        "name": {"type": "string", "maxLength": 50, "x-category": "identity", "x-sensitivity": "ordinary"},
        "colour": {"enum": ["red", "blue"], "x-category": "needs"},
        "size": {"type": ["integer", "null"], "minimum": 1, "maximum": 9, "x-category": "needs"},
        "code": {"type": "string", "pattern": "^[0-9]+$", "x-category": "needs"},
        "lines": {"type": "array", "maxItems": 5, "items": {"$ref": "#/$defs/line"}, "x-category": "rights"},
        "map": {"type": "object", "additionalProperties": {"type": "string"}, "x-category": "free_text"},
    },
    "anyOf": [{"required": ["name"]}, {"required": ["code", "size"]}],
    "$defs": {
        "line": {
            "type": "object",
            "required": ["right"],
            "properties": {"right": {"type": "string", "x-category": "rights"}, "note": {"type": "string", "x-category": "free_text"}},
        }
    },
}  # fmt: skip


def changed(path: str, value: Any) -> dict[str, Any]:
    """
    The base schema with the value at a slash-separated path replaced, or removed when it is None.
    """
    new = copy.deepcopy(BASE)
    *parents, last = path.split("/")
    target: Any = new
    for part in parents:
        target = target[part]
    if value is None:
        del target[last]
    else:
        target[last] = value
    return new


@pytest.mark.parametrize(
    ("path", "value", "code", "pattern"),
    [
        ("properties/name", None, "property_removed", "/name"),
        ("$defs/line/properties/note", None, "property_removed", "/lines/*/note"),
        ("required", ["id", "name"], "required_added", "/name"),
        ("$defs/line/required", ["right", "note"], "required_added", "/lines/*/note"),
        ("properties/id/type", "integer", "type_narrowed", "/id"),
        ("properties/size/type", "integer", "type_narrowed", "/size"),
        ("properties/colour/enum", ["red"], "enum_narrowed", "/colour"),
        ("properties/id/enum", ["a"], "enum_narrowed", "/id"),
        ("properties/id/const", "a", "enum_narrowed", "/id"),
        ("properties/name/maxLength", 40, "bounds_tightened", "/name"),
        ("properties/name/minLength", 1, "bounds_tightened", "/name"),
        ("properties/size/minimum", 2, "bounds_tightened", "/size"),
        ("properties/lines/maxItems", 4, "bounds_tightened", "/lines"),
        ("properties/code/pattern", "^[0-9]{5}$", "form_tightened", "/code"),
        ("properties/id/format", "uuid", "form_tightened", "/id"),
        ("additionalProperties", False, "closed", ""),
        ("$defs/line/unevaluatedProperties", False, "closed", "/lines/*"),
        ("anyOf", [{"required": ["name"]}], "rule_tightened", ""),
        ("anyOf", [{"required": ["name"]}, {"required": ["code", "size", "map"]}], "rule_tightened", ""),
        ("allOf", [{"required": ["size"]}], "required_added", "/size"),
        ("not", {"required": ["map"]}, "rule_tightened", ""),
        ("properties/map/additionalProperties", {"type": "integer"}, "type_narrowed", "/map/*"),
        ("properties/name/x-sensitivity", "nir", "category_raised", "/name"),
        ("properties/name/x-category", "family", "category_changed", "/name"),
        ("properties/name/x-category", None, "category_changed", "/name"),
        ("$defs/line/properties/note/x-sensitivity", "special", "category_raised", "/lines/*/note"),
    ],
)
def test_finds_what_breaks(path: str, value: Any, code: str, pattern: str) -> None:
    """
    Each change that would harm a user of the older version is found, at its place, and said to break.
    """
    (change,) = diff(BASE, changed(path, value))

    assert (code, pattern, True) == (change.code, change.pattern, change.breaking)
    assert change.message_fr
    assert change.message_en


@pytest.mark.parametrize(
    ("path", "value", "code", "pattern"),
    [
        ("properties/extra", {"type": "string", "x-category": "needs"}, "property_added", "/extra"),
        ("required", [], "required_removed", "/id"),
        ("properties/id/type", ["string", "null"], "type_widened", "/id"),
        ("properties/size/type", ["number", "null"], "type_widened", "/size"),
        ("properties/colour/enum", ["red", "blue", "grey"], "enum_widened", "/colour"),
        ("properties/colour/enum", None, "enum_widened", "/colour"),
        ("properties/name/maxLength", 60, "bounds_loosened", "/name"),
        ("properties/size/minimum", None, "bounds_loosened", "/size"),
        ("properties/code/pattern", None, "form_loosened", "/code"),
        ("anyOf", None, "rule_loosened", ""),
        ("anyOf", [{"required": ["name"]}, {"required": ["code"]}], "rule_loosened", ""),
    ],
)
def test_finds_what_does_not_break(path: str, value: Any, code: str, pattern: str) -> None:
    """
    Wider rules and new optional properties are reported, and do not break.
    """
    (change,) = diff(BASE, changed(path, value))

    assert (code, pattern, False) == (change.code, change.pattern, change.breaking)


def test_closing_and_opening_are_opposite() -> None:
    """
    What closes an object breaks, and the way back does not.
    """
    closed = changed("additionalProperties", False)

    assert [(change.code, change.breaking) for change in diff(BASE, closed)] == [("closed", True)]
    assert [(change.code, change.breaking) for change in diff(closed, BASE)] == [("opened", False)]


def test_an_addition_to_a_strict_object_is_said_apart() -> None:
    """
    Readers of an older version ignore a new property of a tolerant object and refuse one of a strict object: it is told.
    """
    strict = changed("additionalProperties", False)
    tolerant = {**strict, "x-tolerant": True}
    more = {"properties": {**BASE["properties"], "extra": {"type": "string", "x-category": "needs"}}}

    assert ["property_added_strict"] == [change.code for change in diff(strict, {**strict, **more})]
    assert ["property_added"] == [change.code for change in diff(tolerant, {**tolerant, **more})]


def test_a_tolerant_object_that_becomes_strict_breaks() -> None:
    """
    Readers that ignored what they do not know would refuse it; the way back is safe.
    """
    strict = changed("additionalProperties", False)
    tolerant = {**strict, "x-tolerant": True}

    assert [("tolerance_removed", True)] == [(change.code, change.breaking) for change in diff(tolerant, strict)]
    assert [("tolerance_added", False)] == [(change.code, change.breaking) for change in diff(strict, tolerant)]


def test_a_rule_about_values_that_were_not_allowed_breaks_nothing() -> None:
    """
    A new scheme comes with the rule of its codes: no document that was valid has it, so nothing is refused that was not.
    """
    old = changed("allOf", [codes_of("red", ["a", "b"])])
    new = changed("allOf", [codes_of("red", ["a", "b"]), codes_of("grey", ["c"])])
    new["properties"]["colour"] = {"enum": ["red", "blue", "grey"], "x-category": "needs"}
    narrower = changed("allOf", [codes_of("red", ["a", "b"]), codes_of("blue", ["c"])])

    assert [("rule_loosened", False), ("enum_widened", False)] == [(c.code, c.breaking) for c in diff(old, new)]
    assert [("rule_tightened", True)] == [(change.code, change.breaking) for change in diff(old, narrower)]


def codes_of(colour: str, codes: list[str]) -> dict[str, Any]:
    """
    The rule that a colour allows only some codes.
    """
    return {"if": {"properties": {"colour": {"const": colour}}}, "then": {"properties": {"code": {"enum": codes}}}}


def test_a_new_required_property_is_one_breaking_change() -> None:
    """
    A property that is new and required is reported once, as required.
    """
    new = changed("properties/extra", {"type": "string"})
    new["required"] = ["id", "extra"]

    assert [(change.code, change.pattern) for change in diff(BASE, new)] == [("required_added", "/extra")]


def test_words_do_not_count() -> None:
    """
    Titles, descriptions, examples and the way a schema is cut into parts change nothing for its users.
    """
    new = copy.deepcopy(BASE)
    new["title"] = "Essai"
    new["properties"]["name"] = {"allOf": [new["properties"]["name"]], "description": "Nom", "x-category": "identity"}
    new["properties"]["lines"]["items"] = new.pop("$defs")["line"]
    new["anyOf"] = [{"title": "par le nom", **new["anyOf"][0]}, new["anyOf"][1]]

    assert diff(BASE, new) == []


def test_breaking_changes_come_first() -> None:
    """
    What matters is read first.
    """
    new = changed("properties/name", None)
    new["properties"]["added"] = {"type": "string"}

    assert [change.breaking for change in diff(BASE, new)] == [True, False]


def test_follows_references_to_other_schemas() -> None:
    """
    A change in a shared schema is seen from the schema that refers to it; one that is not given is an error.
    """
    part = {"$id": "https://trait-dunion.example/schemas/part/v1.json", "properties": {"a": {"type": "string"}}}
    whole = {
        "$id": "https://trait-dunion.example/schemas/whole/v1.json",
        "properties": {"part": {"$ref": "../part/v1.json"}},
    }
    narrower = {**part, "properties": {"a": {"type": "string", "enum": ["x"]}}}
    bundled = {**whole, "$defs": {"part": narrower}}

    (change,) = diff(whole, bundled, [part])

    assert (change.code, change.pattern) == ("enum_narrowed", "/part/a")
    with pytest.raises(UnknownReference, match="part/v1"):
        diff(whole, whole)


def test_survives_schemas_that_contain_themselves() -> None:
    """
    A schema that refers to itself is compared once.
    """
    old = {
        "properties": {"child": {"$ref": "#"}, "name": {"type": "string"}},
        "anyOf": [{"properties": {"child": {"$ref": "#"}}}],
    }
    new = copy.deepcopy(old)
    new["properties"]["name"] = {"type": "string", "maxLength": 3}  # type: ignore[index]

    assert "bounds_tightened" in {change.code for change in diff(old, new)}
    assert diff(old, copy.deepcopy(old)) == []


@pytest.mark.parametrize("name", sorted(schema_versions()))
def test_the_published_schemas_compare(name: str) -> None:
    """
    Each published schema equals itself, and a property taken out of it is found.
    """
    current = schema(name)
    others = [schema(other) for other in schema_versions() if other != name]
    shorter = copy.deepcopy(dict(current))
    gone = next(key for key in shorter["properties"] if key not in shorter.get("required", ()))
    del shorter["properties"][gone]

    assert diff(current, current, others) == []
    assert ("property_removed", f"/{gone}") in {
        (change.code, change.pattern) for change in diff(current, shorter, others)
    }


def test_a_narrower_person_breaks_a_referral() -> None:
    """
    The schemas that refer to a shared part are broken by what breaks that part.
    """
    person = copy.deepcopy(dict(schema("person")))
    person["properties"]["sex"]["enum"] = ["female", "male"]
    referral = schema(Kind.REFERRAL)
    others = [schema("organisation"), schema("person")]
    new = {**referral, "$defs": {**referral.get("$defs", {}), "person": person}}

    assert ("enum_narrowed", "/subject/sex") in {
        (change.code, change.pattern) for change in diff(referral, new, others)
    }
