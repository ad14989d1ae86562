"""The ISO/IEC TS 27560 record: complete when the document is, and honest about what nobody said."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any

import pytest

from consent.iso27560 import completed, fields, receipt
from schemas import Kind, code_list, validate

EXAMPLES = sorted(
    path.name for path in (files("schemas") / "consent" / "v1" / "valid").iterdir() if path.name.endswith(".json")
)
NOW = datetime(2027, 6, 1, tzinfo=UTC)


def example(name: str) -> dict[str, Any]:
    return dict(json.loads((files("schemas") / "consent" / "v1" / "valid" / name).read_text(encoding="utf-8")))


def test_a_complete_document_fills_the_24_mandatory_fields() -> None:
    """Nothing is missing from the record of the published complete example."""
    filled, missing = fields(completed(example("iso-27560-complete.json"), {}, NOW))
    assert [] == missing
    assert set(code_list("iso_27560_field")) == set(filled)


def test_a_minimal_document_says_what_is_missing() -> None:
    """Where data are kept, how long, and who to write to: only the organisations know, and nobody invents it."""
    _, missing = fields(completed(example("minimal.json"), {"99900001100018": "CAF de Valombre"}, NOW))
    assert ["storage_locations", "retention_period", "party_address", "party_contact"] == missing


@pytest.mark.parametrize("name", EXAMPLES)
def test_completing_keeps_a_document_valid_and_what_it_says(name: str) -> None:
    """What is added is in the shared language, and nothing that the document says is changed."""
    said = example(name)
    whole = completed(said, {}, NOW)
    assert [] == validate(Kind.CONSENT, whole)
    kept = {key: value for key, value in whole.items() if key not in ("parties", "processing", "events")}
    assert kept == {key: value for key, value in said.items() if key not in ("parties", "processing", "events")}
    assert said.get("processing", {}).items() <= whole["processing"].items()


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_term_of_a_receipt_has_a_declared_prefix(name: str) -> None:
    """The receipt is read without fetching anything: each prefix that it uses is written out in it."""
    told = receipt(
        completed(example(name), {}, NOW), address="https://p.example/r", publisher={"siret": "0"}, created=NOW
    )
    assert _prefixes({key: value for key, value in told.items() if key != "@context"}) <= told["@context"].keys()


def test_the_events_follow_the_agreement_to_its_end() -> None:
    """Given, then expired at its term; given, then withdrawn where the document says when."""
    states = {
        name: [event["state"] for event in completed(example(name), {}, NOW)["events"]]
        for name in ("minimal.json", "withdrawn.json", "refused.json")
    }
    assert {
        "minimal.json": ["given", "expired"],
        "withdrawn.json": ["given", "withdrawn"],
        "refused.json": ["refused"],
    } == states


def _prefixes(value: Any) -> set[str]:
    """The prefixes of the names and terms in a JSON-LD value; identifiers and sentences have none."""
    known = ("dpv", "pd", "eu-gdpr", "loc", "dct", "schema")
    if isinstance(value, dict):
        names = {name.split(":")[0] for name in value if ":" in name}
        return names.union(*(_prefixes(each) for each in value.values()))
    if isinstance(value, list):
        return set().union(*(_prefixes(each) for each in value))
    return {value.split(":")[0]} & set(known) if isinstance(value, str) else set()
