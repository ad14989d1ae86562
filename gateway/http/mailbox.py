"""
Receive: a partner's system pulls its mailbox and acknowledges what it took.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import JSONResponse, Response

from adapters import registry as adapters
from gateway.acknowledgement import DONE, acknowledge
from gateway.auth.registry import get_system
from gateway.auth.resource import Caller, requires
from gateway.auth.scopes import Scopes
from gateway.errors import Problem, not_found
from gateway.exchange import deliver
from gateway.handover import NACK_REASONS, Handover
from gateway.http.bodies import read_json
from gateway.http.exchanges import Id
from gateway.http.state import services_of
from gateway.services import Services
from gateway.store.database import instant
from gateway.taken import waiting

router = APIRouter(tags=["boîte de réception"])


@router.get("/v1/mailbox")
async def pull(
    request: Request,
    caller: Annotated[Caller, Depends(requires(Scopes.MAILBOX_READ))],
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    wait: Annotated[float, Query(ge=0, le=25, allow_inf_nan=False)] = 0,
) -> Response:
    """
    Take what waits, under a lease; acknowledge each delivery or the whole lease. / Relever sa boîte de réception.

    With `Accept: text/csv` (or the type of the system's own format), the documents of that format come as one file, whose
    lease is in the header `Lease-Id`; the others stay for the next call.
    """
    services, caller = services_of(request), caller.through("mailbox")
    async with services.database.read() as tx:
        system = await get_system(tx, caller.client_id)
    if system is None:
        raise not_found()
    adapter = adapters.get(system.adapter)
    own_type = adapter.output_media_type.split(";")[0]
    as_file = bool(own_type) and own_type in request.headers.get("accept", "")
    loop = asyncio.get_running_loop()
    deadline = loop.time() + wait
    kinds = adapter.kinds_out if as_file else None
    while True:
        if await waiting(caller, services, kinds):
            handed = await deliver(caller=caller, adapter=adapter, limit=limit, kinds=kinds, services=services)
            if handed.parcels:
                listed = _listed(handed) | _elsewhere(caller, services)
                return _file(handed, adapter.name) if as_file else JSONResponse(listed)
        if loop.time() >= deadline:
            nothing = {"lease": None, "deliveries": []} | _elsewhere(caller, services)
            return Response(status_code=204) if as_file else JSONResponse(nothing)
        await asyncio.sleep(min(0.2, max(0.0, deadline - loop.time())))


@router.post("/v1/mailbox/{delivery}/ack")
async def ack(
    delivery: Id, request: Request, caller: Annotated[Caller, Depends(requires(Scopes.MAILBOX_READ))]
) -> dict[str, Any]:
    """
    Acknowledge a delivery, or everything under a lease. / Accuser réception.

    Of a notice, `{"done": "stopped"}` or `{"done": "erased"}` says what was done about it, and goes in the ledger.
    """
    body = await read_json(request, 10_000) if request.headers.get("content-length", "0") != "0" else None
    done = body.get("done") if isinstance(body, dict) else None
    if done is not None and done not in DONE:
        allowed = ", ".join(DONE)
        raise Problem("malformed_request", f"« done » : {allowed}.", f"“done”: {allowed}.")
    return {"acknowledged": await acknowledge(caller, delivery, services_of(request), done=done)}


@router.post("/v1/mailbox/{delivery}/nack")
async def nack(
    delivery: Id, request: Request, caller: Annotated[Caller, Depends(requires(Scopes.MAILBOX_READ))]
) -> dict[str, Any]:
    """Say that a delivery could not be taken, and why; `temporary` offers it again. / Refuser une livraison."""
    body = await read_json(request, 10_000)
    reason = body.get("reason") if isinstance(body, dict) else None
    if reason not in NACK_REASONS:
        allowed = ", ".join(NACK_REASONS)
        raise Problem(
            "malformed_request", f"Motif attendu dans « reason » : {allowed}.", f"Expected in “reason”: {allowed}."
        )
    refused = await acknowledge(
        caller, delivery, services_of(request), refusal=str(reason), permanent=reason != "temporary"
    )
    return {"refused": refused}


def _elsewhere(caller: Caller, services: Services) -> dict[str, Any]:
    """
    The conventions of the caller that do not allow the mailbox, or not an unsigned request: their channels, and whether they want
    signatures. What they let leave waits for these.
    """
    signed, now = not caller.unsigned, services.clock()
    closed = services.conventions.latest.closed(caller.partner, caller.channel, now, signed=signed)
    shown = [
        {"convention": each.id, "channels": sorted(each.channels)}
        | ({"signed_requests": True} if each.signed_requests else {})
        for each in closed
    ]
    return {"elsewhere": shown} if shown else {}


def _listed(handed: Handover) -> dict[str, Any]:
    return {
        "lease": handed.lease,
        "leased_until": instant(handed.until),
        "deliveries": [parcel.shown() for parcel in handed.parcels],
    }


def _file(handed: Handover, adapter_name: str) -> Response:
    adapter = adapters.get(adapter_name)
    documents = [parcel.taken.projection.document for parcel in handed.parcels if parcel.taken.projection]
    headers = {"Lease-Id": handed.lease, "Delivery-Count": str(len(documents)), "Content-Disposition": "attachment"}
    return Response(adapter.to_partner(documents), media_type=adapter.output_media_type, headers=headers)
