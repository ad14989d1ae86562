"""
Single use: a signed assertion or proof is accepted once, whichever process receives the copies.
"""

from __future__ import annotations

import re
from datetime import datetime

import sqlalchemy as sa

from gateway.store.database import Transaction, insert_ignore, instant
from gateway.store.tables import assertion_jtis, revoked_tokens

_JTI = re.compile(r"[\x21-\x7e]{1,256}")


def is_jti(value: object) -> bool:
    """Whether `value` can serve as a unique identifier: 1 to 256 visible ASCII characters, as UUIDs and base64url are."""
    return isinstance(value, str) and bool(_JTI.fullmatch(value))


async def use_once(tx: Transaction, owner: str, jti: str, expires_at: datetime) -> bool:
    """
    Record that `owner` used `jti`; False when it was used before.

    One INSERT on a unique key: of any number of simultaneous copies, the database lets exactly one through.
    `expires_at` is when the bearer of the jti stops being acceptable, clock skew included; the row may go after that.
    """
    added = await tx.execute(
        insert_ignore(assertion_jtis, tx)
        .values(client_id=owner, jti=jti, expires_at=instant(expires_at))
        .returning(assertion_jtis.c.jti)
    )
    return added.first() is not None


async def forget_expired(tx: Transaction, now: datetime) -> int:
    """Delete the identifiers whose bearer has expired by itself, and return how many; for the keeper."""
    deleted = 0
    for table in (assertion_jtis, revoked_tokens):
        deleted += (await tx.execute(sa.delete(table).where(table.c.expires_at < instant(now)))).rowcount
    return deleted
