"""The canonical bytes of an event are those of RFC 8785, as another implementation writes them."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from consent.ledger.event import Event, EventInvalid, EventType

NAMES = st.text(st.characters(codec="ascii"), max_size=12).map(lambda name: f"x{name}")
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=300, deadline=None)
@given(body=st.dictionaries(NAMES, VALUES, max_size=6))
def test_canonical_bytes_equal_a_general_canonicalizer(body: dict[str, object]) -> None:
    """Whatever an event may hold, control characters and emoji included, both write the same bytes."""
    event = Event(
        str(UUID(int=7, version=4)), EventType.SIMULATION, datetime(2026, 11, 23, 9, tzinfo=UTC), "99900001100018", body
    )
    expected = rfc8785.dumps(
        {
            "id": event.id,
            "type": "simulation",
            "occurred_at": "2026-11-23T09:00:00.000000Z",
            "actor": "99900001100018",
            "body": body,
        }
    )
    assert expected == event.canonical()


def test_a_name_outside_ascii_is_refused() -> None:
    """Only then could the two orders of names differ."""
    with pytest.raises(EventInvalid):
        Event(
            str(UUID(int=7, version=4)),
            EventType.SIMULATION,
            datetime(2026, 11, 23, tzinfo=UTC),
            "99900001100018",
            {"é": 1},
        )
