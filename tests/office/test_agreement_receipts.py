"""The receipt that a person takes home, for machines and on paper, and what its QR code leads to."""

from __future__ import annotations

import asyncio
import hashlib
import re
import uuid
from html.parser import HTMLParser
from typing import Any

import pytest

from consent.verify import verify_receipt
from gateway.receipts.page import style

ASSOCIATION, CCAS, CAF = "99900003700013", "99900004500016", "99900001100018"

pytestmark = pytest.mark.anyio


class Outline(HTMLParser):
    """The elements of a page, and what its addresses point to."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attributes if name in ("href", "src")]


async def recorded(office: Any, **changes: Any) -> dict[str, Any]:
    """An agreement of somebody with a name that would show."""
    document = office.consent(**changes)
    await office.done("association", "POST", "/v1/consents", json=document)
    return dict(document)


async def proof_of(office: Any, who: str, document: dict[str, Any]) -> bytes:
    """The proof of an agreement, once the sequencer placed it."""
    for _ in range(100):
        answer = await office.call(who, "GET", f"/v1/consents/{document['id']}/proof")
        if answer.status_code != 409:
            return bytes(answer.content)
        await asyncio.sleep(0.05)
    raise AssertionError("the proof was never published")


async def test_the_record_follows_the_standard_and_says_what_is_missing(office: Any) -> None:
    """Each mandatory field of ISO/IEC TS 27560 is there with its value or named as missing, in the words of DPV."""
    scopes = [office.consent()["scopes"][0] | {"recipients": [ASSOCIATION, CAF]}]
    document = await recorded(office, scopes=scopes, legal_basis={"rgpd": "6.1.a"})
    receipt = await office.done("association", "GET", f"/v1/consents/{document['id']}/receipt")
    record = receipt["dpv:hasRecordOfActivity"]
    assert "dpv:ConsentReceipt" == receipt["@type"]
    assert ["eu-gdpr:A6-1-a"] == record["dpv:hasLegalBasis"]
    assert ["dpv:PublicBenefit"] == record["dpv:hasProcess"][0]["dpv:hasPurpose"]
    assert ["dpv:ConsentGiven", "dpv:ExplicitlyExpressedConsent"] == record["dpv:hasConsentStatus"][0]["@type"]
    assert ["storage_locations", "retention_period", "party_address", "party_contact"] == receipt["iso_27560_missing"]
    assert 24 == len(receipt["iso_27560"]) + len(receipt["iso_27560_missing"])
    assert [ASSOCIATION, CAF] == receipt["iso_27560"]["recipient_third_parties"]
    prefixes = {
        term.split(":")[0]
        for term in re.findall(r'"((?:dpv|pd|eu-gdpr|loc|dct|schema):[\w-]+)"', str(receipt).replace("'", '"'))
    }
    assert prefixes <= receipt["@context"].keys()
    assert document["subject"]["birth_name"] not in str(receipt)


async def test_the_page_prints_alone_and_its_code_names_nobody(office: Any) -> None:
    """French, one title, a style of its own and nothing from outside; the address of the code holds the agreement's id only."""
    document = await recorded(office)
    answer = await office.call("association", "GET", f"/v1/consents/{document['id']}/receipt?format=html")
    outline = Outline(answer.text)
    assert 1 == outline.tags.count("h1")
    assert {"script", "link", "img", "iframe"}.isdisjoint(outline.tags)
    address = f"http://127.0.0.1:8080/v1/consents/{document['id']}/proof"
    assert [address] == outline.addresses
    assert '<html lang="fr">' in answer.text
    assert f"Camille {document['subject']['birth_name']}" in answer.text
    assert "@page { size: A4" in style()
    assert "'sha256-" in answer.headers["content-security-policy"]
    assert "no-store" == answer.headers["cache-control"]


async def test_a_stranger_who_scans_the_code_learns_nothing(office: Any) -> None:
    """The public page is the same for an agreement that exists and for one that does not, but for the number itself."""
    document = await recorded(office)
    pages = []
    for ident in (document["id"], str(uuid.uuid4())):
        answer = await office.http.get(f"/v1/consents/{ident}/proof")
        assert 200 == answer.status_code
        pages.append(answer.text.replace(ident, "N"))
    assert pages[0] == pages[1]


async def test_the_proof_is_for_the_organisations_concerned_and_verifies_offline(office: Any) -> None:
    """Whoever the agreement names gets the proof file, which anybody can verify; the others get nothing."""
    document = await recorded(office, scopes=[office.consent()["scopes"][0] | {"recipients": [CAF]}])
    for who in ("association", "caf"):
        proof = await proof_of(office, who, document)
        report = verify_receipt(proof, office.runtime.signer.vkey)
        assert report.ok and report.event is not None
        assert (document["id"], "document_kept") == (
            report.event["body"]["agreement_id"],
            report.event["body"]["level"],
        )
    for who in ("departement", "ccas"):
        await office.refused(who, "GET", f"/v1/consents/{document['id']}/proof", 404)
        await office.refused(who, "GET", f"/v1/consents/{document['id']}/receipt", 404)


async def test_the_receipt_follows_what_becomes_of_the_agreement(office: Any) -> None:
    """Taken back in part, then wholly, then read after its term: the standing and the events say so."""
    document = office.consent(duration="one_month")
    document["scopes"].append(document["scopes"][0] | {"id": "suite", "purposes": ["follow_up"]})
    await office.done("association", "POST", "/v1/consents", json=document)
    address = f"/v1/consents/{document['id']}"
    standing = []
    for scopes in ({"scopes": ["suite"]}, {}):
        await office.done("association", "POST", f"{address}/withdraw", json=scopes)
        page = await office.call("association", "GET", f"{address}/receipt?format=html")
        standing += re.findall(r'class="standing (\w+)"', page.text)
    receipt = await office.done("association", "GET", f"{address}/receipt")
    assert ["partly_withdrawn", "withdrawn"] == standing
    assert ["given", "withdrawn"] == receipt["iso_27560"]["event_state"]
    ending = await recorded(office, duration="one_day")
    office.clock.advance(days=2)
    receipt = await office.done("association", "GET", f"/v1/consents/{ending['id']}/receipt")
    assert ["given", "expired"] == receipt["iso_27560"]["event_state"]


async def test_the_texts_are_served_byte_for_byte(office: Any) -> None:
    """Each text of the list is there without a token, and its digest is the one that agreements must name."""

    listed = (await office.http.get("/v1/texts")).json()["texts"]
    assert {"fr", "en"} == {text["language"] for text in listed}
    for text in listed:
        answer = await office.http.get(f"/v1/texts/{text['version']}")
        assert text["sha256"] == hashlib.sha256(answer.content).hexdigest()
    assert 404 == (await office.http.get("/v1/texts/accord-1999")).status_code
