"""
Local accounts of people: a password (argon2id, RFC 9106) and a one-time code (TOTP, RFC 6238), both always.

They serve the embedded mode and the first administrator; where there is an OpenID provider, people sign in there.
"""

from __future__ import annotations

import base64
import re
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import pyotp
import sqlalchemy as sa
from anyio import to_thread
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from gateway.auth.errors import RegistrationRefused
from gateway.auth.people.roles import PersonRole
from gateway.store.crypto import DataKey
from gateway.store.database import Transaction, insert_ignore, instant, moment
from gateway.store.tables import people
from schemas.identity import siret_is_valid

SHORTEST_PASSWORD: Final = 12
FAILURES: Final = 5
LOCKED: Final = timedelta(minutes=15)
"""After so many failures in a row nobody signs in to the account for so long, however right."""

_STEP: Final = 30
_LOGIN: Final = re.compile(r"[a-z0-9](?:[a-z0-9._@-]{1,62}[a-z0-9])")
_HASHER: Final = PasswordHasher()


def _unpadded(raw: bytes) -> str:
    return base64.b64encode(raw).decode().rstrip("=")


_NOBODY: Final = (
    f"$argon2id$v=19$m={_HASHER.memory_cost},t={_HASHER.time_cost},p={_HASHER.parallelism}"
    f"${_unpadded(bytes(_HASHER.salt_len))}${_unpadded(bytes(_HASHER.hash_len))}"
)
"""What is verified when there is no such account: the answer takes as long as for one that exists."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who may sign in: `partner` (SIRET) is whose exchanges an operator follows, empty for the other roles."""

    id: str
    login: str
    roles: frozenset[PersonRole]
    partner: str = ""


@dataclass(frozen=True, slots=True)
class Enrolled:
    """A new account: the secret that goes into the person's authenticator, shown once."""

    person: Person
    totp_uri: str


async def add(
    tx: Transaction,
    *,
    login: str,
    password: str,
    roles: Iterable[str],
    partner: str,
    issuer: str,
    key: DataKey,
    now: datetime,
) -> Enrolled:
    """
    Create a local account, with a new TOTP secret. Raises `RegistrationRefused`.

    `key` is the gateway's own data key: the secret is sealed under it. `issuer` names the gateway in the authenticator.
    """
    person = Person(str(uuid.uuid4()), login, _checked(login, roles, partner), partner)
    if len(password) < SHORTEST_PASSWORD:
        raise RegistrationRefused(
            "password_too_short",
            f"Le mot de passe doit avoir {SHORTEST_PASSWORD} caractères au moins.",
            f"The password must have at least {SHORTEST_PASSWORD} characters.",
        )
    secret = pyotp.random_base32()
    values = _row(person, now) | {
        "password": await to_thread.run_sync(_HASHER.hash, password),
        "totp": key.seal(secret.encode(), f"people/{person.id}"),
    }
    await _insert(tx, values)
    return Enrolled(person, pyotp.TOTP(secret, name=login, issuer=issuer).provisioning_uri())


async def invite(
    tx: Transaction, *, login: str, subject: str, roles: Iterable[str], partner: str, now: datetime
) -> Person:
    """Give roles to somebody who signs in at the OpenID provider, named by its `sub` there. Raises `RegistrationRefused`."""
    person = Person(str(uuid.uuid4()), login, _checked(login, roles, partner), partner)
    await _insert(tx, _row(person, now) | {"openid_subject": subject})
    return person


