"""
The HTTP application of one process, made of what `gateway.composition` put together.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from fastapi import FastAPI
from starlette.middleware import Middleware

from gateway import telemetry
from gateway.composition import Role, running
from gateway.http import machine, metrics, problems
from gateway.http.behind_wall import WallMiddleware
from gateway.runtime import Runtime

_SERVES: Final = (Role.ALL, Role.API)
"""The roles that serve the API; the others answer health checks and metrics."""


def create_app(runtime: Runtime, role: Role = Role.ALL) -> FastAPI:
    """
    Make the HTTP application of a process; a process that is only a relay, courier, sequencer or keeper answers health checks.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        try:
            async with running(runtime, role) as loops:
                runtime.publication.loops = loops
                yield
        finally:
            telemetry.close()

    app = FastAPI(
        title="Trait d'union",
        summary="La passerelle d'interopérabilité du secteur social / The interoperability gateway of the social sector",
        version="1.0",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        middleware=_middleware(runtime, role),
    )
    app.state.services = runtime.services
    app.state.bus = runtime.bus
    app.state.publication = runtime.publication
    problems.install(app)
    if role in _SERVES:
        from gateway.api import serve_api  # noqa: PLC0415 - the other roles answer without it, and start sooner

        serve_api(app, runtime)
    app.include_router(machine.router)
    app.include_router(metrics.router)
    return app


def _middleware(runtime: Runtime, role: Role) -> list[Middleware]:
    around = [Middleware(telemetry.TraceMiddleware, measures=runtime.services.measures), Middleware(WallMiddleware)]
    if role not in _SERVES:
        return around
    from gateway.http.signed_answers import SignedAnswers  # noqa: PLC0415 - as above

    return [*around, Middleware(SignedAnswers, signer=runtime.message_signer)]
