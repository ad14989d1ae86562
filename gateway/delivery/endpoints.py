"""
How each system receives, as kept: set by its partner within what the operator opened, suspended when nobody answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

import orjson
import sqlalchemy as sa

from gateway.auth.registry import get_system
from gateway.delivery.base import Configuration, Endpoint, Policy
from gateway.outgoing_addresses import Allowance
from gateway.store.crypto import Vault
from gateway.store.database import Transaction, insert_ignore, instant, moment
from gateway.store.tables import endpoints, systems
from gateway.taken import takeable
from schemas import Kind

PULL: Final = "pull"
"""The system comes to its mailbox."""

_ROWS = sa.select(endpoints, systems.c.adapter).join(systems, systems.c.client_id == endpoints.c.client_id)


async def get(
    tx: Transaction, client_id: str, vault: Vault, *, change: bool = False, partner: str | None = None
) -> Endpoint | None:
    """
    How a system receives: by pull until it says otherwise. None for an unknown or disabled system, or another than a
    `partner`'s; `change` locks.
    """
    system = await get_system(tx, client_id, partner)
    if system is None or system.disabled:
        return None
    if change:
        await tx.execute(sa.select(endpoints.c.client_id).where(endpoints.c.client_id == client_id).with_for_update())
    row = (await tx.execute(_ROWS.where(endpoints.c.client_id == client_id))).first()
    return read(row, vault) if row else Endpoint(client_id, system.partner, system.adapter, PULL)


async def of_partner(tx: Transaction, partner: str, vault: Vault) -> list[Endpoint]:
    """How each system of a partner receives, the disabled ones left out."""
    query = sa.select(systems.c.client_id).where(systems.c.partner == partner, systems.c.disabled_at.is_(None))
    found = [await get(tx, client_id, vault) for client_id in sorted((await tx.execute(query)).scalars())]
    return [endpoint for endpoint in found if endpoint is not None]


async def pushed(tx: Transaction, now: datetime) -> Sequence[Any]:
    """The rows of the endpoints that do not come for it, for `read`; `due` says that something is to be handed over now."""
    rested = sa.or_(endpoints.c.next_attempt_at.is_(None), endpoints.c.next_attempt_at <= instant(now))
    due = sa.and_(endpoints.c.state == "active", rested, takeable(endpoints.c.partner, now)).label("due")
    query = _ROWS.add_columns(due).where(endpoints.c.transport != PULL, systems.c.disabled_at.is_(None))
    return (await tx.execute(query)).all()


async def configure(
    tx: Transaction,
    endpoint: Endpoint,
    transport: str,
    configuration: Configuration,
    kinds: frozenset[Kind] | None,
    policy: Policy,
    vault: Vault,
    now: datetime,
) -> None:
    """Keep what a partner set; the endpoint starts afresh, with what the operator opened for it."""
    values = {
        "transport": transport,
        "kinds": sorted(kind.value for kind in kinds) if kinds is not None else None,
        "settings": dict(configuration.settings),
        "sealed": _sealed(endpoint.client_id, configuration.secrets, vault),
        "policy": policy.kept(),
        **_fresh(now),
    }
    await _save(tx, endpoint, values)


async def replace_secrets(
    tx: Transaction, endpoint: Endpoint, configuration: Configuration, vault: Vault, now: datetime
) -> None:
    """Keep other secrets and what is said of them; nothing else changes."""
    sealed = _sealed(endpoint.client_id, configuration.secrets, vault)
    values = {"sealed": sealed, "settings": dict(configuration.settings), "updated_at": instant(now)}
    await _save(tx, endpoint, values)


async def allow(tx: Transaction, endpoint: Endpoint, allowance: Allowance, now: datetime) -> None:
    """Open networks and ports for one system: the operator's doing, never the partner's."""
    texts = {"networks": sorted(map(str, allowance.networks)), "ports": sorted(allowance.ports)}
    await _save(tx, endpoint, {"allowance": texts, "updated_at": instant(now)})


async def resume(tx: Transaction, endpoint: Endpoint, now: datetime) -> None:
    """Try a system again at once, suspended or resting."""
    await _save(tx, endpoint, _fresh(now))


async def suspend(tx: Transaction, endpoint: Endpoint, reason: str, now: datetime) -> None:
    """Stop trying a system: what is for it waits in the mailbox."""
    await _save(tx, endpoint, {"state": "suspended", "suspended_at": instant(now), "last_error": reason})


async def succeeded(tx: Transaction, endpoint: Endpoint, now: datetime) -> None:
    """Record that a system works."""
    at = instant(now)
    works = {"failures": 0, "failing_since": None, "next_attempt_at": None, "last_success_at": at, "last_error": None}
    await _save(tx, endpoint, works)


async def failed(
    tx: Transaction, endpoint: Endpoint, code: str, retry_after: timedelta | None, now: datetime
) -> Endpoint:
    """Record one more failure in a row and the time of the next attempt; gives the endpoint as it is then."""
    failures, since = endpoint.failures + 1, endpoint.failing_since or now
    wait = max(endpoint.policy.wait(failures), retry_after or timedelta())
    values = {"failures": failures, "failing_since": instant(since), "next_attempt_at": instant(now + wait)}
    await _save(tx, endpoint, values | {"last_error": code})
    return replace(endpoint, failures=failures, failing_since=since, last_error=code)


def _fresh(now: datetime) -> dict[str, Any]:
    """The state of an endpoint of which nothing bad is known."""
    nothing = dict.fromkeys(("failing_since", "next_attempt_at", "last_error", "suspended_at"))
    return {"state": "active", "failures": 0, "updated_at": instant(now), **nothing}


async def _save(tx: Transaction, endpoint: Endpoint, values: dict[str, Any]) -> None:
    first = {
        "client_id": endpoint.client_id,
        "partner": endpoint.partner,
        "transport": PULL,
        "settings": {},
        "policy": {},
        "allowance": {},
        "state": "active",
        "updated_at": "",
    }
    await tx.execute(insert_ignore(endpoints, tx).values(first | values))
    await tx.execute(sa.update(endpoints).where(endpoints.c.client_id == endpoint.client_id).values(values))


def _sealed(client_id: str, secrets: Any, vault: Vault) -> bytes | None:
    return vault.own.seal(orjson.dumps(dict(secrets)), _place(client_id)) if secrets else None


def _place(client_id: str) -> str:
    return f"endpoints/{client_id}"


def read(row: Any, vault: Vault) -> Endpoint:
    """Make an endpoint of its row."""
    allowed = row.allowance
    return Endpoint(
        client_id=row.client_id,
        partner=row.partner,
        adapter=row.adapter,
        transport=row.transport,
        kinds=frozenset(map(Kind, row.kinds)) if row.kinds is not None else None,
        settings=row.settings,
        secrets=orjson.loads(vault.own.open(row.sealed, _place(row.client_id))) if row.sealed else {},
        policy=Policy(**row.policy),
        allowance=Allowance.of(allowed.get("networks", ()), allowed.get("ports", ())),
        suspended=row.state == "suspended",
        failures=row.failures,
        failing_since=moment(row.failing_since) if row.failing_since else None,
        last_success_at=moment(row.last_success_at) if row.last_success_at else None,
        last_error=row.last_error,
    )
