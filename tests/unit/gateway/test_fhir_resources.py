"""What the FHIR façade produces is valid for FHIR R4, says what the document says, and says nothing else."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from fhir.resources.R4B.capabilitystatement import CapabilityStatement
from fhir.resources.R4B.operationoutcome import OperationOutcome
from fhir.resources.R4B.servicerequest import ServiceRequest
from fhir.resources.R4B.task import Task

from gateway.errors import TITLES, Problem
from gateway.fhir import resources
from gateway.fhir.capability import capability_statement
from gateway.fhir.elements import NotFhir, partial_date, written
from gateway.fhir.outcome import operation_outcome
from schemas import Document, Issue, Kind, code_list, fields, validate

ROOT = Path(__file__).parents[3]
ADDRESS = "https://passerelle.valombre.example"
MODELS: dict[str, Any] = {
    model.get_resource_type(): model for model in (CapabilityStatement, OperationOutcome, ServiceRequest, Task)
}
REFERRALS = sorted((ROOT / "schemas/referral/v1/valid").glob("*.json"))
STATUSES = sorted((ROOT / "schemas/status/v1/valid").glob("*.json"))
ENVELOPE = {"/kind", "/schema_version", "/id", "/created_at", "/purpose", "/sender/siret", "/subject/pseudonym"}
OWN_WORDS = {"phone", "Logement", "99900002900010"}
"""What a façade writes by itself, and the full examples happen to hold too."""


def read(path: Path) -> Document:
    document: Document = json.loads(path.read_text(encoding="utf-8"))
    return document


def full(kind: str) -> Document:
    return read(ROOT / f"schemas/{kind}/v1/valid/full.json")


def task(status: Document | None, state: str = "acknowledged") -> dict[str, Any]:
    return resources.task(
        delivery_id="0b8f1c52-77aa-4f0e-9c55-0a1b2c3d4e5f",
        referral_id="8a5d0c14-2f63-4e7b-b1a9-6c3d4e5f6a7b",
        state=state,
        parties=("99900001100018", "99900002900010"),
        times=("2026-03-02T08:30:00.000000Z", "2026-03-02T09:00:00.000000Z"),
        status=status,
        address=ADDRESS,
    )


def referral_resource(document: Document) -> dict[str, Any]:
    return resources.service_request(document, ADDRESS)


@cache
def official(resource_type: str) -> jsonschema_rs.Draft6Validator:
    schema = json.loads((ROOT / "tests/fhir/fhir-r4.schema.json").read_text(encoding="utf-8"))
    wanted = {"$ref": f"#/definitions/{resource_type}", "definitions": schema["definitions"]}
    return jsonschema_rs.Draft6Validator(wanted)


def faults(resource: dict[str, Any]) -> list[str]:
    """Everything that the official schema and the R4B model have against a resource."""
    found = [
        f"{error.instance_path}: {error.message}" for error in official(resource["resourceType"]).iter_errors(resource)
    ]
    again = MODELS[resource["resourceType"]].model_validate(resource).model_dump(mode="json", exclude_none=True)
    ids = {f"#{each['id']}" for each in resource.get("contained", [])}
    text = json.dumps(resource)
    found += [f"{ident} is contained and not referred to" for ident in ids if f'"reference": "{ident}"' not in text]
    return found if again == resource else [*found, "changed by the R4B model"]


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from strings(inner)
    elif isinstance(value, str):
        yield value


def spaced(found: dict[str, Any], character: str) -> dict[str, Any]:
    """Write another character for each space of the texts of an object, and one more at their end."""
    return {
        name: value.replace(" ", character) + character if isinstance(value, str) and " " in value else value
        for name, value in found.items()
    }


def cut(value: Any, keep: Callable[[str], bool], pattern: str = "") -> Any:
    """Keep some leaves of a document, by their patterns, as the gate does: what is left empty goes."""
    if isinstance(value, dict):
        kept = {name: cut(inner, keep, f"{pattern}/{name}") for name, inner in value.items()}
        return {name: inner for name, inner in kept.items() if inner is not None} or None
    if isinstance(value, list):
        return [inner for item in value if (inner := cut(item, keep, f"{pattern}/*")) is not None] or None
    return value if keep(pattern) or pattern in ENVELOPE else None


def label(kind: Kind, pattern: str) -> Any:
    labels = fields(kind)
    return labels.get(pattern) or labels[f"{pattern.rpartition('/')[0]}/*"]


@pytest.mark.parametrize("path", REFERRALS, ids=lambda path: path.stem)
def test_every_referral_gives_a_valid_service_request(path: Path) -> None:
    """Each published example is valid for the official R4 schema and for the R4B model."""
    assert [] == faults(referral_resource(read(path)))


@pytest.mark.parametrize("path", STATUSES, ids=lambda path: path.stem)
def test_every_status_gives_a_valid_task(path: Path) -> None:
    """Each published example of a status, told by its recipient, is a valid Task."""
    assert [] == faults(task(read(path)))


def test_a_fault_is_seen_by_each_judge() -> None:
    """The official schema refuses a status that the R4B model lets pass; the model refuses a day that does not exist."""
    resource = task(full("status"))
    assert [] != list(official("Task").iter_errors({**resource, "status": "n_importe_quoi"}))
    with pytest.raises(NotFhir) as raised:
        written(Task, {**resource, "authoredOn": "2026-02-30"})
    assert "Task: authoredOn: datetime_from_date_parsing" == str(raised.value)


@pytest.mark.parametrize("urgency", code_list("urgency"))
@pytest.mark.parametrize("relation", code_list("referral_relation"))
def test_the_words_of_a_service_request_are_those_of_fhir(urgency: str, relation: str) -> None:
    """The JSON Schema leaves these three open; the value sets of R4 do not."""
    document = {**full("referral"), "urgency": urgency, "parent": {**full("referral")["parent"], "relation": relation}}
    resource = referral_resource(document)
    assert [] == faults(resource)
    assert ("active", True) == (resource["status"], resource["priority"] in code_list("fhir_request_priority"))
    assert {"chain": "filler-order", "split": "order"}[relation] == resource["intent"]


@pytest.mark.parametrize("state", ["queued", "available", "leased", "acknowledged", "rejected", "abandoned", "stopped"])
def test_a_delivery_without_news_is_a_valid_task(state: str) -> None:
    """Before the recipient says anything, the delivery alone gives the status, and no business status is made up."""
    resource = task(None, state)
    assert [] == faults(resource)
    failed = dict.fromkeys(("rejected", "abandoned"), "failed")
    expected = ({"acknowledged": "received", "stopped": "cancelled"} | failed).get(state, "requested")
    assert (expected, False) == (resource["status"], "businessStatus" in resource)


@pytest.mark.parametrize("code", code_list("referral_status"))
def test_every_status_of_the_list_maps_to_an_allowed_task_status(code: str) -> None:
    """The official schema holds the allowed values; the partner's own code stays beside, as business status."""
    resource = task({**full("status"), "status": code})
    assert [] == faults(resource)
    assert code == resource["businessStatus"]["coding"][0]["code"]


