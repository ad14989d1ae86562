"""
What every process answers, whatever its role: it lives, it is ready, what it measures. Without FastAPI, which only the API loads.
"""

from __future__ import annotations

import sqlalchemy as sa
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gateway.bus.base import BusUnavailable
from gateway.http.state import services_of
from gateway.metrics import Publication


async def health(_request: Request) -> Response:
    """The process answers. / Le processus répond."""
    return JSONResponse({"status": "ok"})


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


async def metrics(request: Request) -> Response:
    """
    The metrics of this process, for the operator's Prometheus. / Les mesures de ce processus.

    Holds no identifier; volumes are the operator's business nevertheless: a reverse proxy should not publish this address.
    """
    publication: Publication = request.app.state.publication
    text, media_type = await publication.text(request.headers.get("accept", ""))
    return Response(text, media_type=media_type)


ROUTES = {"/healthz": health, "/readyz": ready, "/metrics": metrics}
"""Each address with what answers it, by GET."""
