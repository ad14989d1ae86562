"""
The public log as static resources (C2SP tlog-tiles): checkpoint, tiles and entry bundles, open to everybody.
"""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from consent.ledger.tiles import ENTRIES, parse_path
from gateway.errors import not_found
from gateway.http.exchanges import services_of

router = APIRouter(tags=["journal"])

_LAST = 2**48
"""No log has so many tiles; a database would refuse numbers of more than 63 bits."""


@router.get("/ledger/checkpoint")
async def checkpoint(request: Request) -> Response:
    """The last signed checkpoint. / La dernière tête signée du journal."""
    services = services_of(request)
    async with services.database.read() as tx:
        note = await services.ledger.checkpoint(tx)
    if note is None:
        raise not_found()
    return Response(note, media_type="text/plain; charset=utf-8", headers={"Cache-Control": "no-cache"})


@router.get("/ledger/tile/{path:path}")
async def tile(path: str, request: Request) -> Response:
    """A tile of the tree or a bundle of entries: it never changes. / Une tuile ou un lot d'entrées, immuable."""
    try:
        wanted = parse_path(f"tile/{path}")
    except ValueError as error:
        raise not_found() from error
    if wanted.n > _LAST:
        raise not_found()
    services = services_of(request)
    async with services.database.read() as tx:
        if wanted.level == ENTRIES:
            content = await services.ledger.bundle(tx, wanted.n, wanted.width)
        else:
            content = await services.ledger.tile(tx, wanted.level, wanted.n, wanted.width)
    if content is None:
        raise not_found()
    headers = {"Cache-Control": "public, max-age=31536000, immutable"}
    return Response(content, media_type="application/octet-stream", headers=headers)


@router.get("/ledger/vkey")
async def verifier_key(request: Request) -> Response:
    """The log's public key, to be compared with the one received on paper. / La clé publique du journal."""
    return Response(request.app.state.vkey + "\n", media_type="text/plain; charset=utf-8")
