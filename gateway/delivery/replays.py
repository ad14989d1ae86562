"""
Replays: a closed delivery is asked for again. Another delivery leaves in its place, after the gate was asked anew.

The closed one stays as it was, with its error; the new one names it as its parent. A delivery is replayed once: what must be
replayed again is the replay. A task replays what filters find, a little at a time, in the order of acceptance; it goes on
where it was after a crash, and can be cancelled.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from consent.ledger.event import EventType, LedgerRecord
from gateway import handover
from gateway.bus.outbox import Outgoing
from gateway.bus.outbox import add as add_to_outbox
from gateway.delivery.lookup import KINDS, REPLAYABLE, SET_ASIDE, Filters, seen_by
from gateway.errors import Problem, not_found
from gateway.records import record_of
from gateway.services import Services
from gateway.store.database import Transaction, instant
from gateway.store.identifiers import time_ordered
from gateway.store.tables import deliveries, exchanges, replays
from gateway.taken import ROWS, Taken, opened

_log = logging.getLogger(__name__)

_BATCH: Final = 100
"""Deliveries of one transaction: what others wait for on SQLite."""

_IDLE: Final = timedelta(seconds=1)


async def replay_one(tx: Transaction, delivery_id: str, partner: str | None, services: Services) -> dict[str, Any]:
    """
    Replay one closed delivery that an organisation sent or received (None: the operator); gives the new one and its state.

    Raises `Problem` not_found, or conflict for what is still on its way, was replayed, or is a notice.
    """
    query = sa.select(deliveries).where(deliveries.c.id == delivery_id, seen_by(partner))
    row = (await tx.execute(query.with_for_update())).first()
    if row is None:
        raise not_found()
    if row.state not in REPLAYABLE or row.kind not in KINDS:
        raise Problem(
            "conflict",
            "Seule une remise close se rejoue ; un retrait est représenté tout seul jusqu'à son accusé de réception.",
            "Only a closed delivery is replayed; a withdrawal is offered again by itself until it is acknowledged.",
        )
    children = await _replay(tx, [delivery_id], None, partner or services.settings.operator_siret, services)
    if not children:
        raise Problem(
            "conflict",
            "Cette remise a déjà été rejouée : rejouez celle qui l'a remplacée.",
            "This delivery was already replayed: replay the one that replaced it.",
        )
    return children[0]


async def count(tx: Transaction, partner: str | None, filters: Filters) -> dict[str, Any]:
    """What a task would replay: how many, by reason and by kind; nothing is done."""
    query = (
        sa.select(deliveries.c.last_error, deliveries.c.kind, sa.func.count().label("number"))
        .where(_matching(partner, filters))
        .group_by(deliveries.c.last_error, deliveries.c.kind)
    )
    reasons, kinds = Counter[str](), Counter[str]()
    for row in await tx.execute(query):
        reasons[row.last_error or row.kind] += row.number
        kinds[row.kind] += row.number
    return {"count": kinds.total(), "by_reason": dict(reasons), "by_kind": dict(kinds)}


async def begin(
    tx: Transaction, requested_by: str, partner: str | None, filters: Filters, services: Services
) -> dict[str, Any]:
    """Ask for a task; it runs wherever a courier does. Gives the task."""
    at = instant(services.clock())
    row = {
        "id": time_ordered(),
        "requested_by": requested_by,
        "partner": partner or "",
        "filters": filters.kept(),
        "state": "running",
        "total": (await count(tx, partner, filters))["count"],
        "created_at": at,
        "updated_at": at,
    }
    await tx.execute(sa.insert(replays).values(row))
    return await get(tx, partner, row["id"])


async def get(tx: Transaction, partner: str | None, replay_id: str) -> dict[str, Any]:
    """One task and how far it is; raises `Problem` not_found for another organisation's."""
    row = (await tx.execute(sa.select(replays).where(replays.c.id == replay_id, _of(partner)))).first()
    if row is None:
        raise not_found()
    return _told(row)


async def newest(tx: Transaction, partner: str | None, limit: int) -> list[dict[str, Any]]:
    """The tasks of an organisation, the newest first."""
    query = sa.select(replays).where(_of(partner)).order_by(replays.c.id.desc()).limit(limit)
    return [_told(row) for row in await tx.execute(query)]


async def cancel(tx: Transaction, partner: str | None, replay_id: str, now: datetime) -> dict[str, Any]:
    """Stop a task where it is; what it replayed stays."""
    change = (
        sa.update(replays)
        .where(replays.c.id == replay_id, _of(partner), replays.c.state == "running")
        .values(state="cancelled", updated_at=instant(now), finished_at=instant(now))
    )
    await tx.execute(change)
    return await get(tx, partner, replay_id)


