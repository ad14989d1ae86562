"""
The HTTP application of one process, made of what `gateway.composition` put together.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route

from gateway import telemetry
from gateway.composition import Role, running
from gateway.http.behind_wall import WallMiddleware
from gateway.http.health import ROUTES
from gateway.runtime import Runtime


def create_app(runtime: Runtime, role: Role = Role.ALL) -> Starlette:
    """
    Make the HTTP application of a process; a process that is only a relay, courier, sequencer or keeper answers health checks.
    """

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        try:
            async with running(runtime, role) as loops:
                runtime.publication.loops = loops
                yield
        finally:
            telemetry.close()

    around = [Middleware(telemetry.TraceMiddleware, measures=runtime.services.measures), Middleware(WallMiddleware)]
    app: Starlette
    if role in (Role.ALL, Role.API):
        from gateway.api import create_api  # noqa: PLC0415 - the other roles answer without it, and start sooner

        app = create_api(runtime, lifespan, around)
    else:
        app = Starlette(routes=[Route(*route) for route in ROUTES.items()], middleware=around, lifespan=lifespan)
    app.state.services = runtime.services
    app.state.bus = runtime.bus
    app.state.publication = runtime.publication
    return app
