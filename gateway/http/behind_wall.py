"""
Around each HTTP request: what it opens in the database is nobody's until it is known who asks.
"""

from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.store import wall


class WallMiddleware:
    """Stands each request behind the second wall (`gateway.store.wall`); pure ASGI, so that the route runs in the same context."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an ASGI application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        with wall.request():
            await self._app(scope, receive, send)
