"""
Whether the witnesses of the ledger are there: exchanges go on without them for a while, with an alarm, then no longer.

Without a quorum the operator could rewrite what was disclosed and nobody would notice. A short absence is an incident to
repair; a long one would be a way to work without witnesses. What people may do at any time (withdraw, object) is never closed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from consent.ledger.policy import Policy
from consent.ledger.publication import unwitnessed_since
from consent.tables import ledger_policies
from gateway.errors import Problem
from gateway.store.database import Database, Transaction, insert_ignore, instant, moment
from schemas import Kind

_ALWAYS: Final = frozenset({Kind.CONSENT})
"""A recipient is told of withdrawals, objections and erasures whatever happens (RGPD 19)."""

_KEPT: Final = 1.0
"""Seconds during which an answer of the database serves every exchange."""


class Quorum:
    """
    The absence of the quorum, as the database tells it to every process alike.

    A moment counts from the first signed head that the quorum did not cosign, and at the earliest from when this gateway
    began to ask these witnesses: a new policy has its whole period.
    """

    def __init__(
        self, database: Database, policy_file: Path | None, period: timedelta, clock: Callable[[], datetime]
    ) -> None:
        """`policy_file` is a C2SP tlog-policy. Raises PolicyInvalid, and OSError when the file cannot be read."""
        raw = b"" if policy_file is None else policy_file.read_bytes()
        self.policy = None if policy_file is None else Policy.parse(raw)
        self.period = period
        self._database = database
        self._clock = clock
        self._digest = sha256(raw).hexdigest()
        self._begun = clock()
        self._since: datetime | None = None
        self._fresh_until = 0.0

    @property
    def needed(self) -> bool:
        """Whether the policy asks for any cosignature."""
        return self.policy is not None and self.policy.quorum is not None

    async def begin(self) -> None:
        """Remember when this gateway first asked the witnesses of this policy."""
        async with self._database.write() as tx:
            row = {"digest": self._digest, "since": instant(self._clock())}
            await tx.execute(insert_ignore(ledger_policies, tx).values(row))

    async def away(self) -> timedelta:
        """For how long the quorum has been away; zero while it is there."""
        if not self.needed:
            return timedelta()
        if time.monotonic() >= self._fresh_until:
            async with self._database.read() as tx:
                self._since = await self._read(tx)
            self._fresh_until = time.monotonic() + _KEPT
        return max(timedelta(), self._clock() - self._since) if self._since else timedelta()

    async def closed(self) -> bool:
        """Whether the quorum has been away for the whole period: nothing more is exchanged."""
        return await self.away() > self.period

    async def open_to(self, kinds: frozenset[Kind] | None) -> frozenset[Kind] | None:
        """Of the kinds that a recipient asks for (None: all), those it may be handed over: when closed, notices alone."""
        if not await self.closed():
            return kinds
        return _ALWAYS if kinds is None else kinds & _ALWAYS

    async def require(self) -> None:
        """Let an exchange pass, or raise `Problem` unavailable when the quorum has been away for the whole period."""
        if await self.closed():
            away = await self.away()
            raise Problem(
                "unavailable",
                f"Les témoins du journal ne répondent plus depuis {_hours(away)} : les échanges sont suspendus jusqu'à leur "
                "retour. Rien n'a été enregistré, renvoyez plus tard. Les retraits et oppositions restent ouverts.",
                f"The ledger's witnesses have been away for {_hours(away)}: exchanges are suspended until they are back. "
                "Nothing was recorded, send again later. Withdrawals and objections stay open.",
                headers={"Retry-After": "300"},
            )

    async def _read(self, tx: Transaction) -> datetime | None:
        since = await unwitnessed_since(tx)
        if since is None:
            return None
        query = sa.select(ledger_policies.c.since).where(ledger_policies.c.digest == self._digest)
        begun = (await tx.execute(query)).scalar_one_or_none()
        return max(moment(since), self._begun if begun is None else moment(begun))


def _hours(length: timedelta) -> str:
    minutes = int(length.total_seconds() // 60)
    return f"{minutes // 60} h {minutes % 60:02}"
