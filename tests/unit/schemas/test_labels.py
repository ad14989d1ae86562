"""
The leaves of a schema and their data categories, from which the gate decides what may leave.
"""

from typing import Any

from schemas import FieldLabel
from schemas.labels import leaves
from schemas.references import References


def labelled(category: str, **schema: Any) -> dict[str, Any]:
    """
    A schema with a category and a title.
    """
    return {"x-category": category, "title": category.upper(), "x-title-en": f"the {category}", **schema}


def patterns(schema: dict[str, Any], *others: dict[str, Any]) -> dict[str, str]:
    """
    The category of each leaf pattern of a schema.
    """
    found = leaves(References([schema, *others]), References.root(schema))
    return {pattern: label.category for pattern, label in found.items()}


def test_a_leaf_has_its_label() -> None:
    """
    A property without properties of its own is a leaf, with its category, sensitivity and titles.
    """
    schema = {
        "properties": {"name": labelled("identity", type="string"), "nir": labelled("nir", **{"x-sensitivity": "nir"})}
    }

    expected = {
        "/name": FieldLabel("/name", "identity", "ordinary", "IDENTITY", "the identity"),
        "/nir": FieldLabel("/nir", "nir", "nir", "NIR", "the nir"),
    }
    assert expected == leaves(References([schema]), References.root(schema))


def test_containers_are_not_leaves() -> None:
    """
    Objects and arrays are there through their leaves; scalars of an array and values of an open map take its label.
    """
    schema = {
        "properties": {
            "subject": labelled(
                "identity", properties={"given_names": labelled("identity", type="array", items={"type": "string"})}
            ),
            "reasons": labelled(
                "needs", items={"properties": {"code": labelled("needs"), "note": labelled("free_text")}}
            ),
            "map": labelled("free_text", additionalProperties={"type": "string"}),
            "pair": labelled("amounts", prefixItems=[{"type": "string"}, {"type": "integer"}]),
            "a/b~c": labelled("status"),
        }
    }

    expected = {
        "/a~1b~0c": "status",
        "/map/*": "free_text",
        "/pair/*": "amounts",
        "/reasons/*/code": "needs",
        "/reasons/*/note": "free_text",
        "/subject/given_names/*": "identity",
    }
    assert expected == patterns(schema)


def test_what_carries_no_category_is_left_out() -> None:
    """
    A property without a category, even inside a labelled object, can never leave; neither can what an open object holds.
    """
    schema = {
        "properties": {
            "plain": {"type": "string"},
            "object": labelled("identity", properties={"inside": {"type": "string"}}),
            "open": labelled("identity", properties={"known": labelled("identity")}, additionalProperties=True),
        }
    }

    assert patterns(schema) == {"/open/known": "identity"}


def test_references_and_branches_count_as_one_schema() -> None:
    """
    Properties are found through references, allOf, anyOf, oneOf and conditions; the nearest label wins.
    """
    person = {
        "$id": "https://trait-dunion.example/schemas/person/v1.json",
        "properties": {"name": labelled("identity")},
    }
    schema = {
        "$id": "https://trait-dunion.example/schemas/trial/v1.json",
        "properties": {
            "subject": {"$ref": "../person/v1.json"},
            "agent": {"$ref": "#/$defs/agent"},
            "siret": labelled("professional", **{"$ref": "#/$defs/siret"}),
        },
        "allOf": [{"properties": {"all": labelled("needs")}}],
        "anyOf": [{"properties": {"any": labelled("needs")}}],
        "oneOf": [{"properties": {"one": labelled("needs")}}],
        "if": {"properties": {"condition": labelled("needs")}},
        "then": {"properties": {"then": labelled("needs")}},
        "else": {"properties": {"else": labelled("needs")}},
        "not": {"properties": {"not": labelled("needs")}},
        "$defs": {"agent": {"properties": {"name": labelled("professional")}}, "siret": labelled("exchange")},
    }

    expected = dict.fromkeys(["/all", "/any", "/else", "/one", "/then"], "needs")
    expected |= {"/subject/name": "identity", "/agent/name": "professional", "/siret": "professional"}
    assert expected == patterns(schema, person)


def test_a_schema_that_contains_itself_has_finite_leaves() -> None:
    """
    A recursive schema is followed for two turns; what is deeper has no label.
    """
    schema = {"properties": {"name": labelled("identity"), "child": {"$ref": "#"}}}

    expected = dict.fromkeys(["/name", "/child/name", "/child/child/name"], "identity")
    assert expected == patterns(schema)
