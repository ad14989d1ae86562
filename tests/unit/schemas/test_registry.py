"""
The published schemas, as loaded: they say the same to any validator, label every field and never repeat a value.
"""

import json
import re
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import jsonschema_rs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from referencing import Registry

import schemas
from schemas import Kind, code_list, code_lists, fields, schema, schema_versions, validate
from schemas.references import Place, References, annotation, children, subschemas
from schemas.registry import FORMATS, UnknownSchema, references
from schemas.vocabulary import UnknownCodeList

FOLDER = Path(schemas.__file__).parent
SECRETS = ("269054958815780", "ROUVIÈRE-LANSAC")


def examples(kind: Kind, folder: str) -> list[Any]:
    """
    The example documents of a kind: files of the folder and, among the valid ones, those written in the schema.
    """
    found = [json.loads(path.read_bytes()) for path in sorted((FOLDER / kind / "v1" / folder).rglob("*.json"))]
    return found + (list(schema(kind).get("examples", ())) if folder == "valid" else [])


def is_date_time(text: object) -> bool:
    """
    RFC 3339 date and time with an offset.
    """
    if not isinstance(text, str):
        return True
    form = (
        r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"
    )
    if not re.fullmatch(form, text):
        return False
    datetime.fromisoformat(re.sub(r"\.[0-9]+", "", text.upper().replace("Z", "+00:00")))
    return True


@cache
def reference_validator(kind: Kind) -> jsonschema.Draft202012Validator:
    """
    The Python reference implementation, with the formats that the schemas use.
    """
    checker = jsonschema.FormatChecker(formats=())
    checker.checks("date-time", raises=ValueError)(is_date_time)
    checker.checks("date", raises=ValueError)(
        lambda text: not isinstance(text, str) or bool(re.fullmatch(r"[0-9-]{10}", text) and date.fromisoformat(text))
    )
    for name, check in FORMATS.items():
        checker.checks(name)(lambda text, check=check: not isinstance(text, str) or check(text))
    contents = {schema(name)["$id"]: schema(name) for name in schema_versions()}
    registry = Registry().with_contents(contents.items())
    return jsonschema.Draft202012Validator(schema(kind), registry=registry, format_checker=checker)


@pytest.mark.parametrize("name", sorted(schema_versions()))
def test_each_schema_is_a_schema(name: str) -> None:
    """
    Every published schema follows the 2020-12 meta-schema and has the address under which it is served.
    """
    jsonschema_rs.meta.validate(dict(schema(name)))

    assert schema(name)["$id"] == f"https://trait-dunion.example/schemas/{name}/v1.json"


@pytest.mark.parametrize("kind", Kind)
def test_examples_are_judged_alike(kind: Kind) -> None:
    """
    Valid examples are valid and invalid ones are not, for our validator and for the reference one.
    """
    valid, invalid = examples(kind, "valid"), examples(kind, "invalid")

    assert valid
    assert [[]] * len(valid) == [validate(kind, document) for document in valid]
    assert [True] * len(valid) == [reference_validator(kind).is_valid(document) for document in valid]
    assert [document for document in invalid if not validate(kind, document)] == []
    assert [False] * len(invalid) == [reference_validator(kind).is_valid(document) for document in invalid]


JUNK = st.sampled_from(
    [None, True, 0, -1, 1.5, "", "x", "Économie", "a\nb", "٣٩٩٩٠", "2026-02-30", [], {}, ["a"], {"a": 1}]
)


def values(place: Place) -> st.SearchStrategy[Any]:
    """
    Values near what a schema accepts: its examples, its codes, texts of its pattern, objects of its properties, and junk.
    """
    parts = references().certain_parts([place])
    good: list[st.SearchStrategy[Any]] = [st.sampled_from(shown)] if (shown := annotation(parts, "examples")) else []
    if inside := children(parts):
        good.append(composite(parts, inside))
    elif codes := annotation(parts, "enum"):
        good.append(st.sampled_from(codes))
    elif pattern := annotation(parts, "pattern"):
        # In a JSON Schema `$` is the end of the text; in Python's re it also stands before a last line break.
        good.append(st.from_regex(re.sub(r"\$$", r"\\Z", pattern)))
    elif annotation(parts, "type") == "integer":
        good.append(st.integers(-2, 20))
    return st.one_of(*good * 3, JUNK)


