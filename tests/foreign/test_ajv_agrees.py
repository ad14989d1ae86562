"""
A stranger's validator reads the published files and judges every example as we do.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import schemas
from schemas import Kind, schema, schema_versions, validate

FOLDER = Path(schemas.__file__).parent
OTHER_SYSTEMS = (
    "dora-orientation",
    "france-travail-orientation",
    "rsa-orientation",
    "hubee-case",
    "gravity-sdoh-referral",
)


def examples(kind: str, folder: str) -> dict[str, Any]:
    """The example documents of a kind, by file name."""
    return {path.name: json.loads(path.read_bytes()) for path in sorted((FOLDER / kind / "v1" / folder).glob("*.json"))}


def expected_places(kind: str) -> dict[str, str]:
    """Where each invalid example is wrong, as its authors wrote it down."""
    with (FOLDER / kind / "v1" / "invalid" / "expected.csv").open(encoding="utf-8", newline="") as lines:
        return {row["file"]: row["pointer"] for row in csv.DictReader(lines)}


@pytest.mark.parametrize("kind", Kind)
def test_ajv_agrees_on_every_valid_example(kind: Kind, ajv: Callable[..., list[Any]]) -> None:
    """Each valid example, in a file or in the schema itself, is valid for ajv and for us."""
    documents = [*examples(kind, "valid").values(), *schema(kind).get("examples", ())]

    assert documents
    assert [True] * len(documents) == [
        verdict.valid for verdict in ajv((schema(kind)["$id"], each) for each in documents)
    ]
    assert [[]] * len(documents) == [validate(kind, each) for each in documents]


@pytest.mark.parametrize("kind", Kind)
def test_ajv_agrees_on_every_invalid_example(kind: Kind, ajv: Callable[..., list[Any]]) -> None:
    """Each invalid example is refused by ajv and by us, and ajv finds the fault where its authors put it."""
    documents, expected = examples(kind, "invalid"), expected_places(kind)
    verdicts = ajv((schema(kind)["$id"], each) for each in documents.values())
    found = dict(zip(documents, verdicts, strict=True))

    assert [] == [name for name, verdict in found.items() if verdict.valid]
    assert [] == [name for name, each in documents.items() if not validate(kind, each)]
    assert {} == {name: verdict.places for name, verdict in found.items() if expected[name] not in verdict.places}


@pytest.mark.parametrize("name", OTHER_SYSTEMS)
def test_the_examples_of_other_systems_are_valid(name: str, ajv: Callable[..., list[Any]]) -> None:
    """Five systems' own referrals, carried into the shared language, are valid for ajv and for us."""
    document = examples("referral", "valid")[f"{name}.json"]

    assert [] == validate(Kind.REFERRAL, document)
    assert [True] == [verdict.valid for verdict in ajv([(schema("referral")["$id"], document)])]


def shown(address: str, part: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """The examples that a schema shows of each of its properties, with the address of that property's schema."""
    for keyword in ("properties", "items", "additionalProperties"):
        inside = part.get(keyword)
        named = inside.items() if keyword == "properties" and isinstance(inside, dict) else [(None, inside)]
        for name, found in named:
            if isinstance(found, dict):
                below = f"{address}/{keyword}" + (f"/{name}" if name else "")
                yield from ((below, example) for example in found.get("examples", ()))
                yield from shown(below, found)


@pytest.mark.parametrize("name", sorted(schema_versions()))
def test_ajv_accepts_what_the_schemas_show(name: str, ajv: Callable[..., list[Any]]) -> None:
    """The examples written beside the properties follow the rules of these properties."""
    pairs = list(shown(f"{schema(name)['$id']}#", dict(schema(name))))
    verdicts = ajv(pairs)

    assert len(pairs) > 3
    assert [] == [pair for pair, verdict in zip(pairs, verdicts, strict=True) if not verdict.valid]
