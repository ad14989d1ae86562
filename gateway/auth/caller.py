"""
Who is speaking, as the rest of the gateway sees it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Caller:
    """
    The system that got the token, its partner (SIRET), and what the token opens; `token_id` names the token in records.

    `conventions` are the hashes of the conventions in force when the token was given (or one digest of them all, see
    `gateway.scopes`); None when the token names none, which nothing is then compared with.
    """

    client_id: str
    partner: str
    system: str
    scopes: frozenset[str]
    roles: frozenset[str]
    token_id: str
    conventions: frozenset[str] | None = None
    channel: str = "api"

    def through(self, channel: str) -> Caller:
        """The same caller, by another of the channels that conventions name (code list `channel`)."""
        return replace(self, channel=channel)
