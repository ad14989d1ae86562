"""
What recording a person's word has in common, whoever asks: the checks, finding the person, and the row with its event.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from consent.ledger.event import EventType
from gateway.auth.caller import Caller
from gateway.errors import Problem, busy
from gateway.records import record_of
from gateway.services import Services
from gateway.store import agreements, subjects
from gateway.store.crypto import DataKey
from gateway.store.database import Transaction
from gateway.store.subjects import Identity
from gateway.verdicts import unfound
from schemas import Document, Issue


def check(issues: Sequence[Issue]) -> None:
    """Raise `Problem` document_invalid when there are issues."""
    if issues:
        raise Problem(
            "document_invalid",
            "Rien n'a été enregistré : corrigez les points listés et renvoyez.",
            "Nothing was recorded: correct the points listed and send again.",
            issues=issues,
        )


async def person(tx: Transaction, subject: Document, caller: Caller, services: Services) -> tuple[str, DataKey]:
    """Find or create the person, and hold it alone until the transaction ends. Raises `Problem` (409, 422)."""
    await services.limits.of_caller("subjects", caller)
    identity = Identity.of(subject, caller.partner, services.vault)
    [found] = await subjects.resolve(tx, [identity], services.vault, services.clock())
    if not isinstance(found, str):
        issue = unfound(found, None)
        raise Problem(issue.code, issue.message_fr, issue.message_en, issues=[issue])
    await subjects.lock(tx, [found], change=True)
    key = (await subjects.data_keys(tx, [found], services.vault)).get(found)
    if key is None:  # erased since it was found
        raise busy()
    return found, key


async def keep(
    tx: Transaction,
    document: Document,
    subject_id: str,
    key: DataKey,
    caller: Caller,
    services: Services,
    now: datetime,
) -> None:
    """Keep a consent document with its event, whose receipt proves the evidence level. Raises `Problem` conflict."""
    event_id = str(uuid.uuid4())
    if not await agreements.add(tx, document, subject_id, key, event_id, now):
        raise already_there()
    body = {
        "agreement_id": document["id"],
        "agreement_type": document["agreement_type"],
        "channel": document["channel"],
        "level": document["evidence"]["level"],
        "scopes": scopes_of(document),
        "replaces": document.get("replaces"),
        "client_id": caller.client_id,
    }
    event_type = EventType.AGREEMENT_GIVEN if document["state"] == "given" else EventType.AGREEMENT_REFUSED
    await services.ledger.append(tx, [record_of(event_type, now, caller.partner, body, key, event_id=event_id)])


def already_there() -> Problem:
    """The refusal of an identifier that is in use."""
    return Problem("conflict", "Un accord porte déjà cet identifiant.", "An agreement already has this identifier.")


def scopes_of(document: Document) -> list[dict[str, Any]]:
    """The lines of an agreement as they stand in events and in lists: codes and recipients."""
    shown = ("id", "purposes", "kinds", "categories", "recipients", "withdrawn_at")
    return [{name: scope[name] for name in shown if name in scope} for scope in document["scopes"]]
