"""
How emergency accesses read: in a list, without anybody's identity; and whole, for who reviews one.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from consent.ledger.event import EventType
from consent.tables import break_glass, break_glass_mails
from gateway.auth.caller import Caller
from gateway.break_glass.opening import content, held, seen_by
from gateway.records import record_of
from gateway.services import Services
from gateway.store.database import Transaction, instant
from gateway.store.tables import deliveries

_COLUMNS = ("id", "convention_id", "convention_version", "flow", "kind", "sender", "recipient", "reason", "opened_at")


async def listed(
    caller: Caller, state: str | None, cursor: tuple[str, str] | None, limit: int, services: Services
) -> tuple[list[dict[str, Any]], tuple[str, str] | None]:
    """
    The accesses of the conventions that the caller is a party of (an auditor: of all), the last opened first, and the cursor of
    the next page. With a `state` (open, to_review, overdue), a page may hold fewer than `limit`: go on until there is no cursor.
    """
    now = services.clock()
    query = sa.select(break_glass).order_by(break_glass.c.opened_at.desc(), break_glass.c.id.desc()).limit(limit)
    if cursor is not None:
        query = query.where(sa.tuple_(break_glass.c.opened_at, break_glass.c.id) < sa.tuple_(*map(sa.literal, cursor)))
    async with services.database.read(gate=True) as tx:
        conventions = await services.conventions.in_force(tx, now)
        rows = (await tx.execute(query.where(seen_by(caller, conventions)))).all()
    shown = [summary(row, instant(now)) for row in rows]
    last = (rows[-1].opened_at, rows[-1].id) if len(rows) == limit else None
    return [each for each in shown if state is None or state in (each["state"], each["review"]["state"])], last


async def whole(opening_id: str, caller: Caller, services: Services) -> dict[str, Any]:
    """
    One access with what was said and what left under it, for its parties and for an auditor; its reading is an event.

    The person is named by the pseudonym that the reader knows. Raises `Problem` not_found.
    """
    async with services.database.write(beyond="every party sees what left under the access") as tx:
        now = services.clock()
        among = seen_by(caller, await services.conventions.in_force(tx, now))
        row, key = await held(tx, opening_id, among, services)
        body = {"opening_id": row.id, "convention_id": row.convention_id, "client_id": caller.client_id}
        await services.ledger.append(tx, [record_of(EventType.CONTENT_READ, now, caller.partner, body, key)])
        said = content(row, key)
        found = summary(row, instant(now)) | {
            "purpose": said["purpose"],
            "statement": said["statement"],
            "agent": said["agent"],
            "pseudonym": services.vault.pseudonym(row.subject_id, caller.partner),
            "deliveries": await _sent(tx, row),
            "told": await _told(tx, row),
        }
    services.wake()
    return found


def summary(row: Any, now: str) -> dict[str, Any]:
    """An access in a list, at an instant: whether it is open, and where its review stands."""
    review = row.outcome or ("overdue" if row.review_due_at <= now else "to_review")
    return {name: getattr(row, name) for name in _COLUMNS} | {
        "until": row.until,
        "state": "open" if row.ended_at is None and now < row.until else "ended",
        "ended_at": row.ended_at or (row.until if row.until <= now else None),
        "review": {
            "state": review,
            "due_at": row.review_due_at,
            "at": row.reviewed_at,
            "by": row.reviewed_by,
        },
    }


async def _sent(tx: Transaction, row: Any) -> list[dict[str, Any]]:
    query = sa.select(deliveries).where(
        deliveries.c.subject_id == row.subject_id, deliveries.c.recipient == row.recipient
    )
    rows = (await tx.execute(query.order_by(deliveries.c.created_at))).all()
    return [
        {"delivery": each.id, "exchange": each.exchange_id, "state": each.state, "handed_over": each.disclosures}
        for each in rows
        if each.decision.get("break_glass") == row.id
    ]


async def _told(tx: Transaction, row: Any) -> list[dict[str, Any]]:
    query = sa.select(break_glass_mails).where(break_glass_mails.c.opening_id == row.id)
    rows = (await tx.execute(query.order_by(break_glass_mails.c.created_at, break_glass_mails.c.party))).all()
    return [{"party": each.party, "cause": each.cause, "sent_at": each.sent_at} for each in rows]
