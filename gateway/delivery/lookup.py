"""
Deliveries as people look for them: which are closed and why, what was tried, what replays them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from gateway.auth.caller import Caller
from gateway.delivery.settlement import place_of_reply
from gateway.errors import Problem, not_found
from gateway.services import Services
from gateway.store import subjects
from gateway.store.database import Transaction, instant
from gateway.store.tables import deliveries, delivery_attempts
from schemas import Kind

REPLAYABLE: Final = ("rejected", "abandoned", "stopped", "acknowledged")
"""The states of a delivery that can be replayed; of those that were asked for by nobody in particular, the first two."""

SET_ASIDE: Final = ("rejected", "abandoned")

_STATES: Final = ("refused", "queued", "available", "leased", *REPLAYABLE)


@dataclass(frozen=True, slots=True)
class Filters:
    """
    Which deliveries: by state, kind, reason (`last_error`), the two organisations, and when they were accepted.

    What is not said is not looked at.
    """

    states: tuple[str, ...] = ()
    kind: str | None = None
    reason: str | None = None
    sender: str | None = None
    recipient: str | None = None
    since: str | None = None
    until: str | None = None

    @classmethod
    def of(cls, asked: Mapping[str, Any]) -> Filters:
        """Read filters; raises `Problem` malformed_request for what cannot be one."""
        if not asked.keys() <= set(cls.__slots__):
            raise _malformed(f"filtres possibles : {', '.join(cls.__slots__)}", f"filters: {', '.join(cls.__slots__)}")
        states = asked.get("states") or ()
        if not isinstance(states, list | tuple) or not all(state in _STATES for state in states):
            raise _malformed(f"états possibles : {', '.join(_STATES)}", f"states: {', '.join(_STATES)}")
        texts = {name: asked.get(name) for name in ("kind", "reason", "sender", "recipient")}
        if not all(text is None or (isinstance(text, str) and 0 < len(text) <= 200) for text in texts.values()):
            raise _malformed("kind, reason, sender et recipient sont des textes", "kind, reason… are texts")
        times = {name: _time(asked.get(name)) for name in ("since", "until")}
        return cls(states=tuple(states), **texts, **times)

    def kept(self) -> dict[str, Any]:
        """Write the filters as they are kept and shown: what was said only."""
        said = {name: getattr(self, name) for name in self.__slots__}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in said.items() if value}

    def condition(self) -> sa.ColumnElement[bool]:
        """The condition on the table of deliveries."""
        table = deliveries.c
        pairs = (
            (self.kind, table.kind),
            (self.reason, table.last_error),
            (self.sender, table.sender),
            (self.recipient, table.recipient),
        )
        conditions = [column == value for value, column in pairs if value is not None]
        if self.states:
            conditions.append(table.state.in_(self.states))
        if self.since:
            conditions.append(table.created_at >= self.since)
        if self.until:
            conditions.append(table.created_at < self.until)
        return sa.and_(sa.true(), *conditions)


def seen_by(partner: str | None) -> sa.ColumnElement[bool]:
    """
    What an organisation may know of: what it sent, and what was handed over to it. None: the operator, who sees all.

    What waits for a recipient does not exist for it yet: reading about it would be a disclosure.
    """
    if partner is None:
        return sa.true()
    received = sa.and_(deliveries.c.recipient == partner, deliveries.c.disclosures > 0)
    return sa.or_(deliveries.c.sender == partner, received)


async def listed(
    tx: Transaction, partner: str | None, filters: Filters, cursor: str | None, limit: int
) -> tuple[list[dict[str, Any]], str | None]:
    """Deliveries, the newest first, and the cursor of the next page (None: no more)."""
    query = sa.select(deliveries).where(seen_by(partner), filters.condition())
    if cursor is not None:
        created_at, _, ident = cursor.partition("_")
        place = sa.tuple_(deliveries.c.created_at, deliveries.c.id)
        query = query.where(place < sa.tuple_(sa.literal(created_at), sa.literal(ident)))
    query = query.order_by(deliveries.c.created_at.desc(), deliveries.c.id.desc()).limit(limit)
    rows = (await tx.execute(query)).all()
    last = f"{rows[-1].created_at}_{rows[-1].id}" if len(rows) == limit else None
    return [told(row) for row in rows], last


async def one(tx: Transaction, delivery_id: str, caller: Caller | None, services: Services) -> dict[str, Any]:
    """
    One delivery with what replays it; its attempts too, with the beginning of each reply, for its recipient.

    `caller` None is the operator, who sees the attempts without their replies. Raises `Problem` not_found.
    """
    partner = caller.partner if caller else None
    row = (await tx.execute(sa.select(deliveries).where(deliveries.c.id == delivery_id, seen_by(partner)))).first()
    if row is None:
        raise not_found()
    child = sa.select(deliveries.c.id).where(deliveries.c.parent == delivery_id)
    shown = told(row) | {"replayed_by": (await tx.execute(child)).scalar_one_or_none(), "decision": row.decision}
    if partner is None or partner == row.recipient:
        shown["attempts"] = await _attempts(tx, row, services, replies=partner is not None)
    return shown


def told(row: Any) -> dict[str, Any]:
    """A delivery as it is listed."""
    return {
        "id": row.id,
        "exchange": row.exchange_id,
        "kind": row.kind,
        "sender": row.sender,
        "recipient": row.recipient,
        "state": row.state,
        "reason": row.last_error,
        "handed_over": row.disclosures,
        "refusals": row.refusals,
        "next_attempt_at": row.next_attempt_at if row.state == "available" else None,
        "replay_of": row.parent,
        "replay": row.replay_id,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
    }


async def _attempts(tx: Transaction, row: Any, services: Services, *, replies: bool) -> list[dict[str, Any]]:
    query = sa.select(delivery_attempts).where(delivery_attempts.c.delivery_id == row.id)
    found = (await tx.execute(query.order_by(delivery_attempts.c.id.desc()).limit(200))).all()
    keys = await subjects.data_keys(tx, [row.subject_id] if replies else [], services.vault)
    key = keys.get(row.subject_id)
    return [
        {
            "attempted_at": each.attempted_at,
            "system": each.client_id,
            "transport": each.transport,
            "outcome": each.outcome,
            "code": each.code,
            "milliseconds": each.milliseconds,
            "reply": key.open(each.sealed, place_of_reply(each.id)).decode("utf-8", "replace")
            if key and each.sealed
            else None,
        }
        for each in found
    ]


def _time(text: object) -> str | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text) if isinstance(text, str) else None
        if moment is not None and moment.tzinfo is not None:
            return instant(moment)
    except (ValueError, OverflowError):
        pass
    raise _malformed(
        "since et until sont des dates et heures avec décalage, par exemple 2026-11-23T09:00:00+01:00",
        "since and until are dates and times with offset, for instance 2026-11-23T09:00:00+01:00",
    )


def _malformed(message_fr: str, message_en: str) -> Problem:
    return Problem("malformed_request", f"Filtres à corriger : {message_fr}.", f"Filters to correct: {message_en}.")


KINDS: Final = tuple(kind.value for kind in (Kind.REFERRAL, Kind.BILAN, Kind.STATUS))
"""What can be replayed: a notice of withdrawal is offered again by the keeper until it is acknowledged."""
