"""
What a person may ask, done for them by the operator: everything that is known, and to be erased. Criteria stand in the body.
"""

from __future__ import annotations

from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from gateway.auth.resource import Caller, requires
from gateway.auth.scopes import Scopes
from gateway.errors import Problem
from gateway.http.bodies import read_members
from gateway.http.exchanges import Id, IdempotencyKey, attempt_of, sender_of
from gateway.http.state import services_of
from gateway.person import finding
from gateway.person.account import account
from gateway.person.erasure import Asked, certificate_of, erase
from gateway.person.page import account_page
from gateway.receipts.page import security_headers
from schemas import code_list

router = APIRouter(tags=["personnes"])

Operator = Annotated[Caller, Depends(requires(Scopes.PERSON_MANAGE))]

_MAX_BODY = 50_000


@router.post("/v1/persons/export")
async def post_export(request: Request, caller: Operator) -> Response:
    """
    Everything known about a person and every disclosure (RGPD art. 15). / Tout ce qui est connu d'une personne.

    JSON; with `Accept: text/html` a French page to print; with `Accept: application/x-ndjson` the person's list in the ledger,
    which proves that nothing was left out.
    """
    services = services_of(request)
    body = await read_members(request, _MAX_BODY, frozenset({"subject", "partner"}))
    subject, partner = finding.asked(body, await sender_of(request, caller), services)
    found = await account(subject, partner, caller, services)
    accepted = request.headers.get("accept", "")
    if "text/html" in accepted:
        return HTMLResponse(account_page(found.told), headers=security_headers())
    if "application/x-ndjson" in accepted:
        return Response(found.answer, media_type="application/x-ndjson", headers={"Cache-Control": "no-store"})
    return JSONResponse(found.told, headers={"Cache-Control": "no-store"})


@router.post("/v1/persons/erase")
async def post_erase(request: Request, caller: Operator, key: IdempotencyKey = None) -> dict[str, Any]:
    """Erase a person: unreadable for good, recipients told, proofs kept. / Effacer une personne (RGPD art. 17)."""
    services = services_of(request)
    body = await read_members(request, _MAX_BODY, frozenset({"subject", "partner", "reason", "keep_objections"}))
    sender = await sender_of(request, caller)
    subject, partner = finding.asked(body, sender, services)
    reason, keep = body.get("reason"), body.get("keep_objections", True)
    if not isinstance(reason, str) or reason not in code_list("erasure_reason"):
        allowed = ", ".join(code_list("erasure_reason"))
        raise Problem("malformed_request", f"« reason » : {allowed}.", f"“reason”: {allowed}.")
    if not isinstance(keep, bool):
        raise Problem("malformed_request", "« keep_objections » : true ou false.", "“keep_objections”: true or false.")
    attempt = attempt_of(request, caller, key, orjson.dumps(body))
    return await erase(Asked(subject, partner, reason, keep), sender, caller, attempt, services)


@router.get("/v1/persons/erasures/{erasure_id}")
async def get_certificate(erasure_id: Id, request: Request, caller: Operator) -> Response:
    """The certificate of an erasure (C2SP tlog-proof), which names nobody. / Le certificat d'un effacement."""
    certificate = await certificate_of(erasure_id, services_of(request))
    headers = {"Content-Disposition": f'attachment; filename="{erasure_id}.tlog-proof"'}
    return Response(certificate, media_type="text/plain; charset=utf-8", headers=headers)
