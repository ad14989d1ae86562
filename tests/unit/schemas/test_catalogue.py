"""
The shared language as it is served: schemas, code lists and crosswalks as plain JSON.
"""

import json
from typing import Any

import jsonschema_rs
import pytest

from schemas import Kind, code_list, crosswalk, crosswalks, schema, schema_versions
from schemas.catalogue import (
    bundled_schema_document,
    code_list_document,
    crosswalk_document,
    index,
    schema_document,
)
from schemas.registry import FORMATS
from schemas.vocabulary import UnknownCodeList

REVERSED = {"broader": "narrower", "narrower": "broader"}


def test_the_index_leads_to_everything() -> None:
    """
    The index gives an address to each schema, code list and crosswalk.
    """
    found: dict[str, Any] = json.loads(json.dumps(index()))

    assert schema_versions().keys() == {entry["name"] for entry in found["schemas"]}
    assert {
        "name": "referral",
        "version": 1,
        "title": "Orientation",
        "title_en": "Referral",
        "path": "/schemas/referral/v1.json",
    } in found["schemas"]
    assert {
        "name": "purpose",
        "title": "Finalités",
        "title_en": "Purposes",
        "count": len(code_list("purpose")),
        "path": "/schemas/codes/purpose.json",
    } in found["codes"]
    assert len(crosswalks()) == len(found["crosswalks"])


@pytest.mark.parametrize("kind", Kind)
def test_a_bundle_needs_nothing_else(kind: Kind) -> None:
    """
    A bundled schema compiles offline, alone, and judges the examples of the schema as valid; the plain one is the file.
    """
    bundle = bundled_schema_document(kind, 1)
    validator = jsonschema_rs.validator_for(bundle, offline=True, validate_formats=True, formats=dict(FORMATS))

    assert schema_document(kind, 1) == schema(kind)
    assert schema(kind)["examples"]
    assert [True] * len(bundle["examples"]) == [validator.is_valid(example) for example in bundle["examples"]]
    assert not validator.is_valid({})


def test_a_code_list_says_where_it_is_used() -> None:
    """
    A code list is served with its labels, the fields that use it and the lists it can be translated to.
    """
    document: dict[str, Any] = json.loads(json.dumps(code_list_document("urgency")))

    assert list(code_list("urgency")) == [code["code"] for code in document["codes"]]
    assert {"code", "label_fr", "label_en", "source", "version", "parent"} == document["codes"][0].keys()
    assert ["/urgency"] == document["used_by"]["referral"]
    assert all({"list", "path"} == way.keys() for way in document["crosswalks"])


@pytest.mark.parametrize(("source", "target"), crosswalks())
def test_a_crosswalk_reads_both_ways(source: str, target: str) -> None:
    """
    Each correspondence is found again in the opposite direction, with the opposite relation; the nearest comes first.
    """
    forwards = {(code, way.code, way.relation) for code, ways in crosswalk(source, target).items() for way in ways}
    backwards = {
        (way.code, code, REVERSED.get(way.relation, way.relation))
        for code, ways in crosswalk(target, source).items()
        for way in ways
    }

    assert forwards
    assert forwards == backwards
    assert all(
        ways[0].relation == "exact"
        for ways in crosswalk(target, source).values()
        if "exact" in {way.relation for way in ways}
    )


@pytest.mark.parametrize(("source", "target"), crosswalks())
def test_crosswalks_lead_to_existing_codes(source: str, target: str) -> None:
    """
    Where a list of ours is one end of a crosswalk, its codes are in the list.
    """
    published = index()["codes"]
    names = {entry["name"] for entry in published}
    document = crosswalk_document(source, target)

    assert names & {source, target}
    if source in names:
        assert document["codes"].keys() <= code_list(source).keys()
    if target in names:
        assert {way["code"] for ways in document["codes"].values() for way in ways} <= code_list(target).keys()


def test_unknown_crosswalks_are_errors() -> None:
    """
    Two lists without a table between them are an error, not an empty answer.
    """
    with pytest.raises(UnknownCodeList, match="urgency--right"):
        crosswalk("urgency", "right")
