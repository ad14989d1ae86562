"""
Access tokens as signed JWTs (RFC 9068): how the gateway writes them and what it demands when they come back.

They are short-lived and name the partner, the system, its roles and scopes, so that a request is judged without the database.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import uuid4

from authlib.oauth2.rfc9068 import JWTBearerTokenGenerator
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, KeySet, KeySetSerialization
from joserfc.jwt import ClaimsOption, JWTClaimsRegistry

from gateway.auth.caller import Caller
from gateway.auth.jose import Unreadable, read
from gateway.auth.registry import System

LIFETIME: Final = 300
"""Seconds. What a stolen token is worth, and how late a change of role or convention may be seen."""

SKEW: Final = 10
"""Seconds that two clocks may differ by (FAPI 2.0 section 5.3.2.1)."""

ALGORITHM: Final = "ES256"


@dataclass(frozen=True, slots=True)
class AccessToken:
    """
    One of our own tokens, verified: its bearer, its dates in seconds since 1970, and what it is bound to, if anything.

    `confirmation` is the claim `cnf`: `{"jkt": …}` for a key (RFC 9449), `{"x5t#S256": …}` for a certificate (RFC 8705).
    """

    caller: Caller
    issued_at: int
    expires_at: int
    confirmation: Mapping[str, str]

    def check_client(self, client: Any) -> bool:
        """Whether the token was issued to this client; what authlib's revocation endpoint asks."""
        return bool(self.caller.client_id == client.get_client_id())


class Expired(Unreadable):
    """A token that was good, and is so no more: the bearer only has to get another one."""


class AccessTokens:
    """Signs and verifies the gateway's own tokens; the audience is the gateway itself, named by its issuer address."""

    def __init__(
        self, issuer: str, signing_key: ECKey, other_keys: Iterable[Key], clock: Callable[[], datetime]
    ) -> None:
        if not signing_key.is_private or signing_key.curve_name != "P-256" or not signing_key.kid:
            raise ValueError("the signing key must be a private P-256 key with a kid")
        self.issuer = issuer
        self._signing_key = signing_key
        self._keys: dict[str, Key] = {str(key.kid): key for key in (*other_keys, signing_key)}
        self._clock = clock

    def issue(
        self,
        system: System,
        scope: str,
        confirmation: Mapping[str, str] | None = None,
        conventions: Sequence[str] | None = None,
    ) -> str:
        """
        Sign a token for `system`, bound as `confirmation` says.

        `conventions` are the hashes of the conventions that grant it; they stand in the claim of that name.
        """
        now = self._now()
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "aud": self.issuer,
            "sub": system.client_id,
            "client_id": system.client_id,
            "iat": now,
            "exp": now + LIFETIME,
            "jti": str(uuid4()),
            "scope": scope,
            "partner": system.partner,
            "system": system.name,
            "roles": sorted(system.roles),
        }
        if conventions is not None:
            claims["conventions"] = list(conventions)
        if confirmation:
            claims["cnf"] = dict(confirmation)
        header = {"alg": ALGORITHM, "typ": "at+jwt", "kid": self._signing_key.kid}
        return jwt.encode(header, claims, self._signing_key, algorithms=[ALGORITHM])

    def read(self, compact: str) -> AccessToken:
        """Verify one of our tokens (RFC 9068 section 4), revocation apart; raises `Expired` or `Unreadable`."""
        token = read(compact)
        key = self._keys.get(token.kid or "")
        # A client assertion or a proof signed by the same key would carry another type (RFC 8725 section 3.11).
        if token.kind != "at+jwt" or key is None:
            raise Unreadable("not a token of this server")
        token.verify(key, [ALGORITHM])
        self._check_dates_and_audience(token.claims)
        try:
            return _access_token(token.claims)
        except (KeyError, TypeError, ValueError) as error:
            raise Unreadable("claims missing") from error

    def jwks(self) -> KeySetSerialization:
        """Publish every key with which a live token may be signed (RFC 7517 section 5)."""
        keys = KeySet(list(self._keys.values())).as_dict(private=False)["keys"]
        return {"keys": [{**key, "use": "sig", "alg": ALGORITHM} for key in keys]}

    def _check_dates_and_audience(self, claims: dict[str, Any]) -> None:
        now = self._now()
        ours = ClaimsOption(essential=True, value=self.issuer)
        known = JWTClaimsRegistry(
            now=now, leeway=SKEW, iss=ours, aud=ours, exp={"essential": True}, iat={"essential": True}
        )
        try:
            known.validate(claims)
        except JoseError as error:
            raise (Expired if error.error == "expired_token" else Unreadable)("claims refused") from error
        # The library accepts an audience list and gives expiry the benefit of the skew: these are our own tokens and clocks.
        if not isinstance(claims["aud"], str):
            raise Unreadable("audience is not one string")
        if claims["exp"] <= now:
            raise Expired("expired")

    def _now(self) -> int:
        return int(self._clock().timestamp())


class TokenGenerator(JWTBearerTokenGenerator):  # type: ignore[misc]  # authlib is not typed
    """Makes authlib issue our tokens: its own have no `kid`, live ten days and name the client as their audience."""

    def __init__(self, tokens: AccessTokens) -> None:
        super().__init__(tokens.issuer, alg=ALGORITHM, expires_generator=LIFETIME)
        self._tokens = tokens

    def access_token_generator(self, client: Any, grant_type: str, user: Any, scope: str) -> str:
        """Sign the access token of an authenticated client."""
        return self._tokens.issue(client.system, scope, client.confirmation, client.conventions())


def _access_token(claims: dict[str, Any]) -> AccessToken:
    texts = [claims[name] for name in ("client_id", "partner", "system", "scope", "jti")]
    roles, conventions = claims["roles"], claims.get("conventions")
    if not all(isinstance(text, str) for text in (*texts, *roles, *(conventions or ()))):
        raise ValueError("claims of another type")
    if claims["sub"] != claims["client_id"]:
        raise ValueError("subject and client differ")
    client_id, partner, system, scope, jti = texts
    known = None if conventions is None else frozenset(conventions)
    caller = Caller(client_id, partner, system, frozenset(scope.split()), frozenset(roles), jti, known)
    return AccessToken(caller, int(claims["iat"]), int(claims["exp"]), _confirmation(claims))


def _confirmation(claims: Mapping[str, Any]) -> dict[str, str]:
    """Read `cnf`; one that says something we do not understand must not make a bound token look unbound."""
    if "cnf" not in claims:
        return {}
    cnf = claims["cnf"]
    if not isinstance(cnf, dict) or not cnf.keys() <= {"jkt", "x5t#S256"} or len(cnf) != 1:
        raise ValueError("confirmation of another kind")
    if not all(isinstance(value, str) and value for value in cnf.values()):
        raise ValueError("confirmation of another type")
    return cnf
