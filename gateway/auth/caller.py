"""
Who is speaking, as the rest of the gateway sees it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gateway.auth.replay import Use

if TYPE_CHECKING:
    from gateway.auth.details import ExchangeDetail


@dataclass(frozen=True, slots=True)
class Caller:
    """
    The system that got the token, its partner (SIRET), and what the token opens; `token_id` names the token in records.

    `actor` is the SIRET of the partner whose system acts in the name of `partner` (RFC 8693); None when it is its own. `detail`
    is the only exchange that the token lets through, once, when it was made for one (RFC 9396), until `expires_at` (seconds).
    `limits` are the system's own, in place of the gateway's (`gateway.limits`).
    `signed` says that its requests must be (RFC 9421), `unsigned` that this one is a request and is not.
    `conventions` are the hashes of the conventions in force when the token was given (or one digest of them all, see
    `gateway.scopes`); None when the token names none, which nothing is then compared with.
    `proof` is the use of the request's proof of possession (RFC 9449), when the transaction that takes the request in is to
    record it.
    """

    client_id: str
    partner: str
    system: str
    scopes: frozenset[str]
    roles: frozenset[str]
    token_id: str
    conventions: frozenset[str] | None = None
    actor: str | None = None
    detail: ExchangeDetail | None = None
    expires_at: int = 0
    limits: Mapping[str, str] | None = None
    signed: bool = False
    unsigned: bool = False
    channel: str = "api"
    proof: Use | None = None

    def through(self, channel: str) -> Caller:
        """The same caller, by another of the channels that conventions name (code list `channel`)."""
        return replace(self, channel=channel)

    @property
    def acting(self) -> dict[str, str]:
        """What the records say beside the partner's name when another one acts for it."""
        return {"acted_by": self.actor} if self.actor else {}
