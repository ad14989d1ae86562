"""
Ledger events as the gateway writes them: built, committed to and sealed under the key of the person they are about.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping
from datetime import datetime
from functools import cache, lru_cache
from typing import Any

from consent.gate import Decision
from consent.ledger.commitment import entry_of
from consent.ledger.event import Event, EventType, LedgerRecord
from consent.ledger.lists import subject_tag
from consent.steps import STEPS
from gateway.store.crypto import OWN, DataKey
from gateway.store.database import instant
from schemas import Kind, fields


def record_of(
    event_type: EventType,
    now: datetime,
    actor: str,
    body: Mapping[str, Any],
    key: DataKey,
    *,
    event_id: str | None = None,
) -> LedgerRecord:
    """
    Prepare one event about the subject of `key` (the gateway's own key: about nobody), ready for `Ledger.append`.

    `actor` is the SIRET of who did it; `body` holds identifiers, pointers and codes only.
    """
    ident, subject_id, label = event_id or str(uuid.uuid4()), None, None
    if key.subject_id != OWN:
        subject_id, label = key.subject_id, key.label()
        body = {**body, "subject_tag": subject_tag(label, ident)}
    event = Event(ident, event_type, now, actor, body)
    canonical = event.canonical()
    entry, sealed = entry_of(canonical, key.opening(event.id)), key.seal(canonical, place(event.id))
    return LedgerRecord(event, entry, sealed, subject_id, label)


def told(decision: Decision, at: datetime | None = None) -> dict[str, Any]:
    """
    Write a decision for an event: what it rests on, each step's outcome, and the patterns that may leave.

    `at` is the instant it was taken at (none for a notice, on which time has no bearing): replaying it needs it.
    """
    summary = decision.summary()
    steps = [f"{step['number']} {step['name']} {step['outcome']}" for step in summary.pop("steps")]
    decided = {"decided_at": instant(at)} if at else {}
    return summary | decided | {"steps": steps, "fields": _listed(decision.fields)}


@cache
def rules() -> str:
    """
    Name the rules that this code decides by: a digest of the gate's steps and of the label of every field.

    Kept with each decision, so that one replayed years later tells another outcome from other rules.
    """
    labels = {
        kind.value: [[label.pattern, label.category, label.sensitivity] for _, label in sorted(fields(kind).items())]
        for kind in Kind
    }
    return hashlib.sha256(json.dumps([STEPS, labels]).encode()).hexdigest()[:16]


@lru_cache(maxsize=1024)
def _listed(fields: frozenset[str]) -> list[str]:
    """The patterns in order; a flow gives the same ones to everybody, so they are sorted once."""
    return sorted(fields)


def place(event_id: str) -> str:
    """Name the place where an event is sealed, for `DataKey.open`."""
    return f"ledger_events/{event_id}"
