"""Bad input about agreements and conventions: what a person said and what partners signed is recorded exactly, or not at all."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from consent.conventions.files import read
from consent.conventions.signature import sign

MARK = "Zorglubine"
CAF, DEPARTEMENT, ASSOCIATION, OPERATOR = "99900001100018", "99900002900010", "99900003700013", "99900009400014"
YAML = {"Content-Type": "application/yaml"}
CONVENTION = "/v1/conventions/tznr-valombre-caf-departement"
pytestmark = pytest.mark.usefixtures("nothing_taken_in")

PERSON = {"birth_name": f"{MARK}", "given_names": ["Camille"], "birth_date": "1980-05-17", "sex": "female"}

CONSENTS = {
    "no subject": ({"subject": ...}, "/subject"),
    "no scopes": ({"scopes": ...}, "/scopes"),
    "empty scopes": ({"scopes": []}, "/scopes"),
    "scopes that are none": ({"scopes": [MARK]}, "/scopes/0"),
    "id that is none": ({"id": MARK}, "/id"),
    "id that is a number": ({"id": 5}, "/id"),
    "beginning at the end of time": ({"valid_from": "9999-12-31T00:00:00+00:00"}, "/valid_from"),
    "beginning before time": ({"valid_from": "0001-01-01T00:00:00+14:00"}, "/valid_from"),
    "ending after time": ({"valid_until": "9999-12-31T23:59:59-14:00"}, "/valid_until"),
    "collected before time": ({"collected_at": "0001-01-01T00:00:00+14:00"}, "/collected_at"),
    "already taken back": ({"state": "withdrawn"}, ""),
    "unknown property": ({MARK: MARK}, "/*"),
}

WITHDRAWALS = {
    "unknown scope": ({"scopes": [MARK]}, 409),
    "no scope": ({"scopes": []}, 409),
    "scopes that are a text": ({"scopes": "faire-le-point"}, 400),
    "scopes that are numbers": ({"scopes": [1]}, 400),
    "a misspelt limit": ({"scope": ["faire-le-point"]}, 400),
    "a channel that is an object": ({"channel": {}}, 400),
    "a channel that is a list": ({"channel": []}, 400),
    "an unknown channel": ({"channel": MARK}, 400),
    "no channel": ({"channel": None}, 400),
}

OBJECTIONS = {
    "no subject": ({}, 422),
    "subject null": ({"subject": None}, 422),
    "subject that is a list": ({"subject": [MARK]}, 422),
    "subject that is a text": ({"subject": MARK}, 422),
    "empty subject": ({"subject": {}}, 422),
    "NIR that is a number": ({"subject": {"nir": 5}}, 422),
    "NIR that is none": ({"subject": {"nir": MARK}}, 422),
    "names that are objects": ({"subject": PERSON | {"given_names": {"a": 1}}}, 422),
    "a date that does not exist": ({"subject": PERSON | {"birth_date": "1980-13-45"}}, 422),
    "unknown trait": ({"subject": PERSON | {MARK: MARK}}, 422),
    "a pseudonym that is an object": ({"subject": {"pseudonym": {}}}, 422),
    "recipient that is a list": ({"subject": PERSON, "recipient": []}, 400),
    "recipient that is no SIRET": ({"subject": PERSON, "recipient": "99900001100019"}, 400),
    "purpose that is an object": ({"subject": PERSON, "purpose": {}}, 400),
    "unknown purpose": ({"subject": PERSON, "purpose": MARK}, 400),
    "a misspelt limit": ({"subject": PERSON, "recipent": CAF}, 400),
    "another document": ({"kind": "consent", "subject": PERSON}, 400),
}

CONVENTIONS = {
    "anchors": b"a: &a [1, 2]\nb: *a\n",
    "a bomb of anchors": b"a: &a [x, x]\n" + b"".join(b"%c: &%c [*%c, *%c]\n" % (98 + n, 98 + n, 97 + n, 97 + n) for n in range(24)),
    "merge key": b"a: {b: 1}\nc: {<<: {b: 2}}\n",
    "a tag that runs code": b"a: !!python/object/apply:os.system ['%s']\n" % MARK.encode(),
    "duplicate key": b"id: a\nid: %s\n" % MARK.encode(),
    "nested sequences": b"[" * 50_000,
    "nested dashes": b"- " * 40_000,
    "nested questions": b"? " * 40_000,
    "many keys": b"".join(b"k%d: 1\n" % n for n in range(9_000)),
    "a list": b"- a\n- %s\n" % MARK.encode(),
    "two documents": b"a: 1\n---\nb: 2\n",
    "NUL": b"a: \x00",
    "bidi control": "a: '\u202e'".encode(),
    "UTF-16": "a: b".encode("utf-16"),
    "latin-1": "a: é".encode("latin-1"),
    "empty": b"",
    "only a comment": b"# %s\n" % MARK.encode(),
    "a huge number": b"a: 1" + b"0" * 5_000,
    "not a number": b"a: .nan",
    "cut": b"kind: convention\nparties: [",
}  # fmt: skip


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _header(**changes: Any) -> str:
    return _b64(json.dumps({"alg": "ES256", "kid": "1", "typ": "convention+jws", "siret": CAF} | changes).encode())


SIGNATURES = {
    "empty": "",
    "not a JWS": MARK,
    "dots": "..",
    "nested header": _b64(b"[" * 50_000) + ".e30.AA",
    "nested members": _b64(b'{"a":' * 12_000) + ".e30.AA",
    "header that is a list": _b64(b"[]") + ".e30.AA",
    "unsigned": _header(alg="none") + ".e30.",
    "algorithm that is a number": _header(alg=5) + ".e30.AA",
    "symmetric": _header(alg="HS256") + ".e30.AA",
    "key that is a list": _header(kid=[MARK]) + ".e30.AA",
    "key brought along": _header(jwk={"kty": "EC"}) + ".e30.AA",
    "critical extension": _header(crit=["b64"], b64=False) + ".e30.AA",
    "invented signature": _header() + ".e30." + _b64(bytes(64)),
    "accents": "é.é.é",
}


@pytest.mark.parametrize("case", CONSENTS)
def test_an_agreement_that_breaks_its_schema_is_refused(desk: Any, new_consent: Any, refused: Any, case: str) -> None:
    """No agreement is recorded that the gate could not read later."""
    changes, pointer = CONSENTS[case]
    answer = desk.call("caf", "POST", "/v1/consents", json=new_consent(CAF, [ASSOCIATION], **changes))
    body = refused(answer, 422, "document_invalid")
    assert any(error["pointer"].startswith(pointer) for error in body["errors"])


def test_an_agreement_is_recorded_by_who_collected_it_only(desk: Any, new_consent: Any, refused: Any) -> None:
    """Nobody declares what a person said at another organisation's desk."""
    refused(desk.call("caf", "POST", "/v1/consents", json=new_consent(ASSOCIATION, [CAF])), 403, "forbidden")


