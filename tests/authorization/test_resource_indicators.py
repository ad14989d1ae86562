"""A token asked for one part of the gateway (RFC 8707) opens nothing elsewhere."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.anyio

ABSENT = "/fhir/R4/Task/00000000-0000-4000-8000-000000000000"


async def test_a_token_for_one_part_opens_only_that_part(desk: Any) -> None:
    """The exchange's addresses, the FHIR façade, or both."""
    issuer = desk.running.gateway.address
    expected = {
        issuer: (200, 404),
        issuer + "/": (200, 404),
        issuer + "/v1": (200, 401),
        issuer + "/fhir/R4": (401, 404),
    }
    for resource, statuses in expected.items():
        token = await desk.token("caf", resource=resource)
        answers = [await desk.call(token, "GET", path) for path in ("/v1/exchanges", ABSENT)]
        assert statuses == tuple(answer.status_code for answer in answers), resource
        for answer in answers:
            if answer.status_code == 401:
                assert 'error="invalid_token"' in answer.headers["www-authenticate"]


async def test_another_resource_is_no_target(desk: Any) -> None:
    """What is not here, or not exactly, is refused with the code of the RFC; so are two at once."""
    issuer = desk.running.gateway.address
    for resource in (
        "https://ailleurs.example.org",
        issuer.replace("http:", "https:"),
        issuer + "/v2",
        issuer + "/v1/mailbox",
        issuer + "/v1?x=1",
        issuer + "//v1",
        issuer + "/V1",
        "/v1",
        "urn:v1",
        "é",
    ):
        answer = await desk.ask("caf", resource=resource)
        assert (400, "invalid_target") == (answer.status_code, answer.json()["error"]), resource
    twice = f"grant_type=client_credentials&resource={issuer}&resource={issuer}/v1"
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = await desk.http.post(f"{issuer}/oauth2/token", content=twice, headers=headers)
    assert (400, "invalid_target") == (answer.status_code, answer.json()["error"])


async def test_smart_scopes_read_their_resource_only(desk: Any) -> None:
    """`system/Task.rs` opens Tasks, not ServiceRequests; it is given to who asks for it, and is not in the usual token."""
    assert "system/" not in (await desk.ask("caf")).json()["scope"]
    token = await desk.token("caf", scope="system/Task.rs")
    assert 404 == (await desk.call(token, "GET", ABSENT)).status_code
    other = await desk.call(token, "GET", ABSENT.replace("Task", "ServiceRequest"))
    assert 403 == other.status_code
    assert 403 == (await desk.call(token, "GET", "/v1/exchanges")).status_code
