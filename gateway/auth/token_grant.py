"""
What every way to get a token has in common: authenticate the system, bind the token, say what it holds, sign it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from authlib.oauth2.rfc6749.grants.base import BaseGrant, TokenEndpointMixin
from authlib.oauth2.rfc6749.models import ClientMixin

from gateway.auth import audience, details
from gateway.auth.details import ExchangeDetail
from gateway.auth.profile import Method
from gateway.auth.refusal import Refusal
from gateway.auth.registry import System
from gateway.auth.rights import Granted
from gateway.auth.scopes import SMART, Scopes, opened_by

_KIND_SCOPES = {"referral": Scopes.REFERRAL_SEND, "bilan": Scopes.BILAN_SEND, "status": Scopes.STATUS_SEND}


@dataclass(frozen=True, slots=True)
class Mandate:
    """
    What one token lets its bearer do: in whose name (a SIRET), with which scopes, under which conventions, where, and bound to what.

    `actor` is the partner whose system acts in the name of `partner`; None when it acts in its own.
    """

    partner: str
    scope: str
    audience: str
    conventions: Sequence[str] | None = None
    detail: ExchangeDetail | None = None
    actor: str | None = None
    roles: frozenset[str] = field(default_factory=frozenset)
    confirmation: dict[str, str] = field(default_factory=dict)


class Client(ClientMixin):  # type: ignore[misc]  # authlib is not typed
    """One system during one request, as authlib wants to see a client; `mandate` is filled by the grant."""

    mandate: Mandate

    def __init__(self, system: System) -> None:
        self.system = system

    def get_client_id(self) -> str:
        """Name the client."""
        return self.system.client_id

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        """Accept the method that was registered; both methods by certificate are one function."""
        registered = self.system.security.method
        return method == (Method.TLS if registered is Method.SELF_SIGNED_TLS else registered)

    def get_allowed_scope(self, scope: str | None) -> str:
        """Give the scopes of the token, as the grant decided."""
        return self.mandate.scope


class TokenGrant(BaseGrant, TokenEndpointMixin):  # type: ignore[misc]  # authlib is not typed
    """The common part; a grant says by `mandate` what the token holds."""

    TOKEN_ENDPOINT_AUTH_METHODS = tuple(Method)

    def mandate(self, system: System, confirmation: dict[str, str]) -> Mandate:
        """Decide what an authenticated system gets; raises `Refusal`."""
        raise NotImplementedError

    def validate_token_request(self) -> None:
        """Authenticate the client; the proof is read before, so that asking for a nonce does not use up the assertion."""
        proof = self.server.read_proof(self.request)
        client = self.request.client = self.authenticate_token_endpoint_client()
        confirmation = self.server.bind(self.request, proof)
        client.mandate = self.mandate(client.system, confirmation)

    def create_token_response(self) -> tuple[int, dict[str, Any], list[tuple[str, str]]]:
        """Write the token and answer; unlike authlib's own, without a log line that holds the token."""
        mandate: Mandate = self.client.mandate
        token = self.generate_token(scope=mandate.scope, include_refresh_token=False)
        if "jkt" in mandate.confirmation:
            token["token_type"] = "DPoP"  # noqa: S105 - a scheme's name
        if mandate.detail is not None:
            token["authorization_details"] = [mandate.detail.as_json()]
        token |= self.more()
        self.save_token(token)
        return 200, token, self.TOKEN_RESPONSE_HEADER

    def more(self) -> dict[str, Any]:
        """Further members of the answer, for a grant that has some."""
        return {}

    def drawn(self, granted: Granted, partner: str, **whose: Any) -> Mandate:
        """Draw up the mandate that the request asks for, within what is granted; raises `Refusal`."""
        form = self.request.form
        detail = self._detail(partner)
        scope = narrowed(form.get("scope"), granted.scopes, _KIND_SCOPES[detail.kind] if detail else None)
        wanted = audience.requested(self.server.issuer, form.get("resource"))
        return Mandate(partner, scope, wanted, granted.conventions, detail, **whose)

    def _detail(self, partner: str) -> ExchangeDetail | None:
        detail = details.requested(self.request.form.get("authorization_details"))
        if detail is not None and not self.server.routed(partner, detail):
            raise details.refused(
                "Aucune convention en vigueur ne permet cet échange : genre, finalité ou destinataire.",
                "No convention in force permits this exchange: kind, purpose or recipient.",
            )
        return detail


def narrowed(asked: str | None, granted: frozenset[str], one_off: Scopes | None = None) -> str:
    """
    Give the scopes of a token: all that are granted when none is asked for, else exactly what is asked for.

    Never narrowed in silence (RFC 6749 section 3.3): a scope that is not granted refuses the whole request. A token for
    `one_off` exchange opens that way of sending and no other. SMART scopes are given to those who ask for them.
    """
    granted = granted & frozenset(Scopes)
    if one_off is not None:
        granted &= {one_off, Scopes.INBOUND_SEND}
    if not granted:
        raise Refusal(
            "invalid_scope",
            "Aucune portée n'est accordée à ce système : ni son rôle ni une convention en vigueur ne lui en ouvre.",
            "No scope is granted to this client: neither its role nor a convention in force opens any.",
        )
    wanted = frozenset((asked or "").split(" ")) - {""} or granted - SMART
    if not wanted <= granted:
        names, (how_fr, how_en) = " ".join(sorted(granted)), opened_by(wanted - granted)
        raise Refusal(
            "invalid_scope",
            f"Une portée demandée est inconnue ou n'est pas accordée. Accordées à ce système : {names}.{how_fr}",
            f"A requested scope is unknown or not granted. Granted to this client: {names}.{how_en}",
        )
    return " ".join(sorted(wanted))
