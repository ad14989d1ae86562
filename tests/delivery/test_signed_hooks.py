"""
Systems that call in their own way: rdv-insertion's webhooks, in and out, seen from its side.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from gateway.store.tables import exchanges, quarantine
from ops.services.authority import Authority
from ops.services.receiver import Call, Receiver, receiving

pytestmark = pytest.mark.anyio

NAME = "logiciel.valombre.example"


@pytest.fixture
async def receiver(authority: Authority) -> AsyncIterator[Receiver]:
    """A partner's server that reads what rdv-insertion sends."""
    async with receiving(Receiver(NAME), authority.context(NAME)) as receiver:
        yield receiver


def message(person: dict[str, Any], status: str = "unknown", age: timedelta = timedelta(), number: int = 1) -> bytes:
    """What rdv-insertion sends when an appointment changes."""
    user = {"id": 4000 + number, "first_name": "Camille", "last_name": person["birth_name"], "birth_date": "1980-05-17"}
    start = "2027-01-14T09:00:00.000+01:00"
    taking_part = {"id": 10 + number, "status": status, "starts_at": start, "user": user}
    data = {"id": 300 + number, "starts_at": start, "status": status, "users": [user], "participations": [taking_part]}
    at = (datetime.now(UTC) - age).strftime("%Y-%m-%d %H:%M:%S %z")
    return json.dumps({"data": data, "meta": {"model": "Rdv", "event": "updated", "timestamp": at}}).encode()


def signed(secret: str, body: bytes) -> dict[str, str]:
    """The headers of a call signed as rdv-insertion signs."""
    digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return {"Content-Type": "application/json", "X-RDVI-Signature": digest}


async def call(world: Any, partner: Any, body: bytes, secret: str | None = None) -> Any:
    """Call the door of a partner's system."""
    headers = signed(secret or partner.source["secret"], body)
    return await world.http.post(f"/v1/hooks/{partner.client_id}", content=body, headers=headers)


async def calling(world: Any) -> Any:
    """A recipient whose rdv-insertion calls the gateway, and which was handed over a referral about somebody."""
    partner = await world.recipient()
    partner.source = await partner.done("PUT", f"/v1/sources/{partner.client_id}", json={"way": "rdv-insertion"})
    partner.person = world.person()
    delivery = await world.send(partner, partner.person)
    await world.becomes(delivery, "available")
    taken = await partner.done("GET", "/v1/mailbox")
    partner.referral = taken["deliveries"][0]["document"]["id"]
    await partner.done("POST", f"/v1/mailbox/{delivery}/ack")
    return partner


async def statuses(world: Any, partner: Any) -> list[Any]:
    """The statuses that a partner sent, in order."""
    query = sa.select(exchanges).where(exchanges.c.sender == partner.siret, exchanges.c.kind == "status")
    async with world.runtime.services.database.read() as tx:
        return list((await tx.execute(query.order_by(exchanges.c.version))).all())


async def test_an_appointment_follows_the_referral_of_its_person(world: Any) -> None:
    """A signed call becomes a status of the referral that was handed over, and reaches who sent it."""
    partner = await calling(world)
    answer = await call(world, partner, message(partner.person))
    assert 200 == answer.status_code, answer.text
    [exchange] = answer.json()["exchanges"]
    assert ("accepted", "99900001100018") == (exchange["state"], exchange["recipients"][0]["siret"])

    answer = await call(world, partner, message(partner.person, "seen"))
    assert "accepted" == answer.json()["exchanges"][0]["state"], answer.text
    sent = await statuses(world, partner)
    assert [(partner.referral, 1), (partner.referral, 2)] == [(each.about, each.version) for each in sent]


async def test_a_replayed_call_does_nothing_more(world: Any) -> None:
    """The same bytes again give the same answer; the same message written otherwise is recognised; a late one is refused."""
    partner = await calling(world)
    body = message(partner.person)
    first, again = await call(world, partner, body), await call(world, partner, body)
    assert first.json() == again.json()
    reworded = await call(world, partner, json.dumps(json.loads(body), indent=1).encode())
    assert "already_received" == reworded.json()["exchanges"][0]["state"]
    assert 1 == len(await statuses(world, partner))

    for age in (timedelta(days=3, minutes=1), timedelta(minutes=-11)):
        assert 409 == (await call(world, partner, message(partner.person, age=age))).status_code


