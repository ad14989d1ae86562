"""
Send and follow: documents in the shared format or in one's own, their exchanges and their receipts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Header, Path, Query, Request
from fastapi.routing import APIRoute
from starlette.responses import JSONResponse, Response

from adapters import registry as adapters
from adapters.base import Adapter, FileRefused
from gateway import answers, following, verdicts
from gateway.auth.resource import Caller, authorized, requires
from gateway.auth.scopes import Scopes
from gateway.errors import Problem, busy, not_found
from gateway.exchange import receive
from gateway.http.bodies import as_object, media_type, read_body, read_json
from gateway.http.state import services_of
from gateway.log_cursor import LogCursor
from gateway.quarantine import set_aside
from gateway.store.idempotency import Attempt
from gateway.versions import STALE
from schemas import Document, parse_json

router = APIRouter(tags=["échanges"])

IdempotencyKey = Annotated[
    str | None, Header(alias="Idempotency-Key", min_length=8, max_length=128, pattern=r"^[!-~]+$")
]

_ORDINARY_KEY: Final = re.compile(r"[!-~]{8,128}")

Id = Annotated[str, Path(pattern=r"^[A-Za-z0-9.-]{1,64}$")]
"""An identifier in an address; what no identifier looks like never reaches the database (PostgreSQL knows no NUL)."""


def attempt_of(request: Request, caller: Caller, key: str | None, raw: bytes) -> Attempt:
    """
    What idempotency compares: the client, and keyed digests of its key and of method, path and body.

    The key itself is not kept: partners make them of what they have at hand, and that may be somebody's number.
    """
    vault = services_of(request).vault
    digest = vault.request_digest(request.method.encode(), request.url.path.encode(), raw)
    return Attempt(caller.client_id, vault.request_digest(key.encode()).hex() if key else None, digest)


async def sender_of(request: Request, caller: Caller) -> Document:
    """The caller's organisation as it stands in documents: from the register, never from the body."""
    name = await services_of(request).names.of(caller.partner)
    if name is None:
        raise not_found()
    return {"siret": caller.partner, "name": name}


async def post_referral(
    request: Request, caller: Annotated[Caller, Depends(requires(Scopes.REFERRAL_SEND))], key: IdempotencyKey = None
) -> Response:
    """Send one referral in the shared format. / Envoyer une orientation."""
    return await _post_shared(request, caller, key, "referral")


async def post_bilan(
    request: Request, caller: Annotated[Caller, Depends(requires(Scopes.BILAN_SEND))], key: IdempotencyKey = None
) -> Response:
    """Send one bilan in the shared format. / Envoyer un bilan de droits."""
    return await _post_shared(request, caller, key, "bilan")


class _Plain(APIRoute):
    """
    A route that calls its function itself: described and refused like any other, without the solving of its parameters.

    That solving costs as much as the gate, on the two addresses that are called most.
    """

    scopes: Final = {post_referral: Scopes.REFERRAL_SEND, post_bilan: Scopes.BILAN_SEND}

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Make the handler; a key that is not an ordinary one goes the usual way, which says what is wrong with it."""
        usual, scope = super().get_route_handler(), self.scopes[self.endpoint]

        async def handle(request: Request) -> Response:
            keys = request.headers.getlist("idempotency-key")
            if keys and (len(keys) > 1 or not _ORDINARY_KEY.fullmatch(keys[0])):
                return await usual(request)
            async with authorized(request, scope) as caller:
                response: Response = await self.endpoint(request, caller, keys[0] if keys else None)
            return response

        return handle


for _path, _function in (("/v1/referrals", post_referral), ("/v1/bilans", post_bilan)):
    router.add_api_route(_path, _function, methods=["POST"], status_code=202, route_class_override=_Plain)


@router.post("/v1/referrals/{referral_id}/status", status_code=202)
async def post_status(
    referral_id: Id,
    request: Request,
    caller: Annotated[Caller, Depends(requires(Scopes.STATUS_SEND))],
    key: IdempotencyKey = None,
) -> Response:
    """Tell the sender of a referral what became of it. / Répondre à une orientation."""
    services = services_of(request)
    body = as_object(await read_json(request, services.settings.max_json_bytes))
    # What idempotency compares is what was sent: the gateway completes it with a new id and the time.
    attempt = attempt_of(request, caller, key, answers.encoded(body))
    for _ in range(5):
        document = await answers.complete_status(body, referral_id, caller, services)
        try:
            return await take_in(request, caller, attempt, answers.encoded(document), adapters.get("shared-json"))
        except Problem as problem:
            # A number that we gave, and that another update took in the meantime: it is ours to give the next.
            if problem.code != STALE or "sequence" in body:
                raise
    raise busy()


@router.get("/v1/exchanges")
async def list_exchanges(
    request: Request,
    caller: Annotated[Caller, Depends(requires(Scopes.EXCHANGE_READ))],
    cursor: LogCursor = None,
    updated_after: Annotated[str | None, Query(max_length=40)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> dict[str, Any]:
    """The caller's exchanges in the order in which they changed; give `next` back as `cursor`. / Suivre ses échanges."""
    return await following.changes(caller, services_of(request), cursor, updated_after, limit)


