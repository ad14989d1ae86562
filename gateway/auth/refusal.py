"""
Refusals of the OAuth endpoints: RFC 6749 section 5.2 JSON, with a French sentence beside `error_description`.

`error_description` may only hold printable ASCII, so the French sentence travels in the extra member `message_fr`.
Neither ever repeats a value that was received.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from authlib.oauth2 import OAuth2Error

_QUOTES = str.maketrans({'"': "'", "“": "'", "”": "'", "’": "'", "\\": "/"})

_STANDARD = {
    "invalid_request": (
        "La requête est incomplète ou mal formée.",
        "The request is incomplete or malformed.",
    ),
    "invalid_client": (
        "Le système n'est pas authentifié par la méthode qu'il a enregistrée. D'ordinaire private_key_jwt : "
        "envoyez client_assertion_type et client_assertion (RFC 7523).",
        "The client is not authenticated with the method that it registered. Usually private_key_jwt: "
        "send client_assertion_type and client_assertion (RFC 7523).",
    ),
    "invalid_grant": (
        "Ce jeton n'a pas été délivré à ce système.",
        "This token was not issued to this client.",
    ),
    "unauthorized_client": (
        "Ce système n'a pas droit à ce grant_type.",
        "This client may not use this grant_type.",
    ),
    "unsupported_grant_type": (
        "grant_type possible : client_credentials, ou urn:ietf:params:oauth:grant-type:token-exchange pour agir pour un autre.",
        "Possible grant_type: client_credentials, or urn:ietf:params:oauth:grant-type:token-exchange to act for another.",
    ),
    "invalid_dpop_proof": (
        "Ce système est enregistré pour des jetons liés à une clé : envoyez une preuve dans l'en-tête DPoP (RFC 9449).",
        "This client is registered for tokens bound to a key: send a proof in the DPoP header (RFC 9449).",
    ),
    "invalid_scope": (
        "Une portée demandée est inconnue ou n'est pas accordée à ce système.",
        "A requested scope is unknown or not granted to this client.",
    ),
}


class Refusal(OAuth2Error):  # type: ignore[misc]  # authlib is not typed
    """
    A refusal that says what to do, in French and in English.

    `error` is a code of RFC 6749 section 5.2 (or of the extension that defines it), `status` the HTTP status.
    """

    def __init__(
        self,
        error: str,
        message_fr: str,
        message_en: str,
        *,
        status: int = 400,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(description=_plain(message_en), status_code=status, error=error)
        self.message_fr = message_fr
        self.headers = dict(headers or {})

    def get_body(self) -> list[tuple[str, Any]]:
        """Give the members of the JSON answer."""
        return [*super().get_body(), ("message_fr", self.message_fr)]

    def get_headers(self) -> list[tuple[str, str]]:
        """Give the headers of the answer; it must never be cached (RFC 6749 section 5.1)."""
        return [*super().get_headers(), *self.headers.items()]


def _plain(message: str) -> str:
    """Keep to the characters of RFC 6749 section 5.2: no quotation mark, no backslash, nothing but ASCII."""
    return message.translate(_QUOTES).encode("ascii", "replace").decode()


def standard(error: str, *, status: int = 400, headers: Mapping[str, str] | None = None) -> Refusal:
    """Make the refusal of a standard code with its usual sentences."""
    return Refusal(error, *_STANDARD[error], status=status, headers=headers)


def described(error: OAuth2Error) -> Refusal:
    """Give authlib's own errors our sentences: some of its descriptions repeat what was received."""
    if isinstance(error, Refusal):
        return error
    return standard(error.error if error.error in _STANDARD else "invalid_request")