async def test_only_the_right_secret_opens_the_door(world: Any) -> None:
    """Another's secret, an altered body, no signature, another system and none at all look alike."""
    partner, other = await calling(world), await calling(world)
    silent = await world.recipient()
    body = message(partner.person)
    door = f"/v1/hooks/{partner.client_id}"
    right = signed(partner.source["secret"], body)
    refusals = [
        await call(world, partner, body, other.source["secret"]),
        await world.http.post(door, content=body.replace(b"unknown", b"seen"), headers=right),
        await world.http.post(door, content=body, headers={"Content-Type": "application/json"}),
        await world.http.post(door, content=b"{", headers=right | {"X-RDVI-Signature": "é".encode()}),
        await world.http.post(f"/v1/hooks/{silent.client_id}", content=body, headers=right),
        await world.http.post("/v1/hooks/personne", content=body, headers=right),
    ]
    assert [401] * 6 == [each.status_code for each in refusals]
    assert 1 == len({each.json()["detail"] for each in refusals})
    assert not await statuses(world, partner)
    shown = await partner.done("GET", f"/v1/sources/{partner.client_id}")
    assert partner.source["secret"] not in json.dumps(shown) and shown["url"].endswith(door)
    await other.refused("GET", f"/v1/sources/{partner.client_id}", 404)


async def test_two_secrets_open_it_while_one_replaces_the_other(world: Any) -> None:
    """The agreed secret is replaced without a missed call, then no longer opens; a too short one is not taken."""
    partner = await calling(world)
    path = f"/v1/sources/{partner.client_id}/secret"
    agreed = "convenu-avec-l-equipe-de-rdv-insertion"
    await partner.done("POST", path, json={"secret": agreed})
    for number, secret in enumerate((partner.source["secret"], agreed), 2):
        assert 200 == (await call(world, partner, message(partner.person, number=number), secret)).status_code
    await partner.done("POST", path, json={"overlap_hours": 0})
    assert 401 == (await call(world, partner, message(partner.person, number=5), agreed)).status_code
    await partner.refused("POST", path, 422, json={"secret": "court"})


async def test_a_message_that_cannot_be_taken_is_set_aside(world: Any) -> None:
    """A signed message that no status can be made of is told, and kept apart sealed; one about nobody is only thanked for."""
    partner = await calling(world)
    nobody = message(partner.person).replace(b'"Rdv"', b'"Organisation"')
    assert {"documents": 0} == (await call(world, partner, nobody)).json()

    answer = await call(world, partner, message(partner.person).replace(b'"first_name"', b'"autre"'))
    assert 422 == answer.status_code
    async with world.runtime.services.database.read() as tx:
        row = (await tx.execute(sa.select(quarantine).where(quarantine.c.id == answer.json()["quarantine"]))).one()
    assert (partner.siret, "rdv-insertion-webhook") == (row.sender, row.adapter)


async def test_an_invitation_in_latin_1_is_read_as_it_was_signed(world: Any) -> None:
    """rdv-insertion sends some messages in Latin-1 and signs them in UTF-8: the signature says so, and the accent is right."""
    partner = await calling(world)
    body = message(partner.person).replace(b"Camille", "Camille Zoé".encode())
    headers = signed(partner.source["secret"], body)
    sent = body.decode().encode("latin-1")
    answer = await world.http.post(f"/v1/hooks/{partner.client_id}", content=sent, headers=headers)
    assert 200 == answer.status_code, answer.text


def checked(receiver_call: Call, secret: str) -> dict[str, Any]:
    """A call that is signed as rdv-insertion signs, and in its form."""
    expected = hmac.new(secret.encode(), receiver_call.body, hashlib.sha256).hexdigest()
    assert expected == receiver_call.headers["x-rdvi-signature"]
    event = dict(json.loads(receiver_call.body))
    assert {"data", "meta"} == event.keys() and {"model", "event", "timestamp"} == event["meta"].keys()
    datetime.strptime(event["meta"]["timestamp"], "%Y-%m-%d %H:%M:%S %z")
    return event


async def test_what_leaves_has_the_form_of_rdv_insertion(world: Any, receiver: Receiver) -> None:
    """A system that reads rdv-insertion's calls checks and reads ours; while a secret is replaced, the one it has is found."""
    recipient = await world.recipient("rdv-insertion-webhook")
    await world.allow(recipient, receiver.port)
    body = {"transport": "webhook", "settings": {"url": receiver.url, "form": "rdv-insertion"}}
    secret = (await recipient.done("PUT", f"/v1/endpoints/{recipient.client_id}", json=body))["secret"]
    await world.becomes(await world.send(recipient), "acknowledged")
    event = checked(receiver.calls[0], secret)
    assert ("Referral", "rsa") == (event["meta"]["model"], event["data"]["rights"][0]["right"])

    def only_the_first(seen: Call) -> Any:
        right = hmac.new(secret.encode(), seen.body, hashlib.sha256).hexdigest()
        return (204 if seen.headers["x-rdvi-signature"] == right else 401), {}, b""

    receiver.answer = only_the_first
    await recipient.done("POST", f"/v1/endpoints/{recipient.client_id}/secret", json={})
    await world.becomes(await world.send(recipient), "acknowledged")
    wrong = {"transport": "webhook", "settings": {"url": receiver.url, "form": "autre"}}
    await recipient.refused("PUT", f"/v1/endpoints/{recipient.client_id}", 422, json=wrong)
