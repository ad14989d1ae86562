"""
The FHIR R4 façade: CapabilityStatement, ServiceRequest and Task.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import JSONResponse, Response

from gateway.auth.resource import Caller, requires
from gateway.auth.scopes import Scopes
from gateway.fhir import reading
from gateway.fhir.capability import capability_statement
from gateway.http.exchanges import Id, services_of

router = APIRouter(prefix="/fhir/R4", tags=["FHIR R4"])

Reader = Annotated[Caller, Depends(requires(Scopes.EXCHANGE_READ))]


@router.get("/metadata")
async def metadata(request: Request) -> Response:
    """What this façade answers. / Ce que cette façade sait faire."""
    services = services_of(request)
    date = services.clock().date().isoformat()
    return _fhir(capability_statement(services.settings.public_address, request.app.version, date))


@router.get("/ServiceRequest/{referral_id}")
async def service_request(referral_id: Id, request: Request, caller: Reader) -> Response:
    """A referral as a ServiceRequest. / Une orientation en ServiceRequest."""
    return _fhir(await reading.service_request(caller, services_of(request), referral_id))


@router.get("/Task/{delivery_id}")
async def task(delivery_id: Id, request: Request, caller: Reader) -> Response:
    """The follow-up of a referral by one recipient as a Task. / Le suivi d'une orientation en Task."""
    return _fhir(await reading.task(caller, services_of(request), delivery_id))


def _fhir(resource: dict[str, Any]) -> Response:
    return JSONResponse(resource, media_type="application/fhir+json")
