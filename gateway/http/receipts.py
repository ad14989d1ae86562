"""
Receipts of agreements, their proofs, and the texts that people are shown.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from consent.texts import texts
from gateway.auth.resource import Caller, authorize, requires
from gateway.auth.scopes import Scopes
from gateway.errors import not_found
from gateway.http.exchanges import Id
from gateway.http.state import services_of
from gateway.receipts.content import content, objection_proof, proof
from gateway.receipts.page import receipt_page, security_headers, verification_page

router = APIRouter(tags=["accords et oppositions"])

Writer = Annotated[Caller, Depends(requires(Scopes.CONSENT_SEND))]


@router.get("/v1/consents/{consent_id}/receipt")
async def get_receipt(
    consent_id: Id,
    request: Request,
    caller: Writer,
    form: Annotated[Literal["json", "html"], Query(alias="format")] = "json",
) -> Response:
    """The receipt of an agreement, to read by machine (ISO/IEC TS 27560) or to print. / Le reçu d'un accord."""
    services = services_of(request)
    found = await content(consent_id, caller, services)
    if form == "html":
        return HTMLResponse(receipt_page(found), headers=security_headers())
    address = f"{services.settings.public_address}/v1/consents/{consent_id}/receipt"
    return JSONResponse(found.record(address), media_type="application/ld+json", headers={"Cache-Control": "no-store"})


@router.get("/v1/consents/{consent_id}/proof")
async def get_proof(
    consent_id: Id, request: Request, event: Annotated[Literal["recording", "withdrawal"], Query()] = "recording"
) -> Response:
    """
    The proof file of an agreement, or of its withdrawal, for the organisations it concerns. / La preuve d'un accord ou de son retrait.

    Without a token, what a QR code leads to: the public page that says how to verify, the same for every identifier.
    """
    services = services_of(request)
    if "authorization" not in request.headers:
        page = verification_page(consent_id, services.settings.public_address)
        return HTMLResponse(page, headers=security_headers())
    caller = await authorize(request, Scopes.CONSENT_SEND)
    found = await proof(consent_id, caller, services, withdrawal=event == "withdrawal")
    return _file(found, consent_id)


@router.get("/v1/objections/{objection_id}/proof")
async def get_objection_proof(objection_id: Id, request: Request, caller: Writer) -> Response:
    """The proof file of an objection, for who recorded it. / La preuve d'une opposition, pour qui l'a enregistrée."""
    return _file(await objection_proof(objection_id, caller, services_of(request)), objection_id)


def _file(proved: bytes, name: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}.tlog-proof"', "Cache-Control": "no-store"}
    return Response(proved, media_type="text/plain; charset=utf-8", headers=headers)


@router.get("/v1/texts")
async def list_texts() -> dict[str, Any]:
    """The texts that people are shown, with their digests. / Les textes présentés aux personnes."""
    return {
        "texts": [
            {"version": text.version, "language": text.language, "title": text.title, "sha256": text.sha256}
            for text in texts().values()
        ]
    }


@router.get("/v1/texts/{version}")
async def get_text(version: str) -> Response:
    """A text, byte for byte: its SHA-256 is the one of the list. / Un texte, à l'octet près."""
    if version not in texts():
        raise not_found()
    text = texts()[version]
    headers = {"Cache-Control": "public, max-age=86400", "ETag": f'"{text.sha256}"', "Content-Language": text.language}
    return Response(text.content, media_type="text/markdown; charset=utf-8", headers=headers)
