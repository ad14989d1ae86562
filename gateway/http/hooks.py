"""
The door of the systems that call in their own way: no token, a signature by a secret that only this system and the gateway know.
"""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from gateway.errors import Problem
from gateway.http.bodies import media_type, read_body
from gateway.http.exchanges import Id
from gateway.http.state import services_of
from gateway.limits import Exceeded
from gateway.sources import store
from gateway.sources.arrival import sender, take_in
from gateway.sources.base import Hook
from gateway.store import wall

router = APIRouter(tags=["échanges"])


@router.post("/v1/hooks/{client_id}")
async def post_hook(client_id: Id, request: Request) -> Response:
    """Take in what a system sends by itself, signed in its own way (no token). / Recevoir l'appel signé d'un logiciel."""
    services = services_of(request)
    raw = await read_body(request, services.settings.max_json_bytes)
    async with services.database.read(beyond="the caller is known by the secret of the row") as tx:
        source = await store.get(tx, client_id, services.vault)
    hooks: Mapping[str, Hook] = request.app.state.hooks
    # An address that leads to nobody is answered as a wrong signature is, and as late.
    hook = hooks.get(source.way) if source else None
    secrets = source.secrets if source and hook else {}
    message = (hook or next(iter(hooks.values()))).read(raw, request.headers, secrets)
    assert source is not None and hook is not None
    if media_type(request) != "application/json":
        raise Problem(
            "unsupported_media_type",
            "Envoyez du JSON : Content-Type: application/json.",
            "Send JSON: Content-Type: application/json.",
        )
    wall.stand(wall.Side(source.partner, source.client_id))
    try:
        await services.limits.count("requests", source.client_id)
    except Exceeded as error:
        raise error.problem() from error
    if message is None:
        return JSONResponse({"documents": 0})
    await request.app.state.pressure.demand_room()
    who = await sender(source, request.app.state.auth.rights, services)
    return JSONResponse(await take_in(message, hook.adapter, who, services))
