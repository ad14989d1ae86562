"""
Emergency accesses by their addresses: opened, seen, closed, reviewed.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Depends, Query, Request

from gateway.auth.resource import Caller, requires
from gateway.auth.scopes import Scopes
from gateway.break_glass import opening, shown
from gateway.break_glass import review as reviewing
from gateway.break_glass.opening import Asked
from gateway.errors import Problem
from gateway.http.bodies import read_members
from gateway.http.exchanges import Id, IdempotencyKey, attempt_of, sender_of
from gateway.http.paging import Cursor, next_page, place
from gateway.http.state import services_of
from schemas import Kind, code_list
from schemas.identity import siret_is_valid

router = APIRouter(tags=["accès d'urgence"])

Opener = Annotated[Caller, Depends(requires(Scopes.BREAK_GLASS_OPEN))]
Reviewer = Annotated[Caller, Depends(requires(Scopes.BREAK_GLASS_REVIEW))]

_MEMBERS = frozenset({"subject", "kind", "purpose", "recipient", "reason", "statement", "agent", "hours"})
_SHORTEST, _LONGEST = 20, 1000
"""Characters of a statement: enough to say what happened, too few for a file."""


@router.post("/v1/break-glass", status_code=201)
async def open_access(request: Request, caller: Opener, key: IdempotencyKey = None) -> dict[str, Any]:
    """Open an emergency access about a person, where a convention provides for it. / Ouvrir un accès d'urgence."""
    services = services_of(request)
    body = await read_members(request, 50_000, _MEMBERS)
    attempt = attempt_of(request, caller, key, orjson.dumps(body))
    return await opening.open_access(_asked(body), caller, attempt, services)


@router.get("/v1/break-glass")
async def list_accesses(
    request: Request,
    caller: Reviewer,
    state: Literal["open", "ended", "to_review", "overdue", "justified", "unjustified"] | None = None,
    cursor: Cursor = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> dict[str, Any]:
    """The accesses opened under one's conventions, and where their reviews stand. / Les accès d'urgence et leur revue."""
    found, last = await shown.listed(caller, state, place(cursor), limit, services_of(request))
    return {"accesses": found, "next": next_page(last)}


@router.get("/v1/break-glass/{opening_id}")
async def get_access(opening_id: Id, request: Request, caller: Reviewer) -> dict[str, Any]:
    """One access: who opened it and why, and what left under it; its reading is recorded. / Lire un accès d'urgence."""
    return await shown.whole(opening_id, caller, services_of(request))


@router.post("/v1/break-glass/{opening_id}/close")
async def close_access(opening_id: Id, request: Request, caller: Opener) -> dict[str, Any]:
    """End an access before its term. / Refermer un accès d'urgence avant son terme."""
    return await opening.close(opening_id, caller, services_of(request))


@router.post("/v1/break-glass/{opening_id}/review")
async def review_access(
    opening_id: Id, request: Request, caller: Reviewer, key: IdempotencyKey = None
) -> dict[str, Any]:
    """Say that an access was justified, or not: what was sent must then be erased. / Revoir un accès d'urgence."""
    body = await read_members(request, 10_000, frozenset({"outcome", "reviewer"}))
    if body.get("outcome") not in reviewing.OUTCOMES:
        allowed = ", ".join(reviewing.OUTCOMES)
        raise Problem("malformed_request", f"« outcome » : {allowed}.", f"“outcome”: {allowed}.")
    attempt = attempt_of(request, caller, key, orjson.dumps(body))
    return await reviewing.review(
        opening_id,
        body["outcome"],
        professional(body.get("reviewer"), "reviewer"),
        await sender_of(request, caller),
        caller,
        attempt,
        services_of(request),
    )


def _asked(body: dict[str, Any]) -> Asked:
    statement, hours = body.get("statement"), body.get("hours")
    if not isinstance(body.get("subject"), dict):
        raise _malformed("« subject » est la personne.", "“subject” is the person.")
    if not isinstance(body.get("recipient"), str) or not siret_is_valid(body["recipient"]):
        raise _malformed("« recipient » est un SIRET.", "“recipient” is a SIRET.")
    if not isinstance(statement, str) or not _SHORTEST <= len(statement.strip()) <= _LONGEST:
        raise _malformed(
            f"« statement » dit ce qui se passe, en {_SHORTEST} à {_LONGEST} caractères.",
            f"“statement” says what is happening, in {_SHORTEST} to {_LONGEST} characters.",
        )
    if hours is not None and (not isinstance(hours, int) or isinstance(hours, bool) or not 0 < hours <= 72):
        raise _malformed("« hours » est un nombre d'heures.", "“hours” is a number of hours.")
    return Asked(
        subject=body["subject"],
        kind=Kind(_code(body, "kind", [Kind.REFERRAL.value, Kind.BILAN.value, Kind.STATUS.value])),
        purpose=_code(body, "purpose", list(code_list("purpose"))),
        recipient=body["recipient"],
        reason=_code(body, "reason", list(code_list("break_glass_reason"))),
        statement=statement.strip(),
        agent=professional(body.get("agent"), "agent"),
        hours=hours,
    )


def professional(value: Any, name: str) -> dict[str, str]:
    """The named person who answers for it, `{name, role}`."""
    if isinstance(value, dict) and value.keys() == {"name", "role"}:
        texts = {key: str(text).strip() for key, text in value.items() if isinstance(text, str)}
        if len(texts) == 2 and all(1 < len(text) <= 140 and text.isprintable() for text in texts.values()):
            return texts
    raise _malformed(
        f"« {name} » nomme qui en répond : {{name, role}}.", f"“{name}” names who answers for it: {{name, role}}."
    )


def _code(body: dict[str, Any], name: str, codes: list[str]) -> str:
    if body.get(name) not in codes:
        allowed = ", ".join(codes)
        raise _malformed(f"« {name} » : {allowed}.", f"“{name}”: {allowed}.")
    return str(body[name])


def _malformed(message_fr: str, message_en: str) -> Problem:
    return Problem("malformed_request", message_fr, message_en)
