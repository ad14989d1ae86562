"""
A witness as an HTTP service of its own (C2SP tlog-witness): it needs no gateway, no database server and no account.

The submission prefix and the monitoring prefix are the same.
"""

from __future__ import annotations

import logging
import sqlite3

from anyio import to_thread
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from consent.ledger.witness import ADD_CHECKPOINT, MAX_SUBMISSION, TEXT_TYPE, Answer, Witness
from gateway.errors import Problem
from gateway.http.bodies import read_body

_log = logging.getLogger(__name__)


def create_witness_app(witness: Witness, vkey: str) -> Starlette:
    """Make the application of a witness; `vkey` is its public key, shown at `/vkey`."""

    async def add_checkpoint(request: Request) -> Response:
        try:
            raw = await read_body(request, MAX_SUBMISSION)
        except Problem as problem:
            return PlainTextResponse(f"{problem.detail_en}\n", problem.status, problem.headers)
        try:
            answer = await to_thread.run_sync(witness.add_checkpoint, raw)
        except sqlite3.Error as error:
            _log.exception("witness.memory_failed", extra={"error": type(error).__name__})
            answer = Answer(503, "this witness cannot remember at the moment\n")
        _log.info("witness.answered", extra={"status": answer.status})
        # As a header: Starlette would add a charset to a media type of text, and the protocol's has none.
        return Response(answer.body, answer.status, headers={"Content-Type": answer.media_type})

    async def latest(request: Request) -> Response:
        note = await to_thread.run_sync(witness.latest, request.path_params["digest"])
        if note is None:
            return PlainTextResponse("nothing cosigned for this log\n", 404)
        return Response(note, media_type=TEXT_TYPE, headers={"Cache-Control": "no-cache"})

    async def key(_request: Request) -> Response:
        return PlainTextResponse(f"{vkey}\n")

    async def health(_request: Request) -> Response:
        return PlainTextResponse("ok\n")

    return Starlette(
        routes=[
            Route(f"/{ADD_CHECKPOINT}", add_checkpoint, methods=["POST"]),
            Route("/{digest}/checkpoint", latest),
            Route("/vkey", key),
            Route("/healthz", health),
        ]
    )
