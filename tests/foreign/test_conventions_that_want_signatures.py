"""A convention may want the requests under it signed (RFC 9421): a library nobody here wrote signs, and nothing passes without."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import time
import uuid
from collections.abc import Callable
from importlib.resources import files
from typing import Any

import httpx
import pytest

from adapters.cnaf_rsa.fictitious import fictitious_flow
from ops.demo.partner import KID, Partner
from ops.faults.partners import referral

pytestmark = pytest.mark.anyio

CAF, DEPARTEMENT = "99900001100018", "99900002900010"
_MODEL = (files("consent") / "models" / "tznr-caf-departement.yaml").read_text(encoding="utf-8")
_ID = "tznr-valombre-caf-departement"


def _text(*, signed: bool, version: int = 1) -> bytes:
    text = _MODEL.replace('schema_version: "1.0"', 'schema_version: "1.2"')
    text = text.replace("\nversion: 1", f"\nversion: {version}").replace(
        "\nvalidity:", f"\nsigned_requests: {str(signed).lower()}\nvalidity:"
    )
    assert f"signed_requests: {str(signed).lower()}\n" in text
    return text.encode()


def _referral() -> bytes:
    return json.dumps(referral(DEPARTEMENT)).encode()


class Signer:
    """Sends requests of a partner that npm's library signed."""

    def __init__(self, partner: Partner, http: httpx.AsyncClient, node: Callable[[list[str], str], str]) -> None:
        self._partner, self._http, self._node = partner, http, node

    async def send(
        self, method: str, path: str, body: bytes = b"", *, media: str = "application/json", sent: bytes = b""
    ) -> httpx.Response:
        """Sign one request and send it, or another body (`sent`) under its signature."""
        headers = {"authorization": (await self._partner.signed_in()).headers["Authorization"]}
        if body:
            digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
            headers |= {"content-type": media, "content-digest": f"sha-256=:{digest}:"}
            headers |= {"idempotency-key": str(uuid.uuid4())}
        asked = {
            "what": "sign",
            "request": {"method": method, "url": self._partner.gateway.address + path, "headers": headers},
            "pem": self._partner.pem.decode(),
            "keyid": KID,
            "fields": ["@method", "@target-uri", *headers],
            "nonce": str(uuid.uuid4()),
            "created": int(time.time()),
        }
        signed = json.loads(self._node(["http_signatures.mjs"], json.dumps(asked)))
        signed["prefer"] = "respond-async"  # heard where files are sent, and no part of what is signed
        return await self._http.request(method, asked["request"]["url"], headers=signed, content=sent or body)


async def _in_force(text: bytes, caf: Partner, departement: Partner) -> None:
    await caf.propose(text)
    await caf.sign(text)
    await departement.sign(text)


async def test_what_is_under_the_convention_passes_signed_only(
    in_process: Callable[..., Any], node: Callable[[list[str], str], str]
) -> None:
    """Sending unsigned is refused with what to do and records nothing; collecting unsigned gives nothing and says why."""
    async with in_process() as started:
        caf = await started.partner(CAF, "CAF de Valombre", "caf")
        departement = await started.partner(DEPARTEMENT, "Département de Valombre", "departement")
        await _in_force(_text(signed=True), caf, departement)
        refused = await caf.call("POST", "/v1/referrals", content=_referral(), expect=(401,), headers=_JSON)
        by_file = await caf.call("POST", "/v1/inbound/shared-json", content=_referral(), expect=(401,), headers=_JSON)
        followed = (await caf.call("GET", "/v1/exchanges")).json()
        taken = await Signer(caf, started.http, node).send("POST", "/v1/referrals", _referral())
        assert 202 == taken.status_code, taken.text
        await _brought(caf, taken.json()["exchanges"][0]["exchange"])
        empty = (await departement.call("GET", "/v1/mailbox?wait=1")).json()
        pulled = await Signer(departement, started.http, node).send("GET", "/v1/mailbox?wait=10")
        # Without the clause, in a next version, nothing needs a signature any more.
        await _in_force(_text(signed=False, version=2), caf, departement)
        await caf.call("POST", "/v1/referrals", content=_referral(), expect=(202,), headers=_JSON)
        assert 1 == len(await departement.pull(1))
    for answer in (refused, by_file):
        assert ("signature_required", _ID) == (answer.json()["code"], answer.json()["convention"])
        assert "Signez celle-ci comme l'indique Accept-Signature" in answer.json()["detail"]
        assert "created;nonce;keyid" in answer.headers["accept-signature"]
    assert [] == followed["exchanges"]
    assert 1 == taken.json()["accepted"]
    assert [] == empty["deliveries"]
    assert [(_ID, True)] == [(each["convention"], each["signed_requests"]) for each in empty["elsewhere"]]
    assert ["referral"] == [each["kind"] for each in pulled.json()["deliveries"]]


async def test_a_large_flow_is_the_one_that_was_signed(
    in_process: Callable[..., Any], node: Callable[[list[str], str], str]
) -> None:
    """Its digest is compared once it has come; unsigned, the task stops at the convention and takes nothing in."""
    flow = fictitious_flow(20, 3)
    async with in_process() as started:
        caf = await started.partner(CAF, "CAF de Valombre", "caf")
        departement = await started.partner(DEPARTEMENT, "Département de Valombre", "departement")
        await _in_force(_text(signed=True), caf, departement)
        signer, path = Signer(caf, started.http, node), "/v1/inbound/cnaf-rsa"
        other = await signer.send("POST", path, flow, media="application/xml", sent=flow + b"\n")
        listed = (await caf.call("GET", "/v1/flows")).json()["flows"]
        headers = {"Content-Type": "application/xml", "Prefer": "respond-async"}
        unsigned = await _ended(caf, await caf.call("POST", path, content=flow, headers=headers))
        taken = await _ended(caf, await signer.send("POST", path, flow, media="application/xml"))
    assert (401, []) == (other.status_code, listed)
    assert "Content-Digest" in other.json()["detail"]
    assert ("done", 20) == (taken["state"], taken["records"]["done"])
    assert ("stopped", "signature_required", 0) == (
        unsigned["state"],
        unsigned["problem"]["code"],
        unsigned["records"]["done"],
    )


async def _ended(caf: Partner, answer: httpx.Response) -> dict[str, Any]:
    assert 202 == answer.status_code, answer.text
    while True:
        shown: dict[str, Any] = (await caf.call("GET", answer.json()["progress"])).json()
        if shown["finished_at"] is not None:
            return shown
        await asyncio.sleep(0.05)


_JSON = {"Content-Type": "application/json"}


async def _brought(sender: Partner, exchange: str) -> None:
    """Wait until the delivery is in the mailbox: what an unsigned pull does not get is then what is kept from it."""
    while True:
        shown = (await sender.call("GET", f"/v1/exchanges/{exchange}")).json()
        if {"queued"} != {each["state"] for each in shown["deliveries"]}:
            return
