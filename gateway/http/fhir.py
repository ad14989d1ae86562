"""
The FHIR R4 façade: CapabilityStatement, ServiceRequest, Task, and AuditEvent for auditors.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import JSONResponse, Response

from gateway.audit import reading as audit
from gateway.audit.criteria import View
from gateway.audit.indexing import settled
from gateway.audit.search import search
from gateway.auth.resource import Caller, requires, requires_one
from gateway.auth.scopes import Scopes
from gateway.errors import not_found
from gateway.fhir import reading
from gateway.fhir.audit_event import audit_event
from gateway.fhir.audit_search import bundle, criteria_of
from gateway.fhir.capability import capability_statement
from gateway.http.exchanges import Id
from gateway.http.state import services_of

router = APIRouter(prefix="/fhir/R4", tags=["FHIR R4"])

Auditor = Annotated[Caller, Depends(requires(Scopes.LEDGER_READ))]
ReferralReader = Annotated[Caller, Depends(requires_one(Scopes.EXCHANGE_READ, Scopes.SYSTEM_SERVICE_REQUEST))]
TaskReader = Annotated[Caller, Depends(requires_one(Scopes.EXCHANGE_READ, Scopes.SYSTEM_TASK))]


@router.get("/metadata")
async def metadata(request: Request) -> Response:
    """What this façade answers. / Ce que cette façade sait faire."""
    services = services_of(request)
    date = services.clock().date().isoformat()
    return _fhir(capability_statement(services.settings.public_address, request.app.version, date))


@router.get("/ServiceRequest/{referral_id}")
async def service_request(referral_id: Id, request: Request, caller: ReferralReader) -> Response:
    """A referral as a ServiceRequest. / Une orientation en ServiceRequest."""
    return _fhir(await reading.service_request(caller, services_of(request), referral_id))


@router.get("/Task/{delivery_id}")
async def task(delivery_id: Id, request: Request, caller: TaskReader) -> Response:
    """The follow-up of a referral by one recipient as a Task. / Le suivi d'une orientation en Task."""
    return _fhir(await reading.task(caller, services_of(request), delivery_id))


@router.get("/AuditEvent/{event_id}")
async def read_audit_event(
    event_id: Id, request: Request, caller: Auditor, reason: str | None = None, case: str | None = None
) -> Response:
    """A ledger event as an AuditEvent; masked without `reason`. / Un événement du journal en AuditEvent."""
    services = services_of(request)
    row = await audit.event(event_id, View.read(None, reason, case), caller, services)
    if row["summary"] is None:
        raise not_found()
    return _fhir(audit_event(row, services.settings.public_address))


@router.get("/AuditEvent")
async def search_audit_events(request: Request, caller: Auditor) -> Response:
    """Search by `date`, `agent`, `subtype`; a person is only ever searched for by POST /v1/ledger/search. / Chercher dans le journal."""
    services = services_of(request)
    criteria = criteria_of(request.query_params.multi_items())
    if criteria.cursor is None:
        await settled(services)
    found = await search(criteria, caller, services, through="fhir")
    return _fhir(bundle(found, criteria, services.settings.public_address))


def _fhir(resource: dict[str, Any]) -> Response:
    return JSONResponse(resource, media_type="application/fhir+json")
