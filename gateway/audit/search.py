"""
Searching the ledger: one page of the list that the criteria name, with its proof; and what was read, recorded.

Masked, a row says what its event says of itself without being opened: type, time, organisations, conventions, purposes. Opened,
it holds the event and what opens its commitment, and each person concerned has the reading in their own list.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson

from consent.answer import FORMAT
from consent.ledger.event import CATALOGUE, EventType
from consent.ledger.indexer import alone
from consent.ledger.lists import PERSON
from consent.ledger.note import encode_base64
from consent.ledger.search import Asked, NotIndexed, Page, page, page_line
from consent.ledger.summary import matches
from gateway.audit.criteria import MAX_ROWS, Criteria
from gateway.auth.caller import Caller
from gateway.errors import Problem
from gateway.records import place, record_of
from gateway.services import Services
from gateway.store import subjects
from gateway.store.crypto import DataKey, Unreadable, Vault
from gateway.store.database import Transaction
from gateway.store.subjects import Identity

_PAGES: Final = 20
"""How many pages a reader who looks for something rare goes through before being asked whether to go on."""

_TRIES: Final = 100
_REST: Final = 0.05
"""How often, and after how many seconds, a search looks whether the index has its root."""


@dataclass(frozen=True, slots=True)
class Found:
    """A page of an answer: its header, its proof and its rows as `consent.completeness` reads them; None of it for nobody."""

    header: dict[str, Any] | None
    proof: dict[str, Any] | None
    rows: Sequence[dict[str, Any]]
    page: Page | None

    def lines(self, *, first: bool) -> list[dict[str, Any]]:
        """The lines of an answer file."""
        head = [self.header] if first and self.header else []
        return [*head, *([self.proof] if self.proof else []), *({"row": row} for row in self.rows)]


async def search(
    criteria: Criteria, caller: Caller, services: Services, *, search_id: str | None = None, through: str = "api"
) -> Found:
    """
    Read a page, and record that it was read, before giving it.

    A person whom nobody knows, or whom several match, gives an answer without list: there is nothing to prove. Raises `Problem`
    unavailable when the index has no root in the log, having waited for it.
    """
    search_id = search_id or str(uuid.uuid4())
    for _ in range(_TRIES):
        try:
            return await _searched(criteria, caller, services, search_id, through)
        except NotIndexed:  # the index was just extended: its root has its place within a second
            services.wake()
            await asyncio.sleep(_REST)
    raise Problem(
        "unavailable",
        "Le journal n'a pas d'index signé à cet instant : réessayez dans quelques secondes.",
        "The ledger has no signed index at this instant: try again in a few seconds.",
        headers={"Retry-After": "2"},
    )


async def search_on(criteria: Criteria, caller: Caller, services: Services, through: str) -> tuple[Found, int]:
    """
    Read until a page holds something that is wanted, or the list ends, or many rows had nothing: the last page, and how many
    rows were looked at. The pages after the first are long ones; each is recorded, under one search.
    """
    search_id, looked = str(uuid.uuid4()), 0
    for _ in range(_PAGES):
        found = await search(criteria, caller, services, search_id=search_id, through=through)
        looked += len(found.rows)
        if found.page is None or found.page.next is None or any(row["matches"] for row in found.rows):
            break
        criteria = replace(criteria, cursor=found.page.next, limit=MAX_ROWS)
    return found, looked


async def _searched(criteria: Criteria, caller: Caller, services: Services, search_id: str, through: str) -> Found:
    async with services.database.write() as tx:
        await alone(tx, change=False)  # before any person is held, as an erasure does: neither waits for the other
        asked, key = await _asked(tx, criteria, services)
        found = None if asked is None else await page(tx, asked, criteria.cursor, criteria.limit)
        keys = await _keys(tx, found, criteria, services.vault)
        rows = [] if found is None else [_row(row, keys, criteria, services.vault) for row in found.rows]
        await services.ledger.append(
            tx, _events(criteria, search_id, through, rows, found, caller=caller, services=services, key=key, keys=keys)
        )
    services.wake()
    if asked is None or found is None:
        return Found(None, None, [], None)
    return Found(_header(asked, criteria), page_line(found), rows, found)


async def _asked(tx: Transaction, criteria: Criteria, services: Services) -> tuple[Asked | None, DataKey]:
    """The list to go through (None: of nobody known), and the key under which the search is recorded."""
    own = services.vault.own
    if criteria.subject is None:
        return criteria.list_of_nobody(), own
    identity = Identity.of(criteria.subject, criteria.partner or "", services.vault)
    subject_id = await subjects.find(tx, identity)
    if subject_id is None:
        return None, own
    await subjects.lock(tx, [subject_id], change=False)
    key = (await subjects.data_keys(tx, [subject_id], services.vault)).get(subject_id)
    return (None, own) if key is None else (Asked(PERSON, key.label().hex()), key)


async def _keys(tx: Transaction, found: Page | None, criteria: Criteria, vault: Vault) -> Mapping[str, DataKey]:
    if found is None or not criteria.view.opened:
        return {}
    about = {row.subject_id for row in found.rows if row.subject_id}
    await subjects.lock(tx, about, change=False)
    return await subjects.data_keys(tx, about, vault)


def _row(row: Any, keys: Mapping[str, DataKey], criteria: Criteria, vault: Vault) -> dict[str, Any]:
    summary = orjson.loads(row.summary)
    wording = CATALOGUE[EventType(row.type)]
    told = {
        "id": row.id,
        "index": row.place,
        "title": wording.title_fr,
        "title_en": wording.title_en,
        "matches": matches(summary, criteria.wanted()),
        "summary": summary,
        "entry": encode_base64(row.entry),
    }
    if not told["matches"]:
        return told
    return told | (opened(row, keys, vault) if criteria.view.opened else {"withheld": "masked"})


def opened(row: Any, keys: Mapping[str, DataKey], vault: Vault) -> dict[str, Any]:
    """The event of a row of `ledger_events` with its opening, or why it cannot be opened: `erased`, `expired` or `public`."""
    if row.type == EventType.INDEX_EXTENDED:
        return {"withheld": "public"}  # its entry is not a commitment: it says everything
    try:
        key = keys[row.subject_id] if row.subject_id else vault.own
        if not row.sealed:
            return {"withheld": "expired"}
        canonical = key.open(row.sealed, place(row.id))
    except (KeyError, Unreadable):
        return {"withheld": "erased"}
    return {"event": canonical.decode(), "opening": encode_base64(key.opening(row.id))}


def _header(asked: Asked, criteria: Criteria) -> dict[str, Any]:
    told = {"kind": asked.kind, "value": asked.value, "first_day": asked.first_day, "last_day": asked.last_day}
    return {"answer": {"format": FORMAT, "list": told, "wanted": criteria.wanted()}}


def _events(
    criteria: Criteria,
    search_id: str,
    through: str,
    rows: Sequence[Mapping[str, Any]],
    found: Page | None,
    *,
    caller: Caller,
    services: Services,
    key: DataKey,
    keys: Mapping[str, DataKey],
) -> list[Any]:
    """The search itself, about the person when there is one; and the reading of what was opened, about each person concerned."""
    now, view = services.clock(), criteria.view.told()
    by = "person" if criteria.subject else criteria.list_of_nobody().kind
    wanted = criteria.wanted()
    if "convention" in wanted:
        wanted["convention_id"] = wanted.pop("convention")
    body = {
        "search_id": search_id,
        "through": through,
        "by": by,
        "rows": len(rows),
        "client_id": caller.client_id,
        **wanted,
        **view,
    }
    events = [record_of(EventType.LEDGER_SEARCHED, now, caller.partner, body, key)]
    subject_of = {} if found is None else {row.id: row.subject_id for row in found.rows}
    read = Counter(subject_of[row["id"]] for row in rows if "event" in row and subject_of[row["id"]])
    for subject_id, count in sorted(read.items()):
        body = {"search_id": search_id, "through": through, "events": count, "client_id": caller.client_id, **view}
        events.append(record_of(EventType.CONTENT_READ, now, caller.partner, body, keys[subject_id]))
    return events
