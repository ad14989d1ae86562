"""
Partners and their systems: who may ask for a token, with which keys.

Every function works in the caller's transaction, so that a registration stands or falls with what goes with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from joserfc.jwk import KeySetSerialization

from gateway.auth.errors import RegistrationRefused
from gateway.auth.keys import public_jwks
from gateway.store.database import Transaction, insert_ignore, instant
from gateway.store.tables import partners, systems
from schemas.identity import siret_is_valid

ROLES: Final = frozenset({"partner", "auditor", "administrator"})
DELIVERIES: Final = frozenset({"pull", "webhook"})

_CLIENT_ID = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Partner:
    """An organisation in the exchange, and the public keys that sign its conventions."""

    siret: str
    name: str
    signing_jwks: KeySetSerialization


@dataclass(frozen=True, slots=True)
class System:
    """One software of a partner: an OAuth client, the adapter it speaks, how documents reach it."""

    client_id: str
    partner: str
    name: str
    jwks: KeySetSerialization
    roles: frozenset[str]
    adapter: str
    delivery: str
    delivery_settings: Mapping[str, Any] = field(repr=False)
    disabled: bool = False


def is_client_id(text: str) -> bool:
    """Whether `text` has the form of a client_id: 1 to 64 of `a-z 0-9 . _ -`, ending with letters or digits."""
    return bool(_CLIENT_ID.fullmatch(text))


async def add_partner(tx: Transaction, *, siret: str, name: str, signing_jwks: object, now: datetime) -> Partner:
    """Register an organisation; raises `RegistrationRefused` (SIRET, keys, already registered)."""
    if not siret_is_valid(siret):
        raise RegistrationRefused(
            "siret_invalid",
            "Le SIRET doit avoir 14 chiffres et une clé de Luhn juste.",
            "The SIRET must have 14 digits and a right Luhn key.",
        )
    partner = Partner(siret, _name(name), public_jwks(signing_jwks))
    added = await tx.execute(
        insert_ignore(partners, tx)
        .values(siret=siret, name=partner.name, signing_jwks=partner.signing_jwks, created_at=instant(now))
        .returning(partners.c.siret)
    )
    if added.first() is None:
        raise RegistrationRefused(
            "partner_exists", "Ce SIRET est déjà enregistré.", "This SIRET is already registered."
        )
    return partner


async def get_partner(tx: Transaction, siret: str) -> Partner | None:
    """Read one organisation, or None."""
    row = (await tx.execute(sa.select(partners).where(partners.c.siret == siret))).first()
    return Partner(row.siret, row.name, row.signing_jwks) if row else None


async def add_system(
    tx: Transaction,
    *,
    client_id: str,
    partner: str,
    name: str,
    jwks: object,
    now: datetime,
    roles: Iterable[str] = ("partner",),
    adapter: str = "shared-json",
    delivery: str = "pull",
    delivery_settings: Mapping[str, Any] | None = None,
) -> System:
    """Register a software of a registered partner; raises `RegistrationRefused` (form, keys, partner, already registered)."""
    system = System(
        client_id=_client_id(client_id),
        partner=partner,
        name=_name(name),
        jwks=public_jwks(jwks),
        roles=_roles(roles),
        adapter=adapter,
        delivery=_delivery(delivery),
        delivery_settings=dict(delivery_settings or {}),
    )
    if await get_partner(tx, partner) is None:
        raise RegistrationRefused(
            "partner_unknown", "Enregistrez d'abord l'organisation.", "Register the organisation first."
        )
    added = await tx.execute(
        insert_ignore(systems, tx)
        .values(
            client_id=client_id,
            partner=partner,
            name=system.name,
            jwks=system.jwks,
            roles=sorted(system.roles),
            adapter=adapter,
            delivery=delivery,
            delivery_settings=system.delivery_settings,
            created_at=instant(now),
        )
        .returning(systems.c.client_id)
    )
    if added.first() is None:
        raise RegistrationRefused(
            "system_exists", "Ce client_id est déjà enregistré.", "This client_id is already registered."
        )
    return system


async def get_system(tx: Transaction, client_id: str) -> System | None:
    """Read one system, disabled ones included, or None."""
    if not is_client_id(client_id):
        return None
    row = (await tx.execute(sa.select(systems).where(systems.c.client_id == client_id))).first()
    if row is None:
        return None
    return System(
        client_id=row.client_id,
        partner=row.partner,
        name=row.name,
        jwks=row.jwks,
        roles=frozenset(row.roles),
        adapter=row.adapter,
        delivery=row.delivery,
        delivery_settings=row.delivery_settings,
        disabled=row.disabled_at is not None,
    )


async def disable_system(tx: Transaction, client_id: str, now: datetime) -> None:
    """Shut a system out: no new token, and its live tokens are refused within seconds. Raises `RegistrationRefused` if unknown."""
    found = await tx.execute(
        sa.update(systems)
        .where(systems.c.client_id == client_id)
        .values(disabled_at=sa.func.coalesce(systems.c.disabled_at, instant(now)))
        .returning(systems.c.client_id)
    )
    if found.first() is None:
        raise RegistrationRefused(
            "system_unknown", "Ce client_id n'est pas enregistré.", "This client_id is not registered."
        )


def _client_id(text: str) -> str:
    if not is_client_id(text):
        raise RegistrationRefused(
            "client_id_invalid",
            "Un client_id a de 1 à 64 caractères : a-z 0-9 . _ - , en commençant et en finissant par une lettre ou un chiffre.",
            "A client_id has 1 to 64 characters: a-z 0-9 . _ - , starting and ending with a letter or a digit.",
        )
    return text


def _name(text: str) -> str:
    if not 0 < len(text.strip()) <= 200 or not text.isprintable():
        raise RegistrationRefused(
            "name_invalid",
            "Donnez un nom de 1 à 200 caractères, sur une ligne.",
            "Give a name of 1 to 200 characters, on one line.",
        )
    return text.strip()


def _roles(roles: Iterable[str]) -> frozenset[str]:
    given = frozenset(roles)
    if not given or not given <= ROLES:
        known = ", ".join(sorted(ROLES))
        raise RegistrationRefused("roles_invalid", f"Rôles possibles : {known}.", f"Possible roles: {known}.")
    return given


def _delivery(delivery: str) -> str:
    if delivery not in DELIVERIES:
        known = ", ".join(sorted(DELIVERIES))
        raise RegistrationRefused("delivery_invalid", f"Remises possibles : {known}.", f"Possible deliveries: {known}.")
    return delivery
