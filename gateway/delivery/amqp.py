"""
AMQP: each partner has a queue of its own on the gateway's broker, and gets what is for it encrypted to its key (JWE).

    PREFIX.partner.CLIENT            its queue: it may read it, and nothing else
    PREFIX.partner.CLIENT.answers    the exchange where it answers: it may write there, and nowhere else

A message is a compact JWE (RFC 7516) of what the mailbox would give; its `message_id` is the delivery. The answer is a JSON
object, `{"delivery": ID, "answer": "ack"}` or `{…, "answer": "nack", "reason": a word of the mailbox's}`. A message that is
not answered within an hour leaves the queue by itself, and the delivery is published again.

The operator makes the partner's account with the three commands that `configure` shows: the permissions are the broker's own
regular expressions, so that one partner can neither take, read nor remove what is another's.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from time import monotonic
from typing import Any, Final

import orjson
from aio_pika import DeliveryMode, ExchangeType, Message, RobustConnection
from aio_pika.abc import AbstractChannel, AbstractQueue
from joserfc import jwe
from joserfc.jwe import JWERegistry
from joserfc.jwk import ECKey, Key

from gateway.auth.keys import has_private_member, import_public
from gateway.bus.base import cancelled_for_real
from gateway.bus.broker import AWAY, Broker, close
from gateway.bus.broker import Outcome as Published
from gateway.delivery.base import Answer, Configuration, Endpoint, Outcome, Result, invalid, only
from gateway.delivery.webhook import DELIVERED, TEST
from gateway.handover import NACK_REASONS, Handover
from gateway.store.database import instant

_log = logging.getLogger(__name__)

_MAX_LENGTH: Final = 10_000
"""Messages that a partner's queue holds before it refuses more; the rest waits in the database."""
_ANSWERS: Final = 500
_JWE: Final = JWERegistry(algorithms=["ECDH-ES+A256KW", "RSA-OAEP-256", "A256GCM"])
_FAILURES: Final = {
    Published.REFUSED: "queue_full",
    Published.UNROUTABLE: "unroutable",
    Published.UNREADABLE: "unreadable",
    Published.LOST: "unreachable",
}


class AmqpTransport:
    """The contract `gateway.delivery.base.Transport` over the broker of the bus."""

    batch = 64
    patience = timedelta(hours=1)
    look_every = timedelta(seconds=1)

    def __init__(self, url: str, prefix: str, source: str, clock: Callable[[], datetime]) -> None:
        """`prefix` begins the names on the broker; `source` is the gateway's issuer."""
        self._broker = Broker(url, prefix, delivery_limit=0, timeout=5)
        self._source = source
        self._clock = clock
        self._opening = asyncio.Lock()
        self._connection: RobustConnection | None = None
        self._channel: AbstractChannel | None = None
        self._declared: dict[str, AbstractQueue] = {}

    def configure(self, asked: Mapping[str, Any], current: Endpoint) -> Configuration:
        """See `Transport.configure`: takes `key`, the public JWK that messages are encrypted to; says how to open the account."""
        only(asked, "key")
        key = _public(asked.get("key"))
        queue, answers = self._names(current.client_id)
        vhost = re.sub(r"^amqps?://[^/]*/?", "", self._broker.url).partition("?")[0] or "/"
        exact_queue, exact_answers = (f"^{re.escape(name)}$".replace("\\-", "-") for name in (queue, answers))
        commands = [
            f"rabbitmqctl add_user {current.client_id}",
            f"rabbitmqctl set_permissions --vhost '{vhost}' {current.client_id} '^$' '{exact_answers}' '{exact_queue}'",
        ]
        settings = {"key": key, "queue": queue, "answers": answers}
        return Configuration(settings, {}, {"commands": commands})

    def rotate(self, current: Endpoint, overlap: timedelta) -> Configuration:
        """See `Transport.rotate`: the key is the partner's, and replaced by setting the endpoint again."""
        raise invalid(
            "La clé est celle du partenaire : réglez de nouveau la remise avec la nouvelle",
            "The key is the partner's: set the endpoint again with the new one",
        )

    async def hand_over(self, endpoint: Endpoint, handed: Handover) -> Mapping[str, Outcome]:
        """See `Transport.hand_over`: all published at once, each with the broker's word."""
        contents = {parcel.taken.delivery_id: parcel.shown() for parcel in handed.parcels}
        outcomes = await asyncio.gather(
            *(self._publish(endpoint, ident, DELIVERED, content) for ident, content in contents.items())
        )
        return dict(zip(contents, outcomes, strict=True))

    async def collect(self, endpoint: Endpoint) -> Sequence[Answer]:
        """See `Transport.collect`: takes what the partner published; what cannot be read is dropped, and told in the log."""
        found: list[Answer] = []
        try:
            async with asyncio.timeout(self._broker.timeout):
                await self._ready(endpoint.client_id)
                answers = self._declared[endpoint.client_id]
                while len(found) < _ANSWERS and (raw := await answers.get(fail=False)) is not None:
                    about, refusal = _read(raw.body)
                    if about is None:
                        _log.warning("amqp.answer_unreadable", extra={"client_id": endpoint.client_id})
                        await raw.ack()
                        continue
                    found.append(Answer(about, refusal, raw.ack))
        except asyncio.CancelledError:
            if cancelled_for_real():
                raise
            await self._reset()
        except AWAY as error:
            _log.warning("amqp.away", extra={"error": type(error).__name__})
            await self._reset()
        return found

    async def test(self, endpoint: Endpoint) -> Outcome:
        """See `Transport.test`: a message about nobody, that the broker confirms."""
        now = self._clock()
        ident = f"test-{int(now.timestamp() * 1000)}"
        data = {"client_id": endpoint.client_id, "sent_at": instant(now)}
        outcome = await self._publish(endpoint, ident, TEST, data)
        if outcome.result is Result.WAITS:
            return Outcome(Result.TAKEN, outcome.code, milliseconds=outcome.milliseconds)
        return outcome

    async def tell_suspended(self, endpoint: Endpoint) -> Outcome | None:
        """See `Transport.tell_suspended`: there is nowhere else to tell it."""
        return None

    async def close(self) -> None:
        """See `Transport.close`."""
        await self._reset()

    async def _publish(self, endpoint: Endpoint, ident: str, kind: str, data: Mapping[str, Any]) -> Outcome:
        began = monotonic()
        message = Message(
            encrypted(orjson.dumps(data), endpoint.settings["key"]),
            content_type="application/jose",
            delivery_mode=DeliveryMode.PERSISTENT,
            message_id=ident,
            type=kind,
            expiration=self.patience,
            headers={"ce-specversion": "1.0", "ce-id": ident, "ce-type": kind, "ce-source": self._source},
        )
        try:
            async with asyncio.timeout(self._broker.timeout):
                channel = await self._ready(endpoint.client_id)
        except AWAY:
            published = Published.LOST
        else:
            published = await self._broker.publish(channel, message, endpoint.settings["queue"])
        took = int((monotonic() - began) * 1000)
        if published is Published.CONFIRMED:
            return Outcome(Result.WAITS, "confirmed", milliseconds=took)
        if published in (Published.LOST, Published.UNROUTABLE):
            await self._reset()
        return Outcome(Result.FAILED, _FAILURES[published], milliseconds=took)

    async def _ready(self, client_id: str) -> AbstractChannel:
        """Give the channel, opened and the partner's names declared if need be; raises one of `AWAY`."""
        async with self._opening:
            if self._channel is None or self._channel.is_closed:
                self._declared.clear()
                if self._connection is None:
                    self._connection = await self._broker.connect()
                self._channel = self._connection.channel(publisher_confirms=True, on_return_raises=True)
                await self._channel.initialize()
            if client_id not in self._declared:
                self._declared[client_id] = await self._declare(self._channel, client_id)
            return self._channel

    async def _declare(self, channel: AbstractChannel, client_id: str) -> AbstractQueue:
        """Make the partner's queue, and the way back; gives the queue of its answers."""
        queue, answers = self._names(client_id)
        bounded: dict[str, Any] = {
            "x-queue-type": "quorum",
            "x-overflow": "reject-publish",
            "x-max-length": _MAX_LENGTH,
        }
        # Nothing is dropped because it was handed out often: a message leaves by its answer, or by its time.
        await channel.declare_queue(queue, durable=True, arguments=bounded | {"x-delivery-limit": 1_000_000})
        exchange = await channel.declare_exchange(answers, ExchangeType.FANOUT, durable=True)
        back = await channel.declare_queue(answers, durable=True, arguments=bounded | {"x-delivery-limit": 1_000_000})
        await back.bind(exchange)
        return back

    async def _reset(self) -> None:
        connection, self._connection, self._channel = self._connection, None, None
        self._declared.clear()
        if connection is not None:
            await close(connection)

    def _names(self, client_id: str) -> tuple[str, str]:
        queue = f"{self._broker.prefix}.partner.{client_id}"
        return queue, f"{queue}.answers"


