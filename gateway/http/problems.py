"""
Errors to HTTP, once: every refusal becomes `application/problem+json` (RFC 9457), without any value the partner sent;
at the FHIR addresses the same problem is an OperationOutcome.
"""

from __future__ import annotations

import logging
from typing import Any

from asyncpg import PostgresError
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from gateway.auth.errors import AuthError
from gateway.errors import TITLES, Problem, issue_body
from gateway.http.parameters import parameter_issue
from gateway.store.database import is_away
from gateway.store.subjects import StaleRing
from schemas import Issue, MalformedJson

_log = logging.getLogger(__name__)

_SHOWN = 200
"""Faults listed in one answer; the rest is counted."""


class ProblemResponse(JSONResponse):
    """A JSON answer with the media type of RFC 9457."""

    media_type = "application/problem+json"


def render(request: Request, problem: Problem) -> Response:
    """Write a problem as its HTTP answer."""
    address = request.app.state.services.settings.public_address
    correlation = request.scope.get("correlation_id", "00000000-0000-0000-0000-000000000000")
    if request.url.path.startswith("/fhir/R4/"):
        from gateway.fhir.outcome import operation_outcome  # noqa: PLC0415 - only a process that serves FHIR loads it

        outcome = operation_outcome(problem, address, correlation)
        return JSONResponse(outcome, problem.status, problem.headers, media_type="application/fhir+json")
    body: dict[str, Any] = {
        "type": f"{address}/problems/{problem.code}",
        "title": problem.title_fr,
        "title_en": problem.title_en,
        "status": problem.status,
        "code": problem.code,
        "detail": problem.detail_fr,
        "detail_en": problem.detail_en,
        "instance": f"urn:uuid:{correlation}",
        **problem.extra,
    }
    if problem.issues:
        body["errors"] = [issue_body(issue) for issue in problem.issues[:_SHOWN]]
        body["error_count"] = len(problem.issues)
    return ProblemResponse(body, problem.status, problem.headers)


_NOWHERE = Problem(
    "not_found",
    "Il n'y a rien à cette adresse. Celles de l'API sont décrites à /docs.",
    "There is nothing at this address. Those of the API are described at /docs.",
)


def install(app: FastAPI) -> None:
    """Register the handlers: nothing leaves the application as a bare error, nor as a redirection to what the client named."""
    app.router.redirect_slashes = False

    @app.exception_handler(Problem)
    async def _problem(request: Request, error: Problem) -> Response:
        return render(request, error)

    @app.exception_handler(StaleRing)
    async def _stale(request: Request, _error: StaleRing) -> Response:
        _log.critical("ring.stale")
        problem = Problem(
            "unavailable",
            "La passerelle attend ses nouvelles clés : rien n'a été enregistré, réessayez dans quelques minutes.",
            "The gateway waits for its new keys: nothing was recorded, try again in a few minutes.",
            headers={"Retry-After": "60"},
        )
        return render(request, problem)

    async def _away(request: Request, error: Exception) -> Response:
        """The database does not answer: what was asked may have been recorded or not, and asking again tells."""
        if not is_away(error):
            raise error
        _log.error("database.away", extra={"error": type(error).__name__})
        problem = Problem(
            "unavailable",
            "La base ne répond pas : renvoyez la même requête, avec la même clé d'idempotence, dans quelques secondes.",
            "The database does not answer: send the same request again, with the same idempotency key, in some seconds.",
            headers={"Retry-After": "2"},
        )
        return render(request, problem)

    for kind in (SQLAlchemyError, PostgresError, OSError):
        app.add_exception_handler(kind, _away)

    @app.exception_handler(MalformedJson)
    async def _json(request: Request, error: MalformedJson) -> Response:
        issue = Issue(error.code, "", error.message_fr, error.message_en, line=error.line, column=error.column)
        return render(request, Problem("malformed_json", error.message_fr, error.message_en, issues=[issue]))

    @app.exception_handler(AuthError)
    async def _auth(request: Request, error: AuthError) -> Response:
        problem = Problem(
            {401: "unauthorized", 429: "too_many_requests"}.get(error.status, "forbidden"),
            error.detail_fr,
            error.detail_en,
            headers=error.headers,
        )
        return render(request, problem)

    @app.exception_handler(RequestValidationError)
    async def _parameters(request: Request, error: RequestValidationError) -> Response:
        issues = [parameter_issue(fault) for fault in error.errors()]
        return render(
            request,
            Problem(
                "malformed_request",
                "Corrigez les paramètres indiqués.",
                "Correct the parameters listed.",
                issues=issues,
            ),
        )

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> Response:
        if error.status_code == 404:
            return render(request, _NOWHERE)
        code = next((code for code, (status, *_) in TITLES.items() if status == error.status_code), "malformed_request")
        return render(
            request,
            Problem(
                code, "Voyez la description de l'API : /docs.", "See the API description: /docs.", headers=error.headers
            ),
        )

    @app.exception_handler(Exception)
    async def _crash(request: Request, error: Exception) -> Response:
        # The exception's text may hold a value of the document: only its type and place are logged.
        frame = error.__traceback__
        while frame and frame.tb_next:
            frame = frame.tb_next
        place = (
            f"{frame.tb_frame.f_code.co_qualname}:{frame.tb_lineno}"
            if frame and hasattr(frame.tb_frame.f_code, "co_qualname")
            else "?"
        )
        _log.error(
            "request.crashed",
            extra={"error": type(error).__name__, "place": place, "correlation": request.scope.get("correlation_id")},
        )
        return render(
            request,
            Problem(
                "internal_error",
                "Rien n'a été enregistré d'autre que ce qui vous avait déjà été confirmé. Renvoyez la requête avec la même clé d'idempotence.",
                "Nothing was recorded beyond what had already been confirmed to you. Send the request again with the same idempotency key.",
            ),
        )
