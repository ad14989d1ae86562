"""
Send in one's own format: a file taken in at once, or a large one taken in by a task, with its progress and its report.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from adapters import registry as adapters
from adapters.base import Adapter, FileRefused, Streaming
from gateway import admission, verdicts
from gateway.auth.resource import Caller, requires
from gateway.auth.scopes import Scopes
from gateway.errors import Problem, issue_body
from gateway.flows import task
from gateway.flows.body import Kept
from gateway.http import hl7_answers
from gateway.http.bodies import announced, media_type, pieces, read_body
from gateway.http.exchanges import Id, IdempotencyKey, attempt_of, sender_of, take_in
from gateway.http.state import services_of
from gateway.store.idempotency import Attempt

router = APIRouter(tags=["échanges"])

Sender = Annotated[Caller, Depends(requires(Scopes.INBOUND_SEND))]


@router.post("/v1/inbound/{adapter_name}", status_code=202)
async def post_inbound(adapter_name: str, request: Request, caller: Sender, key: IdempotencyKey = None) -> Response:
    """
    Send a file in one's own format. / Déposer un fichier dans son propre format.

    A large one is kept and taken in by a task: the answer says where its progress is (`Location`, `progress`).
    """
    adapter = _adapter(adapter_name, request)
    caller = caller.through("inbound")
    if _for_a_task(request, adapter, caller):
        return await _accept(request, adapter, caller, key)
    raw = await read_body(request, services_of(request).settings.max_file_bytes)
    taking = take_in(request, caller, attempt_of(request, caller, key, raw), raw, adapter)
    if hl7_answers.wanted(request):
        return await hl7_answers.answer(taking, raw, services_of(request).clock())
    return await taking


@router.post("/v1/adapters/{adapter_name}/translate")
async def try_adapter(
    adapter_name: str, request: Request, caller: Annotated[Caller, Depends(requires(Scopes.VALIDATE))]
) -> dict[str, Any]:
    """Translate a file and keep nothing. / Essayer un fichier : rien n'est gardé."""
    services = services_of(request)
    adapter = _adapter(adapter_name, request)
    raw = await read_body(request, services.settings.max_file_bytes)
    sender = await sender_of(request, caller)
    try:
        translation = await to_thread.run_sync(admission.translate, raw, adapter, sender, services.clock(), services)
    except FileRefused as refusal:
        raise verdicts.refused(refusal) from refusal
    return {
        "documents": [{"line": each.source.line, "document": each.document} for each in translation.documents],
        "warnings": [issue_body(issue) for issue in translation.issues],
        "records": verdicts.records_told(translation),
    }


@router.get("/v1/flows")
async def list_flows(
    request: Request, caller: Sender, limit: Annotated[int, Query(ge=1, le=100)] = 20
) -> dict[str, Any]:
    """The large files of the caller's organisation, the newest first. / Lister ses fichiers volumineux."""
    async with services_of(request).database.read() as tx:
        return {"flows": await task.newest(tx, caller.partner, limit)}


@router.get("/v1/flows/{flow_id}")
async def get_flow(flow_id: Id, request: Request, caller: Sender) -> dict[str, Any]:
    """How far a file is: records done, refused, left. / Suivre la prise d'un fichier volumineux."""
    async with services_of(request).database.read() as tx:
        return await task.get(tx, caller.partner, flow_id)


@router.get(
    "/v1/flows/{flow_id}/report", response_model=None, responses={200: {"content": {"application/x-ndjson": {}}}}
)
async def get_report(flow_id: Id, request: Request, caller: Sender) -> Response:
    """What became of each record, a line each; the first line is the whole. / Le rapport d'un fichier volumineux."""
    services = services_of(request)
    async with services.database.read() as tx:
        summary = await task.get(tx, caller.partner, flow_id)
    headers = {"Content-Disposition": f'attachment; filename="{flow_id}.ndjson"', "Cache-Control": "no-store"}
    return StreamingResponse(task.report(summary, services), media_type="application/x-ndjson", headers=headers)


@router.post("/v1/flows/{flow_id}/cancel")
async def cancel_flow(flow_id: Id, request: Request, caller: Sender) -> dict[str, Any]:
    """Stop a file where it is; what was taken in stays. / Arrêter la prise d'un fichier volumineux."""
    services = services_of(request)
    async with services.database.write() as tx:
        return await task.cancel(tx, caller.partner, flow_id, services)


def _for_a_task(request: Request, adapter: Adapter, caller: Caller) -> bool:
    """
    Whether a file is for a task: its format is read as it comes, and it is large, of unknown length, or its sender prefers not
    to wait (`Prefer: respond-async`, RFC 7240). A token for one exchange only sends one document, at once.
    """
    if not isinstance(adapter, Streaming) or caller.detail is not None:
        return False
    length = announced(request)
    prefers = [each.strip().lower() for line in request.headers.getlist("prefer") for each in line.split(",")]
    return length is None or length > services_of(request).settings.sync_file_bytes or "respond-async" in prefers


async def _accept(request: Request, adapter: Adapter, caller: Caller, key: str | None) -> Response:
    """Keep a file, and say where its progress is (202)."""
    services = services_of(request)
    await request.app.state.pressure.demand_room()

    def attempt(came: Kept) -> Attempt:
        """What idempotency compares, once the file has come whole and is the one that was signed."""
        if signed := request.state.signed:
            signed.check_digest({name: came.digest(name) for name in came.digests})
        return attempt_of(request, caller, key, came.digest("sha-512"))

    content: AsyncIterator[bytes] = pieces(request, services.settings.max_flow_bytes)
    told, again = await task.accept(adapter.name, content, caller, attempt, services)
    headers = {"Location": told["progress"]} | ({"Idempotent-Replayed": "true"} if again else {})
    return JSONResponse(told, 202, headers)


def _adapter(name: str, request: Request) -> Adapter:
    adapter = adapters.ADAPTERS.get(name)
    if adapter is None:
        known = ", ".join(sorted(adapters.ADAPTERS))
        raise Problem(
            "not_found",
            f"Ce format n'est pas connu ici. Ceux qui le sont : {known}.",
            f"This format is not known here. Those that are: {known}.",
        )
    declared = media_type(request)
    if declared not in {*adapter.media_types, "application/octet-stream"}:
        accepted = ", ".join(adapter.media_types)
        raise Problem("unsupported_media_type", f"Types acceptés ici : {accepted}.", f"Accepted here: {accepted}.")
    return adapter
