"""
The partner's side of DPoP (RFC 9449): a token that only the holder of a key can use. Written to be copied, with `client`.

    key = DpopKey.generate()
    token = await fetch_token(http, ..., dpop=key)
    answer = await http.get("https://passerelle.example.org/v1/mailbox", auth=key.with_token(token.access_token))
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Generator
from uuid import uuid4

import httpx
from joserfc import jwt
from joserfc.jwk import ECKey
from joserfc.util import urlsafe_b64encode


class DpopKey(httpx.Auth):
    """
    Signs a proof for each request, and again when the server answers with a nonce; used as `auth=` of httpx.

    The key may be made anew at each start: it is not registered, a token is bound to it when it is asked for.
    """

    def __init__(self, key: ECKey, access_token: str | None = None, nonces: dict[str, str] | None = None) -> None:
        self._key = key
        self._access_token = access_token
        self._nonces = nonces if nonces is not None else {}

    @classmethod
    def generate(cls) -> DpopKey:
        """Make a fresh P-256 key, kept in memory only."""
        return cls(ECKey.generate_key("P-256"))

    def with_token(self, access_token: str) -> DpopKey:
        """Use a token bound to this key."""
        return DpopKey(self._key, access_token, self._nonces)

    def nonce_of(self, address: str) -> str:
        """The last nonce that a server gave; empty before its first answer."""
        return self._nonces.get(httpx.URL(address).netloc.decode(), "")

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Send the request with its proof; once more if the server wants a nonce that it has just given."""
        host = request.url.netloc.decode()
        self._prove(request, self._nonces.get(host))
        response = yield request
        nonce = response.headers.get("DPoP-Nonce")
        if nonce and nonce != self._nonces.get(host):
            self._nonces[host] = nonce
            if response.status_code in {400, 401}:
                self._prove(request, nonce)
                yield request

    def _prove(self, request: httpx.Request, nonce: str | None) -> None:
        claims = {
            "htm": request.method,
            "htu": str(request.url.copy_with(query=None, fragment=None)),
            "iat": int(time.time()),
            "jti": str(uuid4()),
        }
        if nonce:
            claims["nonce"] = nonce
        if self._access_token:
            request.headers["Authorization"] = f"DPoP {self._access_token}"
            claims["ath"] = urlsafe_b64encode(hashlib.sha256(self._access_token.encode()).digest()).decode()
        header = {"typ": "dpop+jwt", "alg": "ES256", "jwk": self._key.as_dict(private=False)}
        request.headers["DPoP"] = jwt.encode(header, claims, self._key, algorithms=["ES256"])
