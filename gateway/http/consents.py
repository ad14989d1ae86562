"""
Agreements and objections by their addresses.
"""

from __future__ import annotations

from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Request
from starlette.responses import JSONResponse, Response

from gateway import agreements
from gateway.auth.resource import Caller, requires
from gateway.auth.scopes import Scopes
from gateway.errors import Problem
from gateway.http.bodies import as_object, read_json, read_members
from gateway.http.exchanges import Id, IdempotencyKey, attempt_of, sender_of, services_of
from schemas import code_list
from schemas.identity import siret_is_valid

router = APIRouter(tags=["accords et oppositions"])

Writer = Annotated[Caller, Depends(requires(Scopes.CONSENT_SEND))]


@router.post("/v1/consents", status_code=201)
async def post_consent(request: Request, caller: Writer, key: IdempotencyKey = None) -> Response:
    """Record what a person agreed to, or refused. / Déclarer un accord ou un refus."""
    services = services_of(request)
    document = as_object(await read_json(request, services.settings.max_json_bytes))
    attempt = attempt_of(request, caller, key, orjson.dumps(document))
    answer = await agreements.record_agreement(document, await sender_of(request, caller), caller, attempt, services)
    return JSONResponse(answer, 201, {"Location": f"/v1/consents/{answer['id']}"})


@router.get("/v1/consents/{consent_id}")
async def get_consent(consent_id: Id, request: Request, caller: Writer) -> dict[str, Any]:
    """Read an agreement one collected. / Relire un accord."""
    return await agreements.read_agreement(consent_id, caller, services_of(request))


@router.post("/v1/consents/{consent_id}/withdraw")
async def withdraw(consent_id: Id, request: Request, caller: Writer, key: IdempotencyKey = None) -> dict[str, Any]:
    """Withdraw an agreement, whole or per scope; its recipients are told. / Retirer un accord."""
    services = services_of(request)
    body = await read_members(request, 50_000, frozenset({"scopes", "channel"}))
    scopes, channel = body.get("scopes"), body.get("channel", "oral_with_professional")
    if scopes is not None and not (isinstance(scopes, list) and all(isinstance(scope, str) for scope in scopes)):
        raise Problem(
            "malformed_request",
            "« scopes » est une liste d'identifiants de portées.",
            "“scopes” is a list of scope identifiers.",
        )
    _code("channel", channel, "consent_channel")
    attempt = attempt_of(request, caller, key, orjson.dumps(body))
    return await agreements.withdraw(consent_id, scopes, channel, caller, attempt, services)


@router.post("/v1/objections", status_code=201)
async def post_objection(request: Request, caller: Writer, key: IdempotencyKey = None) -> Response:
    """Record a person's opposition: `{subject, recipient?, purpose?}`. / Enregistrer une opposition."""
    services = services_of(request)
    body = await read_members(request, 50_000, frozenset({"subject", "recipient", "purpose"}))
    recipient, purpose = body.get("recipient"), body.get("purpose")
    if recipient is not None and not (isinstance(recipient, str) and siret_is_valid(recipient)):
        raise Problem("malformed_request", "« recipient » est un SIRET.", "“recipient” is a SIRET.")
    if purpose is not None:
        _code("purpose", purpose, "purpose")
    attempt = attempt_of(request, caller, key, orjson.dumps(body))
    answer = await agreements.record_objection(
        body.get("subject", {}),
        recipient,
        purpose,
        await sender_of(request, caller),
        caller,
        attempt,
        services,
    )
    return JSONResponse(answer, 201)


def _code(name: str, value: Any, codes: str) -> None:
    if not isinstance(value, str) or value not in code_list(codes):
        allowed = ", ".join(code_list(codes))
        raise Problem("malformed_request", f"« {name} » : {allowed}.", f"“{name}”: {allowed}.")
