"""
The shared language: its schemas, code lists and crosswalks, and a validator that keeps nothing.
"""

from __future__ import annotations

from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Depends, Request
from starlette.responses import JSONResponse, Response

from adapters.mapping.grammar import mapping_schema
from consent.ledger import event_schemas
from consent.ledger.event import EventType
from gateway.asyncapi import described
from gateway.auth.resource import Caller, requires
from gateway.auth.scopes import Scopes
from gateway.errors import Problem, issue_body, not_found
from gateway.http.bodies import media_type, read_body
from gateway.http.state import services_of
from schemas import Issue, Kind, catalogue, parse_json, validate
from schemas.registry import UnknownSchema
from schemas.remarks import remarks
from schemas.vocabulary import UnknownCodeList

router = APIRouter(tags=["langage commun"])

_SCHEMA = "application/schema+json"
_PUBLIC = {
    "Cache-Control": "public, max-age=3600",
    # The shared language is made to be read by anybody's tools, in a browser too.
    "Access-Control-Allow-Origin": "*",
    "X-Content-Type-Options": "nosniff",
}


_FOUND: dict[str, Any] = {
    "type": "object",
    "required": ["code", "pointer", "message", "message_en"],
    "properties": {
        "code": {"type": "string", "description": "Mot stable, pour un programme."},
        "pointer": {
            "type": "string",
            "description": "Place dans le document (RFC 6901) ; * pour un nom inconnu du schéma.",
        },
        "message": {"type": "string", "description": "En français."},
        "message_en": {"type": "string"},
        "suggestion": {"type": "string", "description": "Le code ou la propriété admis le plus proche."},
        "line": {"type": "integer", "minimum": 1},
        "column": {"type": "integer", "minimum": 1},
    },
}
_ANSWER: dict[str, Any] = {
    "type": "object",
    "required": ["valid", "errors", "warnings"],
    "properties": {
        "valid": {"type": "boolean"},
        "errors": {"type": "array", "items": _FOUND, "description": "Tout ce qui rend le document refusé."},
        "warnings": {"type": "array", "items": _FOUND, "description": "Ce qui est à vérifier avec la personne."},
    },
}


@router.get("/schemas/index.json")
async def get_index() -> Response:
    """What there is: schemas, code lists, crosswalks. / Tout ce qui est publié."""
    return JSONResponse(catalogue.index(), headers=_PUBLIC)


@router.get("/schemas/events.json")
async def get_events() -> Response:
    """The catalogue of the ledger's events. / Le catalogue des événements du journal."""
    return JSONResponse(event_schemas.index(), headers=_PUBLIC)


@router.get("/schemas/events/{name}/v1.json")
async def get_event_schema(name: str) -> Response:
    """The schema of a type of event. / Le schéma d'un type d'événement."""
    if name not in set(EventType):
        raise not_found()
    return JSONResponse(event_schemas.event_schema(EventType(name)), headers=_PUBLIC, media_type=_SCHEMA)


@router.get("/schemas/codes/crosswalks/{source}--{target}.json")
async def get_crosswalk(source: str, target: str) -> Response:
    """What the codes of a list become in another. / Une correspondance entre deux listes, dans un sens."""
    try:
        return JSONResponse(catalogue.crosswalk_document(source, target), headers=_PUBLIC)
    except UnknownCodeList:
        raise not_found() from None


@router.get("/schemas/codes/{name}.json")
async def get_codes(name: str) -> Response:
    """A code list. / Une liste de codes."""
    try:
        return JSONResponse(catalogue.code_list_document(name), headers=_PUBLIC)
    except UnknownCodeList:
        raise not_found() from None


@router.get("/schemas/mapping/v1.json")
async def get_mapping_schema() -> Response:
    """The schema of `mapping.yaml`, for editors. / Le schéma des fichiers de correspondance, pour les éditeurs."""
    return JSONResponse(mapping_schema(), headers=_PUBLIC, media_type=_SCHEMA)


@router.get("/schemas/{name}/v{major}.bundle.json")
async def get_bundle(name: str, major: str) -> Response:
    """A schema with those it refers to inside: one file, valid offline. / Un schéma en un seul fichier."""
    try:
        found = catalogue.bundled_schema_document(name, _number(major))
    except UnknownSchema:
        raise not_found() from None
    return JSONResponse(found, headers=_PUBLIC, media_type=_SCHEMA)


@router.get("/schemas/{name}/v{major}.json")
async def get_schema(name: str, major: str) -> Response:
    """A schema of the shared language. / Un schéma du langage commun."""
    try:
        found = catalogue.schema_document(name, _number(major))
    except UnknownSchema:
        raise not_found() from None
    return JSONResponse(found, headers=_PUBLIC, media_type=_SCHEMA)


@router.post("/v1/validate/{kind}", responses={200: {"content": {"application/json": {"schema": _ANSWER}}}})
async def post_validate(
    kind: str, request: Request, _caller: Annotated[Caller, Depends(requires(Scopes.VALIDATE))]
) -> dict[str, Any]:
    """
    Say everything that is wrong with a document, and keep nothing. / Vérifier un document sans rien garder.

    `errors` make the document refused; `warnings` do not: they are what the sender should check with the person.
    """
    if kind not in {member.value for member in Kind}:
        kinds = ", ".join(Kind)
        raise Problem(
            "not_found",
            f"Il n'y a pas de document de ce genre. Genres possibles : {kinds}.",
            f"There is no such kind of document. Possible kinds: {kinds}.",
        )
    declared, limit = media_type(request), services_of(request).settings.max_json_bytes
    if declared != "application/json" and not declared.endswith("+json"):
        raise Problem(
            "unsupported_media_type",
            "Envoyez du JSON : Content-Type: application/json.",
            "Send JSON: Content-Type: application/json.",
        )
    raw = await read_body(request, limit)
    document = parse_json(raw, max_bytes=limit)
    issues, doubts = await to_thread.run_sync(_judged, Kind(kind), document, raw)
    errors, warnings = ([issue_body(issue) for issue in found] for found in (issues, doubts))
    return {"valid": not issues, "errors": errors, "warnings": warnings}


def _judged(kind: Kind, document: Any, raw: bytes) -> tuple[list[Issue], list[Issue]]:
    return validate(kind, document, raw), remarks(kind, document, raw)


def _number(text: str) -> int:
    """A version as written in an address; what is not a short number is the version of no schema."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 4 else 0


@router.get("/asyncapi.json")
async def messages(request: Request) -> Response:
    """The messages that the gateway sends and takes, AsyncAPI 3. / Les messages, décrits pour les machines."""
    settings = services_of(request).settings
    return JSONResponse(described(settings.public_address, settings.bus_prefix, bool(settings.bus_url)))
