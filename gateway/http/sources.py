"""
Send otherwise than by the API: each partner sets how its systems' documents are got, and sees how it goes.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request

from consent.ledger.event import EventType
from gateway.auth.resource import Caller, requires
from gateway.auth.scopes import Scopes
from gateway.delivery.base import Configuration
from gateway.errors import Problem, not_found
from gateway.http.bodies import as_object, read_members
from gateway.http.exchanges import Id
from gateway.http.state import services_of
from gateway.records import record_of
from gateway.services import Services
from gateway.sources import store
from gateway.sources.base import API, Connector, Hook, Source, invalid, told
from gateway.store.database import Transaction

router = APIRouter(tags=["échanges"])

Manager = Annotated[Caller, Depends(requires(Scopes.DELIVERY_MANAGE))]

_OVERLAP_HOURS: Final = 24


@router.get("/v1/sources")
async def list_sources(request: Request, caller: Manager) -> dict[str, Any]:
    """How what each of the caller's systems sends is got. / Voir comment ce que ses logiciels envoient est pris."""
    services = services_of(request)
    async with services.database.read() as tx:
        found = await store.of_partner(tx, caller.partner, services.vault)
    return {"sources": [_shown(source, request) for source in found]}


@router.get("/v1/sources/{client_id}")
async def get_source(client_id: Id, request: Request, caller: Manager) -> dict[str, Any]:
    """How what one system sends is got, and how that goes. / Voir comment ce qu'un logiciel envoie est pris."""
    services = services_of(request)
    async with services.database.read() as tx:
        return _shown(await _mine(tx, client_id, caller, services), request)


@router.put("/v1/sources/{client_id}")
async def put_source(client_id: Id, request: Request, caller: Manager) -> dict[str, Any]:
    """Set how what one system sends is got; a secret made for it is shown this once. / Régler comment ses envois sont pris."""
    services = services_of(request)
    body = await read_members(request, 20_000, frozenset({"way", "settings"}))
    name, asked = body.get("way"), as_object(body.get("settings", {}))
    way = _way(request, name)
    async with services.database.write() as tx:
        current = await _mine(tx, client_id, caller, services, change=True)
        made = way.configure(asked, current) if way is not None else Configuration({}, {}, {})
        await store.configure(tx, current, str(name), made, services.vault, services.clock())
        await _record(tx, current, "source_set", services, caller, told(str(name), made))
        shown = _shown(await _mine(tx, client_id, caller, services), request)
    services.wake()
    return shown | dict(made.shown)


@router.post("/v1/sources/{client_id}/secret")
async def rotate_secret(client_id: Id, request: Request, caller: Manager) -> dict[str, Any]:
    """Replace the secret of a signed way; the old one is accepted beside it for a time (24 h). / Changer le secret."""
    services = services_of(request)
    body = await read_members(request, 1000, frozenset({"overlap_hours", "secret"}))
    hours = body.pop("overlap_hours", _OVERLAP_HOURS)
    if not isinstance(hours, int) or isinstance(hours, bool) or not 0 <= hours <= 168:
        raise invalid("overlap_hours va de 0 à 168", "overlap_hours goes from 0 to 168")
    async with services.database.write() as tx:
        current = await _mine(tx, client_id, caller, services, change=True)
        hook: Hook | None = request.app.state.hooks.get(current.way)
        if hook is None:
            raise Problem(
                "conflict",
                "Ce logiciel n'appelle pas avec un secret à changer.",
                "This system does not call with a secret to replace.",
            )
        made = hook.rotate(body, current, timedelta(hours=hours))
        await store.replace_secrets(tx, current, made, services.vault, services.clock())
        await _record(tx, current, "source_secret_rotated", services, caller, {"overlap_hours": hours})
    services.wake()
    return {"client_id": client_id, **made.shown}


def _way(request: Request, name: object) -> Connector | Hook | None:
    known: Mapping[str, Connector | Hook] = {**request.app.state.hooks, **request.app.state.connectors}
    if not isinstance(name, str) or name not in {API, *known}:
        names = ", ".join([API, *sorted(known)])
        raise invalid(f"« way » vaut : {names}", f"“way” is one of: {names}")
    return known.get(name)


async def _mine(tx: Transaction, client_id: str, caller: Caller, services: Services, *, change: bool = False) -> Source:
    source = await store.get(tx, client_id, services.vault, change=change, partner=caller.partner)
    if source is None:
        raise not_found()
    return source


async def _record(
    tx: Transaction, source: Source, change: str, services: Services, caller: Caller, more: Mapping[str, Any]
) -> None:
    body = {"change": change, "client_id": source.client_id, **more}
    own = services.vault.own
    event = record_of(EventType.CONFIGURATION_CHANGED, services.clock(), caller.partner, body, own)
    await services.ledger.append(tx, [event])


def _shown(source: Source, request: Request) -> dict[str, Any]:
    """A source as its partner sees it: never a secret."""
    hooked = source.way in request.app.state.hooks
    address = request.app.state.services.settings.public_address
    return source.shown | ({"url": f"{address}/v1/hooks/{source.client_id}"} if hooked else {})
