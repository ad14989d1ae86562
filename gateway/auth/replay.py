"""
Single use: a signed assertion or proof is accepted once, whichever process receives the copies.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from consent.rows import insert_rows
from gateway.store.database import Transaction, instant
from gateway.store.tables import assertion_jtis, invitations, revoked_tokens

_JTI = re.compile(r"[\x21-\x7e]{1,256}")


def is_jti(value: object) -> bool:
    """Whether `value` can serve as a unique identifier: 1 to 256 visible ASCII characters, as UUIDs and base64url are."""
    return isinstance(value, str) and bool(_JTI.fullmatch(value))


@dataclass(slots=True, eq=False)
class Use:
    """
    The use of an identifier by its owner; `first` is told by `use_all`, `durable` by whoever committed it.

    `expires_at` is when the bearer of the jti stops being acceptable, clock skew included; the row may go after that.
    """

    owner: str
    jti: str
    expires_at: datetime
    first: bool = False
    durable: bool = False

    @property
    def apart(self) -> frozenset[Hashable]:
        """Two copies are never recorded by one statement: the second must find the first."""
        return frozenset({(self.owner, self.jti)})


async def use_once(tx: Transaction, owner: str, jti: str, expires_at: datetime) -> bool:
    """Record that `owner` used `jti`; False when it was used before. See `use_all`."""
    use = Use(owner, jti, expires_at)
    await use_all(tx, [use])
    return use.first


async def use_all(tx: Transaction, uses: Sequence[Use]) -> None:
    """
    Record uses, all different, and tell of each whether it is the first.

    One INSERT on a unique key: of any number of simultaneous copies, the database lets exactly one through. In one order, so
    that no two transactions wait for each other.
    """
    ordered = sorted(uses, key=lambda use: (use.owner, use.jti))
    rows = [{"client_id": use.owner, "jti": use.jti, "expires_at": instant(use.expires_at)} for use in ordered]
    added = await insert_rows(tx, assertion_jtis, rows, ignore=True, returning=("client_id", "jti"))
    first = {(row.client_id, row.jti) for row in added}
    for use in uses:
        use.first = (use.owner, use.jti) in first


async def forget_expired(tx: Transaction, now: datetime) -> int:
    """Delete the identifiers whose bearer has expired by itself, and return how many; for the keeper."""
    deleted = 0
    for table in (assertion_jtis, revoked_tokens, invitations):
        deleted += (await tx.execute(sa.delete(table).where(table.c.expires_at < instant(now)))).rowcount
    return deleted
