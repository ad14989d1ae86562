"""
Receive otherwise than by the mailbox: each partner sets how its systems are served, tries it, and sees how it goes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Depends, Request
from starlette.responses import JSONResponse, Response

from consent.ledger.event import EventType
from gateway.auth.resource import Caller, requires
from gateway.auth.scopes import Scopes
from gateway.delivery import endpoints
from gateway.delivery.base import Configuration, Endpoint, Policy, Transport, invalid
from gateway.delivery.settlement import record_test
from gateway.delivery.signing import DIRECTORY
from gateway.errors import Problem, not_found
from gateway.http.bodies import as_object, read_members
from gateway.http.exchanges import Id
from gateway.http.state import services_of
from gateway.records import record_of
from gateway.services import Services
from gateway.store.database import Transaction, instant
from schemas import Kind

router = APIRouter(tags=["remise"])

Manager = Annotated[Caller, Depends(requires(Scopes.DELIVERY_MANAGE))]

_KINDS: Final = frozenset({Kind.REFERRAL, Kind.BILAN, Kind.STATUS, Kind.CONSENT})
_OVERLAP_HOURS: Final = 24


@router.get("/v1/endpoints")
async def list_endpoints(request: Request, caller: Manager) -> dict[str, Any]:
    """How each of the caller's systems receives, and how that goes. / Voir comment ses logiciels reçoivent."""
    services = services_of(request)
    async with services.database.read() as tx:
        found = await endpoints.of_partner(tx, caller.partner, services.vault)
    return {"endpoints": [_shown(endpoint) for endpoint in found]}


@router.get("/v1/endpoints/{client_id}")
async def get_endpoint(client_id: Id, request: Request, caller: Manager) -> dict[str, Any]:
    """How one system receives, and how that goes. / Voir comment un logiciel reçoit."""
    services = services_of(request)
    async with services.database.read() as tx:
        return _shown(await _mine(tx, client_id, caller, services))


@router.put("/v1/endpoints/{client_id}")
async def put_endpoint(client_id: Id, request: Request, caller: Manager) -> dict[str, Any]:
    """Set how one system receives; a secret made for it is shown this once. / Régler comment un logiciel reçoit."""
    services = services_of(request)
    body = await read_members(request, 20_000, frozenset({"transport", "settings", "kinds", "policy"}))
    transport = _transport(request, body.get("transport"))
    kinds, policy = _kinds(body.get("kinds")), Policy.of(as_object(body.get("policy", {})))
    async with services.database.write() as tx:
        current = await _mine(tx, client_id, caller, services, change=True)
        made = Configuration({}, {}, {})
        if transport is not None:
            made = transport.configure(as_object(body.get("settings", {})), current)
        name = str(body["transport"])
        await endpoints.configure(tx, current, name, made, kinds, policy, services.vault, services.clock())
        await _record(tx, current, "endpoint_set", services, caller, {"transport": name, "settings": _digest(made)})
        shown = _shown(await _mine(tx, client_id, caller, services))
    services.wake()
    return shown | dict(made.shown)


@router.post("/v1/endpoints/{client_id}/secret")
async def rotate_secret(client_id: Id, request: Request, caller: Manager) -> dict[str, Any]:
    """Replace the secret; the old one serves beside the new for a time (24 h). / Changer le secret."""
    services = services_of(request)
    body = await read_members(request, 1000, frozenset({"overlap_hours"}))
    hours = body.get("overlap_hours", _OVERLAP_HOURS)
    if not isinstance(hours, int) or isinstance(hours, bool) or not 0 <= hours <= 168:
        raise invalid("overlap_hours va de 0 à 168", "overlap_hours goes from 0 to 168")
    async with services.database.write() as tx:
        current = await _mine(tx, client_id, caller, services, change=True)
        made = _pushed(request, current).rotate(current, timedelta(hours=hours))
        await endpoints.replace_secrets(tx, current, made, services.vault, services.clock())
        await _record(tx, current, "endpoint_secret_rotated", services, caller, {"overlap_hours": hours})
    services.wake()
    return {"client_id": client_id, **made.shown}


@router.post("/v1/endpoints/{client_id}/test")
async def try_endpoint(client_id: Id, request: Request, caller: Manager) -> dict[str, Any]:
    """Send something about nobody, and tell what came of it. / Essayer la remise."""
    services = services_of(request)
    async with services.database.read() as tx:
        endpoint = await _mine(tx, client_id, caller, services)
    outcome = await _pushed(request, endpoint).test(endpoint)
    await record_test(endpoint, outcome, services)
    return {
        "outcome": outcome.result.value,
        "code": outcome.code,
        "milliseconds": outcome.milliseconds,
        "reply": outcome.reply.decode("utf-8", "replace")[:2000],
    }


