"""
Access tokens as signed JWTs (RFC 9068): how the gateway writes them and what it demands when they come back.

They are short-lived and name the partner, the system, its roles and scopes, so that a request is judged without the database.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import uuid4

import orjson
from authlib.oauth2.rfc9068 import JWTBearerTokenGenerator
from joserfc.errors import JoseError
from joserfc.jwk import KeySetSerialization
from joserfc.jwt import ClaimsOption, JWTClaimsRegistry
from joserfc.util import urlsafe_b64encode

from gateway.auth import audience
from gateway.auth.caller import Caller
from gateway.auth.details import ExchangeDetail
from gateway.auth.jose import Unreadable, read
from gateway.auth.registry import System
from gateway.auth.token_grant import Mandate
from gateway.auth.token_keys import ALGORITHM, TokenKeys

LIFETIME: Final = 300
"""Seconds. What a stolen token is worth, and how late a change of role or convention may be seen."""

SKEW: Final = 10
"""Seconds that two clocks may differ by (FAPI 2.0 section 5.3.2.1)."""


@dataclass(frozen=True, slots=True)
class AccessToken:
    """
    One of our own tokens, verified: its bearer, its dates in seconds since 1970, and what it is bound to, if anything.

    `audience` is the part of the gateway it opens. `confirmation` is the claim `cnf`: `{"jkt": …}` for a key (RFC 9449),
    `{"x5t#S256": …}` for a certificate (RFC 8705).
    """

    caller: Caller
    issued_at: int
    expires_at: int
    confirmation: Mapping[str, str]
    audience: str

    def check_client(self, client: Any) -> bool:
        """Whether the token was issued to this client; what authlib's revocation endpoint asks."""
        return bool(self.caller.client_id == client.get_client_id())


class Expired(Unreadable):
    """A token that was good, and is so no more: the bearer only has to get another one."""


class AccessTokens:
    """Signs and verifies the gateway's own tokens; the audience is the gateway itself, or one of its parts (RFC 8707)."""

    def __init__(self, issuer: str, keys: TokenKeys, clock: Callable[[], datetime]) -> None:
        self.issuer = issuer
        self._keys = keys
        self._clock = clock

    def issue(self, system: System, mandate: Mandate) -> str:
        """
        Sign a token for `system`, with what `mandate` lets it do.

        A delegated token is in the other partner's name: `sub` is that partner, `act` who acts (RFC 8693 section 4.1).
        """
        now = self._now()
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "aud": mandate.audience,
            "sub": system.client_id if mandate.actor is None else mandate.partner,
            "client_id": system.client_id,
            "iat": now,
            "exp": now + LIFETIME,
            "jti": str(uuid4()),
            "scope": mandate.scope,
            "partner": mandate.partner,
            "system": system.name,
            "roles": sorted(mandate.roles),
        }
        if mandate.actor is not None:
            claims["act"] = {"sub": system.client_id, "partner": mandate.actor}
        if mandate.conventions is not None:
            claims["conventions"] = list(mandate.conventions)
        if mandate.detail is not None:
            claims["authorization_details"] = [mandate.detail.as_json()]
        if system.security.limits is not None:
            claims["limits"] = dict(system.security.limits)
        if system.security.signed:
            claims["signed"] = True
        if mandate.confirmation:
            claims["cnf"] = dict(mandate.confirmation)
        return self._signed(claims)

    def read(self, compact: str) -> AccessToken:
        """Verify one of our tokens (RFC 9068 section 4), revocation apart; raises `Expired` or `Unreadable`."""
        token = read(compact)
        key = self._keys.published(self._clock()).get(token.kid or "")
        # A client assertion or a proof signed by the same key would carry another type (RFC 8725 section 3.11).
        if token.kind != "at+jwt" or key is None:
            raise Unreadable("not a token of this server")
        token.verify(key, [ALGORITHM])
        self._check_dates_and_audience(token.claims)
        try:
            return _access_token(token.claims)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise Unreadable("claims missing") from error

    def jwks(self) -> KeySetSerialization:
        """Publish every key with which a live token may be signed, or will soon be (RFC 7517 section 5)."""
        keys = [key.as_dict(private=False) for key in self._keys.published(self._clock()).values()]
        return {"keys": [{**key, "use": "sig", "alg": ALGORITHM} for key in keys]}

    def _signed(self, claims: Mapping[str, Any]) -> str:
        kid = self._keys.signing(self._clock())
        parts = ({"alg": ALGORITHM, "typ": "at+jwt", "kid": kid}, claims)
        message = ".".join(urlsafe_b64encode(orjson.dumps(part)).decode() for part in parts)
        return f"{message}.{urlsafe_b64encode(self._keys.sign(kid, message.encode())).decode()}"

    def _check_dates_and_audience(self, claims: dict[str, Any]) -> None:
        now = self._now()
        ours = ClaimsOption(essential=True, value=self.issuer)
        known = JWTClaimsRegistry(now=now, leeway=SKEW, iss=ours, exp={"essential": True}, iat={"essential": True})
        try:
            known.validate(claims)
        except JoseError as error:
            raise (Expired if error.error == "expired_token" else Unreadable)("claims refused") from error
        # The library accepts an audience list and gives expiry the benefit of the skew: these are our own tokens and clocks.
        if not audience.is_ours(self.issuer, claims.get("aud")):
            raise Unreadable("audience is not this gateway, in one string")
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
        return self._tokens.issue(client.system, client.mandate)