def test_an_agreement_cannot_take_the_place_of_another(desk: Any, story: Any, new_consent: Any, refused: Any) -> None:
    """An identifier in use is refused, to its owner and to others alike."""
    for who, collector in (("caf", CAF), ("association", ASSOCIATION)):
        document = new_consent(collector, [CAF], id=story.consent)
        refused(desk.call(who, "POST", "/v1/consents", json=document), 409, "conflict")


@pytest.mark.parametrize("case", WITHDRAWALS)
def test_a_withdrawal_that_is_not_understood_withdraws_nothing(desk: Any, story: Any, refused: Any, case: str) -> None:
    """A withdrawal takes back exactly what was named, or nothing."""
    body, status = WITHDRAWALS[case]
    refused(desk.call("caf", "POST", f"/v1/consents/{story.consent}/withdraw", json=body), status)
    assert "given" == desk.done("caf", "GET", f"/v1/consents/{story.consent}")["state"]


@pytest.mark.parametrize("case", OBJECTIONS)
def test_an_objection_that_is_not_understood_is_refused(desk: Any, refused: Any, case: str) -> None:
    """An objection stops exchanges: it must say whose and against what, in words that the gateway knows."""
    body, status = OBJECTIONS[case]
    refused(desk.call("caf", "POST", "/v1/objections", json=body), status)


@pytest.mark.parametrize("case", CONVENTIONS)
def test_a_file_that_is_no_convention_is_refused(desk: Any, refused: Any, case: str) -> None:
    """YAML is a way of writing JSON and nothing more; everything else it can do is refused."""
    answer = desk.call("caf", "POST", "/v1/conventions", content=CONVENTIONS[case], headers=YAML)
    refused(answer, 422, "convention_invalid")


