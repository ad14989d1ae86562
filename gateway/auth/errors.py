"""
What the access side of the gateway raises, and for whom.

    AuthError                   a protected resource says no; becomes an RFC 9457 problem in `gateway.http.problems`
    ├── Unauthorized  (401)     no token, or a token that is refused: get another one
    ├── Forbidden     (403)     the token is good but does not open this operation
    └── TooMany       (429)     the token is good, but its system has reached a limit: come back later
    RegistrationRefused         what is being registered (partner, system, key) cannot be accepted

The token endpoint speaks RFC 6749 JSON instead: see `gateway.auth.refusal`.
"""

from __future__ import annotations

from collections.abc import Mapping


class AuthError(Exception):
    """
    A refusal at a protected resource, with what the caller's developer needs to mend it; it never holds the token.

    `status` is the HTTP status, `code` a stable word (RFC 6750 section 3.1 where one exists), `headers` what must go
    with the answer (`WWW-Authenticate`).
    """

    status: int
    title_fr: str

    def __init__(self, code: str, detail_fr: str, detail_en: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{code}: {detail_en}")
        self.code = code
        self.detail_fr = detail_fr
        self.detail_en = detail_en
        self.headers = dict(headers or {})


class Unauthorized(AuthError):
    """No token, or one that is malformed, expired, revoked, or made for something else."""

    status = 401
    title_fr = "Jeton absent ou refusé"


class Forbidden(AuthError):
    """The token is good, but lacks a scope that this operation needs."""

    status = 403
    title_fr = "Cette opération ne vous est pas ouverte"


class TooMany(AuthError):
    """The system has reached one of its limits; `Retry-After` says when to come back."""

    status = 429
    title_fr = "Trop de demandes"


class RegistrationRefused(ValueError):
    """A partner, a system or a key that cannot be registered: `code`, and a sentence in French and in English."""

    def __init__(self, code: str, message_fr: str, message_en: str) -> None:
        super().__init__(message_fr)
        self.code = code
        self.message_fr = message_fr
        self.message_en = message_en
