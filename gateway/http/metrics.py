"""
For Prometheus: what this process counts and measures.
"""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from gateway.metrics import Publication

router = APIRouter(tags=["exploitation"])


@router.get("/metrics", response_class=Response)
async def metrics(request: Request) -> Response:
    """
    The metrics of this process, for the operator's Prometheus. / Les mesures de ce processus.

    Holds no identifier; volumes are the operator's business nevertheless: a reverse proxy should not publish this address.
    """
    publication: Publication = request.app.state.publication
    text, media_type = await publication.text(request.headers.get("accept", ""))
    return Response(text, media_type=media_type)
