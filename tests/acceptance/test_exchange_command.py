"""`tdu exchange`, as an operator uses it beside a gateway that runs: find what was set aside, look at it, replay it."""

from __future__ import annotations

import json
from typing import Any

DEPARTEMENT = "99900002900010"


def test_an_operator_finds_and_replays_what_was_set_aside(desk: Any, new_referral: Any) -> None:
    """A refused delivery is listed with its reason, shown, counted, replayed, and arrives again."""
    taken = desk.done("caf", "POST", "/v1/referrals", json=new_referral(recipients=[{"siret": DEPARTEMENT}]))
    exchange = taken["exchanges"][0]["exchange"]
    delivery = arrived(desk, exchange)
    desk.done("departement", "POST", f"/v1/mailbox/{delivery}/nack", json={"reason": "unreadable"})

    listed = tdu(desk, "list", "--state", "rejected", "--recipient", DEPARTEMENT, "--json")
    assert [(exchange, "unreadable")] == [
        (each["exchange"], each["reason"]) for each in listed if each["id"] == delivery
    ]
    assert delivery in desk.gateway.command("exchange", "list", "--reason", "unreadable").stdout
    assert delivery == tdu(desk, "show", exchange)["deliveries"][0]["id"]
    assert "rejected" == tdu(desk, "show", delivery)["state"]
    wanted = ("--reason", "unreadable", "--recipient", DEPARTEMENT)
    counted = tdu(desk, "replay", *wanted, "--dry-run")["count"]
    assert counted >= 1

    task = tdu(desk, "replay", *wanted)
    assert ("done", counted) == (task["state"], task["replayed"] + task["refused"])
    again = arrived(desk, exchange)
    assert again != delivery and delivery == tdu(desk, "show", again)["replay_of"]
    desk.done("departement", "POST", f"/v1/mailbox/{again}/ack")


def test_what_cannot_be_done_is_told(desk: Any) -> None:
    """An unknown identifier and a wrong filter are told in both languages, with exit code 1."""
    for words in (
        ("show", "inconnu"),
        ("replay", "inconnu"),
        ("list", "--state", "perdu"),
        ("list", "--since", "hier"),
    ):
        done = desk.gateway.command("exchange", *words)
        assert 1 == done.returncode and "Erreur" in done.stderr and not done.stdout


def arrived(desk: Any, exchange: str) -> str:
    """The delivery of an exchange, once it is handed over."""
    for _ in range(20):
        for each in desk.done("departement", "GET", "/v1/mailbox?limit=1000&wait=10")["deliveries"]:
            if each["exchange"] == exchange:
                return str(each["id"])
    raise AssertionError("the delivery did not come")


def tdu(desk: Any, *words: str) -> Any:
    """What a command answers."""
    done = desk.gateway.command("exchange", *words)
    assert 0 == done.returncode, done.stderr
    return json.loads(done.stdout)
