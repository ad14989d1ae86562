"""
Attachments: the sender of a document sends its files, its recipient takes them.
"""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from gateway import attachment_handover, attachments
from gateway.auth.resource import Caller, requires
from gateway.auth.scopes import Scopes
from gateway.http.bodies import pieces
from gateway.http.exchanges import Id, IdempotencyKey, attempt_of
from gateway.http.state import services_of
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

    told = await attachments.receive(exchange_id, pieces(request, attachments.LARGEST), caller, attempt, services)
    if told["state"] == "quarantined":
        told["state"] = await attachments.examine(told["id"], request.app.state.scanner, services)
    return JSONResponse(told, 201)


@router.get("/v1/mailbox/{delivery_id}/attachments")
async def list_attachments(
    delivery_id: Id, request: Request, caller: Annotated[Caller, Depends(requires(Scopes.MAILBOX_READ))]
) -> dict[str, Any]:
    """The files of a delivery that was handed over. / Lister les pièces jointes d'une remise."""
    return {"attachments": await attachment_handover.of_delivery(delivery_id, caller, services_of(request))}


@router.get("/v1/attachments/{attachment_id}")
async def get_attachment(
    attachment_id: Id, request: Request, caller: Annotated[Caller, Depends(requires(Scopes.MAILBOX_READ))]
) -> Response:
    """Take one file; its disclosure is recorded first. / Prendre une pièce jointe."""
    said, content = await attachment_handover.hand_over(attachment_id, caller, services_of(request))
    headers = {
        "Content-Length": str(said["size"]),
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(said['name'])}",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
    }
    return StreamingResponse(content, media_type=said["media_type"], headers=headers)
