"""
How each system's documents are got, as kept: set by its partner; where it was left is kept with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import orjson
import sqlalchemy as sa

from gateway.auth.registry import get_system
from gateway.delivery import endpoints
from gateway.delivery.base import Configuration
from gateway.sources.base import API, Source
from gateway.store.crypto import Vault
from gateway.store.database import Transaction, insert_ignore, instant, moment
from gateway.store.tables import sources, systems

_LONGEST: Final = timedelta(hours=1)


async def get(
    tx: Transaction, client_id: str, vault: Vault, *, change: bool = False, partner: str | None = None
) -> Source | None:
    """
    How a system's documents are got: by the API until it says otherwise. None for an unknown or disabled system, or another
    than a `partner`'s.
    """
    system = await get_system(tx, client_id, partner)
    if system is None or system.disabled:
        return None
    query = sa.select(sources).where(sources.c.client_id == client_id)
    row = (await tx.execute(query.with_for_update() if change else query)).first()
    endpoint = await endpoints.get(tx, client_id, vault)
    assert endpoint is not None
    if row is None:
        return Source(client_id, system.partner, API, allowance=endpoint.allowance)
    return Source(
        client_id=client_id,
        partner=row.partner,
        way=row.way,
        settings=row.settings,
        secrets=orjson.loads(vault.own.open(row.sealed, _place(client_id))) if row.sealed else {},
        cursor=row.cursor,
        allowance=endpoint.allowance,
        failures=row.failures,
        last_success_at=moment(row.last_success_at) if row.last_success_at else None,
        last_error=row.last_error,
        paused=row.way != API and row.next_pull_at is None,
    )


async def of_partner(tx: Transaction, partner: str, vault: Vault) -> list[Source]:
    """How the documents of each system of a partner are got, the disabled ones left out."""
    query = sa.select(systems.c.client_id).where(systems.c.partner == partner, systems.c.disabled_at.is_(None))
    found = [await get(tx, client_id, vault) for client_id in sorted((await tx.execute(query)).scalars())]
    return [source for source in found if source is not None]


async def configure(
    tx: Transaction, current: Source, way: str, made: Configuration, vault: Vault, now: datetime
) -> None:
    """Keep what a partner set. The place where it was left is kept as long as the way is the same."""
    values: dict[str, Any] = {"way": way, "settings": dict(made.settings), "sealed": _sealed(current, made, vault)}
    values |= {"failures": 0, "last_error": None, "next_pull_at": instant(now), "held_until": None}
    values |= {} if way == current.way else {"cursor": {}}
    await _save(tx, current, values | {"updated_at": instant(now)})


async def replace_secrets(tx: Transaction, current: Source, made: Configuration, vault: Vault, now: datetime) -> None:
    """Keep other secrets; nothing else changes."""
    await _save(tx, current, {"sealed": _sealed(current, made, vault), "updated_at": instant(now)})


async def pause(tx: Transaction, source: Source, now: datetime) -> None:
    """Ask a source no more until it is resumed or set again; the message that is being taken in is taken to its end."""
    await _save(tx, source, {"next_pull_at": None, "updated_at": instant(now)})


async def resume(tx: Transaction, source: Source, now: datetime) -> None:
    """Ask a source again, at once and from where it was left."""
    values = {"next_pull_at": instant(now), "failures": 0, "last_error": None, "updated_at": instant(now)}
    await _save(tx, source, values)


async def claim(tx: Transaction, ways: Sequence[str], now: datetime, hold: timedelta) -> list[str]:
    """Hold for a time the sources that are due to be asked, so that one process alone asks each; gives their systems."""
    free = sa.or_(sources.c.held_until.is_(None), sources.c.held_until <= instant(now))
    due = sa.and_(sources.c.way.in_(ways), sources.c.next_pull_at <= instant(now), free)
    held = sa.update(sources).where(due).values(held_until=instant(now + hold)).returning(sources.c.client_id)
    return sorted((await tx.execute(held)).scalars())


async def keep_hold(tx: Transaction, source: Source, until: datetime, cursor: Mapping[str, Any] | None) -> bool:
    """Remember where a source is left, and hold it for longer; says whether to go on, which a pause in the meantime forbids."""
    moved = {} if cursor is None else {"cursor": dict(cursor)}
    await _save(tx, source, {"held_until": instant(until), **moved})
    asked = sa.select(sources.c.next_pull_at).where(sources.c.client_id == source.client_id)
    return (await tx.execute(asked)).scalar() is not None


async def succeeded(tx: Transaction, source: Source, now: datetime, again: datetime) -> None:
    """Record that a source was asked to the end, and when it is asked again."""
    fine = {"failures": 0, "last_error": None, "last_success_at": instant(now)}
    await _save(tx, source, fine | {"held_until": None})
    await _ask_again(tx, source, again)


async def failed(tx: Transaction, source: Source, code: str, wait: timedelta, now: datetime) -> None:
    """Record a failure; the wait doubles with each in a row, up to an hour."""
    wait = max(wait, min(timedelta(seconds=5) * 2 ** min(source.failures, 12), _LONGEST))
    await _save(tx, source, {"failures": source.failures + 1, "last_error": code, "held_until": None})
    await _ask_again(tx, source, now + wait)


async def _ask_again(tx: Transaction, source: Source, at: datetime) -> None:
    """Say when a source is asked next, unless it was paused while it was asked."""
    mine = sa.and_(sources.c.client_id == source.client_id, sources.c.next_pull_at.is_not(None))
    await tx.execute(sa.update(sources).where(mine).values(next_pull_at=instant(at)))


async def _save(tx: Transaction, source: Source, values: dict[str, Any]) -> None:
    first = {"client_id": source.client_id, "partner": source.partner, "way": API, "settings": {}, "cursor": {}}
    await tx.execute(insert_ignore(sources, tx).values(first | {"updated_at": "", **values}))
    await tx.execute(sa.update(sources).where(sources.c.client_id == source.client_id).values(values))


def _sealed(source: Source, made: Configuration, vault: Vault) -> bytes | None:
    return vault.own.seal(orjson.dumps(dict(made.secrets)), _place(source.client_id)) if made.secrets else None


def _place(client_id: str) -> str:
    return f"sources/{client_id}"
