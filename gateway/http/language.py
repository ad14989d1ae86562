"""
The shared language: its schemas and code lists, and a validator that keeps nothing.
"""

from __future__ import annotations

from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Depends, Request
from starlette.responses import JSONResponse, Response

from gateway.auth.resource import Caller, requires
from gateway.auth.scopes import Scopes
from gateway.errors import issue_body, not_found
from gateway.http.bodies import read_json
from gateway.http.exchanges import services_of
from schemas import Kind, code_list, code_lists, schema, validate

router = APIRouter(tags=["langage commun"])

_CACHED = {"Cache-Control": "public, max-age=3600"}


@router.get("/schemas/{kind}/v1.json")
async def get_schema(kind: str) -> Response:
    """A schema of the shared language. / Un schéma du langage commun."""
    if kind not in {member.value for member in Kind}:
        raise not_found()
    return JSONResponse(dict(schema(Kind(kind))), headers=_CACHED, media_type="application/schema+json")


@router.get("/schemas/codes/{name}.json")
async def get_codes(name: str) -> Response:
    """A code list. / Une liste de codes."""
    if name not in code_lists():
        raise not_found()
    codes = [
        {
            "code": code.code,
            "label_fr": code.label_fr,
            "label_en": code.label_en,
            "parent": code.parent,
            "source": code.source,
            "version": code.version,
        }
        for code in code_list(name).values()
    ]
    return JSONResponse({"list": name, "codes": codes}, headers=_CACHED)


@router.post("/v1/validate/{kind}")
async def post_validate(
    kind: str, request: Request, _caller: Annotated[Caller, Depends(requires(Scopes.VALIDATE))]
) -> dict[str, Any]:
    """Say everything that is wrong with a document, and keep nothing. / Vérifier un document sans rien garder."""
    if kind not in {member.value for member in Kind}:
        raise not_found()
    document = await read_json(request, services_of(request).settings.max_json_bytes)
    issues = await to_thread.run_sync(validate, Kind(kind), document)
    return {"valid": not issues, "errors": [issue_body(issue) for issue in issues]}
