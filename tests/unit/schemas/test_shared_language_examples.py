"""
The examples of the shared language: rich enough to learn every field from, and able to hold what other systems say.
"""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

import schemas
from schemas import Kind, fields
from schemas.identity import nir_key

FOLDER = Path(schemas.__file__).parent
DOCUMENTS = ["referral", "bilan", "consent", "status"]
KINDS = [*DOCUMENTS, "convention"]


def rows_of(path: Path) -> list[dict[str, str]]:
    """
    The rows of a CSV file with a header.
    """
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines, strict=True))


def codes_of(name: str) -> list[str]:
    """
    The codes of a code list, in the order of its file.
    """
    return [row["code"] for row in rows_of(FOLDER / "codes" / f"{name}.csv")]


def documents(kind: str, folder: str) -> dict[str, Any]:
    """
    The example documents of a kind, by file name.
    """
    return {path.name: json.loads(path.read_bytes()) for path in sorted((FOLDER / kind / "v1" / folder).glob("*.json"))}


def present(value: Any, pattern: list[str]) -> bool:
    """
    Whether a document has something at a pointer pattern.
    """
    if not pattern:
        return True
    head, rest = pattern[0], pattern[1:]
    if head == "*":
        inside = value.values() if isinstance(value, dict) else value
        return any(present(item, rest) for item in inside)
    return isinstance(value, dict) and head in value and present(value[head], rest)


@pytest.mark.parametrize("name", KINDS)
def test_each_kind_has_examples_and_a_history(name: str) -> None:
    """
    Every kind comes with valid documents, a minimal and, for what people send, a full one, invalid ones and its changes.
    """
    wanted = {"minimal.json", "full.json"} if name in DOCUMENTS else {"minimal.json", "caf-departement.json"}

    assert wanted <= documents(name, "valid").keys()
    assert len(documents(name, "invalid")) >= 10
    assert "## 1.0" in (FOLDER / name / "v1" / "CHANGES.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_full_example_uses_every_field(name: str) -> None:
    """
    The full document of a kind has a value at each labelled leaf, so that no field is without an example in place.
    """
    full = documents(name, "valid")["full.json"]
    missing = [pattern for pattern in fields(Kind(name)) if not present(full, pattern.split("/")[1:])]

    assert missing == []


def test_the_people_of_the_examples_have_coherent_numbers() -> None:
    """
    Every NIR and NIA of the valid examples has the right key, so that an example never teaches a wrong number.
    """
    people = [found["subject"] for kind in DOCUMENTS for found in documents(kind, "valid").values()]
    numbers = [person[name] for person in people for name in ("nir", "nia") if name in person]

    assert len(numbers) >= 4
    assert [nir_key(number[:13]) for number in numbers] == [number[13:] for number in numbers]


def test_a_consent_record_holds_the_mandatory_fields_of_iso_27560() -> None:
    """
    The 24 mandatory fields of ISO/IEC TS 27560 have a place, and the example made for them fills each one.
    """
    rows = rows_of(FOLDER / "consent" / "v1" / "iso_27560.csv")
    record = documents("consent", "valid")["iso-27560-complete.json"]

    assert codes_of("iso_27560_field") == [row["field"] for row in rows]
    assert len(rows) == 24
    assert [] == [row["field"] for row in rows if row["pointer"] not in fields(Kind.CONSENT)]
    assert [] == [row["field"] for row in rows if not present(record, row["pointer"].split("/")[1:])]
