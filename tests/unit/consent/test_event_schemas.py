"""The published catalogue: every type of event has its words and its schema, and nothing in it could hold a person."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import jsonschema
import pytest

from consent.ledger.catalogue import CATALOGUE
from consent.ledger.event import Event, EventInvalid, EventType
from consent.ledger.event_members import MEMBERS
from consent.ledger.event_schemas import BODIES, event_schema, index, path_of


def test_every_type_is_published_once_with_its_words_and_its_schema() -> None:
    """None is forgotten in the catalogue, in the schemas or in the index."""
    assert set(EventType) == set(CATALOGUE) == set(BODIES)
    assert [each["type"] for each in index()["events"]] == [each.value for each in CATALOGUE]
    assert len({path_of(each) for each in EventType}) == len(EventType)
    for wording in CATALOGUE.values():
        assert all([wording.title_fr, wording.title_en, wording.sentence_fr, wording.sentence_en])


@pytest.mark.parametrize("event_type", list(EventType))
def test_a_schema_is_valid_and_strict(event_type: EventType) -> None:
    """It is a JSON Schema, it refuses another type and a member that it does not name."""
    schema = event_schema(event_type)
    jsonschema.Draft202012Validator.check_schema(schema)
    checked = jsonschema.Draft202012Validator(schema)
    event: dict[str, Any] = {
        "id": "0190a5b0-0000-4000-8000-000000000000",
        "type": event_type.value,
        "occurred_at": "2026-11-23T09:00:00.000000Z",
        "actor": "99900001100018",
        "body": {},
    }
    missing = [error.validator for error in checked.iter_errors(event)]
    assert set(missing) == {"required"}
    other = event | {"type": "gossip", "nir": "1"}
    assert {"const", "additionalProperties"} <= {error.validator for error in checked.iter_errors(other)}


def test_no_member_could_hold_a_person() -> None:
    """Each member of the catalogue is one that an event accepts: no name, no address, no number of anybody."""
    for name in MEMBERS:
        Event(
            "0190a5b0-0000-4000-8000-000000000000",
            EventType.SIMULATION,
            datetime(2026, 11, 23, tzinfo=UTC),
            "99900001100018",
            {name: "x"},
        )
    with pytest.raises(EventInvalid):
        Event(
            "0190a5b0-0000-4000-8000-000000000000",
            EventType.SIMULATION,
            datetime(2026, 11, 23, tzinfo=UTC),
            "99900001100018",
            {"birth_name": "x"},
        )
