"""What belongs to some partners does not exist for the others: same answer, to the letter, as for what was never there."""

from __future__ import annotations

import hashlib
import re
import uuid
from dataclasses import dataclass
from typing import Any

import pytest

from adapters.cnaf_rsa.fictitious import fictitious_flow

CAF, DEPARTEMENT, ASSOCIATION, CCAS = "99900001100018", "99900002900010", "99900003700013", "99900004500016"

NOBODYS = {"adapter_name": "shared-json", "kind": "referral", "service_id": "source--1"}
"""Parameters of addresses that identify nothing of a partner."""

OFFICES = {"ledger:read", "person:manage"}
"""Scopes of auditors and administrators, who see every partner's: no partner's token has them."""

STRANGERS = ("ccas", "operator", "association")
"""Partners with tokens for everything that their conventions allow, and no part in the story."""

ACCESS = {
    "kind": "referral",
    "purpose": "follow_up",
    "recipient": DEPARTEMENT,
    "reason": "shelter",
    "statement": "Sans logement ce soir, injoignable.",
    "agent": {"name": "Dominique Vasseur", "role": "Assistante sociale"},
}

BODIES = {
    "review": {"outcome": "justified", "reviewer": {"name": "Claude Aubry", "role": "Référente"}},
    "status": {"status": "accepted"},
    "nack": {"reason": "other"},
    "sign": {"jws": "a.b.c"},
    "withdraw": {"channel": "in_person"},
    "/v1/endpoints/{client_id}": {"transport": "pull"},
    "/v1/sources/{client_id}": {"way": "api"},
}


@dataclass(frozen=True, slots=True)
class Owned:
    """One identifier, who may use it, and what names nothing in its place."""

    identifier: str
    owners: tuple[str, ...]
    absent: str


@pytest.fixture(scope="module")
def owned(desk: Any, story: Any, new_consent: Any, new_convention: Any, new_referral: Any) -> dict[str, list[Owned]]:
    """The identifiers of the story by the parameter that takes them."""
    consent = new_consent(CAF, [DEPARTEMENT])
    desk.done("caf", "POST", "/v1/consents", json=consent)
    name = f"tznr-{uuid.uuid4().hex[:12]}"
    text = new_convention(CAF, DEPARTEMENT, name)
    desk.done("caf", "POST", "/v1/conventions", content=text, headers={"Content-Type": "application/yaml"})
    attachment = _attached(desk, new_referral)
    headers = {"Content-Type": "application/xml", "Prefer": "respond-async"}
    flow = desk.done("caf", "POST", "/v1/inbound/cnaf-rsa", content=fictitious_flow(2, 4), headers=headers)["id"]
    replay = desk.done("departement", "POST", "/v1/replays", json={"reason": "none"})["id"]
    nothing = str(uuid.uuid4())
    access = desk.done("caf", "POST", "/v1/break-glass", json=ACCESS | {"subject": new_consent(CAF, [])["subject"]})
    objection = desk.done("caf", "POST", "/v1/objections", json={"subject": new_consent(CAF, [])["subject"]})
    deliveries = [Owned(story.delivery, ("departement", "caf"), nothing), Owned(story.lease, ("departement",), nothing)]
    return {
        "attachment_id": [Owned(attachment, ("departement",), nothing)],
        "flow_id": [Owned(flow, ("caf",), nothing)],
        "replay_id": [Owned(replay, ("departement",), nothing)],
        "referral_id": [Owned(story.referral, ("departement", "caf"), nothing)],
        "exchange_id": [Owned(story.exchange, ("caf", "departement"), nothing)],
        "delivery": deliveries,
        "delivery_id": deliveries[:1],
        "client_id": [Owned("departement-valombre", ("departement",), "inconnu-valombre")],
        "consent_id": [Owned(consent["id"], ("caf",), nothing)],
        "objection_id": [Owned(objection["id"], ("caf",), nothing)],
        "opening_id": [Owned(access["id"], ("caf", "departement"), nothing)],
        "convention_id": [Owned(name, ("caf", "departement"), f"tznr-{uuid.uuid4().hex[:12]}")],
    }


def test_a_stranger_gets_the_answer_of_what_does_not_exist(
    desk: Any, owned: dict[str, list[Owned]], refused: Any
) -> None:
    """Every route with an identifier, every identifier, every stranger: the same 404, but for the request's own number."""
    tried = 0
    for method, path, parameter in _routes(desk):
        assert parameter in owned, f"say in this test whose identifier {parameter} of {path} is"
        for thing in owned[parameter]:
            for who in STRANGERS:
                answer = _knock(desk, who, method, path, thing.identifier)
                absent = _knock(desk, who, method, path, thing.absent)
                refused(answer, 404, "not_found")
                assert _without_number(absent) == _without_number(answer), f"{who}: {method} {path}"
                tried += 1
    assert tried >= 3 * 14


def test_the_same_routes_answer_those_they_belong_to(desk: Any, owned: dict[str, list[Owned]]) -> None:
    """The 404 of a stranger proves something only because somebody else gets another answer."""
    for method, path, parameter in _routes(desk):
        for thing in owned[parameter]:
            found = [
                who for who in thing.owners if _knock(desk, who, method, path, thing.identifier).status_code != 404
            ]
            assert found, f"{method} {path}: nobody gets an answer"


