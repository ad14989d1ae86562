"""
Client authentication with a signed assertion: `private_key_jwt` (RFC 7523, under FAPI 2.0's rules).

The partner keeps its private key; what travels is good for one use, at this gateway, for five minutes at most.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import anyio.from_thread
from authlib.oauth2.rfc7523 import JWTBearerClientAssertion
from joserfc.errors import JoseError
from joserfc.jwk import Key
from joserfc.jwt import ClaimsOption, JWTClaimsRegistry

from gateway.auth.access_token import SKEW
from gateway.auth.jose import CLIENT_ALGORITHMS, Token, Unreadable, read
from gateway.auth.keys import algorithms_of
from gateway.auth.profile import Profile
from gateway.auth.refusal import Refusal
from gateway.auth.registry import System
from gateway.auth.replay import is_jti

LIFETIME: Final = 300
"""The longest an assertion may live, in seconds."""

_TYPES = frozenset({"", "jwt", "client-authentication+jwt"})

FindKey = Callable[[System, str | None], Coroutine[Any, Any, Key | None]]
"""(system, kid) -> the key that the system has under that name, wherever it keeps it."""

UseOnce = Callable[[str, str, datetime], Coroutine[Any, Any, bool]]
"""(client_id, jti, when the assertion stops being acceptable) -> whether it is the first use."""


class ClientAssertion(JWTBearerClientAssertion):  # type: ignore[misc]  # authlib is not typed
    """
    Checks the `client_assertion` of a request; authlib calls its parts in the order they stand here.

    Until the signature is verified, every refusal that depends on the registered client says the same thing.
    """

    CLIENT_AUTH_METHOD = "private_key_jwt"

    def __init__(
        self, audiences: Mapping[Profile, str], find_key: FindKey, use_once: UseOnce, clock: Callable[[], datetime]
    ) -> None:
        """`audiences` is the one `aud` of each profile: the two standards name the server differently."""
        super().__init__(leeway=SKEW)
        self._audiences = audiences
        self._find_key = find_key
        self._use_once = use_once
        self._clock = clock

    def extract_assertion(self, assertion: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """Read the assertion without believing it: `sub` says which client to look for."""
        token = _read(assertion)
        if not isinstance(token.claims.get("sub"), str):
            raise unknown()
        return token.header, token.claims

    def resolve_client_public_key(self, client: Any) -> Any:
        """Hand the client itself to `process_assertion_claims`: the key depends on the assertion's `kid`."""
        return client

    def process_assertion_claims(self, assertion: str, client: Any) -> dict[str, Any]:
        """Verify the signature, then the claims, then the single use; the last step only for what is otherwise good."""
        token, system = _read(assertion), client.system
        key = anyio.from_thread.run(self._find_key, system, token.kid)
        if key is None:
            raise unknown()
        profile = system.security.profile
        try:
            token.verify(key, [name for name in algorithms_of(key) if name in profile.algorithms])
        except Unreadable as error:
            raise unknown() from error
        self._check_claims(token.claims, system.client_id, self._audiences[profile])
        expires_at = datetime.fromtimestamp(token.claims["exp"] + SKEW, UTC)
        if not anyio.from_thread.run(self._use_once, client.get_client_id(), token.claims["jti"], expires_at):
            raise _refusal(
                "Cette assertion a déjà servi. Signez-en une nouvelle, avec un nouveau jti, pour chaque demande.",
                "This assertion was used before. Sign a new one, with a new jti, for each request.",
            )
        return token.claims

    def _check_claims(self, claims: dict[str, Any], client_id: str, audience: str) -> None:
        now = int(self._clock().timestamp())
        himself = ClaimsOption(essential=True, value=client_id)
        known = JWTClaimsRegistry(now=now, leeway=SKEW, iss=himself, sub=himself, exp={"essential": True})
        try:
            known.validate({name: claims[name] for name in ("iss", "sub", "exp", "iat", "nbf") if name in claims})
        except JoseError as error:
            raise _refusal(
                "L'assertion est expirée, pas encore valable, ou il lui manque exp, ou iss et sub ne sont pas le client_id. "
                "Vérifiez aussi l'horloge du serveur.",
                "The assertion is expired, not yet valid, or lacks exp, or iss and sub are not the client_id. "
                "Check the server's clock too.",
            ) from error
        if claims.get("aud") != audience:
            raise _refusal(
                f"aud doit être exactement {audience}, en une seule chaîne et non en liste.",
                f"aud must be exactly {audience}, as one string and not a list.",
            )
        if claims["exp"] - min(claims.get("iat", now), now) > LIFETIME + SKEW:
            raise _refusal(
                f"L'assertion vit trop longtemps : exp au plus {LIFETIME} secondes après iat et après maintenant.",
                f"The assertion lives too long: exp at most {LIFETIME} seconds after iat and after now.",
            )
        if not is_jti(claims.get("jti")):
            raise _refusal(
                "Il manque jti : un identifiant unique, de 1 à 256 caractères ASCII visibles.",
                "jti is missing: a unique identifier of 1 to 256 visible ASCII characters.",
            )


def unknown() -> Refusal:
    """Make the one answer for an unknown client, a disabled one, an unknown key and a wrong signature."""
    return _refusal(
        "Système inconnu ou désactivé, clé (kid) non enregistrée, ou signature fausse. Vérifiez client_id, kid et clé privée, "
        "et que l'algorithme est celui de la clé (ES256, ES384, PS256 ou Ed25519).",
        "Unknown or disabled client, key (kid) not registered, or wrong signature. Check client_id, kid and private key, "
        "and that the algorithm is the key's (ES256, ES384, PS256 or Ed25519).",
    )


def _read(assertion: str) -> Token:
    try:
        token = read(assertion)
    except Unreadable as error:
        raise _malformed() from error
    if token.kind not in _TYPES or token.header.get("alg") not in CLIENT_ALGORITHMS or token.kid is None:
        raise _malformed()
    return token


def _malformed() -> Refusal:
    return _refusal(
        "client_assertion n'est pas un JWT acceptable : en-tête alg (ES256, ES384, PS256 ou Ed25519) et kid, sans jku, jwk, x5u ni crit.",
        "client_assertion is not an acceptable JWT: header alg (ES256, ES384, PS256 or Ed25519) and kid, without jku, jwk, x5u or crit.",
    )


def _refusal(message_fr: str, message_en: str) -> Refusal:
    return Refusal("invalid_client", message_fr, message_en)