@router.post("/v1/endpoints/{client_id}/resume")
async def resume(client_id: Id, request: Request, caller: Manager) -> dict[str, Any]:
    """Serve a suspended or resting system again, at once. / Reprendre la remise."""
    services = services_of(request)
    async with services.database.write() as tx:
        await endpoints.resume(tx, await _mine(tx, client_id, caller, services, change=True), services.clock())
        endpoint = await _mine(tx, client_id, caller, services)
        await _record(tx, endpoint, "endpoint_resumed", services, caller)
    services.wake()
    return _shown(endpoint)


@router.post("/v1/endpoints/{client_id}/suspend")
async def suspend(client_id: Id, request: Request, caller: Manager) -> dict[str, Any]:
    """Stop serving a system for now: what comes for it waits in the mailbox. / Suspendre la remise."""
    services = services_of(request)
    async with services.database.write() as tx:
        current = await _mine(tx, client_id, caller, services, change=True)
        _pushed(request, current)
        await endpoints.suspend(tx, current, "by its partner", services.clock())
        endpoint = await _mine(tx, client_id, caller, services)
        await _record(tx, endpoint, "endpoint_suspended", services, caller, {"reason": "by its partner"})
    services.wake()
    return _shown(endpoint)


@router.get(DIRECTORY, include_in_schema=False)
async def directory(request: Request) -> Response:
    """The public keys that check the signatures of what the gateway sends (RFC 9421)."""
    keys = request.app.state.message_signer.jwks
    return JSONResponse(keys, media_type="application/http-message-signatures-directory+json")


async def _mine(
    tx: Transaction, client_id: str, caller: Caller, services: Services, *, change: bool = False
) -> Endpoint:
    endpoint = await endpoints.get(tx, client_id, services.vault, change=change, partner=caller.partner)
    if endpoint is None:
        raise not_found()
    return endpoint


def _transport(request: Request, name: object) -> Transport | None:
    known: Mapping[str, Transport] = request.app.state.transports
    if not isinstance(name, str) or name not in {endpoints.PULL, *known}:
        names = ", ".join([endpoints.PULL, *sorted(known)])
        raise invalid(f"Remises possibles sur cette passerelle : {names}", f"Possible on this gateway: {names}")
    return known.get(name)


def _pushed(request: Request, endpoint: Endpoint) -> Transport:
    transport = _transport(request, endpoint.transport)
    if transport is None:
        raise Problem(
            "conflict",
            "Ce logiciel relève sa boîte : il n'y a rien à essayer ni à suspendre.",
            "This system pulls its mailbox: there is nothing to try or to suspend.",
        )
    return transport


def _kinds(asked: object) -> frozenset[Kind] | None:
    if asked is None:
        return None
    names = sorted(kind.value for kind in _KINDS)
    if not isinstance(asked, list) or not asked or not all(isinstance(each, str) and each in names for each in asked):
        told = ", ".join(names)
        raise invalid(f"« kinds » est une liste parmi : {told}", f"“kinds” is a list among: {told}")
    return frozenset(map(Kind, asked))


def _digest(made: Configuration) -> str:
    """Name what was set without showing it: an address may hold a word of the partner's."""
    return hashlib.sha256(orjson.dumps(dict(made.settings), option=orjson.OPT_SORT_KEYS)).hexdigest()


async def _record(
    tx: Transaction,
    endpoint: Endpoint,
    change: str,
    services: Services,
    caller: Caller,
    more: Mapping[str, Any] | None = None,
) -> None:
    body = {"change": change, "client_id": endpoint.client_id, **(more or {})}
    own = services.vault.own
    event = record_of(EventType.CONFIGURATION_CHANGED, services.clock(), caller.partner, body, own)
    await services.ledger.append(tx, [event])


def _shown(endpoint: Endpoint) -> dict[str, Any]:
    """An endpoint as its partner sees it: never a secret."""
    return {
        "client_id": endpoint.client_id,
        "transport": endpoint.transport,
        "settings": dict(endpoint.settings),
        "kinds": sorted(kind.value for kind in endpoint.kinds) if endpoint.kinds is not None else None,
        "policy": endpoint.policy.kept(),
        "allowed_networks": sorted(map(str, endpoint.allowance.networks)),
        "allowed_ports": sorted(endpoint.allowance.ports),
        "state": "suspended" if endpoint.suspended else "active",
        "failures_in_a_row": endpoint.failures,
        "failing_since": instant(endpoint.failing_since) if endpoint.failing_since else None,
        "last_success_at": instant(endpoint.last_success_at) if endpoint.last_success_at else None,
        "last_error": endpoint.last_error,
    }
