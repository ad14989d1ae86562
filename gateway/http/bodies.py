"""
Reading bodies: counted while they stream, refused as soon as they pass the limit or come too slowly, parsed strictly.

A body has `PATIENCE` seconds, and one more for every `SLOWEST` bytes received: a line of 400 kbit/s is served whatever the
file, and a client that sends one byte at a time holds nothing for long. What is before and after the body, and what a reverse
proxy must do, is in `gateway.http.connections`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from io import BytesIO
from typing import Any, Final

from starlette.requests import ClientDisconnect, Request

from gateway.errors import Problem
from schemas import parse_json

PATIENCE: Final = 10.0
"""Seconds in which a body must come, however small."""

SLOWEST: Final = 50_000
"""Bytes per second below which a sender is cut."""


async def read_body(request: Request, limit: int) -> bytes:
    """
    Read the whole body, at most `limit` bytes, as it is: a compressed one is refused.

    Raises `Problem` body_too_large (413) without reading further, too_slow (408), unsupported_media_type (415), too_many_requests
    (429) when the caller has sent too much of late, or
    malformed_request (400) when the connection is cut.
    """
    _demand_readable(request, limit)
    try:
        received = await _received(request, limit)
    except TimeoutError as error:
        raise _too_slow() from error
    except ClientDisconnect as error:
        raise _cut() from error
    await _count(request, len(received))
    if signed := getattr(request.state, "signed", None):
        signed.check_body(received)
    return received


async def pieces(request: Request, limit: int) -> AsyncIterator[bytes]:
    """
    The body a piece at a time as it comes, for what is too large to be held; raises the problems of `read_body`.

    The digest that a signed request announced is for the caller to compare (`Signed.check_digest`).
    """
    _demand_readable(request, limit)
    received, begun = 0, asyncio.get_running_loop().time()
    stream = request.stream().__aiter__()
    while True:
        try:
            async with asyncio.timeout_at(begun + PATIENCE + received / SLOWEST):
                chunk = await anext(stream, None)
        except TimeoutError as error:
            raise _too_slow() from error
        except ClientDisconnect as error:
            raise _cut() from error
        if chunk is None:
            return
        received += len(chunk)
        if received > limit:
            raise _too_large(limit)
        if chunk:
            await _count(request, len(chunk))
            yield chunk


def media_type(request: Request) -> str:
    """The declared media type, without its parameters, in lower case."""
    return request.headers.get("content-type", "").split(";", 1)[0].strip().lower()


async def read_json(request: Request, limit: int) -> Any:
    """Read a JSON body; raises `Problem` (408, 413, 415) or `schemas.MalformedJson` (400)."""
    declared = media_type(request)
    if declared != "application/json" and not declared.endswith("+json"):
        raise Problem(
            "unsupported_media_type",
            "Envoyez du JSON : Content-Type: application/json.",
            "Send JSON: Content-Type: application/json.",
        )
    return parse_json(await read_body(request, limit), max_bytes=limit)


async def read_members(request: Request, limit: int, known: frozenset[str]) -> dict[str, Any]:
    """
    Read a JSON object that has no other members than `known`; raises `Problem` malformed_request.

    An unknown member is refused and not ignored: a misspelt limit would otherwise mean no limit.
    """
    body = as_object(await read_json(request, limit))
    if not body.keys() <= known:
        allowed = ", ".join(sorted(known))
        raise Problem(
            "malformed_request",
            f"Propriétés possibles ici : {allowed}. Retirez les autres.",
            f"Possible properties here: {allowed}. Remove the others.",
        )
    return body


def as_object(body: Any) -> dict[str, Any]:
    """Give back a body that is a JSON object; raises `Problem` malformed_request."""
    if not isinstance(body, dict):
        raise Problem("malformed_request", "Envoyez un objet JSON.", "Send a JSON object.")
    return body


async def _received(request: Request, limit: int) -> bytes:
    """Read the stream; raises `TimeoutError` when it falls behind the slowest rate accepted."""
    received = BytesIO()  # gives its bytes without copying them: a large body is never twice in memory
    begun = asyncio.get_running_loop().time()
    async with asyncio.timeout_at(begun + PATIENCE) as deadline:
        async for chunk in request.stream():
            if not chunk:  # the end of the body
                continue
            received.write(chunk)
            if received.tell() > limit:
                raise _too_large(limit)
            deadline.reschedule(begun + PATIENCE + received.tell() / SLOWEST)
    return received.getvalue()


def announced(request: Request) -> int | None:
    """The bytes that the request says it has; None when it does not, or not well."""
    length = request.headers.get("content-length", "")
    return int(length) if length.isascii() and length.isdigit() else None


def _demand_readable(request: Request, limit: int) -> None:
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise Problem(
            "unsupported_media_type",
            "Envoyez le corps sans compression : retirez l'en-tête Content-Encoding.",
            "Send the body without compression: remove the header Content-Encoding.",
            headers={"Accept-Encoding": "identity"},
        )
    if (announced(request) or 0) > limit:
        raise _too_large(limit)


async def _count(request: Request, received: int) -> None:
    if caller := getattr(request.state, "caller", None):
        await request.app.state.auth.limits.of_caller("bytes", caller, received)


def _too_slow() -> Problem:
    return Problem(
        "too_slow",
        f"Le corps arrive trop lentement : {SLOWEST // 1000} ko par seconde au moins. Renvoyez-le.",
        f"The body comes too slowly: at least {SLOWEST // 1000} kB a second. Send it again.",
        headers={"Connection": "close"},
    )


def _cut() -> Problem:
    return Problem(
        "malformed_request",
        "La connexion a été coupée avant la fin du corps.",
        "The connection was cut before the end of the body.",
    )


def _too_large(limit: int) -> Problem:
    size = f"{limit // 1_000_000} M" if limit >= 1_000_000 else f"{limit // 1000} k"
    return Problem(
        "body_too_large",
        f"La limite est de {size}o : découpez l'envoi.",
        f"The limit is {size}B: split the sending.",
    )
