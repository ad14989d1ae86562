"""
The public log as static resources (C2SP tlog-tiles): checkpoint, tiles and entry bundles, open to everybody; and what an
auditor asks of it: searches, exports, one event and its proof.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import IO, Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from starlette.background import BackgroundTask
from starlette.responses import Response, StreamingResponse

from consent.ledger.tiles import ENTRIES, parse_path
from gateway.audit import exports, reading
from gateway.audit.criteria import MEMBERS, Criteria, View, cursor_of
from gateway.audit.indexing import settled
from gateway.audit.search import search
from gateway.auth.resource import Caller, requires
from gateway.auth.scopes import Scopes
from gateway.errors import Problem, not_found
from gateway.http.bodies import read_members
from gateway.http.exchanges import Id, sender_of
from gateway.http.state import services_of

router = APIRouter(tags=["journal"])

Auditor = Annotated[Caller, Depends(requires(Scopes.LEDGER_READ))]
Reason = Annotated[str | None, Query(max_length=40)]
Case = Annotated[str | None, Query(max_length=64)]

_MAX_BODY = 50_000

_LAST = 2**48
"""No log has so many tiles; a database would refuse numbers of more than 63 bits."""


@router.get("/ledger/checkpoint")
async def checkpoint(request: Request) -> Response:
    """The last signed checkpoint. / La dernière tête signée du journal."""
    services = services_of(request)
    async with services.database.read(beyond="the log is public") as tx:
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
    async with services.database.read(beyond="the log is public") as tx:
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


@router.post("/v1/ledger/search")
async def post_search(request: Request, caller: Auditor) -> dict[str, Any]:
    """Search events by person, partner, convention, purpose, type and period, with the proof that nothing is left out. / Chercher dans le journal."""
    services = services_of(request)
    body = await read_members(request, _MAX_BODY, MEMBERS)
    criteria = Criteria.read(body, await sender_of(request, caller), services)
    if criteria.cursor is None:
        await settled(services)
    found = await search(criteria, caller, services)
    known = {} if found.header is None or found.proof is None else found.header | found.proof
    upto = None if found.page is None else cursor_of(found.page.next)
    return {"found": found.header is not None, **known, "rows": found.rows, "next": upto}


@router.post("/v1/ledger/export")
async def post_export(request: Request, caller: Auditor) -> Response:
    """The whole answer as a file: ndjson, or csv or fhir in a ZIP beside it. / Exporter une réponse avec sa preuve."""
    services = services_of(request)
    body = await read_members(request, _MAX_BODY, (MEMBERS - {"cursor", "limit"}) | {"format"})
    form = body.pop("format", "ndjson")
    if form not in exports.FORMATS:
        allowed = ", ".join(exports.FORMATS)
        raise Problem("malformed_request", f"« format » : {allowed}.", f"“format”: {allowed}.")
    criteria = Criteria.read(body, await sender_of(request, caller), services)
    await settled(services)
    if form != "ndjson":
        archive = await exports.zipped(criteria, form, caller, services)
        headers = {"Content-Disposition": f'attachment; filename="journal-{form}.zip"'}
        return StreamingResponse(
            _chunks(archive), media_type="application/zip", headers=headers, background=BackgroundTask(archive.close)
        )
    pages = exports.pages(criteria, caller, services, form)
    first = await anext(pages)  # what can go wrong at once is a problem, not a file that stops
    headers = {"Content-Disposition": 'attachment; filename="journal.ndjson"'}

    async def written() -> AsyncIterator[bytes]:
        yield exports.encoded(first, first=True)
        async for page in pages:
            yield exports.encoded(page, first=False)

    return StreamingResponse(written(), media_type="application/x-ndjson", headers=headers)


@router.get("/v1/ledger/events/{event_id}")
async def get_event(
    event_id: Id, request: Request, caller: Auditor, reason: Reason = None, case: Case = None
) -> dict[str, Any]:
    """One event: masked, or opened for a stated reason. / Voir un événement."""
    return await reading.event(event_id, View.read(None, reason, case), caller, services_of(request))


@router.get("/v1/ledger/events/{event_id}/proof")
async def get_proof(
    event_id: Id, request: Request, caller: Auditor, reason: Reason = None, case: Case = None
) -> Response:
    """The proof of one event (C2SP tlog-proof), which shows it when a reason is stated. / La preuve d'un événement."""
    proof = await reading.proof(event_id, View.read(None, reason, case), caller, services_of(request))
    headers = {"Content-Disposition": f'attachment; filename="{event_id}.tlog-proof"'}
    return Response(proof, media_type="text/plain; charset=utf-8", headers=headers)


async def _chunks(archive: IO[bytes]) -> AsyncIterator[bytes]:
    while chunk := archive.read(256_000):
        yield chunk
