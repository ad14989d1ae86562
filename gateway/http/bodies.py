"""
Reading bodies: counted while they stream, refused as soon as they pass the limit, parsed strictly.
"""

from __future__ import annotations

from typing import Any

from starlette.requests import ClientDisconnect, Request

from gateway.errors import Problem
from schemas import parse_json


async def read_body(request: Request, limit: int) -> bytes:
    """Read the whole body, at most `limit` bytes; raises `Problem` body_too_large without reading further."""
    announced = request.headers.get("content-length", "")
    if announced.isascii() and announced.isdigit() and int(announced) > limit:
        raise _too_large(limit)
    received = bytearray()
    try:
        async for chunk in request.stream():
            received += chunk
            if len(received) > limit:
                raise _too_large(limit)
    except ClientDisconnect as error:
        raise Problem(
            "malformed_request",
            "La connexion a été coupée avant la fin du corps.",
            "The connection was cut before the end of the body.",
        ) from error
    return bytes(received)


def media_type(request: Request) -> str:
    """The declared media type, without its parameters, in lower case."""
    return request.headers.get("content-type", "").split(";", 1)[0].strip().lower()


async def read_json(request: Request, limit: int) -> Any:
    """Read a JSON body; raises `Problem` (413, 415) or `schemas.MalformedJson` (400)."""
    declared = media_type(request)
    if declared != "application/json" and not declared.endswith("+json"):
        raise Problem(
            "unsupported_media_type",
            "Envoyez du JSON : Content-Type: application/json.",
            "Send JSON: Content-Type: application/json.",
        )
    return parse_json(await read_body(request, limit), max_bytes=limit)


def _too_large(limit: int) -> Problem:
    return Problem(
        "body_too_large",
        f"La limite est de {limit // 1_000_000} Mo : découpez l'envoi.",
        f"The limit is {limit // 1_000_000} MB: split the sending.",
    )
