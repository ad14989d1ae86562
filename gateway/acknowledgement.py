"""
The acknowledgement: the last step of `exchange.deliver`, when the recipient says that it has a document, or could not take it.
"""

from __future__ import annotations

from datetime import datetime
from time import time_ns
from typing import Any

import sqlalchemy as sa

from consent.ledger.event import EventType
from gateway import telemetry
from gateway.auth.caller import Caller
from gateway.delivery import endpoints
from gateway.delivery.base import Policy
from gateway.errors import Problem, not_found
from gateway.records import record_of
from gateway.services import Services
from gateway.store import subjects
from gateway.store.database import instant
from gateway.store.tables import deliveries
from gateway.taken import ROWS, Taken, taken_of, update
from schemas import Kind

_ACKNOWLEDGE = telemetry.messaging("acknowledge", "settle", system=telemetry.bus_system(""), destination="mailbox")

_MAY_REFUSE = frozenset({"leased"})
_MAY_ACKNOWLEDGE = frozenset({"leased", "available"})


DONE = ("stopped", "erased")
"""What a recipient may have done about a notice: stopped using what it holds, or erased it."""


async def acknowledge(
    caller: Caller,
    ident: str,
    services: Services,
    *,
    refusal: str | None = None,
    permanent: bool = False,
    done: str | None = None,
) -> list[str]:
    """
    (6) Record that the recipient has (`refusal` None) or could not take (`refusal` a code) a delivery or a whole lease; of a
    notice, what it did about it when it says so (`done`, one of DONE).

    Acknowledging is idempotent, and holds for what was handed over once even if it was refused for a time since. Returns
    the ids of the deliveries that are so now; raises `Problem` not_found for what is not the caller's or is under another
    lease since, and conflict when it was closed otherwise (refused for good, stopped by the gate).
    """
    now, began = services.clock(), time_ns()
    async with services.database.write() as tx:
        mine = sa.and_(
            deliveries.c.recipient == caller.partner, sa.or_(deliveries.c.id == ident, deliveries.c.lease == ident)
        )
        query = ROWS.where(mine).with_for_update(of=deliveries)
        rows = [row for row in (await tx.execute(query)).all() if row.disclosures > 0]
        if not rows:
            raise not_found()
        open_rows = [row for row in rows if row.state in (_MAY_ACKNOWLEDGE if refusal is None else _MAY_REFUSE)]
        already = [row.id for row in rows if refusal is None and row.state == "acknowledged"]
        if not open_rows and not already:
            raise Problem("conflict", "Cette livraison est déjà close.", "This delivery is already closed.")
        keys = await subjects.data_keys(tx, {row.subject_id for row in open_rows}, services.vault)
        taken = [taken_of(row, keys.get(row.subject_id), None) for row in open_rows]
        if refusal is None:
            await update(tx, taken, acknowledged(now))
        else:
            endpoint = await endpoints.get(tx, caller.client_id, services.vault)
            policy = endpoint.policy if endpoint else Policy()
            for times in sorted({row.refusals for row in open_rows}):
                alike = [item for row, item in zip(open_rows, taken, strict=True) if row.refusals == times]
                await update(tx, alike, refused(times + 1, refusal, permanent, policy, now))
        await services.ledger.append(
            tx, [closing(item, refusal, caller.client_id, services, now, done) for item in taken]
        )
        services.fault_point("acknowledge.recorded")
    services.wake()
    services.measures.closed(taken, refusal)
    telemetry.told("acknowledge mailbox", taken, _ACKNOWLEDGE | ({"tdu.refusal": refusal} if refusal else {}), began)
    return already + [row.id for row in open_rows]


def acknowledged(now: datetime) -> dict[str, Any]:
    """What an acknowledgement changes in a delivery."""
    return {"state": "acknowledged", "acknowledged_at": instant(now), "updated_at": instant(now)}


def refused(refusals: int, code: str, final: bool, policy: Policy, now: datetime) -> dict[str, Any]:
    """What a refusal of its own, the `refusals`th, changes in a delivery: it comes again later, or is set aside."""
    return {
        "state": "rejected" if final or refusals >= policy.refusals else "available",
        "refusals": refusals,
        "next_attempt_at": instant(now + policy.wait(refusals)),
        "lease": None,
        "leased_until": None,
        "last_error": code,
        "updated_at": instant(now),
    }


def closing(
    item: Taken, refusal: str | None, client_id: str, services: Services, now: datetime, done: str | None = None
) -> Any:
    """The event of an acknowledgement (`refusal` None) or of a refusal; of a notice, with what was done about it."""
    notice = item.kind is Kind.CONSENT
    if refusal is not None:
        event_type = EventType.DISCLOSURE_REJECTED
    else:
        event_type = EventType.WITHDRAWAL_ACKNOWLEDGED if notice else EventType.DISCLOSURE_ACKNOWLEDGED
    body = {
        "delivery_id": item.delivery_id,
        "exchange_id": item.exchange_id,
        "recipient": item.recipient,
        "client_id": client_id,
        **({"reason": refusal} if refusal else {}),
        **({"done": done} if done and notice and refusal is None else {}),
    }
    return record_of(event_type, now, item.recipient, body, item.key or services.vault.own)
