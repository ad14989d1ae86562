"""
A document on its way, with what was decided about it, and the rows that keep it: written together or not at all.
"""

from __future__ import annotations

import uuid
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import orjson

from adapters.base import Translation
from consent.gate import Decision
from consent.ledger.event import EventType, LedgerRecord
from consent.rows import Insertion, insert_all
from gateway.auth.caller import Caller
from gateway.auth.replay import Use
from gateway.bus.outbox import Outgoing
from gateway.bus.outbox import to_insert as to_insert_in_outbox
from gateway.errors import Problem
from gateway.records import record_of, rules, told
from gateway.services import Services
from gateway.store.crypto import DataKey
from gateway.store.database import Transaction, instant
from gateway.store.idempotency import Attempt
from gateway.store.identifiers import time_ordered
from gateway.store.tables import deliveries, documents, exchanges
from gateway.telemetry import current_traceparent
from schemas import Document, Issue, Kind


@dataclass(slots=True)
class Ruling:
    """What the gate said about one recipient of one document, and the instant it decided at (a notice needs none)."""

    recipient: str
    decision: Decision
    at: datetime | None = None
    delivery_id: str = field(default_factory=time_ordered)


@dataclass(slots=True)
class Crossing:
    """One document on its way in, filled step by step."""

    kind: Kind
    document: Document
    line: int | None
    issues: list[Issue] = field(default_factory=list)
    subject_id: str = ""
    earlier: str | None = None
    agreement: dict[str, Any] | None = None
    """Of a consent, what recording it answered (`gateway.sent_agreements`): it goes no further."""
    rulings: list[Ruling] = field(default_factory=list)
    exchange_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    event_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    row_id: str = ""

    def __post_init__(self) -> None:
        """A document is kept under its own id, except a notice, of which there are several for one agreement."""
        self.row_id = self.row_id or self.document["id"]

    @property
    def open(self) -> bool:
        """Whether the document is still on its way: not refused at validation, not seen before, not recorded as an agreement."""
        return not self.issues and self.earlier is None and self.agreement is None

    @property
    def permitted(self) -> list[Ruling]:
        """The rulings that let something leave."""
        return [ruling for ruling in self.rulings if ruling.decision.permit]


@dataclass(slots=True)
class Arrival:
    """
    One message on its way in: who sent it and its documents; then how it ended, taken in (`acceptance`) or refused.

    Its `trace` is that of the request, since it may be written by the task of another one.
    """

    caller: Caller
    attempt: Attempt
    validated: Sequence[Crossing]
    translation: Translation
    crossings: Sequence[Crossing] = ()
    batch: str = field(default_factory=lambda: str(uuid.uuid4()))
    trace: str | None = field(default_factory=current_traceparent)
    acceptance: Acceptance | None = None
    refusal: Problem | None = None

    def begin(self, earlier: Any | Problem | None) -> None:
        """
        Start from what was validated, whatever an attempt that had no effect left here.

        `earlier` is what idempotency says: the answer given before, a refusal, or None.
        """
        self.crossings = [replace(each, issues=[*each.issues], rulings=[]) for each in self.validated]
        self.refusal = self.acceptance = None
        if isinstance(earlier, Problem):
            self.refusal = earlier
        elif earlier is not None:
            self.acceptance = Acceptance(earlier, again=True)

    @property
    def apart(self) -> frozenset[Hashable]:
        """What no two messages of one transaction may share: an idempotency key, a proof, and a document."""
        key = self.attempt.key and ("key", self.attempt.client_id, self.attempt.key)
        proof = self.proof.apart if self.proof else ()
        return frozenset([*filter(None, [key]), *proof, *(crossing.document["id"] for crossing in self.validated)])

    @property
    def proof(self) -> Use | None:
        """The use of the request's proof of possession, recorded with the message."""
        return self.caller.proof

    @property
    def replayed(self) -> bool:
        """Whether the request's proof served before: it opens nothing, not even the answer already given to its request."""
        return self.proof is not None and not self.proof.first

    @property
    def waiting(self) -> list[Crossing]:
        """The documents still on their way, of a message that still is."""
        if self.acceptance or self.refusal or self.replayed:
            return []
        return [crossing for crossing in self.crossings if crossing.open]


@dataclass(frozen=True, slots=True)
class Acceptance:
    """The body of the 202, and whether it was already given to an earlier identical request."""

    body: dict[str, Any]
    again: bool = False