def composite(parts: list[Place], inside: dict[str, list[Place]]) -> st.SearchStrategy[Any]:
    """
    A list of items, or an object with its required properties most of the time and some of the others.
    """
    if annotation(parts, "type") == "array":
        return st.lists(st.deferred(lambda: values(inside["*"][0])), max_size=2)
    required = {name for part in parts for name in part.schema.get("required", ())}
    known = {name: st.deferred(lambda place=places[0]: values(place)) for name, places in inside.items() if name != "*"}
    shape = st.fixed_dictionaries(
        {name: known[name] for name in required & known.keys()},
        optional={n: s for n, s in known.items() if n not in required},
    )
    return st.one_of(shape, shape, st.dictionaries(st.sampled_from([*known, "unknown", "x-y"]), JUNK, max_size=3))


@pytest.mark.parametrize("kind", Kind)
def test_generated_documents_are_judged_alike(kind: Kind) -> None:
    """
    On documents generated from the schemas, near valid or absurd, both validators give the same verdict, and an invalid
    document always has an issue.
    """
    verdicts: list[bool] = []

    @settings(max_examples=120, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(values(References.root(schema(kind))), st.data())
    def agree(document: Any, data: st.DataObject) -> None:
        changed = data.draw(st.sampled_from(examples(kind, "valid")))
        if isinstance(document, dict):
            names = data.draw(st.sets(st.sampled_from(sorted(document)), max_size=3)) if document else ()
            document = {**changed, **{name: document[name] for name in names}}
        verdict = reference_validator(kind).is_valid(document)
        verdicts.append(verdict)

        assert verdict == (not validate(kind, document))

    agree()

    assert {True, False} == set(verdicts)


def plant(value: Any, secret: str) -> list[Any]:
    """
    Copies of a document, each with the secret in place of one value, or beside it under its own name.
    """
    found: list[Any] = [secret]
    if isinstance(value, dict):
        found.append({**value, secret: secret})
        found += [{**value, key: changed} for key, child in value.items() for changed in plant(child, secret)]
    if isinstance(value, list):
        found.append([*value, secret])
        found += [
            [*value[:index], changed, *value[index + 1 :]]
            for index, child in enumerate(value)
            for changed in plant(child, secret)
        ]
    return found


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("kind", Kind)
def test_no_issue_shows_a_value(kind: Kind, secret: str) -> None:
    """
    Planted in every place of every example, and as a property name, a NIR or a name never comes out in an issue.
    """
    documents = [changed for example in examples(kind, "valid") for changed in plant(example, secret)]

    issues = [issue for document in documents for issue in validate(kind, document, json.dumps(document).encode())]

    assert len(issues) > 10
    assert not [issue for issue in issues if secret in str(issue)]


@pytest.mark.parametrize("kind", Kind)
def test_survives_what_is_not_json(kind: Kind) -> None:
    """
    Values that no JSON text can hold make an issue, not an exception that would show them.
    """
    deep: list[Any] = []
    for _ in range(5000):
        deep = [deep]

    for document in (
        None,
        1,
        "x",
        [],
        {"a": {1}},
        {"kind": "\ud800"},
        {"\ud800": 1},
        {"a": object()},
        deep,
        {"subject": deep},
        {"a": float("nan")},
    ):
        assert validate(kind, document)


DOCUMENTS = [kind for kind in Kind if kind is not Kind.CONVENTION]


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_a_newer_minor_version_is_read_when_asked(kind: Kind) -> None:
    """
    A property unknown here is an issue, unless the reader says that the document is newer.
    """
    document = {**examples(kind, "valid")[0], "invented_later": {"a": 1}}

    assert [issue.code for issue in validate(kind, document)] == ["unknown_property"]
    assert validate(kind, document, tolerant=True) == []
    assert validate(kind, {**document, "kind": "other"}, tolerant=True)


def test_a_convention_is_never_read_in_part() -> None:
    """
    What is signed is understood whole: no property of a convention is tolerated without being known.
    """
    document = {**examples(Kind.CONVENTION, "valid")[0], "invented_later": True}

    assert [issue.code for issue in validate(Kind.CONVENTION, document, tolerant=True)] == ["unknown_property"]


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_each_field_has_a_known_category(kind: Kind) -> None:
    """
    The categories and sensitivities of the fields are those of the code lists; what is sensitive is labelled so.
    """
    labels = fields(kind)
    expected = {
        "nir": {"nir"},
        "health": {"special"},
        "secret": {"secret"},
        "exchange": {"ordinary"},
        "identity": {"ordinary"},
    }

    assert {label.category for label in labels.values()} <= code_list("data_category").keys()
    assert {label.sensitivity for label in labels.values()} <= code_list("sensitivity").keys()
    assert [
        p
        for p, label in labels.items()
        if label.sensitivity not in expected.get(label.category, {"ordinary", "special"})
    ] == []
    assert [pattern for pattern, label in labels.items() if not (label.title_fr and label.title_en)] == []
    assert labels["/subject/pseudonym"].category == "exchange"
    assert labels["/subject/nir"].category == "nir"
    assert labels["/subject/given_names/*"].category == "identity"


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_no_leaf_of_a_document_lacks_a_label(kind: Kind) -> None:
    """
    Every property that a document kind names is labelled, or holds only labelled ones.
    """
    labels = fields(kind)
    waiting, unlabelled = [("", [References.root(schema(kind))])], []
    while waiting:
        pattern, places = waiting.pop()
        inside = children(references().parts(places))
        if not inside and pattern not in labels:
            unlabelled.append(pattern)
        waiting += [(f"{pattern}/{name}", found) for name, found in inside.items()]

    assert unlabelled == []


def walk(place: Place) -> list[Place]:
    """
    A schema and all those written in it.
    """
    return [place, *(deeper for child in subschemas(place) for deeper in walk(child))]


@pytest.mark.parametrize("name", sorted(schema_versions()))
def test_codes_of_a_schema_are_in_its_code_list(name: str) -> None:
    """
    Each code list that a schema names exists, and holds the codes that the schema allows.
    """
    for place in walk(References.root(schema(name))):
        if listed := place.schema.get("x-code-list"):
            assert set(place.schema.get("enum", ())) <= code_list(listed).keys()


@pytest.mark.parametrize("name", code_lists())
def test_code_lists_are_whole(name: str) -> None:
    """
    Each code has labels in both languages, a source and a version, and a parent of the same list if any.
    """
    codes = code_list(name)

    assert codes
    assert [
        code.code
        for code in codes.values()
        if not (code.code and code.label_fr and code.label_en and code.source and code.version)
    ] == []
    assert {code.parent for code in codes.values() if code.parent} <= codes.keys()


def test_unknown_names_are_errors() -> None:
    """
    A schema, a version or a list that does not exist is an error of its own.
    """
    with pytest.raises(UnknownSchema, match="nothing v1"):
        schema("nothing")
    with pytest.raises(UnknownSchema, match="referral v99"):
        schema(Kind.REFERRAL, 99)
    with pytest.raises(UnknownCodeList, match="nothing"):
        code_list("nothing")


def test_what_is_loaded_cannot_be_changed() -> None:
    """
    The tables shared by every caller are read-only.
    """
    for table in (fields(Kind.REFERRAL), code_list("purpose")):
        with pytest.raises(TypeError):
            table["x"] = None  # type: ignore[index]


def test_the_public_names_are_those_announced() -> None:
    """
    What the package exports is sorted and there.
    """
    assert sorted(schemas.__all__) == schemas.__all__
    assert not [name for name in schemas.__all__ if not hasattr(schemas, name)]
