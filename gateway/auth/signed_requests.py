"""
Signatures of the requests that come in (RFC 9421), with the keys that the system registered for its assertions.

A signature is demanded of the systems registered with `--signed`, and verified whenever there is one. It covers what makes the
request: method, address, token, idempotency key, type and digest (RFC 9530) of the body; it is a minute old at most, and its
nonce is used once. The body itself is compared with its digest when it has been read (`Signed.check_body`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import http_sf
from http_message_signatures import HTTPMessageVerifier, VerifyResult
from http_message_signatures.algorithms import (
    ECDSA_P256_SHA256,
    ECDSA_P384_SHA384,
    ED25519,
    RSA_PSS_SHA512,
    HTTPSignatureAlgorithm,
)
from http_message_signatures.exceptions import HTTPMessageSignaturesException
from http_message_signatures.resolvers import MappingKeyResolver
from joserfc.jwk import Key
from starlette.requests import Request

from gateway.auth.caller import Caller
from gateway.auth.errors import Unauthorized
from gateway.auth.registry import get_system
from gateway.auth.replay import use_once

if TYPE_CHECKING:
    from gateway.auth.authority import Auth

WINDOW: Final = timedelta(seconds=60)
ALWAYS: Final = ("@method", "@target-uri", "authorization")
WHEN_SENT: Final = ("content-type", "content-digest", "idempotency-key")
LONGEST_NONCE: Final = 200
ACCEPT: Final = 'sig=("@method" "@target-uri" "authorization" "content-type" "content-digest");created;nonce;keyid'
"""What is asked for, as RFC 9421 section 5.1 writes it."""

_ALGORITHMS: Final[dict[str, type[HTTPSignatureAlgorithm]]] = {
    "P-256": ECDSA_P256_SHA256,
    "P-384": ECDSA_P384_SHA384,
    "Ed25519": ED25519,
    "RSA": RSA_PSS_SHA512,
}
"""The algorithm is the key's, never what the message says."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A request as the verifier reads it: its public address, and each of its header lines."""

    method: str
    url: str
    headers: Any


@dataclass(frozen=True, slots=True)
class Signed:
    """A request whose signature holds: what was signed, and under which label, for the answer to name it."""

    sent: Sent
    label: str
    verifier: HTTPMessageVerifier
    results: Sequence[VerifyResult]

    def check_body(self, body: bytes) -> None:
        """Compare the body with the signed Content-Digest. Raises `Unauthorized`."""
        try:
            self.verifier.verify_body(self.sent, self.results, body)
        except HTTPMessageSignaturesException as error:
            raise _other_body() from error

    def check_digest(self, digests: Mapping[str, bytes]) -> None:
        """Compare what came, by its digests (sha-256, sha-512), with the signed Content-Digest. Raises `Unauthorized`."""
        try:
            announced: Any = http_sf.parse(self.sent.headers.get("content-digest", "").encode(), tltype="dictionary")
        except ValueError:
            announced = {}
        known = {name: value for name, (value, _) in announced.items() if name in digests}
        if not known or any(value != digests[name] for name, value in known.items()):
            raise _other_body()


async def verify(auth: Auth, request: Request, caller: Caller) -> Signed | None:
    """
    Verify the signature of a caller's request; None when there is none and none is demanded. Raises `Unauthorized`.

    Everything but the body is checked here, so that nothing is read for a request that is refused.
    """
    if "signature-input" not in request.headers:
        if caller.signed:
            raise _refused("ce système signe toutes ses requêtes", "this system signs all its requests")
        return None
    label, params = _only(request.headers.getlist("signature-input"))
    async with auth.database.read() as tx:
        system = await get_system(tx, caller.client_id)
    key_id = params.get("keyid")
    key = await auth.partner_keys.find(system, key_id) if system and isinstance(key_id, str) else None
    if key is None or not isinstance(key_id, str):
        raise _refused("keyid ne nomme aucune clé de ce système", "keyid names no key of this system")
    verifier = _verifier(key_id, key)
    path = request.scope.get("raw_path", request.scope["path"].encode()).decode("latin-1")
    query = request.scope["query_string"].decode("latin-1")
    sent = Sent(request.method, auth.issuer + path + (f"?{query}" if query else ""), request.headers)
    required = [*ALWAYS, *(name for name in WHEN_SENT if name in request.headers)]
    try:
        results = verifier.verify(sent, max_age=WINDOW, require_components=required)
    except HTTPMessageSignaturesException as error:
        raise _refused(
            f"elle ne se vérifie pas, est trop vieille, ou ne couvre pas {', '.join(required)}",
            f"it does not verify, is too old, or does not cover {', '.join(required)}",
        ) from error
    await _use_nonce(auth, caller, params.get("nonce"))
    return Signed(sent, label, verifier, results)


def _only(lines: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """The label and the parameters of the one signature of a request."""
    try:
        members: Any = http_sf.parse(", ".join(lines).encode(), tltype="dictionary")
        [(label, (_, params))] = members.items()
    except (ValueError, TypeError) as error:
        raise _refused(
            "une seule signature est attendue, bien formée", "one well-formed signature is expected"
        ) from error
    if not isinstance(params.get("created"), int):
        raise _refused("le paramètre created manque", "the parameter created is missing")
    return label, dict(params)


def _verifier(key_id: str, key: Key) -> HTTPMessageVerifier:
    described = key.as_dict(private=False)
    algorithm = _ALGORITHMS.get(str(described.get("crv", described.get("kty"))))
    if algorithm is None:
        raise _refused("cette clé n'est pas d'un type accepté", "this key is not of an accepted type")
    public: Any = key.get_op_key("verify")
    keys = MappingKeyResolver(public_keys={key_id: public}, private_keys={})
    return HTTPMessageVerifier(signature_algorithm=algorithm, key_resolver=keys)


async def _use_nonce(auth: Auth, caller: Caller, nonce: object) -> None:
    if not isinstance(nonce, str) or not 0 < len(nonce) <= LONGEST_NONCE:
        raise _refused("le paramètre nonce manque", "the parameter nonce is missing")
    async with auth.database.write() as tx:
        first = await use_once(tx, caller.client_id, f"signature {nonce}", datetime.now(UTC) + 2 * WINDOW)
    if not first:
        raise _refused("son nonce a déjà servi", "its nonce was already used")


def _other_body() -> Unauthorized:
    return _refused(
        "le corps n'est pas celui dont l'empreinte (Content-Digest) est signée",
        "the body is not the one whose digest (Content-Digest) is signed",
    )


def _refused(reason_fr: str, reason_en: str) -> Unauthorized:
    return Unauthorized(
        "signature_refused",
        f"La signature de la requête (RFC 9421) est absente ou refusée : {reason_fr}.",
        f"The signature of the request (RFC 9421) is missing or refused: {reason_en}.",
        {"Accept-Signature": ACCEPT},
    )
