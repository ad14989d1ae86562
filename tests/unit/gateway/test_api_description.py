"""The API describes itself completely: French titles, bodies by the published schemas, problems."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest

from gateway.app import create_app
from gateway.composition import assemble
from gateway.http.answer_schemas import ANSWERS
from gateway.http.description import BODIES
from gateway.keys import Keys, generate
from gateway.settings import Settings


@pytest.fixture
def description(tmp_path: Path) -> dict[str, Any]:
    """The description of an application that was never started."""
    settings = Settings(data_dir=tmp_path)
    generate(settings)
    return create_app(assemble(settings, Keys.load(settings))).openapi()


def test_every_operation_has_a_title_of_its_own_and_its_problems(description: dict[str, Any]) -> None:
    """No title is made from the name of a function, and each refusal is described as a problem."""
    assert "3.1.0" == description["openapi"]
    for path, operations in description["paths"].items():
        for method, operation in operations.items():
            made_up = operation["operationId"].split("_" + path.strip("/").split("/")[0])[0].replace("_", " ").title()
            assert (path, method, True) == (path, method, operation["summary"] != made_up)
            assert "4XX" in operation["responses"]


def test_every_described_body_belongs_to_a_route_that_exists(description: dict[str, Any]) -> None:
    """The table of bodies names no address that was renamed, and each is a POST or a PUT."""
    assert set() == BODIES.keys() - description["paths"].keys()
    for path in BODIES:
        operations = description["paths"][path]
        assert "requestBody" in (operations.get("post") or operations["put"])


def test_every_described_answer_belongs_to_a_route_that_exists(description: dict[str, Any]) -> None:
    """The answers to what is sent are described, the counts of records included; a large file has an answer of its own."""
    for path, (status, schema) in ANSWERS.items():
        jsonschema.Draft202012Validator.check_schema(schema)
        content = description["paths"][path]["post"]["responses"][status]["content"]
        assert {"application/json": {"schema": schema}} == content
    taken, kept = ANSWERS["/v1/inbound/{adapter_name}"][1]["anyOf"]
    assert "records" in taken["properties"] and "progress" in kept["required"]


CREATES_NOTHING = {
    "/v1/adapters/{adapter_name}/translate": "keeps nothing",
    "/v1/validate/{kind}": "keeps nothing",
    "/v1/decisions/simulate": "keeps nothing",
    "/v1/ledger/search": "reads",
    "/v1/ledger/export": "reads",
    "/v1/persons/export": "reads",
    "/v1/mailbox/{delivery}/ack": "closes; again is harmless",
    "/v1/mailbox/{delivery}/nack": "closes; again is a conflict",
    "/v1/flows/{flow_id}/cancel": "ends; again is harmless",
    "/v1/replays/{replay_id}/cancel": "ends; again is harmless",
    "/v1/break-glass/{opening_id}/close": "ends; again is harmless",
    "/v1/conventions/{convention_id}/sign": "a party has one signature; again is harmless",
    "/v1/conventions/{convention_id}/revoke": "ends; again is harmless",
    "/v1/conventions/{convention_id}/suspend": "a party has one suspension; again is harmless",
    "/v1/conventions/{convention_id}/resume": "lifts it; again is harmless",
    "/v1/endpoints/{client_id}/resume": "a state; again is harmless",
    "/v1/endpoints/{client_id}/suspend": "a state; again is harmless",
    "/v1/endpoints/{client_id}/test": "a try that is about nobody",
    "/v1/endpoints/{client_id}/secret": "its answer is a secret, and is not kept; rotating again leaves the one in use",
    "/v1/sources/{client_id}/secret": "as that of an endpoint",
    "/v1/hooks/{client_id}": "the message itself is the key: its sender gives none",
}
"""The POST addresses that take no idempotency key, and why."""


def test_every_post_that_creates_takes_an_idempotency_key(description: dict[str, Any]) -> None:
    """A new POST either takes the header or says here why it creates nothing; none is forgotten, none is here for nothing."""
    without = set()
    for path, operations in description["paths"].items():
        if path.startswith("/v1/") and "post" in operations:
            operation = operations["post"]
            if "Idempotency-Key" not in {each["name"] for each in operation.get("parameters", ())}:
                without.add(path)
                assert {"201", "202"}.isdisjoint(operation["responses"]), path
    assert CREATES_NOTHING.keys() == without
