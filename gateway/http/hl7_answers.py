"""
HL7 v2 over HTTP: who sends ER7 gets its acknowledgements in ER7 (AA, AE, AR), unless it asks for JSON.

The HTTP status is the one of any other sending; who is not known (401), or sends something else (415), is answered in JSON as
everywhere: there is no message yet to acknowledge.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from datetime import datetime
from typing import Any, Final

import orjson
from fastapi import Request
from starlette.responses import Response

from adapters.hl7v2.acknowledgement import MEDIA_TYPE, Answer, Fault, acknowledge
from gateway.errors import Problem
from gateway.http.bodies import media_type
from schemas import Issue

_JSON: Final = "application/json"
_NOTHING: Final = Fault("nothing_read", "Rien n'a pu être lu dans ce message.")


def wanted(request: Request) -> bool:
    """Whether the answer is to be written in ER7."""
    return media_type(request) == MEDIA_TYPE and _JSON not in request.headers.get("accept", "")


async def answer(taking: Awaitable[Response], raw: bytes, now: datetime) -> Response:
    """Write what became of each message of a sending, accepted or refused."""
    try:
        taken = await taking
    except Problem as problem:
        faults = tuple(_fault(issue) for issue in problem.issues) or (Fault(problem.code, problem.detail_fr),)
        body = acknowledge(raw, {}, Answer(None, faults), now)
        return Response(body, problem.status, problem.headers, f"{MEDIA_TYPE}; charset=utf-8")
    told = orjson.loads(taken.body)
    body = acknowledge(raw, _by_message(told), Answer(None, (_NOTHING,)), now)
    kept = {"Idempotent-Replayed": "true"} if "idempotent-replayed" in taken.headers else {}
    return Response(body, taken.status_code, kept, f"{MEDIA_TYPE}; charset=utf-8")


def _by_message(told: Mapping[str, Any]) -> dict[int, Answer]:
    """What became of each message, by its rank: of those that no document could be made of, what the translation said."""
    answers: dict[int, Answer] = {}
    for each in told["warnings"]:
        fault = Fault(each["code"], each["message"], each["pointer"])
        known = answers.get(each.get("line", 0), Answer(None))
        answers[each.get("line", 0)] = Answer(None, (*known.faults, fault))
    return answers | {each["line"]: _told(each) for each in told["exchanges"]}


def _told(exchange: Mapping[str, Any]) -> Answer:
    if exchange["state"] == "invalid":
        return Answer(None, tuple(Fault(each["code"], each["message"], each["pointer"]) for each in exchange["errors"]))
    if exchange["state"] == "refused":
        reasons = {each["code"]: each["message"] for to in exchange["recipients"] for each in to["reasons"]}
        return Answer(exchange["exchange"], tuple(Fault(code, message) for code, message in reasons.items()))
    return Answer(exchange["exchange"])


def _fault(issue: Issue) -> Fault:
    return Fault(issue.code, issue.message_fr, issue.pointer)