@router.get("/v1/exchanges/{exchange_id}")
async def get_exchange(
    exchange_id: Id, request: Request, caller: Annotated[Caller, Depends(requires(Scopes.EXCHANGE_READ))]
) -> dict[str, Any]:
    """One exchange, for its sender or a recipient: decisions, deliveries, follow-ups. / Voir un échange."""
    return await following.one(caller, services_of(request), exchange_id)


@router.get("/v1/exchanges/{exchange_id}/receipt")
async def get_receipt(
    exchange_id: Id, request: Request, caller: Annotated[Caller, Depends(requires(Scopes.EXCHANGE_READ))]
) -> Response:
    """The proof file of an exchange, verifiable offline (C2SP tlog-proof). / Le reçu, vérifiable hors ligne."""
    receipt = await following.receipt(caller, services_of(request), exchange_id)
    headers = {"Content-Disposition": f'attachment; filename="{exchange_id}.tlog-proof"'}
    return Response(receipt, media_type="text/plain; charset=utf-8", headers=headers)


async def _post_shared(request: Request, caller: Caller, key: str | None, kind: str) -> Response:
    limit = services_of(request).settings.max_json_bytes
    if media_type(request) != "application/json":
        raise Problem(
            "unsupported_media_type",
            "Envoyez du JSON : Content-Type: application/json.",
            "Send JSON: Content-Type: application/json.",
        )
    raw = await read_body(request, limit)
    document = parse_json(raw, max_bytes=limit)
    if not isinstance(document, dict) or document.get("kind") != kind:
        raise Problem(
            "malformed_request",
            f"Cette adresse attend un document de genre « {kind} ».",
            f"This address takes documents of kind “{kind}”.",
        )
    attempt = attempt_of(request, caller, key, raw)
    return await take_in(request, caller, attempt, raw, adapters.get("shared-json"), read=document)


async def take_in(
    request: Request, caller: Caller, attempt: Attempt, raw: bytes, adapter: Adapter, read: Document | None = None
) -> Response:
    """Take a message in and answer with what became of it; a file that its format refuses is set aside."""
    services = services_of(request)
    await request.app.state.pressure.demand_room()
    sender = await sender_of(request, caller)
    try:
        acceptance = await receive(
            raw, adapter=adapter, sender=sender, caller=caller, attempt=attempt, services=services, read=read
        )
    except FileRefused as refusal:
        problem = verdicts.refused(refusal)
        if refusal.quarantine:
            problem.extra["quarantine"] = await set_aside(raw, adapter.name, refusal.code, caller, services)
        raise problem from refusal
    headers = {"Idempotent-Replayed": "true"} if acceptance.again else {}
    return JSONResponse(acceptance.body, 202, headers)