def _right_opened(crossing: Crossing) -> bool:
    """Whether a status that may leave says that a right was opened; read now, since nobody counts in sealed documents."""
    outcomes = [crossing.document.get(name, {}) for name in ("outcome", "special_outcome")]
    return bool(crossing.permitted) and any(outcome.get("state") == "opened" for outcome in outcomes)


class Rows:
    """The rows of some messages, gathered so that each table is written once."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self._at = instant(now)
        self.documents: list[dict[str, Any]] = []
        self.exchanges: list[dict[str, Any]] = []
        self.deliveries: list[dict[str, Any]] = []
        self.events: list[Any] = []
        self.outgoing: list[Outgoing] = []

    def add(self, crossing: Crossing, key: DataKey, *, caller: Caller, batch: str, trace: str | None) -> None:
        """Add one document of the message `batch` of `caller`, with its rulings."""
        at = self._at
        if crossing.permitted:
            self.documents.append(
                {
                    "id": crossing.row_id,
                    "kind": crossing.kind.value,
                    "schema_version": crossing.document["schema_version"],
                    "sender": caller.partner,
                    "subject_id": crossing.subject_id,
                    "sealed": key.seal(orjson.dumps(crossing.document), f"documents/{crossing.row_id}"),
                    "received_at": at,
                }
            )
        self.exchanges.append(
            {
                "id": crossing.exchange_id,
                "batch": batch,
                "document_id": crossing.row_id,
                "kind": crossing.kind.value,
                "purpose": crossing.document["purpose"],
                "sender": caller.partner,
                "client_id": caller.client_id,
                "subject_id": crossing.subject_id,
                "about": crossing.document.get("referral_id"),
                "version": crossing.document.get("sequence") if crossing.kind is Kind.STATUS else None,
                "right_opened": _right_opened(crossing) if crossing.kind is Kind.STATUS else None,
                "event_id": crossing.event_id,
                "source_line": crossing.line,
                "trace": trace,
                "received_at": at,
                "updated_at": at,
            }
        )
        for ruling in crossing.rulings:
            self._rule(crossing, ruling, caller, trace)
        self.events.append(self._event(crossing, key, caller))

    def _rule(self, crossing: Crossing, ruling: Ruling, caller: Caller, trace: str | None) -> None:
        at = self._at
        self.deliveries.append(
            {
                "id": ruling.delivery_id,
                "exchange_id": crossing.exchange_id,
                "kind": crossing.kind.value,
                "sender": caller.partner,
                "recipient": ruling.recipient,
                "subject_id": crossing.subject_id,
                "state": "queued" if ruling.decision.permit else "refused",
                "decision": ruling.decision.summary(),
                "trace": trace,
                "created_at": at,
                "updated_at": at,
            }
        )
        if ruling.decision.permit:
            cleared = ruling.decision.cleared()
            self.outgoing.append(
                Outgoing(ruling.delivery_id, crossing.exchange_id, crossing.kind, ruling.recipient, cleared, trace)
            )

    def _event(self, crossing: Crossing, key: DataKey, caller: Caller) -> LedgerRecord:
        body = {
            "exchange_id": crossing.exchange_id,
            "document_id": crossing.row_id,
            "kind": crossing.kind.value,
            "purpose": crossing.document["purpose"],
            "client_id": caller.client_id,
            "channel": caller.channel,
            **caller.acting,
            "rules": rules(),
            "decisions": [
                told(ruling.decision, ruling.at) | {"recipient": ruling.recipient} for ruling in crossing.rulings
            ],
        }
        event_type = EventType.EXCHANGE_ACCEPTED if crossing.permitted else EventType.EXCHANGE_REFUSED
        return record_of(event_type, self.now, caller.partner, body, key, event_id=crossing.event_id)

    async def save(self, tx: Transaction, services: Services, *beside: Insertion) -> None:
        """Write every row, and those of other tables beside them; the relay and the sequencer see them once the transaction commits."""
        source = services.settings.public_address
        mine = [
            services.ledger.to_append(self.events),
            Insertion(documents, self.documents),
            Insertion(exchanges, self.exchanges),
            Insertion(deliveries, self.deliveries),
            to_insert_in_outbox(self.outgoing, source=source, now=self.now),
        ]
        await insert_all(tx, [*mine, *beside])