def test_lists_hold_only_what_is_ones_own(desk: Any, story: Any) -> None:
    """Following everything and pulling everything gives a stranger nothing of the story."""
    assert story.exchange in desk.call("caf", "GET", "/v1/exchanges?limit=500").text
    for who in STRANGERS:
        for path in ("/v1/exchanges?limit=500", "/v1/mailbox?limit=200"):
            shown = desk.call(who, "GET", path)
            assert 200 == shown.status_code
            assert not [part for part in (story.referral, story.exchange, story.delivery) if part in shown.text]


def test_a_recipient_knows_nothing_before_it_is_handed_over(desk: Any, new_referral: Any, refused: Any) -> None:
    """A referral that waits in the mailbox exists for nobody but its sender: reading about it would be a disclosure."""
    taken = desk.done("caf", "POST", "/v1/referrals", json=new_referral(recipients=[{"siret": DEPARTEMENT}]))[
        "exchanges"
    ][0]
    delivery = taken["recipients"][0]["delivery"]
    for path in (
        f"/v1/exchanges/{taken['exchange']}",
        f"/v1/exchanges/{taken['exchange']}/receipt",
        f"/fhir/R4/ServiceRequest/{taken['document']}",
        f"/fhir/R4/Task/{delivery}",
    ):
        refused(desk.call("departement", "GET", path), 404, "not_found")
    for path in (f"/v1/referrals/{taken['document']}/status", f"/v1/mailbox/{delivery}/ack"):
        refused(desk.call("departement", "POST", path, json={"status": "accepted"}), 404, "not_found")


def test_a_refused_recipient_never_learns_of_the_attempt(desk: Any, new_referral: Any, refused: Any) -> None:
    """The gate's refusal is told to the sender; to the partner that would have received, there is no exchange."""
    taken = desk.done("caf", "POST", "/v1/referrals", json=new_referral(recipients=[{"siret": CCAS}]))["exchanges"][0]
    assert "refused" == taken["state"]
    for path in (f"/v1/exchanges/{taken['exchange']}", f"/v1/exchanges/{taken['exchange']}/receipt"):
        refused(desk.call("ccas", "GET", path), 404, "not_found")
        assert desk.call("caf", "GET", path).status_code in (200, 409)


def test_a_recipient_sees_its_own_part_only(desk: Any, new_referral: Any, new_consent: Any) -> None:
    """One of two recipients is shown its delivery, and neither the other's nor where it stood in the sender's file."""
    document = new_referral()
    desk.done("caf", "POST", "/v1/consents", json=new_consent(CAF, [ASSOCIATION], subject=document["subject"]))
    document["recipients"] = [{"siret": DEPARTEMENT}, {"siret": ASSOCIATION}]
    taken = desk.done("caf", "POST", "/v1/referrals", json=document)["exchanges"][0]
    assert ["permitted", "permitted"] == [recipient["state"] for recipient in taken["recipients"]]
    while taken["exchange"] not in (pulled := desk.call("association", "GET", "/v1/mailbox?limit=200&wait=5")).text:
        assert 200 == pulled.status_code
    shown = desk.done("association", "GET", f"/v1/exchanges/{taken['exchange']}")
    assert [ASSOCIATION] == [part["recipient"] for part in shown["deliveries"]]
    assert DEPARTEMENT not in str(shown) and shown["source_line"] is None
    whole = desk.done("caf", "GET", f"/v1/exchanges/{taken['exchange']}")
    assert {ASSOCIATION, DEPARTEMENT} == {part["recipient"] for part in whole["deliveries"]}


def _attached(desk: Any, new_referral: Any) -> str:
    """A file of a referral that the département was handed."""
    content = b"%PDF-1.7 piece"
    said = {"name": "piece.pdf", "media_type": "application/pdf", "size": len(content)}
    said["sha256"] = hashlib.sha256(content).hexdigest()
    document = new_referral(recipients=[{"siret": DEPARTEMENT}], attachments=[said])
    exchange = desk.done("caf", "POST", "/v1/referrals", json=document)["exchanges"][0]["exchange"]
    told = desk.done("caf", "POST", f"/v1/exchanges/{exchange}/attachments", content=content)
    while exchange not in desk.call("departement", "GET", "/v1/mailbox?limit=200&wait=5").text:
        pass
    return str(told["id"])


def _routes(desk: Any) -> list[tuple[str, str, str]]:
    """Every protected route that has an identifier in its address: method, path, name of the identifier."""
    found = []
    for path, operations in desk.http.get("/openapi.json").json()["paths"].items():
        names = [name for name in re.findall(r"{(\w+)}", path) if name not in NOBODYS]
        for method, operation in operations.items():
            scopes = {scope for each in operation.get("security", []) for scope in each["oauth2"]}
            if names and scopes - OFFICES:
                [name] = names
                found.append((method.upper(), path, name))
    return found


def _knock(desk: Any, who: str, method: str, path: str, identifier: str) -> Any:
    body = (
        {"json": BODIES.get(path, BODIES.get(path.rsplit("/", maxsplit=1)[-1], {}))}
        if method in ("POST", "PUT")
        else {}
    )
    return desk.call(who, method, re.sub(r"{\w+}", identifier, path), **body)


def _without_number(answer: Any) -> tuple[int, dict[str, str], dict[str, Any]]:
    """An answer without what is the request's own: its correlation id, and the time."""
    headers = {name: value for name, value in answer.headers.items() if name not in ("date", "x-correlation-id")}
    body = {name: value for name, value in answer.json().items() if name not in ("instance", "id")}
    return answer.status_code, headers, body
