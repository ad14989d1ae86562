"""Requests signed by a library nobody here wrote (RFC 9421), and the answers that are bound to them."""

from __future__ import annotations

import base64
import hashlib
import json
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from gateway.auth.profile import Binding, Security
from ops.demo.partner import KID, Partner

pytestmark = pytest.mark.anyio

CCAS = "99900004500016"
SIGNING = Security(binding=Binding.BEARER, sandbox=True, signed=True)
FIELDS = ["@method", "@target-uri", "authorization", "content-type", "content-digest", "idempotency-key"]
BODY = b'{"kind": "referral"}'


@dataclass(slots=True)
class Signing:
    """A partner whose system must sign, and the program that signs for it."""

    partner: Partner
    http: httpx.AsyncClient
    node: Callable[..., Any]

    async def request(self, body: bytes = BODY, path: str = "/v1/conventions") -> dict[str, Any]:
        """A request to sign, with what goes with its body."""
        headers = {
            **(await self.partner.signed_in()).headers,
            "content-type": "application/yaml",
            "content-digest": f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:",
            "idempotency-key": str(uuid.uuid4()),
        }
        headers = {name.lower(): value for name, value in headers.items()}
        return {"method": "POST", "url": self.partner.gateway.address + path, "headers": headers}

    def signed(self, request: dict[str, Any], **changes: Any) -> dict[str, str]:
        """The headers of a request once it is signed; `changes` are what is wrong with the signature."""
        good = {
            "pem": self.partner.pem.decode(),
            "keyid": KID,
            "fields": FIELDS,
            "nonce": str(uuid.uuid4()),
            "created": int(time.time()),
        }
        headers = self.node({"what": "sign", "request": request, **good, **changes})
        return {name.lower(): value for name, value in headers.items()}

    async def send(self, request: dict[str, Any], headers: dict[str, str], body: bytes = BODY) -> httpx.Response:
        """Send it."""
        return await self.http.request(request["method"], request["url"], headers=headers, content=body)


@pytest.fixture
async def signing(
    in_process: Callable[..., AbstractAsyncContextManager[Any]], node: Callable[[list[str], str], str]
) -> AsyncIterator[Signing]:
    """A gateway in this process, and a partner that signs."""
    async with in_process() as started:
        partner = await Partner.registered(
            started.gateway, started.http, CCAS, "CCAS de Valombre", "ccas", "shared-json", SIGNING
        )
        yield Signing(partner, started.http, lambda asked: json.loads(node(["http_signatures.mjs"], json.dumps(asked))))


async def test_a_signed_request_passes_and_its_answer_is_bound_to_it(signing: Signing) -> None:
    """The request gets as far as its content; npm's library accepts the answer with that request, and with no other."""
    request = await signing.request()
    headers = signing.signed(request)
    answer = await signing.send(request, headers)
    [jwk] = (
        await signing.http.get(f"{signing.partner.gateway.address}/.well-known/http-message-signatures-directory")
    ).json()["keys"]
    told = {"status": answer.status_code, "headers": dict(answer.headers)}
    digest = f"sha-256=:{base64.b64encode(hashlib.sha256(answer.content).digest()).decode()}:"

    def verified(**changes: Any) -> Any:
        asked = request | {"headers": headers} | changes
        return signing.node({"what": "verify", "answer": told, "request": asked, "jwk": jwk})

    another = signing.signed(await signing.request())
    assert (answer.status_code, answer.json()["code"]) == (422, "convention_invalid")
    assert answer.headers["content-digest"] == digest
    assert verified() is True
    assert verified(method="PUT") is not True
    assert verified(headers=another) is not True


async def test_a_signature_that_lacks_something_is_refused(signing: Signing) -> None:
    """Without nonce, too old, from the future, by an unknown key, or leaving out part of the request: 401, and what is expected."""
    now = int(time.time())
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"nonce": None}, "nonce"),
        ({"created": now - 600}, "too old"),
        ({"created": now + 600}, "too old"),
        ({"keyid": "another"}, "keyid"),
        *[({"fields": [each for each in FIELDS if each != name]}, "does not cover") for name in FIELDS],
    ]
    for changes, said in wrong:
        request = await signing.request()
        answer = await signing.send(request, signing.signed(request, **changes))
        assert (answer.status_code, said in answer.json()["detail_en"]) == (401, True), (changes, answer.text)
        assert "created;nonce" in answer.headers["accept-signature"]


async def test_what_was_signed_is_what_is_taken(signing: Signing) -> None:
    """Without signature, with another body, another address or another token, or sent twice, a request is refused."""
    request = await signing.request()
    headers = signing.signed(request)
    signing.partner.token = None
    token = {name.lower(): value for name, value in (await signing.partner.signed_in()).headers.items()}
    elsewhere = request | {"url": request["url"] + "?x=1"}
    refused = [
        await signing.send(request, request["headers"]),
        await signing.send(request, signing.signed(request), b'{"kind": "bilan"}'),
        await signing.send(elsewhere, signing.signed(request)),
        await signing.send(request, signing.signed(request) | token),
    ]
    first, again = await signing.send(request, headers), await signing.send(request, headers)
    assert [each.status_code for each in [*refused, again]] == [401] * 5
    assert all("RFC 9421" in each.json()["detail_en"] for each in [*refused, again])
    assert first.status_code == 422
