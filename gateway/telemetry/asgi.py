"""
Around each HTTP request: its span, its correlation id, its duration.
"""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING, Final

from opentelemetry.trace import Span, SpanKind, StatusCode
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.telemetry.spans import span

if TYPE_CHECKING:
    from gateway.metrics import Measures

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY"})
_PROBES: Final = frozenset({"/healthz", "/readyz", "/metrics"})
"""Asked for every few seconds by machines: counted, not traced."""

_NO_ROUTE: Final = "(no route)"


class TraceMiddleware:
    """
    The span of each HTTP request, its correlation id, and its duration: pure ASGI, named by method and route pattern.

    The correlation id is the `instance` of problems and the header `X-Correlation-Id`; it is ours, never the client's. The
    address itself (`url.path`, `url.query`), the client's address and its headers are not recorded: they may hold anything.
    """

    def __init__(self, app: ASGIApp, measures: Measures) -> None:
        """Wrap an ASGI application, whose requests are counted in `measures`."""
        self._app = app
        self._measures = measures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        correlation = scope["correlation_id"] = str(uuid.uuid4())
        began = time.perf_counter()
        status = 500  # an error that nobody handled here becomes one further out

        async def tell(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (b"x-correlation-id", correlation.encode())]
            await send(message)

        method = scope["method"] if scope["method"] in _METHODS else "_OTHER"
        try:
            if scope["path"] in _PROBES:
                await self._app(scope, receive, tell)
                return
            started = {"http.request.method": method, "url.scheme": scope.get("scheme", "http")}
            with span(_named(method), SpanKind.SERVER, parent=_traceparent(scope), attributes=started) as opened:
                try:
                    await self._app(scope, receive, tell)
                finally:
                    _finish(opened, method, _route(scope), status)
        finally:
            self._measures.request(method, _route(scope), status, time.perf_counter() - began)


def _finish(opened: Span, method: str, route: str, status: int) -> None:
    if not opened.is_recording():
        return
    if route != _NO_ROUTE:
        opened.update_name(f"{_named(method)} {route}")
        opened.set_attribute("http.route", route)
    opened.set_attribute("http.response.status_code", status)
    if status >= 500:
        opened.set_attribute("error.type", str(status))
        opened.set_status(StatusCode.ERROR)


def _route(scope: Scope) -> str:
    """The pattern of the route that took the request; what took none has no name of its own."""
    return str(getattr(scope.get("route"), "path", _NO_ROUTE))


def _named(method: str) -> str:
    """A span's word for a method: one that nobody knows is none (semantic conventions for HTTP)."""
    return "HTTP" if method == "_OTHER" else method


def _traceparent(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == b"traceparent":
            return str(value.decode("latin-1"))
    return None
