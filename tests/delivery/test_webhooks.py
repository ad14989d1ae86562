"""
Webhooks, seen by the system that is called: a real HTTPS server, and the libraries of others that check what it gets.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from http_message_signatures import HTTPMessageVerifier, HTTPSignatureKeyResolver, InvalidSignature
from http_message_signatures.algorithms import ED25519
from joserfc.jwk import OKPKey
from standardwebhooks import Webhook, WebhookVerificationError

from gateway.store.tables import delivery_attempts, endpoints
from ops.services.authority import Authority
from ops.services.receiver import Call, Receiver, receiving

pytestmark = pytest.mark.anyio

NAME = "logiciel.valombre.example"
QUICK = {"first_seconds": 1, "longest_seconds": 1}


@pytest.fixture
async def receiver(authority: Authority) -> AsyncIterator[Receiver]:
    """A partner's server."""
    async with receiving(Receiver(NAME), authority.context(NAME)) as receiver:
        yield receiver


async def called(world: Any, receiver: Receiver, **body: Any) -> Any:
    """A recipient whose system is called, and the answer to its setting."""
    recipient = await world.recipient()
    await world.allow(recipient, receiver.port)
    body = {"transport": "webhook", "settings": {"url": receiver.url}, "policy": QUICK} | body
    recipient.set = await recipient.done("PUT", f"/v1/endpoints/{recipient.client_id}", json=body)
    return recipient


async def test_a_delivery_is_called_and_its_answer_acknowledges(world: Any, receiver: Receiver) -> None:
    """What arrives is what the mailbox would give, and the partner's 2xx closes it."""
    recipient = await called(world, receiver)
    delivery = await world.send(recipient)
    await world.becomes(delivery, "acknowledged")

    [call] = receiver.calls
    assert ("POST", "/recevoir") == (call.method, call.path) and f"{NAME}:{receiver.port}" == call.headers["host"]
    assert "org.trait-dunion.delivery.v1" == call.event["type"]
    data = call.event["data"]
    assert {"id": delivery, "kind": "referral", "from": "99900001100018"}.items() <= data.items()
    assert "rsa" == data["document"]["rights"][0]["right"]
    assert ["disclosure_made", "disclosure_acknowledged"] == [
        event.type.value for event in await world.events(delivery)
    ]
    shown = await recipient.done("GET", f"/v1/endpoints/{recipient.client_id}")
    assert "secret" not in json.dumps(shown) and shown["last_success_at"]


