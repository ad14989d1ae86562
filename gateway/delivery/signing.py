"""
Signatures of what we send over HTTP: Standard Webhooks (a secret shared with one system) and RFC 9421 (our own key).

The first lets a partner check with the libraries of its language; the second proves to anybody that the gateway sent this,
with the key published at `DIRECTORY`, and nothing that the partner holds could have made it.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from http_message_signatures import HTTPMessageSigner, HTTPSignatureKeyResolver
from http_message_signatures.algorithms import ED25519
from joserfc.jwk import OKPKey
from standardwebhooks import Webhook

from gateway.delivery.base import previous_in_force

DIRECTORY: Final = "/.well-known/http-message-signatures-directory"
TAG: Final = "trait-dunion"
COVERED: Final = ("@method", "@target-uri", "content-type", "content-digest", "webhook-id", "webhook-timestamp")


def new_secret() -> str:
    """Make a secret of 32 bytes, written as Standard Webhooks does."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


class MessageSigner(HTTPSignatureKeyResolver):
    """Signs requests with the gateway's own key (Ed25519)."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        """`key` signs messages and nothing else."""
        self._key = key
        public = OKPKey.import_key(key)
        self.key_id = public.thumbprint()
        self.jwks: dict[str, Any] = {
            "keys": [{**public.as_dict(private=False), "kid": self.key_id, "use": "sig", "alg": "Ed25519"}]
        }
        self._signer = HTTPMessageSigner(signature_algorithm=ED25519, key_resolver=self)

    def resolve_private_key(self, key_id: str) -> Ed25519PrivateKey:
        """Give the key to the signer; there is only one."""
        return self._key

    def headers(
        self, method: str, url: str, body: bytes, *, ident: str, shared: Sequence[str], now: datetime
    ) -> dict[str, str]:
        """
        Make every header of one request with a JSON body: `ident` stays the same when it is sent again.

        `shared` are the secrets in force: two while one replaces the other, and then both signatures are given.
        """
        signatures = [Webhook(secret).sign(ident, now, body.decode()) for secret in shared]
        message = _Request(
            method,
            url,
            {
                "Content-Type": "application/json",
                "Webhook-Id": ident,
                "Webhook-Timestamp": str(int(now.timestamp())),
                "Webhook-Signature": " ".join(signatures),
            },
        )
        self._signer.sign(
            message,
            key_id=self.key_id,
            created=now,
            label="tdu",
            tag=TAG,
            covered_component_ids=COVERED,
            body=body,
        )
        return message.headers

    def sign_answer(self, answer: Any, body: bytes, label: str, now: datetime) -> None:
        """
        Sign an answer in place, bound to the request that it answers (`answer.request`, signed under `label`).

        `answer` has a `status_code`, mutable `headers` and a `request` with `method`, `url` and `headers`.
        """
        asked = answer.request.headers
        covered = ["@status", '"@method";req', '"@target-uri";req', f'"signature";req;key="{label}"']
        covered += ['"content-digest";req'] if "content-digest" in asked else []
        covered += ["content-type"] if "content-type" in answer.headers else []
        self._signer.sign(
            answer, key_id=self.key_id, created=now, label="tdu", tag=TAG, covered_component_ids=covered, body=body
        )


@dataclass(slots=True)
class _Request:
    """A request as the signer reads it and adds to it."""

    method: str
    url: str
    headers: dict[str, str]


def secrets_in_force(kept: Mapping[str, Any], now: datetime) -> list[str]:
    """The secrets that sign now, the newest first; the one that was replaced, until its time is over."""
    return [str(kept["secret"]), *filter(None, [previous_in_force(kept, now)])]
