"""
AMQP, seen by the partner: its own queue on the real broker, messages that only its key opens, answers by message.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aio_pika
import pytest
from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey
from joserfc.util import urlsafe_b64decode

from ops.services.queue_owner import REGISTRY, QueueOwner

pytestmark = pytest.mark.anyio


@pytest.fixture
async def channel(amqp_url: str) -> AsyncIterator[aio_pika.abc.AbstractChannel]:
    """What the partners' software uses."""
    connection = await aio_pika.connect(amqp_url)
    async with connection, connection.channel() as channel:
        yield channel


async def served(world: Any, channel: Any, key: Any) -> tuple[Any, QueueOwner]:
    """A recipient with a queue of its own, encrypted to a key."""
    recipient = await world.recipient()
    body = {"transport": "amqp", "settings": {"key": key.as_dict(private=False)}}
    shown = await recipient.done("PUT", f"/v1/endpoints/{recipient.client_id}", json=body)
    assert 2 == len(shown["commands"]) and shown["settings"]["queue"] in shown["commands"][1].replace("\\", "")
    assert "taken" == (await recipient.done("POST", f"/v1/endpoints/{recipient.client_id}/test"))["outcome"]
    partner = QueueOwner(key, channel, shown["settings"]["queue"], shown["settings"]["answers"])
    message = await partner.take()
    assert recipient.client_id == partner.read(message)["client_id"]
    await message.ack()
    return recipient, partner


@pytest.mark.parametrize("world", ["production"], indirect=True)
@pytest.mark.parametrize("make", [lambda: ECKey.generate_key("P-256"), lambda: RSAKey.generate_key(2048)])
async def test_a_message_opens_with_the_partners_key_only(world: Any, channel: Any, make: Any) -> None:
    """The document arrives encrypted, persistent, under the id of its delivery; the answer closes it."""
    recipient, partner = await served(world, channel, make())
    delivery = await world.send(recipient)
    message = await partner.take()
    try:
        assert (delivery, "application/jose") == (message.message_id, message.content_type)
        assert aio_pika.DeliveryMode.PERSISTENT == message.delivery_mode and message.expiration
        told = partner.read(message)
        assert delivery == told["id"] and "rsa" == told["document"]["rights"][0]["right"]
        parts = [urlsafe_b64decode(part) for part in message.body.split(b".")]
        assert 5 == len(parts) and not any(b"birth_name" in part for part in [message.body, *parts])
        with pytest.raises(JoseError):
            jwe.decrypt_compact(message.body, ECKey.generate_key("P-256"), registry=REGISTRY)
        await message.ack()
        assert "leased" == (await world.row(delivery)).state
        await partner.answer({"delivery": delivery, "answer": "ack"})
        await world.becomes(delivery, "acknowledged")
    finally:
        await partner.remove()


@pytest.mark.parametrize("world", ["production"], indirect=True)
async def test_a_node_client_takes_decrypts_and_answers(
    world: Any, channel: Any, amqp_url: str, partner_program: Any
) -> None:
    """amqplib and jose, which nobody here wrote, are enough to be a partner."""
    key = ECKey.generate_key("P-256")
    recipient, partner = await served(world, channel, key)
    asked = {"url": amqp_url, "key": key.as_dict(private=True), "queue": partner.queue, "answers": partner.answers}
    try:
        taken, refused = await world.send(recipient), await world.send(recipient)
        seen = await asyncio.to_thread(partner_program, asked)
        assert ("ECDH-ES+A256KW", "A256GCM") == (seen["header"]["alg"], seen["header"]["enc"])
        assert taken == seen["document"]["id"] and "rsa" == seen["document"]["document"]["rights"][0]["right"]
        await world.becomes(taken, "acknowledged")
        await asyncio.to_thread(partner_program, asked | {"reason": "not_for_us"})
        await world.becomes(refused, "rejected")
        assert "not_for_us" == (await world.row(refused)).last_error
    finally:
        await partner.remove()


@pytest.mark.parametrize("world", ["production"], indirect=True)
async def test_an_answer_that_is_none_changes_nothing(world: Any, channel: Any) -> None:
    """What cannot be read is dropped, and the next answer is recorded."""
    recipient, partner = await served(world, channel, ECKey.generate_key("P-256"))
    try:
        delivery = await world.send(recipient)
        await (await partner.take()).ack()
        told = {"delivery": delivery, "answer": "perhaps"}
        for nonsense in (b"", b"\xff", b"[]", b'{"delivery": 3, "answer": "ack"}', told):
            await partner.answer(nonsense)
        await partner.answer({"delivery": delivery, "answer": "nack", "reason": "unknown_person"})
        await world.becomes(delivery, "rejected")
        assert "unknown_person" == (await world.row(delivery)).last_error
    finally:
        await partner.remove()


@pytest.mark.parametrize("world", ["production"], indirect=True)
async def test_keys_are_checked(world: Any) -> None:
    """A private key, a signing key, a small or unknown one are refused."""
    recipient = await world.recipient()
    for key in (
        ECKey.generate_key("P-256").as_dict(private=True),
        ECKey.generate_key("P-256").as_dict(private=False) | {"use": "sig"},
        {"kty": "oct", "k": "AAAA"},
        "{",
        None,
    ):
        body = {"transport": "amqp", "settings": {"key": key}}
        problem = await recipient.refused("PUT", f"/v1/endpoints/{recipient.client_id}", 422, json=body)
        assert "endpoint_invalid" == problem["code"]


@pytest.mark.parametrize("world", ["embedded"], indirect=True)
async def test_without_a_broker_it_is_not_offered(world: Any) -> None:
    """A gateway on its embedded bus says which ways it has."""
    recipient = await world.recipient()
    body = {"transport": "amqp", "settings": {"key": ECKey.generate_key("P-256").as_dict(private=False)}}
    problem = await recipient.refused("PUT", f"/v1/endpoints/{recipient.client_id}", 422, json=body)
    assert "pull, hubee, sftp, webhook" in problem["detail"]
