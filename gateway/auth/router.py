"""
The addresses of the authorization server: token, introspection, revocation, keys, metadata.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final
from urllib.parse import parse_qsl

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from gateway.auth import registration
from gateway.auth.authority import Auth
from gateway.auth.certificates import CertificateUnreadable
from gateway.auth.metadata import (
    FHIR,
    INTROSPECT,
    JWKS,
    REVOKE,
    SMART_CONFIGURATION,
    TOKEN,
    WELL_KNOWN,
    server_metadata,
    smart_configuration,
)
from gateway.auth.refusal import Refusal
from gateway.auth.server import Server, TokenRequest
from gateway.errors import Problem
from gateway.http.bodies import read_body

MAX_FORM_BYTES: Final = 32_768
_FORM = "application/x-www-form-urlencoded"
_AUTHENTICATION = ("client_assertion_type", "client_assertion", "client_id")
_OPTIONAL = ("scope", "resource", "authorization_details", "subject_token", "subject_token_type")


def create_auth_router(auth: Auth) -> APIRouter:
    """Make the routes of the authorization server; they answer RFC 6749 JSON, also when they refuse."""
    server = Server(auth)
    router = APIRouter(tags=["oauth2"])

    @router.post(
        TOKEN, summary="Obtenir un jeton (RFC 6749 § 4.4, RFC 8693)", openapi_extra=_form("grant_type", *_OPTIONAL)
    )
    async def token(request: Request) -> Response:
        return await _answer(auth, request, server.create_token_response)

    @router.post(INTROSPECT, summary="Vérifier un de ses jetons (RFC 7662)", openapi_extra=_form("token"))
    async def introspect(request: Request) -> Response:
        return await _answer(auth, request, lambda asked: server.create_endpoint_response("introspection", asked))

    @router.post(REVOKE, summary="Révoquer un de ses jetons (RFC 7009)", openapi_extra=_form("token"))
    async def revoke(request: Request) -> Response:
        return await _answer(auth, request, lambda asked: server.create_endpoint_response("revocation", asked))

    @router.get(JWKS, summary="Clés publiques qui vérifient les jetons (RFC 7517)")
    async def jwks() -> Response:
        return JSONResponse(auth.tokens.jwks(), headers={"Cache-Control": "public, max-age=300"})

    @router.get(WELL_KNOWN, summary="Description du serveur d'autorisation (RFC 8414)")
    async def metadata() -> Response:
        return JSONResponse(
            server_metadata(auth.issuer, certificates=auth.certificates.offered),
            headers={"Cache-Control": "public, max-age=300"},
        )

    @router.get(SMART_CONFIGURATION, summary="Description pour les clients FHIR (SMART Backend Services)")
    @router.get(FHIR + SMART_CONFIGURATION, summary="Description pour les clients FHIR (SMART Backend Services)")
    async def smart() -> Response:
        return JSONResponse(smart_configuration(auth.issuer), headers={"Cache-Control": "public, max-age=300"})

    registration.add_routes(router, auth)
    return router


async def _answer(auth: Auth, request: Request, endpoint: Callable[[TokenRequest], Response]) -> Response:
    try:
        parameters = await _read_form(request)
    except Refusal as refusal:
        return _refused(refusal)
    try:
        certificate = auth.certificates.of(request)
    except CertificateUnreadable:
        return _refused(
            Refusal(
                "invalid_request",
                "Le certificat transmis par le serveur mandataire est illisible : signalez-le à l'exploitant.",
                "The certificate passed by the proxy cannot be read: tell the operator.",
            )
        )
    asked = TokenRequest(auth.issuer + request.url.path, request.headers, parameters, certificate)
    return await run_in_threadpool(endpoint, asked)


def _refused(refusal: Refusal) -> Response:
    status, body, headers = refusal()
    return JSONResponse(body, status, dict(headers))


async def _read_form(request: Request) -> dict[str, str]:
    """Read the parameters of a form; raises `Refusal`. An empty one counts as absent (RFC 6749 section 3.2)."""
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != _FORM:
        raise Refusal(
            "invalid_request",
            f"Envoyez un formulaire : Content-Type: {_FORM}.",
            f"Send a form: Content-Type: {_FORM}.",
            status=415,
        )
    try:
        received = await read_body(request, MAX_FORM_BYTES)
    except Problem as problem:
        raise Refusal(
            "invalid_request", problem.detail_fr, problem.detail_en, status=problem.status, headers=problem.headers
        ) from problem
    try:
        pairs = parse_qsl(
            received.decode(), keep_blank_values=True, strict_parsing=bool(received), max_num_fields=20, errors="strict"
        )
    except ValueError as error:
        raise Refusal("invalid_request", "Le formulaire est mal formé.", "The form is malformed.") from error
    if len({name for name, _ in pairs}) != len(pairs):
        # RFC 8707 section 2 lets clients name several resources: here a token is for one of them.
        several = len([name for name, _ in pairs if name == "resource"]) > 1
        code = "invalid_target" if several else "invalid_request"
        raise Refusal(code, "Un paramètre est répété.", "A parameter is repeated.")
    return {name: value for name, value in pairs if value}


def _form(*parameters: str) -> dict[str, Any]:
    """Describe the form in the OpenAPI description."""
    properties = {name: {"type": "string"} for name in (*parameters, *_AUTHENTICATION)}
    required = [name for name in parameters if name not in _OPTIONAL]
    schema = {"type": "object", "properties": properties, "required": required}
    return {"requestBody": {"required": True, "content": {_FORM: {"schema": schema}}}}
