"""
How much one system may ask for: tokens, requests, bytes, people looked up. A system that runs wild slows nobody else down.

Counted by sliding windows in the memory of each process: with several API processes a system gets up to that many times as
much, which bounds the damage all the same and costs no round trip. What a convention allows a sender is another thing, and
exact (`gateway.volumes`).
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from limits import RateLimitItem, parse
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter

from gateway.errors import Problem

if TYPE_CHECKING:
    from gateway.auth.caller import Caller

KINDS: Final = {
    "tokens": ("demandes de jeton", "token requests"),
    "requests": ("requêtes", "requests"),
    "bytes": ("octets envoyés", "bytes sent"),
    "subjects": ("personnes recherchées", "people looked up"),
}
"""What is counted, in French and in English."""


class Exceeded(Exception):
    """A limit is reached: which, and after how many seconds to come back."""

    def __init__(self, kind: str, seconds: int) -> None:
        super().__init__(kind)
        self.seconds = seconds
        french, english = KINDS[kind]
        self.message_fr = f"Ce système a atteint sa limite de {french}. Réessayez dans {seconds} secondes."
        self.message_en = f"This client has reached its limit of {english}. Try again in {seconds} seconds."

    @property
    def headers(self) -> dict[str, str]:
        """When to come back (RFC 9110 section 10.2.3)."""
        return {"Retry-After": str(self.seconds)}

    def problem(self) -> Problem:
        """The refusal as an HTTP problem."""
        return Problem("too_many_requests", self.message_fr, self.message_en, headers=self.headers)


def read_limit(text: str) -> RateLimitItem | None:
    """Read `600/minute`, `2000000000/hour`…; empty: no limit. Raises `ValueError`."""
    return parse(text) if text.strip() else None


class Limits:
    """
    Counts what each system does against its own limits, or the gateway's; safe to use concurrently.

    `usual` gives the limit of each of `KINDS` as text; one that is not there is not limited. Raises `ValueError`.
    """

    def __init__(self, usual: Mapping[str, str] | None = None) -> None:
        self._usual = {kind: read_limit((usual or {}).get(kind, "")) for kind in KINDS}
        self._read: dict[str, RateLimitItem | None] = {}
        self._counter = SlidingWindowCounterRateLimiter(MemoryStorage())

    async def count(self, kind: str, client_id: str, own: Mapping[str, str] | None = None, cost: int = 1) -> None:
        """Count `cost` more of a kind for a system; raises `Exceeded`, and counts nothing then."""
        limit = self._usual[kind] if own is None or kind not in own else self._known(own[kind])
        if limit is None or cost <= 0 or await self._counter.hit(limit, kind, client_id, cost=cost):
            return
        resets, _ = await self._counter.get_window_stats(limit, kind, client_id)
        raise Exceeded(kind, max(1, math.ceil(min(resets - time.time(), limit.get_expiry()))))

    async def of_caller(self, kind: str, caller: Caller, cost: int = 1) -> None:
        """Count for the system that got a token; raises `Problem` too_many_requests (429)."""
        try:
            await self.count(kind, caller.client_id, caller.limits, cost)
        except Exceeded as error:
            raise error.problem() from error

    def _known(self, text: str) -> RateLimitItem | None:
        if text not in self._read:
            self._read[text] = read_limit(text)
        return self._read[text]
