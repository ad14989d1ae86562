"""Agreement by SMS, from the question to the reply: nothing is agreed before a bare yes from the right number."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from consent.tables import agreements, sms_requests

PHONE = "+33199000001"
WORD = {"level": "declared_by_professional"}

pytestmark = pytest.mark.anyio


async def asked(office: Any, **changes: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """An agreement asked for by SMS: the document, and what the gateway answered."""
    subject = office.person(phones=[PHONE])
    text = {"version": "accord-relais-1", "sha256": "cd" * 32, "language": "fr", "url": "https://relais.example/accord"}
    document = office.consent(channel="sms", subject=subject, evidence=WORD, text=text, **changes)
    answer = await office.call("association", "POST", "/v1/consents", json=document)
    assert (202, "pending") == (answer.status_code, answer.json()["state"])
    return document, answer.json()["sms"]


def reply(office: Any, question: dict[str, Any], message: str, **changes: Any) -> dict[str, Any]:
    """What the partner's system posts when the person answers."""
    body = {"correlation": question["correlation"], "phone": PHONE, "message": message}
    return body | {"received_at": office.clock.text()} | changes


async def test_a_yes_opens_the_exchange_with_its_evidence(office: Any) -> None:
    """Nothing leaves before the reply; after it the thread's digest is the evidence, and the person's confirmation its level."""
    document, question = await asked(office)
    assert question["question"].startswith("Association Le Relais de Valombre vous demande")
    assert "99900003700013" not in question["question"]
    assert question["question"].endswith("répondez OUI. Toute autre réponse vaut refus.")
    before = await office.send(document["subject"])
    waiting = await office.done("association", "GET", f"/v1/consents/{document['id']}")
    said = reply(office, question, " oui. ")
    answer = await office.done("association", "POST", "/v1/sms/replies", json=said)
    after = await office.send(document["subject"])
    assert ("refused", "agreement_missing") == (before["state"], before["reasons"][0]["code"])
    assert ("pending", "given", True) == (waiting["state"], answer["state"], answer["counted"])
    assert "permitted" == after["state"]
    kept = await office.done("association", "GET", f"/v1/consents/{document['id']}")
    thread = {"answered_at": kept["evidence"]["confirmed_at"], "correlation": question["correlation"]}
    thread |= {"question": question["question"], "reply": " oui. "}
    raw = json.dumps(thread, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
    assert hashlib.sha256(raw).hexdigest() == kept["evidence"]["sha256"]
    receipt = await office.done("association", "GET", f"/v1/consents/{document['id']}/receipt")
    assert "confirmed_by_person" == receipt["evidence"]["level"]


@pytest.mark.parametrize("message", ["Oui;", "Oui non", "non", ""])
async def test_anything_but_a_bare_yes_is_a_refusal(office: Any, message: str) -> None:
    """A reply that has to be interpreted agrees to nothing, and a later yes does not mend it: the first answer decides."""
    document, question = await asked(office)
    first = await office.done("association", "POST", "/v1/sms/replies", json=reply(office, question, message))
    second = await office.done("association", "POST", "/v1/sms/replies", json=reply(office, question, "Oui"))
    assert (("refused", True), ("refused", False)) == tuple(
        (each["state"], each["counted"]) for each in (first, second)
    )
    assert "agreement_refused" == (await office.send(document["subject"]))["reasons"][0]["code"]
    events = await office.events(document["id"], "agreement_requested", "agreement_given", "agreement_refused")
    assert ["agreement_requested", "agreement_refused"] == [event.type.value for event in events]


async def test_the_request_is_found_before_anything_changes(office: Any) -> None:
    """Another number, another correlation, another partner or an impossible time change nothing; the real reply still counts."""
    document, question = await asked(office)
    wrong = [
        ("association", reply(office, question, "non", phone="+33199000002"), 404),
        ("association", reply(office, question, "non", correlation="A" * 32), 404),
        ("caf", reply(office, question, "non"), 404),
        ("association", reply(office, question, "non", received_at=office.clock.text(hours=2)), 400),
        ("association", reply(office, question, "non", received_at=office.clock.text(days=-2)), 400),
        ("association", reply(office, question, "non", received_at="hier"), 400),
    ]
    for who, body, status in wrong:
        await office.refused(who, "POST", "/v1/sms/replies", status, json=body)
    written = reply(office, question, "OUI", phone="01 99 00 00 01")
    assert "given" == (await office.done("association", "POST", "/v1/sms/replies", json=written))["state"]
    assert 1 == len(await office.events(document["id"], "agreement_given", "agreement_refused"))


async def test_the_number_is_kept_nowhere_in_clear(office: Any) -> None:
    """Neither the row, nor the events, nor the agreement's plain columns hold the number, in any of its forms."""
    document, question = await asked(office)
    row = await office.row(sms_requests, agreement_id=document["id"])
    await office.done("association", "POST", "/v1/sms/replies", json=reply(office, question, "oui"))
    kept = await office.row(agreements, id=document["id"])
    events = await office.events(document["id"], "agreement_requested", "agreement_given")
    seen = repr(tuple(row)) + repr(kept.decisive) + "".join(event.canonical().decode() for event in events)
    assert "99000001" not in seen
    assert None is (await office.row(sms_requests, agreement_id=document["id"])).sealed


async def test_a_question_without_reply_expires(office: Any) -> None:
    """After its time a yes counts for nothing, and the keeper deletes the question with an event."""
    document, question = await asked(office)
    office.clock.advance(hours=73)
    late = await office.done("association", "POST", "/v1/sms/replies", json=reply(office, question, "oui"))
    assert ("expired", False) == (late["state"], late["counted"])
    assert 1 <= (await office.keep())["questions"]
    assert None is await office.row(sms_requests, agreement_id=document["id"])
    [event] = await office.events(document["id"], "retention_purged")
    assert "sms_request" == event.body["class"]
    assert "agreement_missing" == (await office.send(document["subject"]))["reasons"][0]["code"]
    await office.refused("association", "GET", f"/v1/consents/{document['id']}", 404)
