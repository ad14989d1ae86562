"""
The proof of possession of a referral is recorded in the transaction that takes it in: it serves once, whatever becomes of the request.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import Any

import httpx
import pytest

from gateway.auth.profile import Security
from ops.demo.partner import Partner
from ops.faults.partners import referral

pytestmark = pytest.mark.anyio

CAF, DEPARTEMENT = "99900001100018", "99900002900010"
_CONVENTION = (files("consent") / "models" / "tznr-caf-departement.yaml").read_bytes()


class _Software:
    """A partner's software of which a request can be kept, and sent again as it was."""

    def __init__(self, partner: Partner, http: httpx.AsyncClient) -> None:
        self._partner, self._http = partner, http

    async def written(self, body: bytes | None = None, **headers: str) -> httpx.Request:
        """A request that is ready to be sent, with a proof that never served."""
        content = json.dumps(referral(DEPARTEMENT)).encode() if body is None else body
        token = await self._partner.signed_in()
        named = {"Content-Type": "application/json"} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        address = self._partner.gateway.address + "/v1/referrals"
        request = self._http.build_request("POST", address, content=content, headers=named)
        assert self._partner.dpop is not None
        next(self._partner.dpop.with_token(token.access_token).auth_flow(request))
        return request

    async def sent(self, request: httpx.Request) -> httpx.Response:
        """Send these very bytes."""
        raw = self._http.build_request("POST", request.url, content=request.content, headers=request.headers)
        return await self._http.send(raw)


@pytest.fixture
def software(in_process: Callable[..., Any]) -> Callable[[], Any]:
    """Start a gateway on each database, with a CAF whose tokens are bound to its key and a convention in force."""

    @asynccontextmanager
    async def start() -> AsyncIterator[_Software]:
        async with in_process() as started:
            named = (started.gateway, started.http, CAF, "CAF de Valombre", "caf", "shared-json", Security())
            caf = await Partner.registered(*named)
            departement = await started.partner(DEPARTEMENT, "Département de Valombre", "departement")
            await caf.propose(_CONVENTION)
            await caf.sign(_CONVENTION)
            await departement.sign(_CONVENTION)
            await caf.call("POST", "/v1/referrals", json=referral(DEPARTEMENT))  # a fresh token, a fresh nonce
            yield _Software(caf, started.http)

    return start


def _says_used(response: httpx.Response) -> bool:
    challenge = response.headers.get("www-authenticate", "")
    return response.status_code == 401 and 'error="invalid_dpop_proof"' in challenge and "used before" in response.text


async def test_a_request_sent_again_as_it_was_is_refused(software: Callable[[], Any]) -> None:
    """The idempotency key does not open what the proof closes: whoever copied a request learns nothing of its answer."""
    async with software() as caf:
        request = await caf.written(Idempotency_Key=str(uuid.uuid4()))
        first, second = await caf.sent(request), await caf.sent(request)
        assert (202, True) == (first.status_code, _says_used(second))
        again = await caf.written(request.content, Idempotency_Key=request.headers["Idempotency-Key"])
        third = await caf.sent(again)
        assert (202, "true") == (third.status_code, third.headers["idempotent-replayed"])


async def test_of_copies_that_come_together_one_passes(software: Callable[[], Any]) -> None:
    """Sixteen copies at the same moment, among others: one is taken in, and no other of them is answered."""
    async with software() as caf:
        request = await caf.written()
        others = [await caf.written() for _ in range(8)]
        copies, beside = await asyncio.gather(
            asyncio.gather(*(caf.sent(request) for _ in range(16))), asyncio.gather(*map(caf.sent, others))
        )
        assert [202] * 8 == [answer.status_code for answer in beside]
        assert [202] + [401] * 15 == sorted(answer.status_code for answer in copies)
        assert 15 == sum(map(_says_used, copies))


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"{}", {}, 400),
        (b"not JSON", {}, 400),
        (json.dumps(referral(DEPARTEMENT, purpose="fraud")).encode(), {}, 422),
        (json.dumps(referral(DEPARTEMENT, subject={"pseudonym": "p-" + "0" * 32})).encode(), {}, 422),
        (None, {"Content_Type": "text/plain"}, 415),
        (None, {"Idempotency_Key": "short"}, 400),
    ],
    ids=["other kind", "malformed", "invalid", "unknown person", "media type", "short key"],
)
async def test_a_refused_request_spends_its_proof(
    software: Callable[[], Any], body: bytes | None, headers: dict[str, str], status: int
) -> None:
    """Whether it was refused before the transaction or in it, the same proof opens nothing afterwards."""
    async with software() as caf:
        request = await caf.written(body, **headers)
        assert status == (await caf.sent(request)).status_code
        assert _says_used(await caf.sent(request))
        good = await caf.written()
        good.headers["DPoP"] = request.headers["DPoP"]
        assert _says_used(await caf.sent(good))
        assert 202 == (await caf.sent(await caf.written())).status_code
