"""
The shared language at the doors: the validator answers all at once, and a doubtful NIR goes through with its flag.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import jsonschema
import pytest

CCAS, OPERATOR = "99900004500016", "99900009400014"
SECRET = "284073999000163"
"""A NIR that belongs to nobody, with a wrong key."""

SPECIMEN = "269054958815780"
pytestmark = pytest.mark.parametrize("desk", ["embedded"], indirect=True)  # judging is the same on every database


def test_everything_wrong_is_said_at_once(desk: Any, new_referral: Callable[..., dict[str, Any]]) -> None:
    """Each fault has its pointer, line, French sentence and nearest code; no value of the document comes back."""
    document = new_referral(urgency="urgant", purpose=..., x_secret=SECRET, created_at="hier")
    document["rights"][0]["right"] = "Prime d'activite"
    answer = desk.done("caf", "POST", "/v1/validate/referral", json=document)
    found = {error["pointer"]: error for error in answer["errors"]}

    assert answer["valid"] is False
    assert {"/urgency", "/purpose", "/*", "/created_at", "/rights/0/right"} == found.keys()
    assert ("urgent", "ppa") == (found["/urgency"]["suggestion"], found["/rights/0/right"]["suggestion"])
    assert "Vouliez-vous dire « urgent »" in found["/urgency"]["message"]
    assert all(error["line"] == 1 and error["message_en"] for error in found.values())
    assert SECRET not in json.dumps(answer)
    assert "urgant" not in json.dumps(answer)
    described = desk.http.get("/openapi.json").json()["paths"]["/v1/validate/{kind}"]["post"]["responses"]["200"]
    jsonschema.validate(answer, described["content"]["application/json"]["schema"])


def test_what_is_doubtful_is_a_warning(desk: Any, new_referral: Callable[..., dict[str, Any]]) -> None:
    """A NIR whose key is wrong makes nothing invalid: the answer says to check it with the person, without the number."""
    document = new_referral()
    document["subject"] |= {"nir": SECRET}
    answer = desk.done("caf", "POST", "/v1/validate/referral", json=document)

    assert (True, []) == (answer["valid"], answer["errors"])
    assert {"nir_key_wrong", "nir_birth_date"} == {warning["code"] for warning in answer["warnings"]}
    assert {"/subject/nir"} == {warning["pointer"] for warning in answer["warnings"]}
    assert SECRET not in json.dumps(answer)


def test_a_kind_that_does_not_exist_is_told_which_do(desk: Any, refused: Callable[..., dict[str, Any]]) -> None:
    """404, with the kinds that there are."""
    body = refused(desk.call("caf", "POST", "/v1/validate/orientation", json={}), 404, "not_found")

    assert "referral, bilan, consent, status, convention" in body["detail"]


def test_a_wrong_key_reaches_the_recipient_with_its_flag(
    desk: Any, new_referral: Callable[..., dict[str, Any]]
) -> None:
    """The NIR is neither refused nor mended in silence: it leaves as it was sent, and the flag says what it is worth."""
    (received,) = exchanged(desk, [new_referral(sender={"siret": CCAS}, recipients=[{"siret": OPERATOR}])], nir=SECRET)

    assert (SECRET, "key_wrong") == (received["subject"]["nir"], received["subject"]["nir_flag"])


def test_the_number_of_sample_cards_makes_one_person_of_nobody(
    desk: Any, new_referral: Callable[..., dict[str, Any]]
) -> None:
    """Two people for whom the specimen number was given stay two people, and the flag says so."""
    both = [new_referral(sender={"siret": CCAS}, recipients=[{"siret": OPERATOR}]) for _ in range(2)]
    received = exchanged(desk, both, nir=SPECIMEN)

    assert ["specimen"] * 2 == [document["subject"]["nir_flag"] for document in received]
    assert 2 == len({document["subject"]["pseudonym"] for document in received})


def exchanged(desk: Any, documents: list[dict[str, Any]], *, nir: str) -> list[dict[str, Any]]:
    """What the operator's system receives of referrals that the CCAS sends about people with this number."""
    sent = set()
    for document in documents:
        document["subject"] |= {"nir": nir}
        (taken,) = desk.done("ccas", "POST", "/v1/referrals", json=document)["exchanges"]
        sent.add(taken["exchange"])
    received: dict[str, dict[str, Any]] = {}
    for _ in range(6):
        if sent <= received.keys():
            break
        mailbox = desk.done("operator", "GET", "/v1/mailbox?limit=200&wait=10")
        received |= {item["exchange"]: item["document"] for item in mailbox["deliveries"]}
    return [document for exchange, document in received.items() if exchange in sent]
