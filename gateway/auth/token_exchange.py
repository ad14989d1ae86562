"""
Token exchange for delegation (RFC 8693): a system acts in the name of another partner, and the token says both names.

The ground is a convention in force, signed by both, in which one party `acts_for` the other: without it nothing is given,
whoever asks. The system names whom it acts for with one of two subject tokens:

- an access token of the other partner's system, handed over by it (urn:ietf:params:oauth:token-type:access_token);
- the hash of the convention itself, when the other partner has no software (urn:trait-dunion:token-type:convention).

The token is in the other partner's name (`sub`, `partner`), and `act` names who acts: what is sent with it is the other
partner's, and the ledger records whose system did it. There are no chains: a delegated token delegates nothing.
"""

from __future__ import annotations

from typing import Any, Final

from gateway.auth.access_token import AccessToken
from gateway.auth.jose import Unreadable
from gateway.auth.refusal import Refusal, standard
from gateway.auth.registry import System
from gateway.auth.rights import Granted
from gateway.auth.token_grant import Mandate, TokenGrant

GRANT_TYPE: Final = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN: Final = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - a type's name
CONVENTION: Final = "urn:trait-dunion:token-type:convention"


class TokenExchange(TokenGrant):
    """Issues a token in the name of another partner."""

    GRANT_TYPE = GRANT_TYPE

    def mandate(self, system: System, confirmation: dict[str, str]) -> Mandate:
        """Give what the conventions delegate, and never more than the token that was handed over."""
        form = self.request.form
        if "subject_token" not in form or "subject_token_type" not in form:
            raise standard("invalid_request")
        # The actor is the authenticated client itself: another one's token would make two actors of one request.
        if "actor_token" in form or form.get("requested_token_type", ACCESS_TOKEN) != ACCESS_TOKEN:
            raise Refusal(
                "invalid_request",
                "N'envoyez pas actor_token : c'est le système authentifié qui agit. Seul un jeton d'accès peut être demandé.",
                "Do not send actor_token: the authenticated client is the actor. Only an access token may be requested.",
            )
        handed = self._handed_over(form) if form["subject_token_type"] == ACCESS_TOKEN else None
        principal = handed.caller.partner if handed else self._principal(system, form)
        granted = self.server.delegated(system, principal)
        if principal == system.partner or not granted.scopes:
            raise _not_delegated()
        if handed:
            granted = Granted(granted.scopes & handed.caller.scopes, granted.conventions)
        return self.drawn(granted, principal, actor=system.partner, confirmation=confirmation)

    def more(self) -> dict[str, Any]:
        """Say what kind of token this is, as section 2.2.1 demands."""
        return {"issued_token_type": ACCESS_TOKEN}

    def _handed_over(self, form: dict[str, str]) -> AccessToken:
        try:
            token: AccessToken = self.server.live_token(form["subject_token"])
        except Unreadable as error:
            raise Refusal(
                "invalid_request",
                "subject_token n'est pas un jeton vivant de cette passerelle.",
                "subject_token is not a live token of this gateway.",
            ) from error
        if token.caller.actor is not None or token.caller.detail is not None:
            raise _not_delegated()
        return token

    def _principal(self, system: System, form: dict[str, str]) -> str:
        if form["subject_token_type"] != CONVENTION:
            raise Refusal(
                "invalid_request",
                f"subject_token_type possible : {ACCESS_TOKEN} ou {CONVENTION}.",
                f"Possible subject_token_type: {ACCESS_TOKEN} or {CONVENTION}.",
            )
        principal: str | None = self.server.principal(system, form["subject_token"])
        if principal is None:
            raise _not_delegated()
        return principal


def _not_delegated() -> Refusal:
    """One answer for a convention that does not exist, one of others, and one that delegates nothing."""
    return Refusal(
        "invalid_target",
        "Aucune convention en vigueur, signée des deux, ne dit que votre organisation agit pour celle-là (acts_for).",
        "No convention in force, signed by both, says that your organisation acts for that one (acts_for).",
    )