def test_a_status_without_correspondence_goes_by_its_nearest_parent() -> None:
    """`waiting_list` is a way of being accepted, and `ready` keeps its own status though it has a parent."""
    expected = {"waiting_list": "accepted", "ready": "ready", "redirected": "rejected", "expired": "failed"}
    assert expected == {code: resources.task_status(code) for code in expected}


def test_a_refusal_keeps_its_reasons_and_an_outcome_its_right() -> None:
    """Every reason is a coding of the one status reason; the outcome is an output of the right's type."""
    refused = task(read(ROOT / "schemas/status/v1/valid/dora-rejected.json"))
    codings = refused["statusReason"]["coding"]
    assert ["person_not_mobile", "bénéficiaire-non-mobile", "session-complète"] == [each["code"] for each in codings]
    assert f"{ADDRESS}/schemas/codes/refusal_reason.json" == codings[0]["system"]
    opened = task(read(ROOT / "schemas/status/v1/valid/right-opened.json"))
    output = opened["output"][0]
    assert ("rsa", "opened") == (
        output["type"]["coding"][0]["code"],
        output["valueCodeableConcept"]["coding"][0]["code"],
    )


def test_with_a_pseudonym_alone_the_patient_is_a_pseudonym() -> None:
    """A document cut to its envelope gives a valid resource with nothing about the person but the pseudonym."""
    resource = referral_resource(cut(full("referral"), lambda _: False))
    assert [] == faults(resource)
    patient = {"system": f"{ADDRESS}/pseudonym", "value": full("referral")["subject"]["pseudonym"]}
    assert [{"resourceType": "Patient", "id": "subject", "identifier": [patient]}] == resource["contained"]


CATEGORIES = sorted({(kind, each.category) for kind in (Kind.REFERRAL, Kind.STATUS) for each in fields(kind).values()})


@pytest.mark.parametrize(("kind", "category"), [pair for pair in CATEGORIES if pair[1] != "exchange"])
def test_a_withheld_category_leaves_no_trace(kind: Kind, category: str) -> None:
    """Without the fields of one category, the resource is valid and holds none of their values."""
    document = full(kind.value)
    left = cut(document, lambda pattern: label(kind, pattern).category != category)
    assert left != document
    resource = referral_resource(left) if kind is Kind.REFERRAL else task(left)
    assert [] == faults(resource)
    shown = (set(strings(document)) - set(strings(left))) & set(strings(resource))
    assert set() == shown - OWN_WORDS


