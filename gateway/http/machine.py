"""
For machines and operators: health and readiness, which every role answers.
"""

from __future__ import annotations

import sqlalchemy as sa
from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from gateway.bus.base import BusUnavailable
from gateway.http.state import services_of

router = APIRouter(tags=["exploitation"])


@router.get("/healthz")
async def health() -> dict[str, str]:
    """The process answers. / Le processus répond."""
    return {"status": "ok"}


@router.get("/readyz")
async def ready(request: Request) -> Response:
    """The database and the bus answer too, and no loop died; warnings need an operator, not a restart. / La base et le bus
    répondent aussi, et rien n'est mort en route ; les avertissements appellent un exploitant, pas un redémarrage."""
    faults, warnings = [], []
    services = services_of(request)
    try:
        async with services.database.read() as tx:
            await tx.execute(sa.select(1))
        if away := await services.quorum.away():
            closed = "; exchanges are closed" if await services.quorum.closed() else ""
            warnings.append(f"ledger: the quorum of witnesses has been away for {int(away.total_seconds())} s{closed}")
    except (sa.exc.SQLAlchemyError, OSError) as error:
        faults.append(f"database: {type(error).__name__}")
    try:
        await request.app.state.bus.check()
    except BusUnavailable as error:
        faults.append(f"bus: {type(error).__name__}")
    faults += [f"loop: {name}" for name in request.app.state.publication.loops.dead()]
    body = {"status": "unavailable" if faults else "ok", "faults": faults, "warnings": warnings}
    return JSONResponse(body, 503 if faults else 200)
