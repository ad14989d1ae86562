"""
AMQP, seen by the partner: its own queue on the real broker, messages that only its key opens, answers by message.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aio_pika
import pytest
from aio_pika.abc import AbstractIncomingMessage
from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

pytestmark = pytest.mark.anyio

REGISTRY = jwe.JWERegistry(algorithms=["ECDH-ES+A256KW", "RSA-OAEP-256", "A256GCM"])


@pytest.fixture
async def channel(amqp_url: str) -> AsyncIterator[aio_pika.abc.AbstractChannel]:
    """What the partners' software uses."""
    connection = await aio_pika.connect(amqp_url)
    async with connection, connection.channel() as channel:
        yield channel


class Queue:
    """A partner's software: its key, its queue and its way to answer."""

    def __init__(self, recipient: Any, key: Any, channel: Any, settings: dict[str, Any]) -> None:
        self.recipient, self.key, self.channel, self.settings = recipient, key, channel, settings

    async def take(self, seconds: float = 20) -> AbstractIncomingMessage:
        """The next message, not acknowledged to the broker yet."""
        queue = await self.channel.get_queue(self.settings["queue"], ensure=False)
        async with asyncio.timeout(seconds):
            while True:
                if (message := await queue.get(fail=False)) is not None:
                    return message
                await asyncio.sleep(0.05)

    def read(self, message: AbstractIncomingMessage) -> dict[str, Any]:
        """Decrypt a message."""
        return dict(json.loads(jwe.decrypt_compact(message.body, self.key, registry=REGISTRY).plaintext))

    async def answer(self, body: Any) -> None:
        """Publish an answer."""
        exchange = await self.channel.get_exchange(self.settings["answers"], ensure=False)
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        await exchange.publish(aio_pika.Message(raw), routing_key="")


async def served(world: Any, channel: Any, key: Any) -> Queue:
    """A recipient with a queue of its own, encrypted to a key."""
    recipient = await world.recipient()
    body = {"transport": "amqp", "settings": {"key": key.as_dict(private=False)}}
    shown = await recipient.done("PUT", f"/v1/endpoints/{recipient.client_id}", json=body)
    assert 2 == len(shown["commands"]) and shown["settings"]["queue"] in shown["commands"][1].replace("\\", "")
    assert "taken" == (await recipient.done("POST", f"/v1/endpoints/{recipient.client_id}/test"))["outcome"]
    partner = Queue(recipient, key, channel, shown["settings"])
    message = await partner.take()
    assert recipient.client_id == partner.read(message)["client_id"]
    await message.ack()
    return partner


@pytest.mark.parametrize("world", ["production"], indirect=True)
@pytest.mark.parametrize("make", [lambda: ECKey.generate_key("P-256"), lambda: RSAKey.generate_key(2048)])
async def test_a_message_opens_with_the_partners_key_only(world: Any, channel: Any, make: Any) -> None:
    """The document arrives encrypted, persistent, under the id of its delivery; the answer closes it."""
    partner = await served(world, channel, make())
    delivery = await world.send(partner.recipient)
    message = await partner.take()
    try:
        assert (delivery, "application/jose") == (message.message_id, message.content_type)
        assert aio_pika.DeliveryMode.PERSISTENT == message.delivery_mode and message.expiration
        told = partner.read(message)
        assert delivery == told["id"] and "rsa" == told["document"]["rights"][0]["right"]
        assert b"rsa" not in message.body
        with pytest.raises(JoseError):
            jwe.decrypt_compact(message.body, ECKey.generate_key("P-256"), registry=REGISTRY)
        await message.ack()
        assert "leased" == (await world.row(delivery)).state
        await partner.answer({"delivery": delivery, "answer": "ack"})
        await world.becomes(delivery, "acknowledged")
    finally:
        await _remove(channel, partner)


@pytest.mark.parametrize("world", ["production"], indirect=True)
async def test_a_node_client_takes_decrypts_and_answers(
    world: Any, channel: Any, amqp_url: str, partner_program: Any
) -> None:
    """amqplib and jose, which nobody here wrote, are enough to be a partner."""
    key = ECKey.generate_key("P-256")
    partner = await served(world, channel, key)
    asked = {"url": amqp_url, "key": key.as_dict(private=True), **partner.settings}
    asked["key"] = key.as_dict(private=True)
    try:
        taken, refused = await world.send(partner.recipient), await world.send(partner.recipient)
        seen = await asyncio.to_thread(partner_program, asked)
        assert ("ECDH-ES+A256KW", "A256GCM") == (seen["header"]["alg"], seen["header"]["enc"])
        assert taken == seen["document"]["id"] and "rsa" == seen["document"]["document"]["rights"][0]["right"]
        await world.becomes(taken, "acknowledged")
        await asyncio.to_thread(partner_program, asked | {"reason": "not_for_us"})
        await world.becomes(refused, "rejected")
        assert "not_for_us" == (await world.row(refused)).last_error
    finally:
        await _remove(channel, partner)


@pytest.mark.parametrize("world", ["production"], indirect=True)
async def test_refusals_and_nonsense(world: Any, channel: Any) -> None:
    """A refusal is recorded with its reason; an answer that is none, or about somebody else's delivery, changes nothing."""
    partner = await served(world, channel, ECKey.generate_key("P-256"))
    other = await served(world, channel, ECKey.generate_key("P-256"))
    try:
        first, second = await world.send(partner.recipient), await world.send(other.recipient)
        for each in (partner, other):
            await (await each.take()).ack()
        for nonsense in (
            b"",
            b"\xff",
            b"[]",
            b'{"delivery": 3, "answer": "ack"}',
            {"delivery": second, "answer": "perhaps"},
        ):
            await partner.answer(nonsense)
        await partner.answer({"delivery": second, "answer": "ack"})
        await partner.answer({"delivery": first, "answer": "nack", "reason": "unknown_person"})
        await world.becomes(first, "rejected")
        assert "unknown_person" == (await world.row(first)).last_error
        assert "leased" == (await world.row(second)).state
    finally:
        await _remove(channel, partner)
        await _remove(channel, other)


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
    assert "pull, sftp, webhook" in problem["detail"]


async def _remove(channel: Any, partner: Queue) -> None:
    await channel.queue_delete(partner.settings["queue"])
    await channel.queue_delete(partner.settings["answers"])
    await channel.exchange_delete(partner.settings["answers"])
