"""The table of the façade's README is complete and true: each field of a document has the place it says, or none."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.fhir import resources
from schemas import Document, Kind, fields

ROOT = Path(__file__).parents[2]
ADDRESS = "https://passerelle.valombre.example"
NOT_CARRIED = ("not carried", "never")

NEEDED = frozenset(
    [
        "/kind",
        "/schema_version",
        "/id",
        "/created_at",
        "/purpose",
        "/sender/siret",
        "/sender/name",
        "/subject/pseudonym",
        "/subject/sex",
    ]
)
"""Enough for a resource, whichever of them is taken out."""

OTHER_VALUES = {
    "/schema_version": "2.0",
    "/id": "0b8f1c52-77aa-4f0e-9c55-0a1b2c3d4e5f",
    "/created_at": "2026-05-02T09:30:00+02:00",
    "/purpose": "follow_up",
}
"""Fields that every document has: another value shows whether they are carried."""


def table(kind: Kind) -> dict[str, str]:
    """The rows of a table of the README: where each pattern goes."""
    text = (ROOT / "gateway/fhir/README.md").read_text(encoding="utf-8")
    rows = text.split(f"| {kind.value} |")[1].split("\n\n")[0].splitlines()[2:]
    cells = [row.strip("| ").split(" | ", 1) for row in rows]
    return {pattern: place for patterns, place in cells for pattern in re.findall(r"`([^`]+)`", patterns)}


def row(pattern: str, rows: dict[str, str]) -> str:
    """The row that is about a leaf: its own, or the nearest `/**` above it."""
    above = [name for name in rows if name.endswith("/**") and pattern.startswith(name.removesuffix("**"))]
    return rows[pattern] if pattern in rows else rows[max(above, key=len)]


def full(kind: Kind) -> Document:
    path = ROOT / f"schemas/{kind.value}/v1/valid/full.json"
    document: Document = json.loads(path.read_text(encoding="utf-8"))
    return document


def cut(value: Any, keep: Callable[[str], bool], pattern: str = "") -> Any:
    """Keep some leaves of a document, by their patterns; what is left empty goes."""
    if isinstance(value, dict):
        kept = {name: cut(inner, keep, f"{pattern}/{name}") for name, inner in value.items()}
        return {name: inner for name, inner in kept.items() if inner is not None} or None
    if isinstance(value, list):
        return [inner for item in value if (inner := cut(item, keep, f"{pattern}/*")) is not None] or None
    return value if keep(pattern) else None


def produced(kind: Kind, document: Document) -> dict[str, Any]:
    if kind is Kind.REFERRAL:
        return resources.service_request(document, ADDRESS)
    return resources.task(
        delivery_id="0b8f1c52-77aa-4f0e-9c55-0a1b2c3d4e5f",
        referral_id="8a5d0c14-2f63-4e7b-b1a9-6c3d4e5f6a7b",
        state="acknowledged",
        parties=("99900001100018", "99900002900010"),
        times=("2026-03-02T08:30:00.000000Z", "2026-03-02T09:00:00.000000Z"),
        status=document,
        address=ADDRESS,
    )


def is_carried(kind: Kind, leaf: str) -> bool:
    """Whether a field changes the resource: alone, taken out of a full document, or with another value."""
    document, about = full(kind), leaf.replace("/local/fields/*", "/local/fields/process_code")
    if leaf in OTHER_VALUES:
        return produced(kind, document) != produced(kind, {**document, leaf[1:]: OTHER_VALUES[leaf]})
    needed = NEEDED - {about}
    nothing, alone = cut(document, needed.__contains__), cut(document, (needed | {about}).__contains__)
    if produced(kind, nothing) != produced(kind, alone):
        return True
    return produced(kind, document) != produced(kind, cut(document, lambda pattern: pattern != about))


@pytest.mark.parametrize("kind", [Kind.REFERRAL, Kind.STATUS])
def test_the_table_says_of_every_field_whether_it_is_carried(kind: Kind) -> None:
    """A field is in one row; what the row says is what the translation does."""
    rows = table(kind)
    expected = {pattern: not row(pattern, rows).startswith(NOT_CARRIED) for pattern in fields(kind)}
    # The kind is the same word in every document: it cannot change.
    expected["/kind"] = False
    assert expected == {pattern: is_carried(kind, pattern) for pattern in expected}


@pytest.mark.parametrize("kind", [Kind.REFERRAL, Kind.STATUS])
def test_the_table_has_no_row_about_nothing(kind: Kind) -> None:
    """Each row is about a field that exists."""
    known = fields(kind)
    about_nothing = [
        name
        for name in table(kind)
        if name not in known and not any(leaf.startswith(name.removesuffix("**")) for leaf in known if name[-1] == "*")
    ]
    assert [] == about_nothing
