"""
Withdrawals and objections that a recipient has not acknowledged in time.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request

from gateway import notices
from gateway.auth.resource import Caller, requires_one
from gateway.auth.scopes import Scopes
from gateway.http.paging import Cursor, next_page, place
from gateway.http.state import services_of

router = APIRouter(tags=["accords et oppositions"])


@router.get("/v1/withdrawals/overdue")
async def overdue(
    request: Request,
    caller: Annotated[Caller, Depends(requires_one(Scopes.LEDGER_READ, Scopes.EXCHANGE_READ))],
    cursor: Cursor = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> dict[str, Any]:
    """
    Who has not acknowledged a withdrawal or an objection, and since when. / Voir qui n'a pas confirmé un retrait à temps.

    A partner sees what it must answer and what it sent; an auditor (`ledger:read`) sees everything.
    """
    partner = None if Scopes.LEDGER_READ.value in caller.scopes else caller.partner
    found, last = await notices.overdue(partner, place(cursor), limit, services_of(request))
    return {"overdue": found, "next": next_page(last)}