async def test_signatures_are_those_of_standard_webhooks(world: Any, receiver: Receiver) -> None:
    """The Standard Webhooks library accepts the call with the secret given once, and no altered one."""
    recipient = await called(world, receiver)
    await world.becomes(await world.send(recipient), "acknowledged")
    [call] = receiver.calls
    webhook = Webhook(recipient.set["secret"])

    assert call.event == webhook.verify(call.body, call.headers)
    assert call.event["data"]["id"] == call.headers["webhook-id"]
    with pytest.raises(WebhookVerificationError):
        webhook.verify(call.body.replace(b"rsa", b"asi"), call.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_" + "A" * 44).verify(call.body, call.headers)


async def test_the_npm_library_accepts_what_we_send(world: Any, receiver: Receiver, partner_program: Any) -> None:
    """Standard Webhooks in JavaScript reads the same event, and refuses an altered one."""
    recipient = await called(world, receiver)
    await world.becomes(await world.send(recipient), "acknowledged")
    [call] = receiver.calls
    asked = {"secret": recipient.set["secret"], "headers": call.headers, "body": call.body.decode()}

    assert {"accepted": call.event} == await asyncio.to_thread(partner_program, asked)
    altered = asked | {"body": asked["body"].replace("rsa", "asi")}
    assert "accepted" not in await asyncio.to_thread(partner_program, altered)


async def test_signatures_are_those_of_rfc_9421(world: Any, receiver: Receiver) -> None:
    """Another library accepts the call with the key that the gateway publishes: method, address, body and type are covered."""
    recipient = await called(world, receiver)
    await world.becomes(await world.send(recipient), "acknowledged")
    [call] = receiver.calls
    answer = await world.http.get("/.well-known/http-message-signatures-directory")
    published = answer.json()["keys"]

    class Published(HTTPSignatureKeyResolver):
        def resolve_public_key(self, key_id: str) -> Any:
            [jwk] = [each for each in published if each["kid"] == key_id]
            return OKPKey.import_key(jwk).get_op_key("verify")

    @dataclass
    class Request:
        method: str
        url: str
        headers: dict[str, str]

    def verify(body: bytes, **changes: Any) -> None:
        seen = {"method": call.method, "url": receiver.url, "headers": call.headers} | changes
        HTTPMessageVerifier(signature_algorithm=ED25519, key_resolver=Published()).verify(
            Request(**seen),
            body=body,
            expect_tag="trait-dunion",
            max_age=timedelta(minutes=1),
            require_components=("@method", "@target-uri", "content-digest", "content-type", "webhook-id"),
        )

    verify(call.body)
    for changes in (
        {"url": receiver.url.replace("recevoir", "ailleurs")},
        {"method": "PUT"},
        {"headers": call.headers | {"webhook-id": "autre"}},
    ):
        with pytest.raises(InvalidSignature):
            verify(call.body, **changes)
    with pytest.raises(InvalidSignature):
        verify(call.body.replace(b"rsa", b"asi"))


async def test_two_secrets_are_valid_while_one_replaces_the_other(world: Any, receiver: Receiver) -> None:
    """During a rotation both secrets check each call; rotating again for a lost answer keeps the one in use; 0 h ends it."""
    recipient = await called(world, receiver)
    rotate = f"/v1/endpoints/{recipient.client_id}/secret"
    first = recipient.set["secret"]
    lost = (await recipient.done("POST", rotate, json={}))["secret"]
    second = (await recipient.done("POST", rotate, json={"overlap_hours": 24}))["secret"]
    await world.becomes(await world.send(recipient), "acknowledged")
    call = receiver.calls[-1]

    for secret in (first, second):
        Webhook(secret).verify(call.body, call.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(lost).verify(call.body, call.headers)
    third = (await recipient.done("POST", rotate, json={"overlap_hours": 0}))["secret"]
    await world.becomes(await world.send(recipient), "acknowledged")
    call = receiver.calls[-1]
    Webhook(third).verify(call.body, call.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(first).verify(call.body, call.headers)


async def test_an_outage_rests_the_endpoint_and_loses_nothing(world: Any, receiver: Receiver, eventually: Any) -> None:
    """While the system answers 503, it is tried with a few; afterwards everything arrives, and nothing was set aside."""
    recipient = await called(world, receiver)
    receiver.answer = lambda _call: (503, {"Retry-After": "1"}, b"en maintenance")
    sent = [await world.send(recipient) for _ in range(6)]

    async def failing() -> bool:
        return bool((await recipient.done("GET", f"/v1/endpoints/{recipient.client_id}"))["failures_in_a_row"] >= 2)

    await eventually(failing)
    assert len(receiver.calls) <= 12, "a system that fails is not called for everything that waits"
    receiver.answer = lambda _call: (200, {}, b"")
    for delivery in sent:
        await world.becomes(delivery, "acknowledged")
    row = await world.row(sent[0])
    assert (row.refusals, row.state) == (0, "acknowledged")
    shown = await recipient.done("GET", f"/v1/endpoints/{recipient.client_id}")
    assert 0 == shown["failures_in_a_row"]


async def test_what_makes_the_system_fail_alone_is_set_aside(world: Any, receiver: Receiver) -> None:
    """A delivery that breaks a system that works otherwise is abandoned after its tries, and rests nobody."""
    recipient, person = await called(world, receiver, policy=QUICK | {"refusals": 2}), world.person()

    def answer(call: Call) -> tuple[int, dict[str, str], bytes]:
        spoilt = call.event["data"]["document"]["subject"].get("birth_name") == person["birth_name"]
        return (500, {}, b"") if spoilt else (200, {}, b"")

    receiver.answer = answer
    await world.becomes(await world.send(recipient), "acknowledged")
    poison = await world.send(recipient, person)
    while (await world.row(poison)).state != "abandoned":
        await world.becomes(await world.send(recipient), "acknowledged")
    assert "http_500" == (await world.row(poison)).last_error
    assert "disclosure_abandoned" == (await world.events(poison))[-1].type.value


async def test_a_system_that_wants_no_call_is_suspended(
    world: Any, receiver: Receiver, authority: Authority, eventually: Any
) -> None:
    """410 suspends at once: the ledger and the partner's other address are told, and what comes waits in the mailbox."""
    async with receiving(Receiver(NAME), authority.context(NAME)) as notices:
        recipient = await world.recipient()
        await world.allow(recipient, receiver.port, notices.port)
        settings = {"url": receiver.url, "notice_url": notices.url}
        path = f"/v1/endpoints/{recipient.client_id}"
        await recipient.done("PUT", path, json={"transport": "webhook", "settings": settings})
        receiver.answer = lambda _call: (410, {}, b"")
        delivery = await world.send(recipient)

        async def noticed() -> bool:
            return bool(notices.calls)

        await eventually(noticed)
        shown = await recipient.done("GET", path)
        assert ("suspended", "http_410") == (shown["state"], shown["last_error"])
        assert "org.trait-dunion.endpoint-suspended.v1" == notices.calls[0].event["type"]
        [waiting] = (await recipient.done("GET", "/v1/mailbox?wait=5"))["deliveries"]
        assert delivery == waiting["id"]
        await recipient.done("POST", f"/v1/mailbox/{delivery}/ack")
        receiver.answer = lambda _call: (200, {}, b"")
        await recipient.done("POST", f"{path}/resume")
        await world.becomes(await world.send(recipient), "acknowledged")


async def test_a_test_event_tells_what_the_system_answered(world: Any, receiver: Receiver) -> None:
    """The test is signed like the rest and about nobody; its outcome is answered, and kept among the attempts."""
    recipient = await called(world, receiver)
    receiver.answer = lambda _call: (202, {}, b"merci")
    told = await recipient.done("POST", f"/v1/endpoints/{recipient.client_id}/test")

    assert ("taken", "http_202", "merci") == (told["outcome"], told["code"], told["reply"])
    [call] = receiver.calls
    assert "org.trait-dunion.test.v1" == call.event["type"]
    Webhook(recipient.set["secret"]).verify(call.body, call.headers)
    async with world.runtime.services.database.read() as tx:
        query = sa.select(delivery_attempts).where(delivery_attempts.c.client_id == recipient.client_id)
        [row] = (await tx.execute(query)).all()
    assert (None, "taken") == (row.delivery_id, row.outcome)


async def test_a_redirection_is_not_followed(world: Any, receiver: Receiver, eventually: Any) -> None:
    """Sending us elsewhere is a failure of the endpoint: nothing is called but what was checked."""
    recipient = await called(world, receiver)
    receiver.answer = lambda _call: (307, {"Location": f"https://{NAME}:{receiver.port}/ailleurs"}, b"")
    await world.send(recipient)

    async def failed() -> bool:
        return bool((await recipient.done("GET", f"/v1/endpoints/{recipient.client_id}"))["last_error"] == "http_307")

    await eventually(failed)
    assert {"/recevoir"} == {call.path for call in receiver.calls}


async def test_an_address_inside_is_refused_unless_the_operator_opened_it(world: Any, receiver: Receiver) -> None:
    """A partner cannot open anything: neither an odd port or name, nor a public name that leads inside."""
    recipient = await world.recipient()
    path = f"/v1/endpoints/{recipient.client_id}"
    for url in (receiver.url, "http://logiciel.valombre.example/", "https://127.0.0.1/", "https://localhost/", 3, None):
        body = {"transport": "webhook", "settings": {"url": url}}
        problem = await recipient.refused("PUT", path, 422, json=body)
        assert "endpoint_invalid" == problem["code"]
    body = {"transport": "webhook", "settings": {"url": f"https://{NAME}/"}}
    await recipient.done("PUT", path, json=body)
    told = await recipient.done("POST", f"{path}/test")
    assert ("failed", "address_refused") == (told["outcome"], told["code"])
    assert [] == receiver.calls


async def test_what_is_set_wrongly_is_refused_with_what_is_possible(world: Any, receiver: Receiver) -> None:
    """Unknown transports, settings, kinds and policies are named, with what may be given."""
    recipient = await world.recipient()
    path = f"/v1/endpoints/{recipient.client_id}"
    for body in (
        {},
        {"transport": "pigeon"},
        {"transport": "webhook", "settings": {"url": f"https://{NAME}/", "secret": "whsec_x"}},
        {"transport": "webhook", "settings": {"url": f"https://{NAME}/"}, "kinds": ["convention"]},
        {"transport": "webhook", "settings": {"url": f"https://{NAME}/"}, "kinds": []},
        {"transport": "webhook", "settings": {"url": f"https://{NAME}/"}, "policy": {"refusals": 0}},
        {"transport": "webhook", "settings": {"url": f"https://{NAME}/"}, "policy": {"refusals": True}},
        {"transport": "webhook", "settings": {"url": f"https://{NAME}/"}, "policy": {"patience": 3}},
    ):
        problem = await recipient.refused("PUT", path, 422, json=body)
        assert "endpoint_invalid" == problem["code"] and problem["detail"].endswith(".")
    await recipient.refused("PUT", path, 400, json={"transport": "pull", "owner": "x"})
    assert "pull" == (await recipient.done("GET", path))["transport"]
    await recipient.refused("POST", f"{path}/test", 409)


async def test_another_partner_sees_and_sets_nothing(world: Any, receiver: Receiver) -> None:
    """A system of another organisation answers exactly as one that does not exist."""
    recipient, other = await called(world, receiver), await world.recipient()
    for client_id in (recipient.client_id, "inconnu"):
        path = f"/v1/endpoints/{client_id}"
        body = {"transport": "pull"}
        seen = [
            await other.refused("GET", path, 404),
            await other.refused("PUT", path, 404, json=body),
            *[await other.refused("POST", f"{path}/{verb}", 404) for verb in ("test", "resume", "suspend")],
            await other.refused("POST", f"{path}/secret", 404, json={}),
        ]
        assert {"not_found"} == {problem["code"] for problem in seen}
    listed = (await other.done("GET", "/v1/endpoints"))["endpoints"]
    assert [other.client_id] == [each["client_id"] for each in listed]


async def test_secrets_are_sealed(world: Any, receiver: Receiver) -> None:
    """No column holds a secret in clear."""
    recipient = await called(world, receiver)
    async with world.runtime.services.database.read() as tx:
        row = (await tx.execute(sa.select(endpoints).where(endpoints.c.client_id == recipient.client_id))).one()
    assert recipient.set["secret"].startswith("whsec_")
    assert recipient.set["secret"] not in repr(tuple(row)) and recipient.set["secret"][6:].encode() not in row.sealed