async def sign_in(tx: Transaction, login: str, password: str, code: str, key: DataKey, now: datetime) -> Person | None:
    """
    Verify a password and a one-time code; None when any of the three is wrong, or the account is locked or disabled.

    A code serves once (RFC 6238 section 5.2). Nothing tells which of them was wrong, nor does the time it takes.
    """
    row = (await tx.execute(sa.select(people).where(people.c.login == login).with_for_update())).first()
    known = await to_thread.run_sync(_password_is_right, row.password if row and row.password else _NOBODY, password)
    if row is None or row.password is None or row.disabled_at is not None:
        return None
    if row.locked_until is not None and now < moment(row.locked_until):
        return None
    step = _step_of(key.open(row.totp, f"people/{row.id}").decode(), code, now)
    right = known and step is not None and step > row.totp_step
    changes: dict[str, Any] = {"failures": 0, "locked_until": None, "totp_step": step}
    if not right:
        failures = row.failures + 1
        changes = {"failures": failures}
        if failures >= FAILURES:
            changes = {"failures": 0, "locked_until": instant(now + LOCKED)}
    await tx.execute(sa.update(people).where(people.c.id == row.id).values(changes))
    return person_of(row) if right else None


async def by_openid_subject(tx: Transaction, subject: str) -> Person | None:
    """Find the roles given here to somebody of the OpenID provider; None when there are none, or they were taken away."""
    query = sa.select(people).where(people.c.openid_subject == subject, people.c.disabled_at.is_(None))
    row = (await tx.execute(query)).first()
    return None if row is None else person_of(row)


async def disable(tx: Transaction, login: str, now: datetime) -> str | None:
    """Shut somebody out and give their id; None when there is no such account. Their sessions end by `sessions.end_all`."""
    query = sa.update(people).where(people.c.login == login, people.c.disabled_at.is_(None))
    done = await tx.execute(query.values(disabled_at=instant(now)).returning(people.c.id))
    found: str | None = done.scalar_one_or_none()
    return found


async def every(tx: Transaction) -> list[tuple[Person, bool]]:
    """Everybody, with whether they are shut out."""
    rows = await tx.execute(sa.select(people).order_by(people.c.login))
    return [(person_of(row), row.disabled_at is not None) for row in rows]


def person_of(row: Any) -> Person:
    """Read a row of `people`."""
    return Person(row.id, row.login, frozenset(PersonRole(role) for role in row.roles), row.partner)


def _checked(login: str, roles: Iterable[str], partner: str) -> frozenset[PersonRole]:
    known = frozenset(roles)
    if not _LOGIN.fullmatch(login):
        raise RegistrationRefused(
            "login_malformed",
            "L'identifiant a de 3 à 64 caractères : minuscules, chiffres et . _ @ -",
            "The login has 3 to 64 characters: lower case letters, digits and . _ @ -",
        )
    if not known or not known <= set(PersonRole):
        names = ", ".join(PersonRole)
        raise RegistrationRefused("role_unknown", f"Rôles possibles : {names}.", f"Possible roles: {names}.")
    if (PersonRole.OPERATOR in known) != bool(partner) or (partner and not siret_is_valid(partner)):
        raise RegistrationRefused(
            "partner_of_operator",
            "Un opérateur, et lui seul, a une organisation : donnez son SIRET.",
            "An operator, and nobody else, has an organisation: give its SIRET.",
        )
    return frozenset(PersonRole(role) for role in known)


def _row(person: Person, now: datetime) -> dict[str, Any]:
    return {
        "id": person.id,
        "login": person.login,
        "roles": sorted(person.roles),
        "partner": person.partner,
        "created_at": instant(now),
        "failures": 0,
        "totp_step": 0,
    }


async def _insert(tx: Transaction, values: dict[str, Any]) -> None:
    added = await tx.execute(insert_ignore(people, tx).values(values).returning(people.c.id))
    if added.first() is None:
        raise RegistrationRefused("login_taken", "Cet identifiant est déjà pris.", "This login is already taken.")


def _password_is_right(known: str, password: str) -> bool:
    try:
        return _HASHER.verify(known, password)
    except (VerificationError, InvalidHashError):
        return False


def _step_of(secret: str, code: str, now: datetime) -> int | None:
    """The time step whose code this is, now or one step away; None when it is none of them."""
    present = int(now.timestamp()) // _STEP
    totp = pyotp.TOTP(secret)
    for step in (present, present - 1, present + 1):
        if code.isascii() and totp.verify(code, for_time=step * _STEP):
            return step
    return None
