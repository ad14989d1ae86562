"""
The messages that the gateway sends and takes, described for machines: AsyncAPI 3, made from the shared language's catalogue.

What is described is what partners meet: the webhook that calls them, their queue on the broker and the way to answer. Each
kind of document has its message, whose `document` is that of its published schema.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from gateway.delivery.signing import DIRECTORY
from gateway.delivery.webhook import DELIVERED, SUSPENDED, TEST
from gateway.handover import NACK_REASONS
from schemas import Kind
from schemas.catalogue import schema_path
from schemas.registry import schema

_KINDS: Final = (Kind.REFERRAL, Kind.BILAN, Kind.STATUS, Kind.CONSENT)
_TEXT: Final = {"type": "string"}
_TIME: Final = {"type": "string", "format": "date-time"}
_SIRET: Final = {"type": "string", "pattern": "^[0-9]{14}$", "description": "SIRET."}
_ID: Final = {"type": "string", "format": "uuid"}


@cache
def described(address: str, prefix: str, broker: bool) -> Mapping[str, Any]:
    """
    Describe the messages of the gateway at `address`; `broker` says that partners may have a queue (names begin with `prefix`).

    Nothing of where the broker is, nor of who has which queue.
    """
    deliveries = {kind.value: {"$ref": f"#/components/messages/{kind.value}"} for kind in _KINDS}
    of_webhook = deliveries | {name: {"$ref": f"#/components/messages/{name}"} for name in ("test", "suspended")}
    channels: dict[str, Any] = {
        "webhook": {
            "address": None,
            "title": "Appel au logiciel du partenaire / Call to the partner's system",
            "description": "POST à l'adresse que le partenaire a donnée, signé deux fois : Standard Webhooks (secret du logiciel) et "
            f"RFC 9421 (clé publiée à {DIRECTORY}). Une réponse 2xx est l'accusé de réception.",
            "messages": of_webhook,
            "bindings": {"http": {}},
        },
    }
    operations = {"call": _operation("send", "webhook", of_webhook, "Appeler le logiciel du partenaire")}
    if broker:
        of_queue = deliveries | {"test": {"$ref": "#/components/messages/test"}}
        answers = {"answer": {"$ref": "#/components/messages/answer"}}
        queue = f"{prefix}.partner.{{client_id}}"
        channels["queue"] = _queue(queue, "File du partenaire / The partner's queue", of_queue, exchange=False)
        channels["answers"] = _queue(f"{queue}.answers", "Réponses du partenaire / The partner's answers", answers)
        operations["publish"] = _operation("send", "queue", of_queue, "Mettre un document dans la file du partenaire")
        operations["answer"] = _operation("receive", "answers", answers, "Prendre la réponse du partenaire")
    return {
        "asyncapi": "3.0.0",
        "id": "urn:trait-dunion:messages",
        "info": {
            "title": "Trait d'union : les messages",
            "version": "1.0",
            "description": "Ce que la passerelle envoie d'elle-même aux logiciels des partenaires, et ce qu'ils lui répondent. "
            "La boîte de réception (GET /v1/mailbox) est décrite par /openapi.json.",
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": {"messages": _messages(address)},
    }


def _messages(address: str) -> dict[str, Any]:
    tested = _event(TEST, {"client_id": _TEXT, "sent_at": _TIME})
    told = _event(SUSPENDED, {"client_id": _TEXT, "reason": _TEXT})
    answer = {
        "type": "object",
        "required": ["delivery", "answer"],
        "properties": {
            "delivery": _ID | {"description": "L'identifiant de la remise : message_id du message reçu."},
            "answer": {"enum": ["ack", "nack"]},
            "reason": {"enum": list(NACK_REASONS), "description": "Avec nack ; tous sont définitifs sauf temporary."},
        },
    }
    return {kind.value: _document(kind, address) for kind in _KINDS} | {
        "test": _message("test", "Essai / Test", tested, TEST),
        "suspended": _message("suspended", "Remise suspendue / Delivery suspended", told, SUSPENDED),
        "answer": _message("answer", "Réponse / Answer", answer, "answer"),
    }


def _document(kind: Kind, address: str) -> dict[str, Any]:
    """The message of one kind: its first level is that of the published schema, which has the rest."""
    published, where = schema(kind), address + schema_path(kind.value, 1)
    first_level = {
        name: {key: rule[key] for key in ("title", "description") if key in rule}
        for name, rule in published["properties"].items()
    }
    data = {
        "id": _ID | {"description": "La remise : le même identifiant quand elle est envoyée de nouveau."},
        "exchange": _ID,
        "kind": {"const": kind.value},
        "from": _SIRET,
        "purpose": _TEXT,
        "media_type": _TEXT | {"description": "Le format du logiciel qui reçoit, ou le format partagé."},
        "document_id": _TEXT,
        "document": {
            "type": "object",
            "title": published["title"],
            "description": f"Le document, réduit à ce qui est permis. Schéma complet : {where}",
            "properties": first_level,
        },
        "content": _TEXT | {"description": "À la place de document : le texte, dans le format propre du logiciel."},
    }
    event = _event(DELIVERED, data, ("id", "exchange", "kind", "from", "purpose", "media_type", "document_id"))
    title = f"{published['title']} / {published.get('x-title-en', kind.value)}"
    return _message(kind.value, title, event, DELIVERED)


def _event(kind: str, data: dict[str, Any], required: tuple[str, ...] = ()) -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["type", "timestamp", "data"],
        "properties": {
            "type": {"const": kind},
            "timestamp": _TIME,
            "data": {"type": "object", "required": list(required or data), "properties": data},
        },
    }


def _message(name: str, title: str, payload: dict[str, Any], kind: str) -> dict[str, Any]:
    headers = {
        "type": "object",
        "properties": {
            "webhook-id": {"type": "string", "description": "L'identifiant de la remise."},
            "webhook-timestamp": {"type": "string", "description": "Secondes depuis 1970."},
            "webhook-signature": {"type": "string", "description": "v1,… : deux pendant un changement de secret."},
            "content-digest": {"type": "string", "description": "sha-256 (RFC 9530)."},
            "signature-input": {"type": "string", "description": "RFC 9421, étiquette tdu, Ed25519."},
            "signature": {"type": "string"},
        },
    }
    message = {"name": name, "title": title, "contentType": "application/json", "summary": kind, "payload": payload}
    return message if name == "answer" else message | {"headers": headers}


def _queue(address: str, title: str, messages: dict[str, Any], *, exchange: bool = True) -> dict[str, Any]:
    binding: dict[str, Any] = {"is": "queue", "queue": {"durable": True, "exclusive": False, "autoDelete": False}}
    if exchange:
        binding = {"is": "routingKey", "exchange": {"type": "fanout", "durable": True, "autoDelete": False}}
    encrypted = "JWE compact (RFC 7516) de data seul, pour la clé du partenaire : application/jose."
    return {
        "address": address,
        "title": title,
        "description": "Un objet JSON." if exchange else encrypted,
        "parameters": {"client_id": {"description": "Le logiciel du partenaire, et son compte sur le courtier."}},
        "messages": messages,
        "bindings": {"amqp": binding | {"bindingVersion": "0.3.0"}},
    }


def _operation(action: str, channel: str, messages: dict[str, Any], title: str) -> dict[str, Any]:
    return {
        "action": action,
        "title": title,
        "channel": {"$ref": f"#/channels/{channel}"},
        "messages": [{"$ref": f"#/channels/{channel}/messages/{name}"} for name in messages],
    }
