"""
Initial access tokens (RFC 7591 section 3): the operator invites a partner to register its systems by itself.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from gateway.auth.errors import RegistrationRefused
from gateway.auth.profile import Security
from gateway.auth.registry import digest, get_partner
from gateway.store.database import Transaction, instant
from gateway.store.tables import invitations


@dataclass(frozen=True, slots=True)
class Invitation:
    """For which partner (SIRET), and what the operator allows the systems it registers."""

    partner: str
    security: Security


async def invite(
    tx: Transaction, partner: str, security: Security, *, uses: int, now: datetime, expires_at: datetime
) -> str:
    """Make an initial access token that lets in `uses` registrations; only its digest is kept. Raises `RegistrationRefused`."""
    if await get_partner(tx, partner) is None:
        raise RegistrationRefused(
            "partner_unknown", "Enregistrez d'abord l'organisation.", "Register the organisation first."
        )
    token = secrets.token_urlsafe(32)
    row = {
        "token": digest(token),
        "partner": partner,
        "security": security.checked().as_json(),
        "uses": uses,
        "created_at": instant(now),
        "expires_at": instant(expires_at),
    }
    await tx.execute(sa.insert(invitations).values(row))
    return token


async def take_up(tx: Transaction, token: str, now: datetime) -> Invitation | None:
    """Use an invitation once more, in the transaction of the registration it lets in; None when it lets in nothing."""
    used = await tx.execute(
        sa.update(invitations)
        .where(invitations.c.token == digest(token), invitations.c.uses > 0, invitations.c.expires_at > instant(now))
        .values(uses=invitations.c.uses - 1)
        .returning(invitations.c.partner, invitations.c.security)
    )
    row = used.first()
    return Invitation(row.partner, Security.read(row.security)) if row else None
