"""
The content of the shared language: schemas that any validator reads alike, fields that are all labelled, and examples.
"""

import csv
import json
import re
from collections.abc import Iterator
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import jsonschema_rs
import pytest
from referencing import Registry

import schemas
from schemas import Kind, fields
from schemas.registry import FORMATS

FOLDER = Path(schemas.__file__).parent
BASE = "https://trait-dunion.example/schemas"
CODES = FOLDER / "codes"
NAMES = sorted(path.parent.parent.name for path in FOLDER.glob("*/v1/schema.json"))
DOCUMENTS = ["referral", "bilan", "consent", "status"]
KINDS = [*DOCUMENTS, "convention"]
SPECIAL_TWINS = {"rights": "special_rights", "lines": "special_lines", "outcome": "special_outcome"}


@cache
def schema_of(name: str) -> dict[str, Any]:
    """
    One schema file, as written.
    """
    found: dict[str, Any] = json.loads((FOLDER / name / "v1" / "schema.json").read_text(encoding="utf-8"))
    return found


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
    return [row["code"] for row in rows_of(CODES / f"{name}.csv")]


def properties(schema: dict[str, Any], pointer: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """
    Every place of a schema where a value may stand, with its pointer pattern; `$ref` is followed by its own file.
    """
    for name, inside in schema.get("properties", {}).items():
        yield f"{pointer}/{name}", inside
        yield from properties(inside, f"{pointer}/{name}")
    for keyword in ("items", "additionalProperties"):
        if isinstance(inside := schema.get(keyword), dict):
            yield f"{pointer}/*", inside
            yield from properties(inside, f"{pointer}/*")


EVERY_PROPERTY = [(name, pointer, found) for name in NAMES for pointer, found in properties(schema_of(name))]


def python_validator(schema: dict[str, Any]) -> jsonschema.Draft202012Validator:
    """
    The reference implementation, with the formats of the shared language asserted.
    """
    checker = jsonschema.FormatChecker(formats=())
    for name, accepts in FORMATS.items():
        checker.checks(name)(lambda text, accepts=accepts: not isinstance(text, str) or accepts(text))
    checker.checks("date", ValueError)(lambda text: not isinstance(text, str) or bool(date.fromisoformat(text)))
    checker.checks("date-time", ValueError)(
        lambda text: not isinstance(text, str) or datetime.fromisoformat(text).tzinfo is not None
    )
    registry = Registry().with_contents((schema_of(name)["$id"], schema_of(name)) for name in NAMES)
    return jsonschema.Draft202012Validator(schema, registry=registry, format_checker=checker)


def rust_validator(schema: dict[str, Any]) -> jsonschema_rs.Draft202012Validator:
    """
    The engine of the gateway, offline, with its linear-time regular expressions.
    """
    return jsonschema_rs.Draft202012Validator(
        schema,
        registry=jsonschema_rs.Registry([(schema_of(name)["$id"], schema_of(name)) for name in NAMES]),
        offline=True,
        validate_formats=True,
        ignore_unknown_formats=False,
        formats=dict(FORMATS),
        pattern_options=jsonschema_rs.RegexOptions(),
    )


def verdicts(schema: dict[str, Any], value: object) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
    """
    What both validators find wrong, each as (keyword, pointer).
    """
    return (
        {(error.validator, _pointer(error.absolute_path)) for error in python_validator(schema).iter_errors(value)},
        {(error.kind.name, _pointer(error.instance_path)) for error in rust_validator(schema).iter_errors(value)},
    )


def _pointer(path: Any) -> str:
    return "".join(f"/{part}" for part in path)


def documents(kind: str, folder: str) -> dict[str, Any]:
    """
    The example documents of a kind, by file name.
    """
    return {path.name: json.loads(path.read_bytes()) for path in sorted((FOLDER / kind / "v1" / folder).glob("*.json"))}


@pytest.mark.parametrize("name", NAMES)
def test_each_file_is_a_2020_12_schema_at_its_address(name: str) -> None:
    """
    Both libraries accept each schema file, which says its dialect and its address.
    """
    schema = schema_of(name)
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema_rs.meta.validate(schema)
    rust_validator(schema)

    assert (schema["$schema"], schema["$id"]) == (
        "https://json-schema.org/draft/2020-12/schema",
        f"{BASE}/{name}/v1.json",
    )


def test_every_property_is_labelled_in_both_languages() -> None:
    """
    Every property has a French and an English title and sentence, one data category, one sensitivity and an example.
    """
    categories, sensitivities = codes_of("data_category"), codes_of("sensitivity")
    texts = ("title", "x-title-en", "description", "x-description-en")
    lacking = [
        (name, pointer)
        for name, pointer, found in EVERY_PROPERTY
        if not all(str(found.get(text, "")).strip() for text in texts)
        or found.get("x-category") not in categories
        or found.get("x-sensitivity") not in sensitivities
        or not found.get("examples")
        or not found["description"].endswith(".")
    ]

    assert lacking == []


def test_each_property_shows_valid_examples() -> None:
    """
    The examples written beside a property are accepted by the schema of that property, in both libraries.
    """
    wrong = [
        (name, pointer, found_by)
        for name, pointer, found in EVERY_PROPERTY
        for example in found["examples"]
        if any(found_by := verdicts({"$id": "urn:property", **found}, example))
    ]

    assert wrong == []


def test_texts_lists_and_numbers_are_bounded() -> None:
    """
    Every text has a pattern, an enumeration or a length, every list a maximum, every number two bounds.
    """
    unbounded = [
        (name, pointer)
        for name, pointer, found in EVERY_PROPERTY
        if (found.get("type") == "string" and not {"enum", "const", "maxLength"} & found.keys())
        or (found.get("type") == "array" and "maxItems" not in found)
        or (found.get("type") in {"integer", "number"} and not {"minimum", "maximum"} <= found.keys())
        or (
            found.get("type") == "object"
            and found.get("additionalProperties") is not False
            and "maxProperties" not in found
        )
    ]

    assert unbounded == []


def test_patterns_are_anchored_and_count_ascii_digits() -> None:
    """
    Every regular expression begins with ^, ends with $ and has neither \\d, \\w, \\s nor anything that can backtrack.
    """
    patterns = {found["pattern"] for _, _, found in EVERY_PROPERTY if "pattern" in found}
    unsafe = re.compile(r"\\[dDwWsSbB1-9]|\(\?|[*+}]\)[*+{]")
    wrong = [text for text in patterns if not (text.startswith("^") and text.endswith("$")) or unsafe.search(text)]

    assert patterns
    assert [] == wrong


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_reduced_to_its_envelope_stays_valid(name: str) -> None:
    """
    What a schema requires at its root is of category `exchange`, so that any projection of a document stays valid.
    """
    schema = schema_of(name)
    required = schema["required"]
    demanded = [schema["properties"][key]["x-category"] for key in required]
    labels = fields(Kind(name))
    allowed = {pattern for pattern, label in labels.items() if label.category == "exchange"}
    full = _only(documents(name, "valid")["full.json"], allowed)

    assert set(demanded) == {"exchange"}
    assert verdicts(schema, full) == (set(), set())


def _only(value: Any, allowed: set[str], pointer: str = "") -> Any:
    """
    A document cut down to the leaves allowed; what has no allowed leaf goes away.
    """
    if isinstance(value, dict):
        kept = {key: _only(inside, allowed, f"{pointer}/{key}") for key, inside in value.items()}
        return {key: inside for key, inside in kept.items() if inside is not None} or None
    if isinstance(value, list):
        items = [_only(item, allowed, f"{pointer}/*") for item in value]
        return [item for item in items if item is not None] or None
    return value if pointer in allowed else None


def test_members_required_together_leave_together() -> None:
    """
    The members that an object requires have one and the same data category, so that none is cut without the others.
    """
    together = {
        (name, pointer): {found["properties"][key]["x-category"] for key in found["required"]}
        for name, pointer, found in EVERY_PROPERTY
        if name in DOCUMENTS and "required" in found
    }

    assert together
    assert [] == [place for place, categories in together.items() if len(categories) > 1]


@pytest.mark.parametrize(("kind", "file"), [(kind, file) for kind in KINDS for file in documents(kind, "valid")])
def test_valid_examples_are_valid_everywhere(kind: str, file: str) -> None:
    """
    Both libraries accept every valid example.
    """
    assert verdicts(schema_of(kind), documents(kind, "valid")[file]) == (set(), set())


@pytest.mark.parametrize(("kind", "file"), [(kind, file) for kind in KINDS for file in documents(kind, "invalid")])
def test_invalid_examples_break_the_rule_they_say(kind: str, file: str) -> None:
    """
    Both libraries find in an invalid example what `expected.csv` says, and nothing else.
    """
    expected = {
        (row["code"], row["pointer"])
        for row in rows_of(FOLDER / kind / "v1" / "invalid" / "expected.csv")
        if row["file"] == file
    }

    assert expected
    assert verdicts(schema_of(kind), documents(kind, "invalid")[file]) == (expected, expected)


def test_special_rights_have_a_place_of_their_own() -> None:
    """
    A right that reveals health or residence status fits only the twin property, of category `health`; the two lists of
    codes make the whole list of rights.
    """
    special = codes_of("right_special")
    ordinary = [code for code in codes_of("right") if code not in special]
    found = {
        (name, pointer.split("/")[1]): (found["enum"], found["x-category"], found["x-sensitivity"])
        for name, pointer, found in EVERY_PROPERTY
        if pointer.endswith("/right")
    }
    expected = {}
    for name, plain in (("referral", "rights"), ("bilan", "lines"), ("status", "outcome")):
        expected[name, plain] = (ordinary, "rights", "ordinary")
        expected[name, SPECIAL_TWINS[plain]] = (special, "health", "special")

    assert expected == found
    assert set(special) < set(codes_of("right"))


def test_the_unwritable_stays_home() -> None:
    """
    Internal notes are secret, the NIR and what may stand for it are labelled so, and no convention can name `secret`.
    """
    labels = fields(Kind.REFERRAL)
    categories = next(f for n, p, f in EVERY_PROPERTY if (n, p) == ("convention", "/flows/*/categories/*"))["enum"]

    assert [("secret", "secret")] * 4 == [
        (fields(Kind(name))["/private_notes"].category, fields(Kind(name))["/private_notes"].sensitivity)
        for name in DOCUMENTS
    ]
    assert {"/subject/nir", "/subject/nia", "/subject/nir_flag", "/subject/msa_matricule"} == {
        pattern for pattern, label in labels.items() if label.sensitivity == "nir"
    }
    assert [code for code in codes_of("data_category") if code != "secret"] == categories
