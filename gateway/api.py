"""
The API and the pages of a process that serves partners and people: every route, and what they need beside the services.

Everything is loaded here, before the process says that it is ready: no first request pays for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.responses import Response
from starlette.types import Lifespan

from adapters.registry import ADAPTERS
from gateway.antivirus import scanner
from gateway.auth.router import create_auth_router
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
    mailbox,
    pages,
    persons,
    problems,
    receipts,
    schema_pages,
    sources,
    withdrawals,
)
from gateway.http.description import describe
from gateway.http.health import ROUTES
from gateway.http.signed_answers import SignedAnswers
from gateway.pressure import Pressure
from gateway.runtime import Runtime

_ROUTERS: Final = (
    mailbox.router,
    attachments.router,
    inbound.router,
    deliveries.router,
    endpoints.router,
    sources.router,
    hooks.router,
    consents.router,
    break_glass.router,
    receipts.router,
    withdrawals.router,
    conventions.router,
    decisions.router,
    directory.router,
    ledger.router,
    persons.router,
    language.router,
    fhir.router,
    pages.router,
    schema_pages.router,
    console.router,
    console_emergencies.router,
    console_pages.router,
)


def create_api(runtime: Runtime, lifespan: Lifespan[FastAPI], around: Sequence[Middleware]) -> FastAPI:
    """Make the application of the API: its routes and what they need."""
    app = FastAPI(
        title="Trait d'union",
        summary="La passerelle d'interopérabilité du secteur social / The interoperability gateway of the social sector",
        version="1.0",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        middleware=[*around, Middleware(SignedAnswers, signer=runtime.message_signer)],
    )
    app.state.auth = runtime.auth
    app.state.transports = runtime.transports
    app.state.hooks = runtime.hooks
    app.state.connectors = runtime.connectors
    app.state.scanner = scanner(runtime.services.settings.antivirus)
    app.state.pressure = Pressure(runtime.services.database, runtime.services.settings.outbox_limit)
    app.state.message_signer = runtime.message_signer
    app.state.vkey = runtime.signer.vkey
    app.state.openid = console.openid_of(runtime.services.settings)
    problems.install(app)
    console.install(app)
    app.include_router(exchanges.router)  # called most, and routes are tried in order
    for path, answer in ROUTES.items():
        app.add_api_route(path, answer, response_class=Response, tags=["exploitation"])
    app.include_router(create_auth_router(runtime.auth))
    for router in _ROUTERS:
        app.include_router(router)
    list(ADAPTERS.values())  # each is made when it is first asked for: here, and not by a partner
    describe(app)
    return app
