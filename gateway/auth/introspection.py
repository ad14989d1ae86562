"""
Asking whether a token is still good (RFC 7662): a system may ask about its own tokens only.
"""

from __future__ import annotations

from typing import Any

import anyio.from_thread
from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc7662 import IntrospectionEndpoint

from gateway.auth.access_token import AccessToken, AccessTokens
from gateway.auth.jose import Unreadable
from gateway.auth.profile import Method
from gateway.auth.refusal import described, standard
from gateway.auth.revocation import Revocations


class Introspection(IntrospectionEndpoint):  # type: ignore[misc]  # authlib is not typed
    """
    `POST /oauth2/introspect`: `{"active": false}` and nothing else for anything but a live token of the asking system.
    """

    CLIENT_AUTH_METHODS = tuple(Method)

    def __init__(self, tokens: AccessTokens, revocations: Revocations) -> None:
        super().__init__()
        self._tokens = tokens
        self._revocations = revocations

    def authenticate_endpoint_client(self, request: Any) -> Any:
        """Authenticate the asking system; this endpoint answers 401 when that fails (RFC 7662 section 2.3)."""
        try:
            return super().authenticate_endpoint_client(request)
        except OAuth2Error as error:
            refusal = described(error)
            if refusal.error == "invalid_client":
                refusal.status_code = 401
                refusal.headers.setdefault("WWW-Authenticate", f'private_key_jwt realm="{self._tokens.issuer}"')
            raise refusal from error

    def check_params(self, request: Any, client: Any) -> None:
        """Demand a token; its `token_type_hint` changes nothing, since there is one type only."""
        if "token" not in request.form:
            raise standard("invalid_request")

    def query_token(self, token_string: str, token_type_hint: str | None) -> AccessToken | None:
        """Read the token asked about."""
        try:
            return self._tokens.read(token_string)
        except Unreadable:
            return None

    def check_permission(self, token: AccessToken, client: Any, request: Any) -> bool:
        """Let a system ask about its own tokens only."""
        return token.check_client(client)

    def create_introspection_payload(self, token: AccessToken | None) -> dict[str, Any]:
        """Describe a live token (RFC 7662 section 2.2)."""
        if token is None or anyio.from_thread.run(self._revocations.covers, token):
            return {"active": False}
        caller = token.caller
        described: dict[str, Any] = {
            "active": True,
            "iss": self._tokens.issuer,
            "aud": token.audience,
            "sub": caller.client_id if caller.actor is None else caller.partner,
            "client_id": caller.client_id,
            "iat": token.issued_at,
            "exp": token.expires_at,
            "jti": caller.token_id,
            "scope": " ".join(sorted(caller.scopes)),
            "token_type": "DPoP" if "jkt" in token.confirmation else "Bearer",
            "partner": caller.partner,
            "system": caller.system,
            "roles": sorted(caller.roles),
        }
        if caller.conventions is not None:
            described["conventions"] = sorted(caller.conventions)
        if caller.actor is not None:
            described["act"] = {"sub": caller.client_id, "partner": caller.actor}
        if caller.detail is not None:
            described["authorization_details"] = [caller.detail.as_json()]
        if token.confirmation:
            described["cnf"] = dict(token.confirmation)
        return described
