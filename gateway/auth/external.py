"""
Tokens of another authorization server (a Keycloak that partners already use), accepted by the operator's configuration.

Only who is speaking comes from them: the claim that names the client must name a system registered here. Its partner, its
roles, its scopes and the conventions come from here, as for our own tokens, and so does what its tokens must be bound to.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from joserfc.errors import JoseError
from joserfc.jwt import ClaimsOption, JWTClaimsRegistry

from gateway.auth.access_token import LIFETIME, SKEW, AccessToken, Expired, confirmation_of
from gateway.auth.caller import Caller
from gateway.auth.jose import Unreadable, read
from gateway.auth.keys import algorithms_of
from gateway.auth.partner_keys import PartnerKeys
from gateway.auth.profile import Binding, Security
from gateway.auth.registry import System, get_system
from gateway.auth.rights import Rights
from gateway.store.database import Database

_BOUND: Final = {Binding.DPOP: "jkt", Binding.MTLS: "x5t#S256"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalIssuer:
    """
    One server whose tokens are accepted: `audience` must be in them, `client_claim` names the client (Keycloak: `azp`).

    `types` are the accepted `typ` of the header: `at+jwt` (RFC 9068); an older server may need `jwt`. `networks` and `ports`
    say where its keys are read when that is not a public address on port 443.
    """

    issuer: str
    jwks_uri: str
    audience: str
    client_claim: str = "client_id"
    types: tuple[str, ...] = ("at+jwt",)
    networks: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()

    @property
    def keys(self) -> System:
        """The server as `PartnerKeys` looks its keys up."""
        network = {"networks": list(self.networks), "ports": list(self.ports)}
        security = Security(jwks_uri=self.jwks_uri, network=network).checked()
        return System(f"issuer {self.issuer}", "", "", {"keys": []}, frozenset(), "", security)


class ExternalTokens:
    """Reads the tokens of other servers; safe to use concurrently."""

    def __init__(
        self,
        issuers: Sequence[ExternalIssuer],
        keys: PartnerKeys,
        database: Database,
        rights: Rights,
        own_issuer: str,
        clock: Callable[[], datetime],
    ) -> None:
        self._issuers = {each.issuer: (each, each.keys) for each in issuers}
        self._keys, self._database, self._rights = keys, database, rights
        self._own_issuer, self._clock = own_issuer, clock

    def knows(self, compact: str) -> bool:
        """Whether a token says that it is of one of these servers; it is not believed yet. Raises `Unreadable`."""
        return bool(self._issuers) and read(compact).claims.get("iss") in self._issuers

    async def read(self, compact: str) -> AccessToken:
        """Verify a token and find its system; raises `Expired` or `Unreadable`."""
        token = read(compact)
        issuer, keys = self._issuers[token.claims["iss"]]
        key = await self._keys.find(keys, token.kid)
        if token.kind not in issuer.types or key is None:
            raise Unreadable("not a token of that server")
        token.verify(key, [name for name in algorithms_of(key) if name in keys.security.profile.algorithms])
        self._check(token.claims, issuer)
        try:
            return await self._accepted(token.claims, issuer)
        except (KeyError, TypeError, ValueError) as error:
            raise Unreadable("claims missing") from error

    def _check(self, claims: dict[str, Any], issuer: ExternalIssuer) -> None:
        known = JWTClaimsRegistry(
            now=int(self._clock().timestamp()),
            leeway=SKEW,
            iss=ClaimsOption(essential=True, value=issuer.issuer),
            aud=ClaimsOption(essential=True, value=issuer.audience),
            exp={"essential": True},
            iat={"essential": True},
        )
        try:
            known.validate(claims)
        except JoseError as error:
            raise (Expired if error.error == "expired_token" else Unreadable)("claims refused") from error

    async def _accepted(self, claims: dict[str, Any], issuer: ExternalIssuer) -> AccessToken:
        confirmation, now = confirmation_of(claims), int(self._clock().timestamp())
        async with self._database.read() as tx:
            system = await get_system(tx, str(claims[issuer.client_claim]))
            if system is None or system.disabled:
                raise ValueError("unknown client")
            granted = await self._rights.own(tx, system)
        wanted = _BOUND.get(system.security.binding)
        if wanted is not None and wanted not in confirmation:
            raise ValueError("not bound as registered")
        # What is granted here is looked at again as often as for our own tokens, however long this one lives.
        until = min(int(claims["exp"]), now + LIFETIME)
        caller = Caller(
            client_id=system.client_id,
            partner=system.partner,
            system=system.name,
            scopes=granted.scopes,
            roles=system.roles,
            token_id=str(claims["jti"])[:64],
            conventions=None if granted.conventions is None else frozenset(granted.conventions),
            expires_at=until,
            limits=system.security.limits,
            signed=system.security.signed,
            unsigned=True,
        )
        return AccessToken(caller, int(claims["iat"]), until, confirmation, self._own_issuer)