def _access_token(claims: dict[str, Any]) -> AccessToken:
    texts = [claims[name] for name in ("client_id", "partner", "system", "scope", "jti")]
    roles, conventions = claims["roles"], claims.get("conventions")
    if not all(isinstance(text, str) for text in (*texts, *roles, *(conventions or ()))):
        raise ValueError("claims of another type")
    client_id, partner, system, scope, jti = texts
    expires_at = int(claims["exp"])
    caller = Caller(
        client_id=client_id,
        partner=partner,
        system=system,
        scopes=frozenset(scope.split()),
        roles=frozenset(roles),
        token_id=jti,
        conventions=None if conventions is None else frozenset(conventions),
        actor=_actor(claims),
        detail=_detail(claims),
        expires_at=expires_at,
        limits=claims.get("limits"),
        signed=claims.get("signed") is True,
        unsigned=True,
    )
    return AccessToken(caller, int(claims["iat"]), expires_at, confirmation_of(claims), claims["aud"])


def _actor(claims: Mapping[str, Any]) -> str | None:
    """Read who acts in the name of the subject (RFC 8693 section 4.1); a token in one's own name has no `act`."""
    if "act" not in claims:
        if claims["sub"] != claims["client_id"]:
            raise ValueError("subject and client differ")
        return None
    act = claims["act"]
    if act.keys() != {"sub", "partner"} or act["sub"] != claims["client_id"] or claims["sub"] != claims["partner"]:
        raise ValueError("actor and client differ")
    return str(act["partner"])


def _detail(claims: Mapping[str, Any]) -> ExchangeDetail | None:
    if "authorization_details" not in claims:
        return None
    [written] = claims["authorization_details"]
    return ExchangeDetail.read(written)


def confirmation_of(claims: Mapping[str, Any]) -> dict[str, str]:
    """Read `cnf`; one that says something we do not understand must not make a bound token look unbound."""
    if "cnf" not in claims:
        return {}
    cnf = claims["cnf"]
    if not isinstance(cnf, dict) or not cnf.keys() <= {"jkt", "x5t#S256"} or len(cnf) != 1:
        raise ValueError("confirmation of another kind")
    if not all(isinstance(value, str) and value for value in cnf.values()):
        raise ValueError("confirmation of another type")
    return cnf
