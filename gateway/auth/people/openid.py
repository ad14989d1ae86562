"""
Signing in at an OpenID provider (OpenID Connect Core 1.0, authorization code): Keycloak, ProConnect or another.

ProConnect refuses any parameter it does not know, PKCE's among them (so PKCE is a setting), wants `state` and `nonce` of 32
characters at least, and answers `userinfo` with a signed JWT; its access token lives a minute, and is used at once.
"""

from __future__ import annotations

import hmac
import secrets
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import httpx
from authlib.common.urls import add_params_to_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from joserfc.jwt import ClaimsOption, JWTClaimsRegistry

ALGORITHMS: Final = ("RS256", "ES256", "PS256")
_DEADLINE: Final = 10.0
_FRESH: Final = 300.0
_LARGEST: Final = 200_000


class SignInRefused(Exception):
    """The provider refused, or what it said cannot be believed; `code` is a word for the log, never what was received."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Provider:
    """An OpenID provider as the operator set it; `pkce` is False for ProConnect."""

    issuer: str
    client_id: str
    client_secret: str
    redirect_uri: str
    scopes: str = "openid email"
    pkce: bool = True
    required_amr: str = ""


@dataclass(frozen=True, slots=True)
class Begun:
    """What a browser carries, sealed, between its departure to the provider and its return."""

    state: str
    nonce: str
    verifier: str
    at: float

    def as_dict(self) -> dict[str, Any]:
        """The same as JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Identified:
    """Who came back: the provider's name for the person, its claims, and the id_token that sign-out will want."""

    subject: str
    claims: Mapping[str, Any]
    id_token: str


class OpenID:
    """The relying party. Reads the provider's metadata and keys again after some minutes; safe to use concurrently."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._read_at = float("-inf")
        self._metadata: dict[str, Any] = {}
        self._keys = KeySet([])

    async def begin(self) -> tuple[str, Begun]:
        """Give the address to send the browser to, and what to remember meanwhile. Raises `SignInRefused`."""
        await self._read()
        begun = Begun(secrets.token_urlsafe(32), secrets.token_urlsafe(32), secrets.token_urlsafe(48), time.time())
        provider = self._provider
        asked = [
            ("response_type", "code"),
            ("client_id", provider.client_id),
            ("redirect_uri", provider.redirect_uri),
            ("scope", provider.scopes),
            ("state", begun.state),
            ("nonce", begun.nonce),
        ]
        if provider.required_amr:
            asked.append(("claims", '{"id_token":{"amr":{"essential":true}}}'))
        if provider.pkce:
            asked += [
                ("code_challenge", create_s256_code_challenge(begun.verifier)),
                ("code_challenge_method", "S256"),
            ]
        return str(add_params_to_uri(self._metadata["authorization_endpoint"], asked)), begun

    async def finish(self, begun: Begun, answer: Mapping[str, str]) -> Identified:
        """
        Turn the parameters of the return into an identity. Raises `SignInRefused`.

        The state must be the one this browser left with, the issuer the one it was sent to (RFC 9207), and the id_token made
        for this client, for this sign-in, by a published key.
        """
        if not hmac.compare_digest(answer.get("state", "").encode(), begun.state.encode()):
            raise SignInRefused("state")
        if answer.get("iss", self._provider.issuer) != self._provider.issuer:
            raise SignInRefused("issuer")
        if "error" in answer or not answer.get("code"):
            raise SignInRefused("refused_by_provider")
        await self._read()
        tokens = await self._exchange(answer["code"], begun.verifier)
        id_token = str(tokens.get("id_token", ""))
        claims = self._verified(id_token)
        if claims.get("nonce") != begun.nonce:
            raise SignInRefused("nonce")
        wanted = self._provider.required_amr
        if wanted and wanted not in (claims.get("amr") or []):
            raise SignInRefused("second_factor_missing")
        said = await self._userinfo(str(tokens.get("access_token", "")))
        if said.get("sub") != claims["sub"]:
            raise SignInRefused("userinfo")
        return Identified(str(claims["sub"]), {**said, **claims}, id_token)

    async def sign_out(self, id_token: str, back: str) -> str | None:
        """Give the provider's address that ends its own session (OpenID RP-Initiated Logout); None when it has none."""
        await self._read()
        endpoint = self._metadata.get("end_session_endpoint")
        if not endpoint:
            return None
        asked = [("id_token_hint", id_token), ("state", secrets.token_urlsafe(32)), ("post_logout_redirect_uri", back)]
        return str(add_params_to_uri(endpoint, asked))

    async def _exchange(self, code: str, verifier: str) -> dict[str, Any]:
        provider = self._provider
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": provider.redirect_uri,
            "client_id": provider.client_id,
            "client_secret": provider.client_secret,
        }
        if provider.pkce:
            form["code_verifier"] = verifier
        return _object(await self._asked("POST", self._metadata["token_endpoint"], data=form))

    async def _userinfo(self, access_token: str) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {access_token}"}
        answer = await self._asked("GET", self._metadata["userinfo_endpoint"], headers=headers)
        if answer.headers.get("content-type", "").split(";")[0].strip() == "application/jwt":
            return self._signed(answer.text, userinfo=True)
        return _object(answer)

    def _verified(self, id_token: str) -> dict[str, Any]:
        return self._signed(id_token, userinfo=False)

    def _signed(self, compact: str, *, userinfo: bool) -> dict[str, Any]:
        essential = not userinfo  # a signed userinfo need not expire (OpenID Connect Core section 5.3.2)
        ours = ClaimsOption(essential=True, value=self._provider.client_id)
        issuer = ClaimsOption(essential=True, value=self._provider.issuer)
        registry = JWTClaimsRegistry(
            leeway=10,
            iss=issuer,
            aud=ours,
            exp={"essential": essential},
            iat={"essential": essential},
            sub={"essential": True},
        )
        try:
            token = jwt.decode(compact, self._keys, algorithms=list(ALGORITHMS))
            registry.validate(token.claims)
        except (JoseError, ValueError) as error:
            raise SignInRefused("userinfo" if userinfo else "id_token") from error
        return dict(token.claims)

    async def _read(self) -> None:
        if time.monotonic() - self._read_at < _FRESH:
            return
        address = f"{self._provider.issuer.rstrip('/')}/.well-known/openid-configuration"
        metadata = _object(await self._asked("GET", address))
        if metadata.get("issuer") != self._provider.issuer:
            raise SignInRefused("metadata")
        try:
            self._keys = KeySet.import_key_set(_object(await self._asked("GET", metadata["jwks_uri"])))  # type: ignore[arg-type]  # read from outside, and checked by the library
        except (KeyError, ValueError, JoseError) as error:
            raise SignInRefused("metadata") from error
        self._metadata, self._read_at = metadata, time.monotonic()

    async def _asked(self, method: str, address: str, **options: Any) -> httpx.Response:
        try:
            # The addresses are the operator's own choice, and people sign in seldom: a connection each time is enough.
            async with httpx.AsyncClient(timeout=_DEADLINE, follow_redirects=False) as http:
                answer = await http.request(method, address, **options)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise SignInRefused("provider_away") from error
        if answer.status_code != 200 or len(answer.content) > _LARGEST:
            raise SignInRefused("provider_answer")
        return answer


def _object(answer: httpx.Response) -> dict[str, Any]:
    try:
        value = answer.json()
    except ValueError as error:
        raise SignInRefused("provider_answer") from error
    if not isinstance(value, dict):
        raise SignInRefused("provider_answer")
    return value