@pytest.mark.parametrize("kind", [Kind.REFERRAL, Kind.STATUS])
def test_any_field_may_be_alone_or_missing(kind: Kind) -> None:
    """Whatever a convention takes out, field by field, what remains is valid: each leaf alone, then all but it of its part."""
    document, produce = full(kind.value), referral_resource if kind is Kind.REFERRAL else task
    for leaf in fields(kind):
        part = "/" + leaf.split("/")[1]
        for left in (
            cut(document, lambda pattern, leaf=leaf: pattern == leaf),
            cut(document, lambda pattern, leaf=leaf, part=part: pattern.startswith(part) and pattern != leaf),
        ):
            resource = produce(left)
            assert official(resource["resourceType"]).is_valid(resource), leaf


@pytest.mark.parametrize("kind", [Kind.REFERRAL, Kind.STATUS])
def test_secrets_and_unknown_fields_are_never_written(kind: Kind) -> None:
    """Even to the sender of the document: private notes, and names that no schema knows, wherever they are."""
    document = full(kind.value)
    document |= {
        "private_notes": "zébrure-1",
        "inconnu": "zébrure-2",
        "subject": {**document["subject"], "inconnu": "zébrure-3"},
    }
    for place in ("local", "situation", "outcome"):
        if place in document:
            document[place]["inconnu"] = {"plus": ["zébrure-4"]}
    resource = referral_resource(document) if kind is Kind.REFERRAL else task(document)
    assert [] == faults(resource)
    assert "zébrure" not in json.dumps(resource, ensure_ascii=False)


@pytest.mark.parametrize("character", ["\u00a0", "\u202f", "\u2028", "\u0085", "\ufeff", "\t", "\u0001"])
def test_texts_with_unusual_spaces_are_valid(character: str) -> None:
    """French typography and copied texts bring characters that FHIR refuses: they become spaces, at the ends nothing."""
    document = json.loads(json.dumps(full("referral")), object_hook=lambda found: spaced(found, character))
    document["prescriber"]["role"] = character
    resource = referral_resource(document)
    assert [] == faults(resource)
    assert "Merci de proposer un premier rendez-vous." == resource["note"][0]["text"].replace(character, " ")


def test_a_birth_date_keeps_only_what_is_known() -> None:
    """An unknown day or month is left out, as FHIR writes it."""
    known = {"1984-07-19": "1984-07-19", "1962-05-00": "1962-05", "1962-00-00": "1962", "2000-10-05": "2000-10-05"}
    assert known == {text: partial_date(text) for text in known}


@pytest.mark.parametrize("offset", ["Z", "+01:00", "+14:00", "+18:30", "-23:59"])
def test_any_offset_of_the_schema_is_valid_and_the_same_moment(offset: str) -> None:
    """FHIR's offsets stop at 14 hours; the schema's do not."""
    document = {**full("referral"), "created_at": f"2026-03-02T09:30:00.123456789{offset}"}
    assert [] == validate(Kind.REFERRAL, document)
    assert [] == faults(referral_resource(document))


def test_the_capability_statement_is_valid() -> None:
    """It names the two resources that can be read, and where to get a token."""
    statement = capability_statement(ADDRESS, "1.0", "2026-03-02")
    assert [] == faults(statement)
    assert ["ServiceRequest", "AuditEvent", "Task"] == [each["type"] for each in statement["rest"][0]["resource"]]
    assert f"{ADDRESS}/oauth2/token" in set(strings(statement))


@pytest.mark.parametrize("code", TITLES)
def test_every_problem_gives_a_valid_operation_outcome(code: str) -> None:
    """With each fault at its place, in both languages."""
    fault = Issue("missing", "/query/_id", "Paramètre absent.", "Parameter missing.")
    problem = Problem(code, "Corrigez, puis renvoyez.", "Correct, then send again.", issues=[fault])
    outcome = operation_outcome(problem, ADDRESS, "0b8f1c52-77aa-4f0e-9c55-0a1b2c3d4e5f")
    assert [] == faults(outcome)
    first, second = outcome["issue"]
    assert ("fatal" if TITLES[code][0] >= 500 else "error", "Corrigez, puis renvoyez.") == (
        first["severity"],
        first["details"]["text"],
    )
    assert "/query/_id: Parameter missing." == second["diagnostics"]


def test_the_document_is_not_changed() -> None:
    """The translation is pure."""
    referral, status = full("referral"), full("status")
    before = copy.deepcopy((referral, status))
    referral_resource(referral)
    task(status)
    assert before == (referral, status)
