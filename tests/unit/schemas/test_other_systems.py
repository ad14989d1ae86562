"""
Other systems' own messages fit in the shared language without loss: from the example document alone, each value of the
message is found again, by the way that `systems.csv` says.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import schemas
from schemas import Kind, crosswalk, fields, schema, validate
from schemas.identity import nir_key, read_phone
from schemas.labels import nodes
from schemas.references import References, annotation
from schemas.registry import references

FOLDER = Path(schemas.__file__).parent
KINDS = ["referral", "status"]
FIVE = {"dora-orientation", "france-travail-orientation", "rsa-orientation", "hubee-case", "gravity-sdoh-referral"}
LONGEST = {"text": 1000, "email": 254, "uuid": 36, "date": 10, "dt": 35, "phone": 12, "code": 40}
WAYS = {"scheme", "code", "name", "from", "phone", "unpadded", "holds", "day", "nir", "between", "true"}


@cache
def rows(kind: str) -> list[dict[str, str]]:
    """The rows of the table of a kind."""
    with (FOLDER / kind / "v1" / "systems.csv").open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines, strict=True))


SYSTEMS = [(kind, system) for kind in KINDS for system in sorted({row["system"] for row in rows(kind)})]
ROWS = [(kind, row) for kind in KINDS for row in rows(kind)]


def message(kind: str, system: str) -> Any:
    """The message as the other system writes it."""
    return json.loads((FOLDER / kind / "v1" / "sources" / f"{system}.json").read_bytes())


def document(kind: str, system: str) -> Any:
    """The same message in the shared language."""
    return json.loads((FOLDER / kind / "v1" / "valid" / f"{system}.json").read_bytes())


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The values of a message, each under the name of its field: `a.b`, and `a[]` for the items of a list."""
    if isinstance(value, dict):
        for name, inside in value.items():
            yield from leaves(inside, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for inside in value:
            yield from leaves(inside, f"{path}[]")
    else:
        yield path, value


def found(value: Any, steps: list[str], where: dict[str, Any] | None = None) -> Iterator[tuple[dict[str, Any], Any]]:
    """The values at a pointer pattern of a document, each with the object that holds it (and `*`, its name in a map)."""
    if not steps:
        yield where or {}, value
    elif isinstance(value, list):
        for item in value:
            yield from found(item, steps[1:], where)
    elif isinstance(value, dict) and steps[0] == "*":
        for name, inside in value.items():
            yield from found(inside, steps[1:], {"*": name})
    elif isinstance(value, dict) and steps[0] in value:
        yield from found(value[steps[0]], steps[1:], value)


def recovered(row: dict[str, str], whole: Any) -> list[Any]:
    """What the document gives back for one row, as the other system would write it."""
    ways = dict(way.partition("=")[::2] for way in row["how"].split())
    values = [
        value
        for where, value in found(whole, row["pointer"].split("/")[1:])
        if all(where.get(key) == ways[key] for key in ("scheme", "code") if key in ways)
        and ("name" not in ways or where["*"] == ways["name"])
        and ("between" not in ways or ways["between"][:4] <= value <= ways["between"][5:])
    ]
    if code := ways.get("holds"):
        return [code in values]
    if word := ways.get("true"):
        return [word for value in values if value]
    if other := ways.get("from"):
        back = {code: each[0].code for code, each in crosswalk(backwards(whole, row), other).items()}
        values = [back[value] for value in values]
    if "phone" in ways:
        mobile = [value.startswith(("+336", "+337")) for value in values]
        wanted = {"mobile": True, "landline": False}.get(ways["phone"])
        values = ["0" + v[3:] for v, m in zip(values, mobile, strict=True) if wanted in (None, m)]
    if "unpadded" in ways:
        values = [value.lstrip("0") for value in values]
    if "day" in ways:
        values = [value[:10] for value in values]
    if "nir" in ways and whole["subject"]["nir_flag"] == "key_added":
        values = [value[:13] for value in values]
    return [typed(value, row["form"]) for value in values]


def backwards(whole: Any, row: dict[str, str]) -> str:
    """The code list of the place that a row leads to."""
    root = References.root(schema(whole["kind"]))
    (node,) = [node for node in nodes(references(), root) if node.pattern == row["pointer"]]
    return str(annotation(node.parts, "x-code-list"))


def typed(value: Any, form: str) -> Any:
    """A number or a boolean that is kept as a text."""
    if isinstance(value, str) and form in {"int", "bool"}:
        return int(value) if form == "int" else value == "1"
    return value


def same(parts: list[list[Any]], values: list[Any]) -> bool:
    """Whether a field told in one or several places of the document says what the message says: whole in each, or in parts."""
    together = [value for part in parts for value in part]
    return all(part == values for part in parts) or sorted(together, key=str) == sorted(values, key=str)


@pytest.mark.parametrize(("kind", "system"), SYSTEMS)
def test_every_value_of_the_message_comes_back(kind: str, system: str) -> None:
    """The message put together again from the shared document and the table is the message: no value is lost or changed."""
    whole = document(kind, system)
    sent: dict[str, list[Any]] = {}
    for path, value in leaves(message(kind, system)):
        sent.setdefault(path, []).append(value)
    alike: dict[str, list[list[Any]]] = {}
    for row in rows(kind):
        if row["system"] == system:
            alike.setdefault(row["field"], []).append(recovered(row, whole))
    lost = [path for path, values in sent.items() if not same(alike.get(path, []), values)]

    assert sorted(sent) == sorted(alike)
    assert [] == lost
    assert [] == validate(Kind(kind), whole)


def test_the_five_systems_are_there() -> None:
    """Dora and Les Emplois, France Travail, RSA, HubEE and Gravity each have a referral, and four have their answers."""
    assert {system for kind, system in SYSTEMS if kind == "referral"} == FIVE
    assert len([system for kind, system in SYSTEMS if kind == "status"]) == 4


@pytest.mark.parametrize(
    ("kind", "row"), ROWS, ids=[f"{row['system']}-{row['field']}-{row['pointer']}" for _, row in ROWS]
)
def test_each_place_is_large_enough(kind: str, row: dict[str, str]) -> None:
    """The longest value that the other system allows fits in the place where the table puts it."""
    form, ways = row["form"], {way.partition("=")[0] for way in row["how"].split()}
    root = References.root(schema(kind))
    (node,) = [node for node in nodes(references(), root) if node.pattern == row["pointer"]]
    room = annotation(node.parts, "maxLength")
    length = int(form[1:]) if form[1:].isdigit() else LONGEST.get(form, 1)

    assert row["pointer"] in fields(Kind(kind))
    assert ways <= WAYS
    assert bool(row["note_fr"]) == bool(row["note_en"])
    assert room is None or length <= room


def test_the_numbers_of_the_messages_are_read_by_the_adapters_own_functions() -> None:
    """The key of the NIR and the international form of the telephones in the documents are those that we compute."""
    usager = message("referral", "france-travail-orientation")["usager"]
    subject = document("referral", "france-travail-orientation")["subject"]
    national = [value for path, value in leaves(message("referral", "rsa-orientation")) if path.startswith("TELEPHONE")]

    assert subject["nir"] == usager["etatCivil"]["nir"] + nir_key(usager["etatCivil"]["nir"])
    assert document("referral", "rsa-orientation")["subject"]["phones"] == [read_phone(text) for text in national]
