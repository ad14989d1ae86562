"""
Sessions of people in the console: short, kept on the server so that they can be ended, bound to the browser that opened them.

The cookie holds 256 random bits and the database their hash: whoever reads the table can use none of them.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from gateway.auth.people.accounts import Person
from gateway.auth.people.roles import PersonRole
from gateway.store.crypto import DataKey
from gateway.store.database import Transaction, instant, moment
from gateway.store.tables import person_sessions

IDLE: Final = timedelta(minutes=20)
LONGEST: Final = timedelta(hours=4)
_SEEN_EVERY: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody who is signed in. `csrf` goes into every form of theirs; `id` names the session and opens nothing."""

    id: str
    person: Person
    csrf: str
    opened_at: datetime
    ends_at: datetime


async def open_session(
    tx: Transaction, person: Person, browser: str, key: DataKey, now: datetime, *, id_token: str = ""
) -> str:
    """
    Sign somebody in and give the cookie's value. Durable when `tx` commits.

    `browser` is the User-Agent, `id_token` what the OpenID provider will want at sign-out; it is sealed under `key`.
    """
    token = secrets.token_urlsafe(32)
    name = _name(token)
    values = {
        "id": name,
        "person_id": person.id,
        "login": person.login,
        "roles": sorted(person.roles),
        "partner": person.partner,
        "browser": _hashed(browser),
        "id_token": key.seal(id_token.encode(), f"person_sessions/{name}") if id_token else None,
        "opened_at": instant(now),
        "seen_at": instant(now),
    }
    await tx.execute(sa.insert(person_sessions).values(values))
    return token


async def find(tx: Transaction, token: str, browser: str, now: datetime) -> Session | None:
    """Find the live session of a cookie sent by the same browser; None when it ended, by itself or not."""
    row = (await tx.execute(sa.select(person_sessions).where(person_sessions.c.id == _name(token)))).first()
    if row is None or row.ended_at is not None or not hmac.compare_digest(row.browser, _hashed(browser)):
        return None
    if now >= min(moment(row.opened_at) + LONGEST, moment(row.seen_at) + IDLE):
        return None
    return _session(row, token)


async def seen(tx: Transaction, session: Session, now: datetime) -> None:
    """Put off the idle end of a session; written once a minute, whatever the number of pages."""
    table = person_sessions
    late = table.c.seen_at < instant(now - _SEEN_EVERY)
    await tx.execute(sa.update(table).where(table.c.id == session.id, late).values(seen_at=instant(now)))


async def end(tx: Transaction, session_id: str, person_id: str, key: DataKey, now: datetime) -> str | None:
    """End a session of a person, and give the id_token it kept (empty if none); None when it is not theirs, or has ended."""
    table = person_sessions
    live = sa.update(table).where(table.c.id == session_id, table.c.person_id == person_id, table.c.ended_at.is_(None))
    row = (await tx.execute(live.values(ended_at=instant(now)).returning(table.c.id_token))).first()
    if row is None:
        return None
    return key.open(row.id_token, f"person_sessions/{session_id}").decode() if row.id_token else ""


async def end_all(tx: Transaction, person_id: str, now: datetime) -> int:
    """End every session of a person and tell how many there were; the next click of any of them is refused."""
    table = person_sessions
    live = sa.update(table).where(table.c.person_id == person_id, table.c.ended_at.is_(None))
    return (await tx.execute(live.values(ended_at=instant(now)))).rowcount


async def live_of(tx: Transaction, person_id: str, now: datetime) -> list[tuple[str, datetime, datetime]]:
    """The live sessions of a person: id, when it was opened, when it was last seen."""
    table = person_sessions
    query = sa.select(table).where(
        table.c.person_id == person_id,
        table.c.ended_at.is_(None),
        table.c.opened_at > instant(now - LONGEST),
        table.c.seen_at > instant(now - IDLE),
    )
    rows = await tx.execute(query.order_by(table.c.opened_at))
    return [(row.id, moment(row.opened_at), moment(row.seen_at)) for row in rows]


async def forget_ended(tx: Transaction, now: datetime) -> int:
    """Delete the sessions over for a day, and tell how many; for the keeper."""
    table = person_sessions
    return (await tx.execute(sa.delete(table).where(table.c.opened_at < instant(now - timedelta(days=1))))).rowcount


def form_is_genuine(session: Session, token: str) -> bool:
    """Whether a form was made by a page of this session (protection against cross-site request forgery)."""
    return token.isascii() and hmac.compare_digest(session.csrf, token)


def _session(row: Any, token: str) -> Session:
    person = Person(row.person_id, row.login, frozenset(PersonRole(role) for role in row.roles), row.partner)
    csrf = hmac.digest(token.encode(), b"tdu console form", hashlib.sha256).hex()
    opened = moment(row.opened_at)
    return Session(row.id, person, csrf, opened, opened + LONGEST)


def _name(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _hashed(browser: str) -> str:
    return hashlib.sha256(browser.encode()).hexdigest()
