"""
Agreements and objections by their addresses.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import JSONResponse, Response

from consent.agreement import AgreementState
from gateway import agreements, objections, sms, withdrawal
from gateway.auth.resource import Caller, requires
from gateway.auth.scopes import Scopes
from gateway.errors import Problem
from gateway.http.bodies import as_object, read_json, read_members
from gateway.http.exchanges import Id, IdempotencyKey, attempt_of, sender_of
from gateway.http.paging import Cursor, next_page, place
from gateway.http.state import services_of
from schemas import code_list
from schemas.identity import siret_is_valid

router = APIRouter(tags=["accords et oppositions"])

Writer = Annotated[Caller, Depends(requires(Scopes.CONSENT_SEND))]

RENEWED = frozenset(
    {
        *("id", "created_at", "channel", "evidence", "collected_at", "collector", "duration", "valid_from"),
        *("valid_until", "text", "representative", "scopes"),
    }
)
"""What a renewal may say: the person's new answer; the rest comes from the agreement that it replaces."""


@router.post("/v1/consents", status_code=201)
async def post_consent(request: Request, caller: Writer, key: IdempotencyKey = None) -> Response:
    """Record what a person agreed to, or refused. / Déclarer un accord ou un refus."""
    services = services_of(request)
    document = as_object(await read_json(request, services.settings.max_json_bytes))
    attempt = attempt_of(request, caller, key, orjson.dumps(document))
    answer = await agreements.record_agreement(document, await sender_of(request, caller), caller, attempt, services)
    return _recorded(answer)


@router.get("/v1/consents")
async def list_consents(
    request: Request,
    caller: Writer,
    cursor: Cursor = None,
    state: AgreementState | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> dict[str, Any]:
    """The agreements one collected, without identity, the last recorded first. / Lister les accords recueillis."""
    found, last = await agreements.listed(caller, state, place(cursor), limit, services_of(request))
    return {"consents": found, "next": next_page(last)}


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
        raise _not_scopes()
    _code("channel", channel, "consent_channel")
    attempt = attempt_of(request, caller, key, orjson.dumps(body))
    return await withdrawal.withdraw(consent_id, scopes, channel, caller, attempt, services)


@router.post("/v1/consents/{consent_id}/renew", status_code=201)
async def renew(consent_id: Id, request: Request, caller: Writer, key: IdempotencyKey = None) -> Response:
    """Record that the person agreed again: a new agreement replaces this one. / Renouveler un accord."""
    services = services_of(request)
    said = await read_members(request, 50_000, RENEWED)
    scopes = said.get("scopes", [])
    if not (isinstance(scopes, list) and all(isinstance(scope, str) for scope in scopes)):
        raise _not_scopes()
    attempt = attempt_of(request, caller, key, orjson.dumps(said))
    answer = await agreements.renew(consent_id, said, await sender_of(request, caller), caller, attempt, services)
    return _recorded(answer)


@router.post("/v1/sms/replies")
async def post_reply(request: Request, caller: Writer, key: IdempotencyKey = None) -> dict[str, Any]:
    """Bring a person's reply to a question asked by SMS; the first one decides. / Apporter la réponse à un SMS."""
    body = await read_members(request, 10_000, frozenset({"correlation", "phone", "message", "received_at"}))
    texts = [body.get(name) for name in ("correlation", "phone", "message")]
    at = _instant(body.get("received_at"))
    if at is None or not all(isinstance(text, str) for text in texts):
        raise Problem(
            "malformed_request",
            "Attendu : correlation, phone, message, et received_at (date et heure avec décalage).",
            "Expected: correlation, phone, message, and received_at (date and time with offset).",
        )
    correlation, phone, message = map(str, texts)
    attempt = attempt_of(request, caller, key, orjson.dumps(body))
    return await sms.reply(
        correlation, phone, message, at, caller=caller, attempt=attempt, services=services_of(request)
    )


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
    answer = await objections.record_objection(
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


def _recorded(answer: dict[str, Any]) -> Response:
    """201, or 202 when nothing is agreed before the reply to an SMS."""
    status = 202 if answer["state"] == "pending" else 201
    return JSONResponse(answer, status, {"Location": f"/v1/consents/{answer['id']}"})


def _not_scopes() -> Problem:
    return Problem(
        "malformed_request",
        "« scopes » est une liste d'identifiants de portées.",
        "“scopes” is a list of scope identifiers.",
    )


def _instant(value: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value)
        return moment.astimezone(UTC) if moment.tzinfo else None
    except (TypeError, ValueError, OverflowError):
        return None
