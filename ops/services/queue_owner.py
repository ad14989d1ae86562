"""
A partner's software on its own queue of the broker (AMQP), for the tests: takes, decrypts with its key, answers.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any, Final

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage
from joserfc import jwe
from joserfc.jwk import Key

REGISTRY: Final = jwe.JWERegistry(algorithms=["ECDH-ES+A256KW", "RSA-OAEP-256", "A256GCM"])


@dataclass(slots=True)
class QueueOwner:
    """The partner's key, and the names that the gateway gave: `queue` to read, `answers` to publish to."""

    key: Key = field(repr=False)
    channel: AbstractChannel
    queue: str
    answers: str

    async def take(self, seconds: float = 20) -> AbstractIncomingMessage:
        """The next message, not acknowledged to the broker yet; raises `TimeoutError`."""
        async with asyncio.timeout(seconds):
            while True:
                if (message := await self.take_now()) is not None:
                    return message
                await asyncio.sleep(0.05)

    async def take_now(self) -> AbstractIncomingMessage | None:
        """The next message if one is there."""
        queue = await self.channel.get_queue(self.queue, ensure=False)
        return await queue.get(fail=False)

    def read(self, message: AbstractIncomingMessage) -> dict[str, Any]:
        """Decrypt a message."""
        return dict(json.loads(jwe.decrypt_compact(message.body, self.key, registry=REGISTRY).plaintext or b""))

    async def answer(self, body: Any) -> None:
        """Publish an answer: a JSON object, or bytes as they are."""
        exchange = await self.channel.get_exchange(self.answers, ensure=False)
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        await exchange.publish(aio_pika.Message(raw), routing_key="")

    async def remove(self) -> None:
        """Delete the names from the broker."""
        await self.channel.queue_delete(self.queue)
        await self.channel.queue_delete(self.answers)
        await self.channel.exchange_delete(self.answers)
