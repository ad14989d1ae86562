"""A request that is repeated, in turn or at the same moment, has one effect and one answer, on both databases."""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from adapters.cnaf_rsa.fictitious import fictitious_flow

CAF, DEPARTEMENT, ASSOCIATION = "99900001100018", "99900002900010", "99900003700013"
MANY = 16
PERSON = {"given_names": ["Camille"], "birth_date": "1980-05-17", "sex": "female"}

Send = Callable[[dict[str, str]], httpx.Response]


@pytest.fixture
def sends(desk: Any, story: Any, new_referral: Any, new_consent: Any, new_convention: Any) -> dict[str, Send]:
    """One request to each door that creates; called twice, it sends the same bytes with the headers given."""
    mine = new_consent(CAF, [ASSOCIATION])
    desk.done("caf", "POST", "/v1/consents", json=mine)
    name = uuid.uuid4().hex
    bodies = {
        "referral": ("caf", "/v1/referrals", new_referral()),
        "status": ("departement", f"/v1/referrals/{story.referral}/status", {"status": "accepted"}),
        "consent": ("caf", "/v1/consents", new_consent(CAF, [ASSOCIATION])),
        "withdrawal": ("caf", f"/v1/consents/{mine['id']}/withdraw", {"channel": "in_person"}),
        "objection": ("caf", "/v1/objections", {"subject": PERSON | {"birth_name": f"Objection{name}"}}),
        "file": ("caf", "/v1/inbound/cnaf-rsa", fictitious_flow(3, uuid.uuid4().int % 10_000)),
        "convention": ("caf", "/v1/conventions", new_convention(CAF, DEPARTEMENT, f"essai-{name[:12]}")),
    }

    def make(who: str, path: str, body: Any) -> Send:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        kind = "application/json"
        if isinstance(body, bytes):
            kind = "application/yaml" if path == "/v1/conventions" else "application/xml"
        return lambda headers: desk.call(who, "POST", path, content=content, headers={"Content-Type": kind} | headers)

    return {door: make(*parts) for door, parts in bodies.items()}


@pytest.mark.parametrize("door", ["referral", "status", "consent", "withdrawal", "objection", "file", "convention"])
def test_sixteen_at_once_with_one_key_have_one_effect(
    desk: Any, sends: dict[str, Send], refused: Any, door: str
) -> None:
    """Whoever comes first has the effect; the others get its answer, and so does who comes later."""
    key = {"Idempotency-Key": str(uuid.uuid4())}
    first, before = sends[door], desk.counts()
    with ThreadPoolExecutor(MANY) as crowd:
        answers = list(crowd.map(first, [key] * MANY))
    after = desk.counts()
    assert all(answer.is_success for answer in answers), Counter(answer.text for answer in answers)
    assert 1 == len({answer.text for answer in answers})
    once = {
        "referral": {"documents": 1, "exchanges": 1},
        "status": {"documents": 1, "exchanges": 1},
        "consent": {"agreements": 1},
        "withdrawal": {},
        "objection": {"objections": 1},
        "convention": {"conventions": 1},
        "file": {"documents": answers[0].json().get("accepted"), "exchanges": answers[0].json().get("documents")},
    }[door]
    added = {name: after[name] - before[name] for name in after if name != "deliveries" and after[name] != before[name]}
    assert once == added
    assert answers[0].text == first(key).text
    other = desk.call("caf", "POST", "/v1/objections", json={"subject": PERSON | {"birth_name": "Autre"}}, headers=key)
    if door == "status":  # the key is the département's own: the CAF may use the same word
        assert 201 == other.status_code
    else:
        refused(other, 422, "idempotency_key_reused")


@pytest.mark.parametrize("key", ["", "short", "a" * 129, "é" * 10, "with space", "tab\tinside"])
def test_a_key_that_is_none_is_refused(desk: Any, new_referral: Any, refused: Any, key: str) -> None:
    """A key has 8 to 128 visible ASCII characters: it is stored and compared."""
    answer = desk.call(
        "caf", "POST", "/v1/referrals", json=new_referral(), headers={"Idempotency-Key": key.encode("latin-1")}
    )
    body = refused(answer, 400, "malformed_request")
    assert ["/header/Idempotency-Key"] == [error["pointer"] for error in body["errors"]]


def test_sixteen_at_once_without_key_are_one_document(desk: Any, new_referral: Any, refused: Any) -> None:
    """Without a key the document's own id recognises it; who comes too early is asked to come back, and is recognised."""
    document, before = new_referral(), desk.counts()
    with ThreadPoolExecutor(MANY) as crowd:
        answers = list(crowd.map(lambda _: desk.call("caf", "POST", "/v1/referrals", json=document), range(MANY)))
    after = desk.counts()
    assert (1, 1) == (after["documents"] - before["documents"], after["exchanges"] - before["exchanges"])
    states = Counter(answer.json()["exchanges"][0]["state"] for answer in answers if answer.is_success)
    assert 1 == states["accepted"]
    for answer in answers:
        if not answer.is_success:
            refused(answer, 409, "conflict")
            assert "1" == answer.headers["retry-after"]
    again = desk.done("caf", "POST", "/v1/referrals", json=document)
    assert (1, "already_received") == (again["already_received"], again["exchanges"][0]["state"])


def test_two_documents_of_one_sending_with_one_id_are_told_apart(desk: Any, new_referral: Any) -> None:
    """The first is taken in; the second is said to be wrong, with its line, and not passed over in silence."""
    one, other = new_referral(), new_referral()
    lines = [json.dumps(one), json.dumps(other | {"id": one["id"]}), json.dumps(new_referral())]
    answer = desk.done(
        "caf",
        "POST",
        "/v1/inbound/shared-json",
        content="\n".join(lines),
        headers={"Content-Type": "application/x-ndjson"},
    )
    assert ["accepted", "invalid", "accepted"] == [exchange["state"] for exchange in answer["exchanges"]]
    [error] = answer["exchanges"][1]["errors"]
    assert ("repeated_id", "/id", 2) == (error["code"], error["pointer"], error["line"])


def test_a_byte_order_mark_is_no_fault(desk: Any, new_referral: Any) -> None:
    """Software under Windows writes one before UTF-8; the document is the same without."""
    document = json.dumps(new_referral()).encode()
    headers = {"Content-Type": "application/json"}
    first = desk.done("caf", "POST", "/v1/referrals", content=b"\xef\xbb\xbf" + document, headers=headers)
    again = desk.done("caf", "POST", "/v1/referrals", content=document, headers=headers)
    assert (1, 1) == (first["accepted"], again["already_received"])


def test_an_agreement_taken_back_twice_is_a_conflict(desk: Any, new_consent: Any, refused: Any) -> None:
    """The second withdrawal finds nothing to take back, and says so."""
    document = new_consent(CAF, [ASSOCIATION])
    desk.done("caf", "POST", "/v1/consents", json=document)
    address = f"/v1/consents/{document['id']}/withdraw"
    assert "withdrawn" == desk.done("caf", "POST", address, json={"scopes": ["faire-le-point"]})["state"]
    for body in ({"scopes": ["faire-le-point"]}, {}):
        refused(desk.call("caf", "POST", address, json=body), 409, "conflict")


def test_a_system_whose_own_format_is_only_read_receives_the_shared_one(desk: Any) -> None:
    """The CCAS sends RSA flows, which nobody writes; whatever it accepts, its mailbox is in shared JSON."""
    answer = desk.call("ccas", "GET", "/v1/mailbox", headers={"Accept": "text/csv, */*"})
    assert (200, []) == (answer.status_code, answer.json()["deliveries"])
