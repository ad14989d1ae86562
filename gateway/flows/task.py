"""
One flow as a task: begun when its bytes are kept, looked at, cancelled. What takes it in is `gateway.flows.taking`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import asdict
from typing import Any, Final

import orjson
import sqlalchemy as sa

from gateway.auth.caller import Caller
from gateway.errors import not_found
from gateway.flows import body
from gateway.flows.body import Kept
from gateway.services import Services
from gateway.store import idempotency
from gateway.store.database import Transaction, instant
from gateway.store.idempotency import Attempt
from gateway.store.identifiers import time_ordered
from gateway.store.tables import flows

OPEN: Final = ("reading", "running")
"""The states of a flow that is being taken in."""

_CALLER: Final = ("client_id", "partner", "system", "token_id", "actor", "limits", "unsigned", "channel")


async def accept(
    adapter: str,
    content: AsyncIterator[bytes],
    caller: Caller,
    attempt: Callable[[Kept], Attempt],
    services: Services,
) -> tuple[dict[str, Any], bool]:
    """
    Keep a flow, and ask for it to be taken in; gives the task, and whether an earlier request had asked for it.

    Durable when it returns. `attempt` makes of what came what idempotency compares, and may raise. When the bytes do not come
    whole nothing is kept.
    """
    flow_id, at = time_ordered(), instant(services.clock())
    row = {
        "id": flow_id,
        "partner": caller.partner,
        "client_id": caller.client_id,
        "caller": _kept(caller),
        "adapter": adapter,
        "state": "receiving",
        "documents": {},
        "created_at": at,
        "updated_at": at,
    }
    async with services.database.write() as tx:
        await tx.execute(sa.insert(flows).values(row))
    try:
        came = await body.keep(flow_id, content, services)
        asked = attempt(came)
        async with services.database.write() as tx:
            earlier = await idempotency.earlier_answer(tx, asked)
            if earlier is None:
                values = {"state": "reading", "pieces": came.pieces, "size": came.size}
                await tx.execute(sa.update(flows).where(flows.c.id == flow_id).values(values))
                answer = await get(tx, caller.partner, flow_id)
                await idempotency.keep_answer(tx, asked, answer, services.clock())
    except BaseException:
        await remove(flow_id, services)
        raise
    services.fault_point("flow.kept")
    if earlier is not None:
        await remove(flow_id, services)
        return dict(earlier), True
    return answer, False


async def get(tx: Transaction, partner: str, flow_id: str) -> dict[str, Any]:
    """One flow and how far it is; raises `Problem` not_found for another organisation's."""
    row = (await tx.execute(sa.select(flows).where(flows.c.id == flow_id, _of(partner)))).first()
    if row is None:
        raise not_found()
    return told(row)


async def newest(tx: Transaction, partner: str, limit: int) -> list[dict[str, Any]]:
    """The flows of an organisation, the newest first."""
    query = sa.select(flows).where(_of(partner)).order_by(flows.c.id.desc()).limit(limit)
    return [told(row) for row in await tx.execute(query)]


async def cancel(tx: Transaction, partner: str, flow_id: str, services: Services) -> dict[str, Any]:
    """Stop a flow where it is; what was taken in stays."""
    at = instant(services.clock())
    mine = sa.and_(flows.c.id == flow_id, _of(partner), flows.c.state.in_(OPEN))
    await tx.execute(sa.update(flows).where(mine).values(state="cancelled", updated_at=at, finished_at=at))
    return await get(tx, partner, flow_id)


async def report(summary: Mapping[str, Any], services: Services) -> AsyncIterator[bytes]:
    """The report of a flow as NDJSON: how it stands, then each record with what became of it, in the order of the file."""
    yield orjson.dumps(summary) + b"\n"
    async for lines in body.report(str(summary["id"]), services):
        yield lines


async def remove(flow_id: str, services: Services) -> None:
    """Forget a flow, its bytes and its report."""
    await body.forget(flow_id, services)
    async with services.database.write() as tx:
        await body.forget_report(tx, flow_id)
        await tx.execute(sa.delete(flows).where(flows.c.id == flow_id))


def caller_of(row: Any) -> Caller:
    """Who sent a flow, with what its token opened when it did."""
    said = dict(row.caller)
    scopes, roles, conventions = (said.pop(name) for name in ("scopes", "roles", "conventions"))
    known = None if conventions is None else frozenset(conventions)
    return Caller(scopes=frozenset(scopes), roles=frozenset(roles), conventions=known, **said)


def told(row: Any) -> dict[str, Any]:
    """A flow as its sender sees it."""
    address = f"/v1/flows/{row.id}"
    left = None if row.total is None else row.total - row.cursor
    records = {"total": row.total, "done": row.cursor - row.refused, "refused": row.refused, "left": left}
    return {
        "id": row.id,
        "state": row.state,
        "adapter": row.adapter,
        "bytes": row.size,
        "records": records,
        "documents": dict(row.documents),
        "problem": row.problem,
        "waits_until": row.not_before,
        "progress": address,
        "report": f"{address}/report",
        "created_at": row.created_at,
        "updated_at": row.updated_at,
        "finished_at": row.finished_at,
    }


def _kept(caller: Caller) -> dict[str, Any]:
    said = asdict(caller)
    lists = {name: sorted(said[name]) for name in ("scopes", "roles")}
    conventions = None if caller.conventions is None else sorted(caller.conventions)
    return {name: said[name] for name in _CALLER} | lists | {"conventions": conventions}


def _of(partner: str) -> sa.ColumnElement[bool]:
    return sa.and_(flows.c.partner == partner, flows.c.state != "receiving")
