"""
The agreements that a message brings beside its other documents: each recorded as `POST /v1/consents` does, before the rest.

An agreement is a fact by itself: what becomes of the other documents of its message does not undo it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import orjson

from consent.agreement import Agreement
from gateway import agreements, ingress
from gateway.auth.caller import Caller
from gateway.crossing import Crossing
from gateway.errors import Problem
from gateway.services import Services
from gateway.store import agreements as kept
from gateway.store import idempotency, subjects
from gateway.store.idempotency import Attempt
from schemas import Document, Issue, Kind

_NOT_SAID: Final = frozenset({"created_at", "sender", "collected_by", "state", "withdrawal", "events"})
"""What is not the person's word, or changes once it is recorded."""

_OF_THE_REPLY: Final = frozenset({"collected_at", "evidence"})
"""What the reply to an SMS writes in an agreement."""


def of(crossings: Sequence[Crossing]) -> list[Crossing]:
    """The agreements among the documents of a message that may be recorded."""
    return [crossing for crossing in crossings if crossing.kind is Kind.CONSENT and crossing.open]


async def record(
    given: Sequence[Crossing], sender: Document, caller: Caller, attempt: Attempt, services: Services
) -> Any | None:
    """
    Record the agreements of a message, in its order, each durable by itself; gives the answer if the message had one already.

    What was recorded already under the same identifier and says the same is not recorded twice. Why one cannot be recorded is
    among its `issues`, and the next is tried. Raises the `Problem` that will pass, or concerns the whole message.
    """
    ids = [crossing.document["id"] for crossing in given]
    async with services.database.read() as tx:
        if (earlier := await idempotency.earlier_answer(tx, attempt)) is not None:
            return earlier
        rows = await kept.named(tx, ids, caller.partner)
        keys = await subjects.data_keys(tx, {row.subject_id for row in rows}, services.vault)
    recorded = {row.id: kept.opened(row, keys[row.subject_id]) for row in rows if row.subject_id in keys}
    for crossing in given:
        earlier = recorded.get(crossing.document["id"])
        try:
            crossing.agreement = (
                await _new(crossing.document, sender, caller, services)
                if earlier is None
                else _again(crossing.document, earlier, services)
            )
        except Problem as problem:
            if "Retry-After" in problem.headers or problem.status >= 500:
                raise
            crossing.issues += _issues(problem, crossing.line)
    return None


async def _new(document: Document, sender: Document, caller: Caller, services: Services) -> dict[str, Any]:
    """Record an agreement under its own identifier; a question asked by SMS is given again to who sends it again."""
    said = {
        name: value for name, value in document.items() if name != "created_at"
    }  # an adapter's is that of the sending
    digest = services.vault.request_digest(b"consent", orjson.dumps(said, option=orjson.OPT_SORT_KEYS))
    key = services.vault.request_digest(b"consent", document["id"].encode()).hex()
    try:
        return await agreements.record_agreement(
            document, sender, caller, Attempt(caller.client_id, key, digest), services
        )
    except Problem as problem:
        if problem.code in ("idempotency_key_reused", "conflict") and "Retry-After" not in problem.headers:
            raise _otherwise() from problem
        raise


def _again(document: Document, recorded: Document, services: Services) -> dict[str, Any]:
    """What is told of an agreement recorded before; raises `Problem` conflict when it is not what is said now."""
    document, _ = ingress.cleaned(Kind.CONSENT, document)
    if not _stands(document, recorded) or _said(document) != _said(_as_given(recorded)):
        raise _otherwise()
    return {"id": document["id"], "state": Agreement.from_document(recorded).state_at(services.clock()).value}


def _stands(document: Document, recorded: Document) -> bool:
    """Whether the answer given then is the one told now: a yes stays what was said after its withdrawal, or asked by SMS."""
    said, now = str(document["state"]), str(recorded["state"])
    if said == "given":
        return now != "refused" or str(document["channel"]) == "sms"
    return said == now


def _as_given(recorded: Document) -> Document:
    scopes = [{name: value for name, value in scope.items() if name != "withdrawn_at"} for scope in recorded["scopes"]]
    return {**recorded, "scopes": scopes}


def _said(document: Document) -> Mapping[str, Any]:
    left_out = _NOT_SAID | (_OF_THE_REPLY if document["channel"] == "sms" else frozenset())
    return {name: value for name, value in document.items() if name not in left_out}


def _otherwise() -> Problem:
    return Problem(
        "conflict",
        "Un accord est déjà enregistré sous cet identifiant, et dit autre chose : renouvelez-le (/v1/consents/{id}/renew) ou retirez-le (/withdraw).",
        "An agreement is already recorded under this identifier, and says something else: renew it (/v1/consents/{id}/renew) or withdraw it (/withdraw).",
    )


def _issues(problem: Problem, line: int | None) -> list[Issue]:
    """Why an agreement was not recorded, at the line where it stands."""
    if not problem.issues:
        return [Issue(problem.code, "", problem.detail_fr, problem.detail_en, line=line)]
    return [replace(issue, line=line) for issue in problem.issues]
