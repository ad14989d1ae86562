"""
Partners and their systems: who may ask for a token, with which keys.

Every function works in the caller's transaction, so that a registration stands or falls with what goes with it.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

import sqlalchemy as sa
from joserfc.jwk import KeySetSerialization

from gateway.auth.errors import RegistrationRefused
from gateway.auth.keys import public_jwks
from gateway.auth.profile import Method, Security
from gateway.store.database import Database, Transaction, insert_ignore, instant
from gateway.store.tables import partners, systems
from schemas.identity import siret_is_valid

ROLES: Final = frozenset({"partner", "auditor", "administrator"})

NAMES_SECONDS: Final = 60.0

_CLIENT_ID = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Partner:
    """An organisation in the exchange, and the public keys that sign its conventions."""

    siret: str
    name: str
    signing_jwks: KeySetSerialization


class PartnerNames:
    """
    The organisations' names, which stand in every document they send: read again after `NAMES_SECONDS`.

    Only the name may be that old; whether a system still has access is `gateway.auth.revocation`'s.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[str, tuple[float, str]] = {}

    async def of(self, siret: str) -> str | None:
        """Give the name of an organisation, or None."""
        read_at, name = self._known.get(siret, (float("-inf"), ""))
        if time.monotonic() - read_at < NAMES_SECONDS:
            return name
        async with self._database.read() as tx:
            partner = await get_partner(tx, siret)
        if partner is None:
            return None
        self._known[siret] = (time.monotonic(), partner.name)
        return partner.name


@dataclass(frozen=True, slots=True)
class System:
    """One software of a partner: an OAuth client, the adapter it speaks; how documents reach it is its endpoint."""

    client_id: str
    partner: str
    name: str
    jwks: KeySetSerialization
    roles: frozenset[str]
    adapter: str
    security: Security = field(default_factory=Security)
    secret: bytes | None = field(default=None, repr=False)
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
    jwks: object = None,
    now: datetime,
    security: Security | None = None,
    secret: str | None = None,
    registration_token: str | None = None,
    roles: Iterable[str] = ("partner",),
    adapter: str = "shared-json",
) -> System:
    """
    Register a software of a registered partner; raises `RegistrationRefused` (form, keys, partner, already registered).

    `security` says how it authenticates and what its tokens are bound to: by default a key of its own, and DPoP. `secret`
    goes with the sandbox's client_secret_basic; only its digest is kept.
    """
    demanded = (security or Security()).checked()
    system = System(
        client_id=_client_id(client_id),
        partner=partner,
        name=_name(name),
        jwks=_credentials(demanded, jwks, secret),
        security=demanded,
        secret=digest(secret),
        roles=_roles(roles),
        adapter=adapter,
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
            security=demanded.as_json(),
            secret=system.secret,
            registration_token=digest(registration_token),
            created_at=instant(now),
        )
        .returning(systems.c.client_id)
    )
    if added.first() is None:
        raise RegistrationRefused(
            "system_exists", "Ce client_id est déjà enregistré.", "This client_id is already registered."
        )
    return system


async def get_system(tx: Transaction, client_id: str, partner: str | None = None) -> System | None:
    """Read one system (of a partner), disabled ones included, or None."""
    if not is_client_id(client_id):
        return None
    query = sa.select(systems).where(systems.c.client_id == client_id)
    row = (await tx.execute(query if partner is None else query.where(systems.c.partner == partner))).first()
    if row is None:
        return None
    return System(
        client_id=row.client_id,
        partner=row.partner,
        name=row.name,
        jwks=row.jwks,
        roles=frozenset(row.roles),
        adapter=row.adapter,
        security=Security.read(row.security),
        secret=row.secret,
        disabled=row.disabled_at is not None,
    )


async def change_system(
    tx: Transaction, system: System, *, name: str, jwks: object, adapter: str, security: Security
) -> System:
    """
    Replace what a system registered; its partner, its roles, its secret and what it receives stay.

    Raises `RegistrationRefused`. Keys that are no longer there stop working at once, tokens within their five minutes.
    """
    demanded = security.checked()
    # A secret is not repeated in an update: the one that is there is kept.
    kept = _credentials(demanded, jwks, "" if demanded.method is Method.SECRET else None)
    changed = replace(system, name=_name(name), jwks=kept, adapter=adapter, security=demanded)
    await tx.execute(
        sa.update(systems)
        .where(systems.c.client_id == system.client_id)
        .values(name=changed.name, jwks=kept, adapter=adapter, security=demanded.as_json())
    )
    return changed


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


def digest(secret: str | None) -> bytes | None:
    """What is kept of a secret that this gateway made: 256 random bits need no slower digest."""
    return None if secret is None else hashlib.sha256(secret.encode()).digest()


def _credentials(security: Security, jwks: object, secret: str | None) -> KeySetSerialization:
    """Check that a system comes with what its method needs, and with nothing that would authenticate it otherwise."""
    by_secret, by_address = security.method is Method.SECRET, security.jwks_uri is not None
    if by_secret != (secret is not None):
        raise RegistrationRefused(
            "secret",
            "Seul client_secret_basic a un secret, et il en faut un.",
            "client_secret_basic alone has a secret.",
        )
    if by_address and jwks is not None:
        raise RegistrationRefused(
            "jwks_twice", "Donnez les clés, ou leur adresse, pas les deux.", "Give the keys or their address, not both."
        )
    if jwks is None and (by_address or security.method in (Method.SECRET, Method.TLS)):
        return {"keys": []}
    kept = public_jwks(jwks, security.profile.algorithms)
    if security.method is Method.SELF_SIGNED_TLS and not all("x5t#S256" in key for key in kept["keys"]):
        raise RegistrationRefused(
            "certificate_missing",
            "self_signed_tls_client_auth demande le certificat de chaque clé, dans x5c.",
            "self_signed_tls_client_auth needs each key's certificate, in x5c.",
        )
    return kept


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
