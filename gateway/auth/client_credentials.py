"""
The client credentials grant (RFC 6749 section 4.4): a system speaks for its own partner, with nobody watching.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from authlib.oauth2.rfc6749.grants import ClientCredentialsGrant
from authlib.oauth2.rfc6749.models import ClientMixin

from gateway.auth.profile import Method
from gateway.auth.refusal import Refusal
from gateway.auth.registry import System
from gateway.auth.scopes import Scopes


class Client(ClientMixin):  # type: ignore[misc]  # authlib is not typed
    """
    One system during one request, as authlib wants to see a client.

    `granted` computes the scopes that the system may have, and `conventions` the hashes of the conventions that grant them;
    they are called once the system is authenticated.
    """

    def __init__(
        self,
        system: System,
        granted: Callable[[], frozenset[str]],
        conventions: Callable[[], Sequence[str] | None] = lambda: None,
    ) -> None:
        self.system = system
        self.conventions = conventions
        self.confirmation: dict[str, str] = {}
        self._granted = granted

    def get_client_id(self) -> str:
        """Name the client."""
        return self.system.client_id

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        """Accept the method that was registered; both methods by certificate are one function."""
        registered = self.system.security.method
        return method == (Method.TLS if registered is Method.SELF_SIGNED_TLS else registered)

    def check_grant_type(self, grant_type: str) -> bool:
        """Accept what machines use."""
        return grant_type == "client_credentials"

    def get_allowed_scope(self, scope: str | None) -> str:
        """
        Give the scopes of the token: all that are granted when none is asked for, else exactly what is asked for.

        Never narrowed in silence (RFC 6749 section 3.3): a scope that is not granted refuses the whole request.
        """
        granted = self._granted() & frozenset(Scopes)
        if not granted:
            raise Refusal(
                "invalid_scope",
                "Aucune portée n'est accordée à ce système : ni son rôle ni une convention en vigueur ne lui en ouvre.",
                "No scope is granted to this client: neither its role nor a convention in force opens any.",
            )
        asked = frozenset((scope or "").split(" ")) - {""} or granted
        if not asked <= granted:
            names = " ".join(sorted(granted))
            raise Refusal(
                "invalid_scope",
                f"Une portée demandée est inconnue ou n'est pas accordée. Accordées à ce système : {names}.",
                f"A requested scope is unknown or not granted. Granted to this client: {names}.",
            )
        return " ".join(sorted(asked))


class Grant(ClientCredentialsGrant):  # type: ignore[misc]  # authlib is not typed
    """Issues a token to an authenticated system, bound as its registration demands."""

    TOKEN_ENDPOINT_AUTH_METHODS = tuple(Method)

    def validate_token_request(self) -> None:
        """Authenticate the client; the proof is read before, so that asking for a nonce does not use up the assertion."""
        proof = self.server.read_proof(self.request)
        super().validate_token_request()
        self.client.confirmation = self.server.bind(self.request, proof)

    def create_token_response(self) -> tuple[int, dict[str, Any], list[tuple[str, str]]]:
        """Write the token and answer; unlike authlib's own, without a log line that holds the token."""
        token = self.generate_token(scope=self.request.payload.scope, include_refresh_token=False)
        if "jkt" in self.client.confirmation:
            token["token_type"] = "DPoP"  # noqa: S105 - a scheme's name
        self.save_token(token)
        return 200, token, self.TOKEN_RESPONSE_HEADER
