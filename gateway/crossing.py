"""
A document on its way, with what was decided about it, and the rows that keep it: written together or not at all.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson
import sqlalchemy as sa

from consent.gate import Decision
from consent.ledger.event import EventType, LedgerRecord
from gateway.auth.caller import Caller
from gateway.bus.outbox import Outgoing
from gateway.bus.outbox import add as add_to_outbox
from gateway.records import record_of, rules, told
from gateway.services import Services
from gateway.store.crypto import DataKey
from gateway.store.database import Transaction, instant
from gateway.store.tables import deliveries, documents, exchanges
from schemas import Document, Issue, Kind


@dataclass(slots=True)
class Ruling:
    """What the gate said about one recipient of one document, and the instant it decided at (a notice needs none)."""

    recipient: str
    decision: Decision
    at: datetime | None = None
    delivery_id: str = field(default_factory=lambda: str(uuid.uuid4()))


@dataclass(slots=True)
class Crossing:
    """One document on its way in, filled step by step."""

    kind: Kind
    document: Document
    line: int | None
    issues: list[Issue] = field(default_factory=list)
    subject_id: str = ""
    earlier: str | None = None
    rulings: list[Ruling] = field(default_factory=list)
    exchange_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    event_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    row_id: str = ""

    def __post_init__(self) -> None:
        """A document is kept under its own id, except a notice, of which there are several for one agreement."""
        self.row_id = self.row_id or self.document["id"]

    @property
    def open(self) -> bool:
        """Whether the document is still on its way: not refused at validation, not seen before."""
        return not self.issues and self.earlier is None

    @property
    def permitted(self) -> list[Ruling]:
        """The rulings that let something leave."""
        return [ruling for ruling in self.rulings if ruling.decision.permit]


class Rows:
    """The rows of one message, gathered so that each table is written once."""

    def __init__(self, *, batch: str, trace: str | None, caller: Caller, now: datetime) -> None:
        self.batch, self.trace, self.caller, self.now = batch, trace, caller, now
        self.documents: list[dict[str, Any]] = []
        self.exchanges: list[dict[str, Any]] = []
        self.deliveries: list[dict[str, Any]] = []
        self.events: list[Any] = []
        self.outgoing: list[Outgoing] = []

    def add(self, crossing: Crossing, key: DataKey) -> None:
        """Add one document with its rulings."""
        at = instant(self.now)
        if crossing.permitted:
            self.documents.append(
                {
                    "id": crossing.row_id,
                    "kind": crossing.kind.value,
                    "schema_version": crossing.document["schema_version"],
                    "sender": self.caller.partner,
                    "subject_id": crossing.subject_id,
                    "sealed": key.seal(orjson.dumps(crossing.document), f"documents/{crossing.row_id}"),
                    "received_at": at,
                }
            )
        self.exchanges.append(
            {
                "id": crossing.exchange_id,
                "batch": self.batch,
                "document_id": crossing.row_id,
                "kind": crossing.kind.value,
                "purpose": crossing.document["purpose"],
                "sender": self.caller.partner,
                "client_id": self.caller.client_id,
                "subject_id": crossing.subject_id,
                "about": crossing.document.get("referral_id"),
                "event_id": crossing.event_id,
                "source_line": crossing.line,
                "trace": self.trace,
                "received_at": at,
                "updated_at": at,
            }
        )
        for ruling in crossing.rulings:
            self._rule(crossing, ruling, at)
        self.events.append(self._event(crossing, key))

    def _rule(self, crossing: Crossing, ruling: Ruling, at: str) -> None:
        self.deliveries.append(
            {
                "id": ruling.delivery_id,
                "exchange_id": crossing.exchange_id,
                "kind": crossing.kind.value,
                "sender": self.caller.partner,
                "recipient": ruling.recipient,
                "subject_id": crossing.subject_id,
                "state": "queued" if ruling.decision.permit else "refused",
                "decision": ruling.decision.summary(),
                "trace": self.trace,
                "created_at": at,
                "updated_at": at,
            }
        )
        if ruling.decision.permit:
            cleared = ruling.decision.cleared()
            self.outgoing.append(
                Outgoing(ruling.delivery_id, crossing.exchange_id, crossing.kind, ruling.recipient, cleared, self.trace)
            )

    def _event(self, crossing: Crossing, key: DataKey) -> LedgerRecord:
        body = {
            "exchange_id": crossing.exchange_id,
            "document_id": crossing.row_id,
            "kind": crossing.kind.value,
            "purpose": crossing.document["purpose"],
            "client_id": self.caller.client_id,
            "rules": rules(),
            "decisions": [
                told(ruling.decision, ruling.at) | {"recipient": ruling.recipient} for ruling in crossing.rulings
            ],
        }
        event_type = EventType.EXCHANGE_ACCEPTED if crossing.permitted else EventType.EXCHANGE_REFUSED
        return record_of(event_type, self.now, self.caller.partner, body, key, event_id=crossing.event_id)

    async def save(self, tx: Transaction, services: Services) -> None:
        """Write every row; the relay and the sequencer see them once the transaction commits."""
        for table, rows in ((documents, self.documents), (exchanges, self.exchanges), (deliveries, self.deliveries)):
            if rows:
                await tx.execute(sa.insert(table), rows)
        await services.ledger.append(tx, self.events)
        await add_to_outbox(tx, self.outgoing, source=services.settings.public_address, now=self.now)
