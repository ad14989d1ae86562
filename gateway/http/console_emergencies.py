"""
Emergency accesses in the console: an auditor, or an operator of another party than the one that opened, reads and reviews them.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Depends
from starlette.responses import Response

from gateway.auth.caller import Caller
from gateway.auth.people.roles import PersonRole
from gateway.auth.scopes import Scopes
from gateway.break_glass import shown
from gateway.break_glass.review import OUTCOMES, review
from gateway.errors import Problem
from gateway.http.break_glass import professional
from gateway.http.console_session import SignedIn, auditor_of, caller_of, of_role
from gateway.http.exchanges import attempt_of
from gateway.http.state import services_of
from schemas import code_list

router = APIRouter(prefix="/console/emergencies", include_in_schema=False)

Reviewer = Annotated[SignedIn, Depends(of_role(PersonRole.AUDITOR, PersonRole.OPERATOR))]

_SHOWN: Final = 200


@router.get("")
async def emergencies(who: Reviewer) -> Response:
    """Show the accesses, the last opened first: where, when, why in one word, and how their review stands."""
    found, more = await shown.listed(_reviewer(who), None, None, _SHOWN, services_of(who.request))
    waiting = sum(1 for each in found if each["review"]["state"] in ("to_review", "overdue"))
    return who.show(
        "emergencies", accesses=found, more=more is not None, waiting=waiting, reasons=code_list("break_glass_reason")
    )


@router.post("/one")
async def emergency(who: Reviewer) -> Response:
    """Show one access whole; its reading is an event of the ledger."""
    fields = await who.form()
    return await _one(who, fields.get("id", "")[:36])


@router.post("/review")
async def review_emergency(who: Reviewer) -> Response:
    """Record that an access was justified, or not."""
    fields, services, caller = await who.form(), services_of(who.request), _reviewer(who)
    ident, outcome = fields.get("id", "")[:36], fields.get("outcome", "")
    try:
        if outcome not in OUTCOMES:
            raise Problem("malformed_request", "Dites si l'accès était justifié.", "Say whether it was justified.")
        named = professional({name: fields.get(name, "") for name in ("name", "role")}, "reviewer")
        organisation = await services.names.of(caller.partner) or "Exploitant de la passerelle"
        sender = {"siret": caller.partner, "name": organisation}
        attempt = attempt_of(who.request, caller, None, orjson.dumps(fields))
        done = await review(ident, outcome, named, sender, caller, attempt, services)
    except Problem as problem:
        return await _one(who, ident, problem)
    return await _one(who, ident, done=done)


async def _one(who: SignedIn, ident: str, fault: Problem | None = None, done: dict[str, Any] | None = None) -> Response:
    told: dict[str, Any] = {"access": None, "fault": fault, "done": done, "mine": False}
    try:
        access = await shown.whole(ident, _reviewer(who), services_of(who.request))
    except Problem as problem:
        return who.show("emergency", problem.status, **told | {"fault": problem})
    told |= {"access": access, "mine": access["sender"] == _reviewer(who).partner}
    told["reason"] = code_list("break_glass_reason")[access["reason"]]
    return who.show("emergency", fault.status if fault else 200, **told)


def _reviewer(who: SignedIn) -> Caller:
    """An auditor reads every access; an operator those of the conventions of their own organisation."""
    if who.has(PersonRole.AUDITOR):
        return auditor_of(who)
    return caller_of(who, who.session.person.partner, Scopes.BREAK_GLASS_REVIEW)
