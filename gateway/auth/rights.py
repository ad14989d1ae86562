"""
What the conventions in force open to a system: asked by the authorization server, answered by `gateway.scopes`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.auth.details import ExchangeDetail
from gateway.auth.registry import System
from gateway.store.database import Transaction


@dataclass(frozen=True, slots=True)
class Granted:
    """
    The scopes that may be asked for, and the hashes of the conventions that tokens then name (None: tokens name none).
    """

    scopes: frozenset[str]
    conventions: Sequence[str] | None = None


NOTHING = Granted(frozenset(), ())


class Rights(Protocol):
    """
    Reads the conventions in force, in the caller's transaction; never cached longer than a token lives. Any number at once.
    """

    async def own(self, tx: Transaction, system: System) -> Granted:
        """What a system may do for its own partner."""
        ...

    async def delegated(self, tx: Transaction, system: System, principal: str) -> Granted:
        """
        What a system may do in the name of another partner (SIRET): no scope unless conventions signed by both say that
        its partner acts for that one.
        """
        ...

    async def principal(self, tx: Transaction, system: System, convention: str) -> str | None:
        """Whom the system's partner acts for under the convention of that hash; None when it does not, or not now."""
        ...

    async def routed(self, tx: Transaction, sender: str, detail: ExchangeDetail) -> bool:
        """Whether conventions in force let the sender send this to each of its recipients, whatever the person says."""
        ...
