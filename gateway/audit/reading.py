"""
One event of the ledger and its proof, for an auditor: masked, or opened for a stated reason; each reading is an event.
"""

from __future__ import annotations

from typing import Any

import orjson
import sqlalchemy as sa

from consent.ledger.commitment import Disclosure
from consent.ledger.event import CATALOGUE, EventType
from consent.ledger.note import decode_base64, encode_base64
from consent.tables import ledger_events
from gateway.audit.criteria import View
from gateway.audit.search import opened
from gateway.auth.caller import Caller
from gateway.errors import Problem, not_found
from gateway.records import record_of
from gateway.services import Services
from gateway.store import subjects
from gateway.store.database import Transaction


async def event(event_id: str, view: View, caller: Caller, services: Services) -> dict[str, Any]:
    """Give one event: what it says of itself, and itself when the view is opened. Raises `Problem` not_found."""
    async with services.database.write() as tx:
        row, shown = await _read(tx, event_id, view, "event", caller, services)
    services.wake()
    wording = CATALOGUE[EventType(row.type)]
    return {
        "id": row.id,
        "index": row.place,
        "title": wording.title_fr,
        "title_en": wording.title_en,
        "summary": orjson.loads(row.summary) if row.summary else None,
        "entry": encode_base64(row.entry),
        **shown,
    }


async def proof(event_id: str, view: View, caller: Caller, services: Services) -> bytes:
    """
    Give the `.tlog-proof` of one event, which shows it when the view is opened. Raises `Problem` not_found, or conflict
    before the event is under a checkpoint.
    """
    async with services.database.write() as tx:
        _, shown = await _read(tx, event_id, view, "proof", caller, services)
        disclosure = None
        if "event" in shown:
            disclosure = Disclosure(shown["event"].encode(), decode_base64(shown["opening"]))
        found = await services.ledger.receipt(tx, event_id, disclosure)
    services.wake()
    if found is None:
        raise Problem(
            "conflict",
            "Cet événement n'est pas encore publié : réessayez dans une seconde.",
            "This event is not published yet: try again in a second.",
            headers={"Retry-After": "1"},
        )
    return found


async def _read(
    tx: Transaction, event_id: str, view: View, what: str, caller: Caller, services: Services
) -> tuple[Any, dict[str, Any]]:
    """The row of an event and what the view shows of it, with the record of this reading in the same transaction."""
    query = sa.select(ledger_events, ledger_events.c.index.label("place")).where(ledger_events.c.id == event_id)
    row = (await tx.execute(query)).one_or_none()
    if row is None:
        raise not_found()
    about = [row.subject_id] if row.subject_id else []
    await subjects.lock(tx, about, change=False)
    keys = await subjects.data_keys(tx, about, services.vault)
    shown = opened(row, keys, services.vault) if view.opened else {"withheld": "masked"}
    key = keys.get(row.subject_id, services.vault.own)
    body = {"event_id": event_id, "through": what, "client_id": caller.client_id, **view.told()}
    await services.ledger.append(tx, [record_of(EventType.CONTENT_READ, services.clock(), caller.partner, body, key)])
    return row, shown
