"""
Answers to signed requests are signed too, bound to the request that they answer (RFC 9421 section 2.4).

Whoever keeps both proves that this answer was given to this request: the answer's signature covers its status, type and digest, and
the method, the address, the signature and the digest of the request. What is streamed (files, exports) has its own proofs and is not signed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.auth.signed_requests import Sent, Signed
from gateway.bus.base import utc_now
from gateway.delivery.signing import MessageSigner


@dataclass(slots=True)
class _Answer:
    """An answer as the signer reads it and adds to it."""

    status_code: int
    headers: Any
    request: Sent


class SignedAnswers:
    """Signs the answers of signed requests; pure ASGI, every other answer passes untouched."""

    def __init__(self, app: ASGIApp, signer: MessageSigner) -> None:
        """Wrap an ASGI application; `signer` holds the gateway's own key."""
        self._app = app
        self._signer = signer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start: Message | None = None

        async def tell(message: Message) -> None:
            nonlocal start
            signed: Signed | None = scope.get("state", {}).get("signed")
            if signed is None:
                await send(message)
            elif message["type"] == "http.response.start":
                start = message
            elif start is not None:
                if not message.get("more_body", False):
                    self._sign(start, message.get("body", b""), signed)
                await send(start)
                start = None
                await send(message)
            else:
                await send(message)

        await self._app(scope, receive, tell)

    def _sign(self, start: Message, body: bytes, signed: Signed) -> None:
        headers = MutableHeaders(raw=list(start.get("headers", [])))
        self._signer.sign_answer(_Answer(start["status"], headers, signed.sent), body, signed.label, utc_now())
        start["headers"] = headers.raw