def encrypted(content: bytes, jwk: Mapping[str, Any]) -> bytes:
    """Encrypt to a partner's public key: a compact JWE, A256GCM under ECDH-ES+A256KW or RSA-OAEP-256 (RFC 7518)."""
    key: Key = import_public(jwk)
    algorithm = "ECDH-ES+A256KW" if isinstance(key, ECKey) else "RSA-OAEP-256"
    header = {"alg": algorithm, "enc": "A256GCM", "cty": "application/json"}
    if "kid" in jwk:
        header["kid"] = jwk["kid"]
    return jwe.encrypt_compact(header, content, key, registry=_JWE).encode()


def _public(asked: object) -> dict[str, Any]:
    """Check the key of a partner, given as an object or as its text, and keep its public members."""
    try:
        jwk = json.loads(asked) if isinstance(asked, str) else asked
        if not isinstance(jwk, dict) or has_private_member(jwk) or jwk.get("use", "enc") != "enc":
            raise ValueError("not a public encryption key")
        key = import_public(jwk)
        if key.key_type not in ("EC", "RSA"):
            raise ValueError("no encryption with this type")
    except ValueError as error:
        raise invalid(
            "Donnez « key » : une clé publique de chiffrement (JWK) EC P-256, P-384, ou RSA de 2048 bits ou plus",
            "Give “key”: a public encryption key (JWK), EC P-256, P-384, or RSA of 2048 bits or more",
        ) from error
    kid = jwk.get("kid")
    named = {"kid": kid} if isinstance(kid, str) and 0 < len(kid) <= 128 else {}
    return {name: value for name, value in key.as_dict(private=False).items() if name != "kid"} | named


def _read(body: bytes) -> tuple[str | None, str | None]:
    """Read an answer: about which delivery, and why it was refused; (None, None) for what is no answer."""
    try:
        said = json.loads(body[:10_000])
        about, answer = said["delivery"], said["answer"]
    except (ValueError, KeyError, TypeError):
        return None, None
    if not isinstance(about, str) or answer not in ("ack", "nack"):
        return None, None
    if answer == "ack":
        return about, None
    reason = said.get("reason")
    return about, reason if reason in NACK_REASONS else "other"