def test_a_convention_is_proposed_by_its_parties_and_never_changed(
    desk: Any, new_convention: Any, refused: Any
) -> None:
    """A stranger cannot propose it, and the same id and version never has another text."""
    text = new_convention(CAF, DEPARTEMENT, "tznr-valombre-caf-departement")
    refused(desk.call("association", "POST", "/v1/conventions", content=text, headers=YAML), 403, "forbidden")
    other = text.replace(b"Aller vers les droits", MARK.encode())
    assert other != text
    refused(desk.call("caf", "POST", "/v1/conventions", content=other, headers=YAML), 409, "conflict")


@pytest.mark.parametrize("case", SIGNATURES)
def test_what_is_no_signature_signs_nothing(desk: Any, refused: Any, case: str) -> None:
    """The key is the one that the party registered, and the algorithm is the key's."""
    answer = desk.call("caf", "POST", f"{CONVENTION}/sign", json={"jws": SIGNATURES[case]})
    refused(answer, 422, "signature_invalid")


def test_a_signature_of_another_text_party_or_key_is_refused(desk: Any, new_convention: Any, refused: Any) -> None:
    """A good signature is good for one text, by one party, with a key that this party registered."""
    caf, departement = desk.partners["caf"], desk.partners["departement"]
    text = dict(read(new_convention(CAF, DEPARTEMENT, "tznr-valombre-caf-departement")).document)
    other_text = dict(read(new_convention(CAF, OPERATOR, "tznr-valombre-caf-operateur")).document)
    good = sign(text, caf.pem, CAF, "1")
    header, payload, signature = good.split(".")
    altered = ".".join((header, payload[:-4] + ("AAAA" if payload[-4:] != "AAAA" else "BBBB"), signature))
    refusals = {
        "altered": altered,
        "another text": sign(other_text, caf.pem, CAF, "1"),
        "another party": sign(text, departement.pem, DEPARTEMENT, "1"),
        "a key that is not registered": sign(text, departement.pem, CAF, "1"),
        "another's name": sign(text, caf.pem, DEPARTEMENT, "1"),
    }
    for jws in refusals.values():
        refused(desk.call("caf", "POST", f"{CONVENTION}/sign", json={"jws": jws}), 422, "signature_invalid")
    refused(desk.call("association", "POST", f"{CONVENTION}/sign", json={"jws": good}), 404, "not_found")


@pytest.mark.parametrize("body", [{}, {"jws": None}, {"jws": 5}, {"jws": [MARK]}, {"jwt": "a.b.c"}])
def test_a_signature_must_be_a_text(desk: Any, refused: Any, body: dict[str, Any]) -> None:
    """The body of a signature has one member, a text."""
    refused(desk.call("caf", "POST", f"{CONVENTION}/sign", json=body), 400, "malformed_request")


@pytest.mark.parametrize("body", [{}, {"reason": MARK}, {"reason": {}}, {"reason": ["other"]}, {"reason": None}])
def test_a_refused_delivery_needs_a_known_reason(desk: Any, story: Any, refused: Any, body: dict[str, Any]) -> None:
    """A recipient says why it could not take a delivery, in one of the words that the sender will read."""
    answer = desk.call("departement", "POST", f"/v1/mailbox/{story.delivery}/nack", json=body)
    refused(answer, 400, "malformed_request")


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"status": ...}, "/status"),
        ({"status": 5}, "/status"),
        ({"status": MARK}, "/status"),
        ({"id": MARK}, "/id"),
        ({"sender": MARK}, "/sender"),
        ({"sequence": -1}, "/sequence"),
        ({"sequence": MARK}, "/sequence"),
        ({"occurred_at": MARK}, "/occurred_at"),
        ({"purpose": []}, "/purpose"),
        ({MARK: 1}, "/*"),
    ],
)
def test_a_status_that_breaks_its_schema_is_refused(
    desk: Any, story: Any, refused: Any, changes: dict[str, Any], pointer: str
) -> None:
    """A status completed by the gateway is still checked as a whole."""
    body = {name: value for name, value in ({"status": "accepted"} | changes).items() if value is not ...}
    answer = desk.call("departement", "POST", f"/v1/referrals/{story.referral}/status", json=body)
    assert pointer in {error["pointer"] for error in refused(answer, 422, "document_invalid")["errors"]}
