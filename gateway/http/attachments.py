"""
Attachments: the sender of a document sends its files, its recipient takes them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from gateway import attachments
from gateway.auth.resource import Caller, requires
from gateway.auth.scopes import Scopes
from gateway.errors import Problem
from gateway.http.bodies import PATIENCE, SLOWEST
from gateway.http.exchanges import Id, IdempotencyKey, attempt_of, services_of
from gateway.store.idempotency import Attempt

router = APIRouter(tags=["pièces jointes"])


@router.post("/v1/exchanges/{exchange_id}/attachments", status_code=201)
async def post_attachment(
    exchange_id: Id,
    request: Request,
    caller: Annotated[Caller, Depends(requires(Scopes.EXCHANGE_READ))],
    key: IdempotencyKey = None,
) -> Response:
    """Send a file that the document of an exchange announced; again is harmless. / Envoyer une pièce jointe."""
    services = services_of(request)

    def attempt(digest: str) -> Attempt:
        """What idempotency compares: the file by its digest, which is known once it has come whole."""
        return attempt_of(request, caller, key, digest.encode())

    told = await attachments.receive(exchange_id, _stream(request), caller, attempt, services)
    if told["state"] == "quarantined":
        told["state"] = await attachments.examine(told["id"], request.app.state.scanner, services)
    return JSONResponse(told, 201)


@router.get("/v1/mailbox/{delivery_id}/attachments")
async def list_attachments(
    delivery_id: Id, request: Request, caller: Annotated[Caller, Depends(requires(Scopes.MAILBOX_READ))]
) -> dict[str, Any]:
    """The files of a delivery that was handed over. / Lister les pièces jointes d'une remise."""
    return {"attachments": await attachments.of_delivery(delivery_id, caller, services_of(request))}


@router.get("/v1/attachments/{attachment_id}")
async def get_attachment(
    attachment_id: Id, request: Request, caller: Annotated[Caller, Depends(requires(Scopes.MAILBOX_READ))]
) -> Response:
    """Take one file; its disclosure is recorded first. / Prendre une pièce jointe."""
    said, content = await attachments.hand_over(attachment_id, caller, services_of(request))
    headers = {
        "Content-Length": str(said["size"]),
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(said['name'])}",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
    }
    return StreamingResponse(content, media_type=said["media_type"], headers=headers)


async def _stream(request: Request) -> AsyncIterator[bytes]:
    """The body as it comes; one that comes too slowly is refused, as others are."""
    received, begun = 0, asyncio.get_running_loop().time()
    stream = request.stream().__aiter__()
    while True:
        try:
            async with asyncio.timeout_at(begun + PATIENCE + received / SLOWEST):
                chunk = await anext(stream, None)
        except TimeoutError as error:
            raise Problem(
                "too_slow",
                "Le fichier arrive trop lentement. Renvoyez-le.",
                "The file comes too slowly. Send it again.",
                headers={"Connection": "close"},
            ) from error
        if chunk is None:
            return
        received += len(chunk)
        if chunk:
            yield chunk
