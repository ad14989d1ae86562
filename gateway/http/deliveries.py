"""
Look at deliveries, at what was tried, and replay what is closed: one, or what filters find.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import JSONResponse, Response

from gateway.auth.resource import Caller, requires
from gateway.auth.scopes import Scopes
from gateway.delivery import lookup, replays
from gateway.delivery.lookup import Filters
from gateway.http.bodies import read_members
from gateway.http.exchanges import Id, IdempotencyKey, attempt_of
from gateway.http.state import services_of
from gateway.store import idempotency

router = APIRouter(tags=["remise"])

Manager = Annotated[Caller, Depends(requires(Scopes.DELIVERY_MANAGE))]
Text = Annotated[str | None, Query(max_length=200)]


@router.get("/v1/deliveries")
async def list_deliveries(
    request: Request,
    caller: Manager,
    state: Annotated[list[str] | None, Query(max_length=9)] = None,
    kind: Text = None,
    reason: Text = None,
    sender: Text = None,
    recipient: Text = None,
    since: Text = None,
    until: Text = None,
    cursor: Annotated[str | None, Query(pattern=r"^[0-9TZ:.-]{27}_[0-9a-f-]{36}$")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> dict[str, Any]:
    """What the caller's organisation sent or was handed over, the newest first. / Lister ses remises."""
    asked = {"kind": kind, "reason": reason, "sender": sender, "recipient": recipient, "since": since, "until": until}
    filters = Filters.of({"states": state, **asked})
    async with services_of(request).database.read() as tx:
        found, following = await lookup.listed(tx, caller.partner, filters, cursor, limit)
    return {"deliveries": found, "next": following}


@router.get("/v1/deliveries/{delivery_id}")
async def get_delivery(delivery_id: Id, request: Request, caller: Manager) -> dict[str, Any]:
    """One delivery, what it replays or is replayed by, and for its recipient each attempt. / Voir une remise."""
    services = services_of(request)
    async with services.database.read() as tx:
        return await lookup.one(tx, delivery_id, caller, services)


@router.post("/v1/deliveries/{delivery_id}/replay", status_code=202)
async def replay_delivery(
    delivery_id: Id, request: Request, caller: Manager, key: IdempotencyKey = None
) -> dict[str, Any]:
    """Ask for a closed delivery again; the gate decides anew. / Rejouer une remise."""
    services = services_of(request)
    attempt = attempt_of(request, caller, key, b"")
    async with services.database.write() as tx:
        if (earlier := await idempotency.earlier_answer(tx, attempt)) is not None:
            return dict(earlier)
        answer = await replays.replay_one(tx, delivery_id, caller.partner, services)
        await idempotency.keep_answer(tx, attempt, answer, services.clock())
    services.wake()
    return answer


@router.post("/v1/replays", status_code=202)
async def post_replay(request: Request, caller: Manager, key: IdempotencyKey = None) -> Response:
    """Replay what filters find, as a task; with `dry_run`, only count. / Rejouer des remises en nombre."""
    services = services_of(request)
    body = await read_members(request, 10_000, frozenset({"dry_run", *Filters.__slots__}))
    dry_run = body.pop("dry_run", False) is True
    filters = Filters.of(body)
    if dry_run:
        async with services.database.read() as tx:
            return JSONResponse(await replays.count(tx, caller.partner, filters))
    attempt = attempt_of(request, caller, key, repr(filters).encode())
    async with services.database.write() as tx:
        answer = await idempotency.earlier_answer(tx, attempt)
        if answer is None:
            answer = await replays.begin(tx, caller.client_id, caller.partner, filters, services)
            await idempotency.keep_answer(tx, attempt, answer, services.clock())
    return JSONResponse(answer, 202)


@router.get("/v1/replays")
async def list_replays(
    request: Request, caller: Manager, limit: Annotated[int, Query(ge=1, le=100)] = 20
) -> dict[str, Any]:
    """The tasks of the caller's organisation, the newest first. / Lister ses rejeux."""
    async with services_of(request).database.read() as tx:
        return {"replays": await replays.newest(tx, caller.partner, limit)}


@router.get("/v1/replays/{replay_id}")
async def get_replay(replay_id: Id, request: Request, caller: Manager) -> dict[str, Any]:
    """One task, and how far it is. / Suivre un rejeu."""
    async with services_of(request).database.read() as tx:
        return await replays.get(tx, caller.partner, replay_id)


@router.post("/v1/replays/{replay_id}/cancel")
async def cancel_replay(replay_id: Id, request: Request, caller: Manager) -> dict[str, Any]:
    """Stop a task where it is. / Arrêter un rejeu."""
    services = services_of(request)
    async with services.database.write() as tx:
        return await replays.cancel(tx, caller.partner, replay_id, services.clock())
