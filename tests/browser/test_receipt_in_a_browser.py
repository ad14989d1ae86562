"""
The receipt of an agreement as the person gets it: printed by a real browser, its code read by a real decoder, and followed.
"""

from __future__ import annotations

import asyncio
import base64
import io
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx
import pytest
import zxingcpp
from PIL import Image
from playwright.sync_api import Browser, Page

from ops.demo.gateway_process import GatewayProcess
from ops.demo.partner import Partner

CAF, ASSOCIATION = "99900001100018", "99900003700013"


@dataclass(frozen=True)
class Given:
    """An agreement of a running gateway, and what its collector asks with."""

    id: str
    headers: dict[str, str]


@pytest.fixture(scope="module")
def given(gateway: GatewayProcess) -> Given:
    """Somebody's agreement, recorded by the CAF at its own desk; before the browser, which keeps an event loop."""
    return asyncio.run(_recorded(gateway))


async def _recorded(gateway: GatewayProcess) -> Given:
    text = (files("consent") / "models" / "tznr-caf-association.yaml").read_bytes()
    async with httpx.AsyncClient() as http:
        caf = await Partner.registered(gateway, http, CAF, "CAF de Valombre", "caf-recu", "shared-json")
        relais = await Partner.registered(gateway, http, ASSOCIATION, "Le Relais", "relais-recu", "shared-json")
        await caf.propose(text)
        for partner in (caf, relais):
            await partner.sign(text)
        document = _agreement()
        await caf.call("POST", "/v1/consents", json=document)
        return Given(document["id"], dict((await caf.signed_in()).headers))


def _agreement() -> dict[str, Any]:
    at = (datetime.now(UTC) - timedelta(minutes=5)).isoformat(timespec="seconds")
    return {
        "kind": "consent",
        "schema_version": "1.0",
        "id": str(uuid.uuid4()),
        "created_at": at,
        "purpose": "inform_about_rights",
        "subject": {"birth_name": "Carvalho", "given_names": ["Lise"], "birth_date": "1980-05-17", "sex": "female"},
        "agreement_type": "consent",
        "state": "given",
        "collected_by": {"siret": CAF},
        "collected_at": at,
        "channel": "paper",
        "evidence": {"level": "document_kept", "kind": "paper_scan", "sha256": "ab" * 32},
        "text": {"version": "accord-relais-1", "sha256": "cd" * 32, "language": "fr"},
        "scopes": [
            {
                "id": "faire-le-point",
                "purposes": ["inform_about_rights"],
                "kinds": ["referral", "bilan"],
                "categories": ["exchange", "identity", "needs", "rights"],
                "recipients": [ASSOCIATION],
            }
        ],
        "valid_from": at,
        "duration": "one_year",
    }


def printed(browser: Browser, gateway: GatewayProcess, given: Given) -> tuple[Page, bytes]:
    """The receipt as it looks on paper."""
    page = browser.new_context(extra_http_headers=given.headers, viewport={"width": 794, "height": 1123}).new_page()
    page.emulate_media(media="print")
    answer = page.goto(f"{gateway.address}/v1/consents/{given.id}/receipt?format=html")
    assert answer is not None and answer.status == 200
    return page, page.screenshot(full_page=True)


def test_the_code_on_the_paper_leads_to_a_proof_that_verifies(
    given: Given, chromium: Browser, gateway: GatewayProcess, tmp_path: Path
) -> None:
    """Drawn by a browser and decoded: the public page without a token, the proof with one; a proof changed in one byte is refused."""
    page, picture = printed(chromium, gateway, given)
    assert "Lise Carvalho" in page.inner_text("header")
    (tmp_path / "receipt.png").write_bytes(picture)
    codes = zxingcpp.read_barcodes(Image.open(io.BytesIO(picture)))
    [address] = [code.text for code in codes]
    assert f"{gateway.address}/v1/consents/{given.id}/proof" == address

    stranger = chromium.new_context().new_page()
    stranger.goto(address)
    assert "Vérifier un reçu" == stranger.inner_text("h1")
    assert "Carvalho" not in stranger.content()

    vkey, proof = httpx.get(f"{gateway.address}/ledger/vkey").text.strip(), _proof(address, given)
    good, bad = tmp_path / "accord.tlog-proof", tmp_path / "change.tlog-proof"
    good.write_bytes(proof)
    bad.write_bytes(_changed(proof))
    verified = gateway.command("ledger", "verify", str(good), "--vkey", vkey)
    assert 0 == verified.returncode and "(agreement_given)" in verified.stdout, verified.stdout + verified.stderr
    assert 0 != gateway.command("ledger", "verify", str(bad), "--vkey", vkey).returncode


def _changed(proof: bytes) -> bytes:
    """The same file, well formed, whose event says that the agreement was collected otherwise."""
    head, extra, rest = proof.split(b"\n", 2)
    said = base64.b64decode(extra.removeprefix(b"extra "))
    assert b"paper" in said
    return b"\n".join([head, b"extra " + base64.b64encode(said.replace(b"paper", b"phone")), rest])


def _proof(address: str, given: Given) -> bytes:
    """The proof file, which the log places within a second."""
    transport = httpx.HTTPTransport(retries=3)
    with httpx.Client(transport=transport, timeout=30) as http:
        answer = http.get(address, headers=given.headers)
    assert 200 == answer.status_code, answer.text
    return answer.content
