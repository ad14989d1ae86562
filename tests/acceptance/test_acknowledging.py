"""
What an acknowledgement answers is what happened: never “acknowledged” for a delivery that is offered again or closed otherwise.
"""

from __future__ import annotations

from typing import Any

import pytest

DEPARTEMENT = "99900002900010"


@pytest.fixture
def handed(desk: Any, new_referral: Any) -> str:
    """A delivery handed over to the département, and not answered yet."""
    exchange = desk.done("caf", "POST", "/v1/referrals", json=new_referral(recipients=[{"siret": DEPARTEMENT}]))
    wanted = exchange["exchanges"][0]["exchange"]
    for _ in range(20):
        for delivery in desk.done("departement", "GET", "/v1/mailbox?limit=1000&wait=10")["deliveries"]:
            if delivery["exchange"] == wanted:
                return str(delivery["id"])
    raise AssertionError("the delivery did not come")


def _state(desk: Any, delivery: str) -> str:
    task = desk.done("departement", "GET", f"/fhir/R4/Task/{delivery}")
    return str(task["status"])


def test_acknowledging_twice_is_harmless(desk: Any, handed: str) -> None:
    """A partner that did not see our answer asks again, and gets the same."""
    first = desk.done("departement", "POST", f"/v1/mailbox/{handed}/ack")
    assert {"acknowledged": [handed]} == first == desk.done("departement", "POST", f"/v1/mailbox/{handed}/ack")


def test_a_delivery_refused_for_a_time_may_be_acknowledged_after_all(desk: Any, handed: str) -> None:
    """The partner's system was full, then found room: its acknowledgement is recorded, and the delivery is not offered again."""
    desk.done("departement", "POST", f"/v1/mailbox/{handed}/nack", json={"reason": "temporary"})
    before = _state(desk, handed)
    assert {"acknowledged": [handed]} == desk.done("departement", "POST", f"/v1/mailbox/{handed}/ack")
    assert before != _state(desk, handed)


def test_a_delivery_refused_for_good_cannot_be_acknowledged(desk: Any, handed: str, refused: Any) -> None:
    """What is closed stays closed: the partner is told, instead of being told that it acknowledged."""
    desk.done("departement", "POST", f"/v1/mailbox/{handed}/nack", json={"reason": "not_for_us"})
    refused(desk.call("departement", "POST", f"/v1/mailbox/{handed}/ack"), 409, "conflict")
    refused(desk.call("departement", "POST", f"/v1/mailbox/{handed}/nack", json={"reason": "other"}), 409, "conflict")
