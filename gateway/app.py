"""
The HTTP application of one process, made of what `gateway.composition` put together.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.middleware import Middleware

from gateway import telemetry
from gateway.antivirus import scanner
from gateway.auth import create_auth_router
from gateway.composition import Role, Runtime, running
from gateway.http import (
    attachments,
    break_glass,
    consents,
    console,
    console_emergencies,
    console_pages,
    conventions,
    decisions,
    deliveries,
    directory,
    endpoints,
    exchanges,
    fhir,
    hooks,
    inbound,
    language,
    ledger,
    machine,
    mailbox,
    metrics,
    pages,
    persons,
    problems,
    receipts,
    schema_pages,
    sources,
    withdrawals,
)
from gateway.http.behind_wall import WallMiddleware
from gateway.http.description import describe
from gateway.http.signed_answers import SignedAnswers
from gateway.pressure import Pressure


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
        middleware=[
            Middleware(telemetry.TraceMiddleware, measures=runtime.services.measures),
            Middleware(WallMiddleware),
            Middleware(SignedAnswers, signer=runtime.message_signer),
        ],
    )
    app.state.services = runtime.services
    app.state.auth = runtime.auth
    app.state.bus = runtime.bus
    app.state.publication = runtime.publication
    app.state.vkey = runtime.signer.vkey
    app.state.transports = runtime.transports
    app.state.hooks = runtime.hooks
    app.state.connectors = runtime.connectors
    app.state.scanner = scanner(runtime.services.settings.antivirus)
    app.state.pressure = Pressure(runtime.services.database, runtime.services.settings.outbox_limit)
    app.state.message_signer = runtime.message_signer
    app.state.openid = console.openid_of(runtime.services.settings)
    problems.install(app)
    console.install(app)
    if role in (Role.ALL, Role.API):
        app.include_router(exchanges.router)  # called most, and routes are tried in order
    app.include_router(machine.router)
    app.include_router(metrics.router)
    if role in (Role.ALL, Role.API):
        app.include_router(create_auth_router(runtime.auth))
        for module in (
            mailbox,
            attachments,
            inbound,
            deliveries,
            endpoints,
            sources,
            hooks,
            consents,
            break_glass,
            receipts,
            withdrawals,
            conventions,
            decisions,
            directory,
            ledger,
            persons,
            language,
            fhir,
            pages,
            schema_pages,
            console,
            console_emergencies,
            console_pages,
        ):
            app.include_router(module.router)
    describe(app)
    return app
