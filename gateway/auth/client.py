"""
The partner's side: signing an assertion and getting a token. Written to be copied: it needs only `httpx` and `joserfc`.

    async with httpx.AsyncClient() as http:
        token = await fetch_token(http, issuer="https://passerelle.example.org", client_id="caf-rsa", private_key_pem=pem, kid="2026-1")
        answer = await http.get("https://passerelle.example.org/v1/mailbox", headers=token.headers)
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from uuid import uuid4

import httpx
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from joserfc import jwt
from joserfc.jwk import ECKey, OKPKey, RSAKey

_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_LIFETIME = 60


class TokenRefused(Exception):
    """The gateway gave no token: `error` is the code of OAuth, of a problem (503: come back) or `http_502`; the message says what to do."""

    def __init__(self, error: str, message: str) -> None:
        super().__init__(f"{error}: {message}")
        self.error = error


@dataclass(frozen=True, slots=True)
class Token:
    """An access token, the scopes it opens, and when to ask for another (seconds since 1970)."""

    access_token: str = field(repr=False)
    scopes: frozenset[str]
    expires_at: float

    @property
    def headers(self) -> dict[str, str]:
        """The header to send with each request."""
        return {"Authorization": f"Bearer {self.access_token}"}


def client_assertion(client_id: str, issuer: str, private_key_pem: bytes | str, kid: str) -> str:
    """
    Sign the proof that one is `client_id` (RFC 7523), for one request to the server `issuer`.

    `private_key_pem` is an EC P-256 or P-384, Ed25519 or RSA key; `kid` is the name under which its public part was registered.
    """
    algorithm, key = _signing_key(private_key_pem)
    now = int(time.time())
    claims = {
        "iss": client_id,
        "sub": client_id,
        "aud": issuer,
        "iat": now,
        "exp": now + _LIFETIME,
        "jti": str(uuid4()),
    }
    return jwt.encode({"alg": algorithm, "kid": kid}, claims, key, algorithms=[algorithm])


async def fetch_token(
    http: httpx.AsyncClient,
    *,
    issuer: str,
    client_id: str,
    private_key_pem: bytes | str,
    kid: str,
    scope: str = "",
    dpop: httpx.Auth | None = None,
    audience: str | None = None,
) -> Token:
    """
    Get an access token; `scope` lists what is wanted, all that is granted when empty. Raises `TokenRefused`.

    With `dpop` (a `client_dpop.DpopKey`) the token is bound to that key: send it with `auth=`, not with `headers`. `audience` is
    the token address for a system registered under the SMART profile; the issuer otherwise.
    """
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": _ASSERTION_TYPE,
        "client_assertion": client_assertion(client_id, audience or issuer, private_key_pem, kid),
    }
    response = await http.post(
        f"{issuer}/oauth2/token", data=form | ({"scope": scope} if scope else {}), auth=dpop or httpx.USE_CLIENT_DEFAULT
    )
    if response.status_code != 200:
        raise _refusal(response)
    body = response.json()
    return Token(body["access_token"], frozenset(body["scope"].split()), time.time() + body["expires_in"])


def _refusal(response: httpx.Response) -> TokenRefused:
    """Read an answer that is no token: OAuth's error, else a problem (RFC 9457) when the gateway is away for a moment, else whatever a proxy says."""
    try:
        body = response.json()
    except ValueError:
        body = None
    told = body if isinstance(body, dict) else {}
    code = told.get("error") or told.get("code") or f"http_{response.status_code}"
    return TokenRefused(str(code), str(told.get("message_fr") or told.get("detail") or ""))


def _signing_key(pem: bytes | str) -> tuple[str, ECKey | OKPKey | RSAKey]:
    raw = pem.encode() if isinstance(pem, str) else pem
    match load_pem_private_key(raw, password=None):
        case EllipticCurvePrivateKey() as key:
            return ("ES256" if isinstance(key.curve, SECP256R1) else "ES384"), ECKey.import_key(raw)
        case Ed25519PrivateKey():
            return "Ed25519", OKPKey.import_key(raw)
        case RSAPrivateKey():
            return "PS256", RSAKey.import_key(raw)
        case _:
            raise ValueError("the key must be EC P-256 or P-384, Ed25519 or RSA")
