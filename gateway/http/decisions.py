"""
Ask the gate without sending anything.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request

from gateway.auth.resource import Caller, requires
from gateway.auth.scopes import Scopes
from gateway.errors import Problem
from gateway.http.bodies import read_members
from gateway.http.exchanges import sender_of
from gateway.http.state import services_of
from gateway.simulation import Question
from gateway.simulation import simulate as simulate_exchange
from schemas import Document, Kind
from schemas.identity import siret_is_valid

router = APIRouter(tags=["décisions"])

_MEMBERS = frozenset({"kind", "purpose", "recipient", "subject", "document"})


@router.post("/v1/decisions/simulate")
async def simulate(request: Request, caller: Annotated[Caller, Depends(requires(Scopes.VALIDATE))]) -> dict[str, Any]:
    """Would this exchange pass, with which fields, and if not why; nothing is sent. / Simuler la décision sur un envoi."""
    services = services_of(request)
    body = await read_members(request, services.settings.max_json_bytes, _MEMBERS)
    question = _question(body)
    return await simulate_exchange(question, await sender_of(request, caller), caller, services)


def _question(body: dict[str, Any]) -> Question:
    kind, purpose, recipient = (body.get(name) for name in ("kind", "purpose", "recipient"))
    if not isinstance(kind, str) or kind not in {member.value for member in Kind}:
        known = ", ".join(Kind)
        raise _malformed(f"« kind » : {known}.", f"“kind”: {known}.")
    if not isinstance(purpose, str) or not 0 < len(purpose) <= 40:
        raise _malformed("« purpose » est un code de finalité.", "“purpose” is the code of a purpose.")
    if not isinstance(recipient, str) or not siret_is_valid(recipient):
        raise _malformed("« recipient » est un SIRET.", "“recipient” is a SIRET.")
    subject, document = _object(body, "subject"), _object(body, "document")
    if subject is not None and document is not None:
        raise _malformed("Donnez « subject » ou « document », pas les deux.", "Give “subject” or “document”, not both.")
    if document is not None and (document.get("kind"), document.get("purpose")) != (kind, purpose):
        raise _malformed(
            "Le document n'est pas du genre ou de la finalité annoncés.",
            "The document is not of the kind or for the purpose announced.",
        )
    return Question(Kind(kind), purpose, recipient, subject, document)


def _object(body: dict[str, Any], name: str) -> Document | None:
    value = body.get(name)
    if value is not None and not isinstance(value, dict):
        raise _malformed(f"« {name} » est un objet JSON.", f"“{name}” is a JSON object.")
    return value


def _malformed(message_fr: str, message_en: str) -> Problem:
    return Problem("malformed_request", message_fr, message_en)