class Replayer:
    """Carries out the tasks, until stopped; several may run side by side."""

    def __init__(self, services: Services) -> None:
        """Work with the `services` of the flow."""
        self._services = services

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set; a failure is told, waited out and tried again."""
        while not stop.is_set():
            try:
                if await self.once():
                    continue
            except Exception as error:  # the text of a database error holds the row: its class is enough to act on
                _log.warning("replayer.interrupted", extra={"error": type(error).__name__})
            try:
                await asyncio.wait_for(stop.wait(), _IDLE.total_seconds())
            except TimeoutError:
                continue

    async def once(self) -> bool:
        """Replay one batch of one task; False when there is none."""
        services = self._services
        running = sa.select(replays).where(replays.c.state == "running").order_by(replays.c.id).limit(1)
        async with services.database.read() as tx:
            if (await tx.execute(running)).first() is None:
                return False
        async with services.database.write() as tx:
            task = (await tx.execute(running.with_for_update(skip_locked=True))).first()
            if task is None:
                return False
            partner, filters = task.partner or None, Filters.of(task.filters)
            wanted = (
                sa.select(deliveries.c.id)
                .where(_matching(partner, filters), deliveries.c.updated_at <= task.created_at)
                .order_by(deliveries.c.created_at, deliveries.c.id)
                .limit(_BATCH)
                .with_for_update(skip_locked=True)
            )
            ids = list((await tx.execute(wanted)).scalars())
            operator = services.settings.operator_siret
            children = await _replay(tx, ids, task.id, partner or operator, services) if ids else []
            states = Counter("replayed" if each["state"] == "queued" else "refused" for each in children)
            at = instant(services.clock())
            change: dict[str, Any] = {
                "replayed": replays.c.replayed + states["replayed"],
                "refused": replays.c.refused + states["refused"],
                "updated_at": at,
            }
            if not ids:
                change |= {"state": "done", "finished_at": at}
            await tx.execute(sa.update(replays).where(replays.c.id == task.id).values(change))
            services.fault_point("replay.recorded")
        services.wake()
        return True


async def _replay(
    tx: Transaction, delivery_ids: Sequence[str], replay_id: str | None, actor: str, services: Services
) -> list[dict[str, Any]]:
    """Make the deliveries that replace some closed ones; those that were replayed already are passed over."""
    now = services.clock()
    unreplayed = ~sa.exists().where(_child.c.parent == deliveries.c.id)
    query = ROWS.where(deliveries.c.id.in_(delivery_ids), unreplayed).order_by(deliveries.c.created_at, deliveries.c.id)
    taken = await opened(tx, (await tx.execute(query)).all(), services)
    await handover.decide_again(tx, taken, services)
    overtaken = await _overtaken(tx, taken)
    rows: list[dict[str, Any]] = []
    outgoing: list[Outgoing] = []
    events: list[LedgerRecord] = []
    for item in taken:
        child, reasons = time_ordered(), _against(item, overtaken)
        rows.append(_row(child, item, reasons, replay_id, now))
        if item.decision is not None and not reasons:
            cleared = item.decision.cleared()
            outgoing.append(Outgoing(child, item.exchange_id, item.kind, item.recipient, cleared, item.trace))
        body = {
            "delivery_id": child,
            "replay_of": item.delivery_id,
            "exchange_id": item.exchange_id,
            "recipient": item.recipient,
            "reasons": reasons,
        }
        key = item.key or services.vault.own
        events.append(record_of(EventType.DISCLOSURE_REPLAYED, now, actor, body, key))
    if rows:
        await tx.execute(sa.insert(deliveries), rows)
    await add_to_outbox(tx, outgoing, source=services.settings.public_address, now=now)
    await services.ledger.append(tx, events)
    return [{"delivery": row["id"], "replay_of": row["parent"], "state": row["state"]} for row in rows]


def _row(child: str, item: Taken, reasons: list[str], replay_id: str | None, now: datetime) -> dict[str, Any]:
    at = instant(now)
    return {
        "id": child,
        "exchange_id": item.exchange_id,
        "kind": item.kind.value,
        "sender": item.sender,
        "recipient": item.recipient,
        "subject_id": item.subject_id,
        "state": "refused" if reasons else "queued",
        "decision": item.decision.summary() if item.decision else {"reasons": reasons},
        "last_error": reasons[0] if reasons else None,
        "parent": item.delivery_id,
        "replay_id": replay_id,
        "trace": item.trace,
        "created_at": at,
        "updated_at": at,
    }


def _against(item: Taken, overtaken: set[str]) -> list[str]:
    """Why a delivery cannot leave again; empty when it can."""
    if item.document is None:
        return ["subject_erased" if item.key is None else "document_gone"]
    if item.decision is not None and not item.decision.permit:
        return [reason.code for reason in item.decision.reasons]
    return ["stale_status"] if item.delivery_id in overtaken else []


async def _overtaken(tx: Transaction, taken: Sequence[Taken]) -> set[str]:
    """The status updates after which their recipient was sent a newer one: replaying them would go back in time."""
    ids = [item.delivery_id for item in taken if item.kind.value == "status"]
    old, new = exchanges.alias("old"), exchanges.alias("new")
    later = deliveries.alias("later")
    query = (
        sa.select(deliveries.c.id)
        .join(old, old.c.id == deliveries.c.exchange_id)
        .join(new, sa.and_(new.c.about == old.c.about, new.c.sender == old.c.sender, new.c.kind == "status"))
        .join(later, sa.and_(later.c.exchange_id == new.c.id, later.c.recipient == deliveries.c.recipient))
        .where(deliveries.c.id.in_(ids), later.c.created_at > deliveries.c.created_at, new.c.id != old.c.id)
        .where(later.c.state != "refused")
    )
    return set((await tx.execute(query)).scalars()) if ids else set()


_child = deliveries.alias("child")


def _matching(partner: str | None, filters: Filters) -> sa.ColumnElement[bool]:
    """What filters find that can be replayed: closed, of a kind that is, and not replayed yet."""
    states = [state for state in filters.states or SET_ASIDE if state in REPLAYABLE]
    return sa.and_(
        seen_by(partner),
        filters.condition(),
        deliveries.c.state.in_(states),
        deliveries.c.kind.in_(KINDS),
        ~sa.exists().where(_child.c.parent == deliveries.c.id),
    )


def _of(partner: str | None) -> sa.ColumnElement[bool]:
    return sa.true() if partner is None else replays.c.partner == partner


def _told(row: Any) -> dict[str, Any]:
    return {
        "id": row.id,
        "state": row.state,
        "filters": row.filters,
        "total": row.total,
        "replayed": row.replayed,
        "refused": row.refused,
        "requested_by": row.requested_by or None,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
        "finished_at": row.finished_at,
    }
