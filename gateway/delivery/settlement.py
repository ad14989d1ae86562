"""
What came of a handing over, recorded in one transaction: the deliveries, the attempts, how the endpoint fares, the events.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from consent.ledger.event import EventType, LedgerRecord
from gateway.acknowledgement import acknowledged, closing, refused
from gateway.delivery import endpoints
from gateway.delivery.abandonment import set_aside
from gateway.delivery.base import REPLY_KEPT, Endpoint, Outcome, Policy, Result
from gateway.records import record_of
from gateway.services import Services
from gateway.store import subjects
from gateway.store.crypto import DataKey
from gateway.store.database import Transaction, instant
from gateway.store.identifiers import time_ordered
from gateway.store.tables import deliveries, delivery_attempts
from gateway.taken import ROWS, Taken, taken_of, update

_log = logging.getLogger(__name__)

_LOST: Final = Outcome(Result.FAILED, "interrupted")
"""What is said of a delivery of which the transport said nothing."""


async def settle(
    endpoint: Endpoint, lease: str, outcomes: Mapping[str, Outcome], patience: timedelta, services: Services
) -> Endpoint:
    """
    Record what came of the deliveries of one lease, and give the endpoint as it is then.

    What passed to another lease since is left alone. A failure counts against the delivery only when the system works
    otherwise; else it is the system that rests, and its deliveries are tried again when it is back.
    """
    now = services.clock()
    async with services.database.write() as tx:
        before = await endpoints.get(tx, endpoint.client_id, services.vault, change=True) or endpoint
        query = ROWS.where(deliveries.c.lease == lease, deliveries.c.state == "leased").with_for_update(of=deliveries)
        rows = (await tx.execute(query)).all()
        keys = await subjects.data_keys(tx, {row.subject_id for row in rows}, services.vault)
        told = {row.id: outcomes.get(row.id, _LOST) for row in rows}
        after, events = await _endpoint_fares(tx, before, list(told.values()), services, now)
        works = any(outcome.went_through for outcome in told.values())
        alone = works or (before.failures == 0 and before.last_success_at is not None)
        aside: dict[str, list[str]] = {}
        for row in rows:
            outcome = told[row.id]
            item = taken_of(row, keys.get(row.subject_id), None)
            counted = outcome.result is Result.REFUSED or (outcome.result is Result.FAILED and alone)
            change = _change(row, outcome, counted, before.policy, patience, now)
            await update(tx, [item], change)
            events += _told_of(item, outcome, endpoint.client_id, services, now)
            if change["state"] == "available" and _is_past(row, counted, before.policy, now):
                aside.setdefault(change["last_error"], []).append(row.id)
        await _keep_attempts(tx, endpoint, told, keys, {row.id: row.subject_id for row in rows}, now)
        await services.ledger.append(tx, events)
        for reason, ids in aside.items():
            await set_aside(tx, ids, ("available",), reason, services, now)
        services.fault_point("settle.recorded")
    services.wake()
    _count([taken_of(row, None, None) for row in rows], told, services)
    return after


async def expire(endpoint: Endpoint, services: Services) -> int:
    """Set aside what a system was given, never answered for, and is too old to be given again; returns how many."""
    now = services.clock()
    oldest = instant(now - timedelta(hours=endpoint.policy.give_up_hours))
    condition = sa.and_(
        deliveries.c.leased_to == endpoint.client_id,
        deliveries.c.recipient == endpoint.partner,
        deliveries.c.state == "leased",
        deliveries.c.leased_until < instant(now),
        deliveries.c.available_at < oldest,
    )
    async with services.database.read() as tx:
        late = list((await tx.execute(sa.select(deliveries.c.id).where(condition).limit(500))).scalars())
    if not late:
        return 0
    async with services.database.write() as tx:
        locked = sa.select(deliveries.c.id).where(deliveries.c.id.in_(late), condition)
        still = list((await tx.execute(locked.with_for_update(skip_locked=True))).scalars())
        return await set_aside(tx, still, ("leased",), "never answered", services, now)


async def record_test(endpoint: Endpoint, outcome: Outcome, services: Services) -> None:
    """Keep a test of an endpoint among its attempts."""
    async with services.database.write() as tx:
        row = _attempt(endpoint, None, outcome, services.vault.own, services.clock())
        await tx.execute(sa.insert(delivery_attempts), [row])


def place_of_reply(attempt_id: str) -> str:
    """Name the place where a reply is sealed, for `DataKey.open`."""
    return f"delivery_attempts/{attempt_id}"


def _change(
    row: Any, outcome: Outcome, counted: bool, policy: Policy, patience: timedelta, now: datetime
) -> dict[str, Any]:
    """What an outcome changes in its delivery; `counted` says that a failure is its own."""
    if outcome.result is Result.TAKEN:
        return acknowledged(now)
    if outcome.result is Result.WAITS:
        return {"state": "leased", "leased_until": instant(now + patience), "updated_at": instant(now)}
    code = outcome.code or outcome.result.value
    if outcome.result is Result.REFUSED:
        return refused(row.refusals + 1, code, outcome.final, policy, now)
    change = {"state": "available", "lease": None, "leased_until": None, "last_error": code, "updated_at": instant(now)}
    if not counted:  # its system rests, and it is due as soon as that is back
        return change | {"next_attempt_at": None}
    times = row.refusals + 1
    return change | {"refusals": times, "next_attempt_at": instant(now + policy.wait(times))}


def _is_past(row: Any, counted: bool, policy: Policy, now: datetime) -> bool:
    """Whether what was not taken is not offered any more: too old, or it failed alone too often."""
    oldest = instant(now - timedelta(hours=policy.give_up_hours))
    return (row.available_at or row.created_at) < oldest or (counted and row.refusals + 1 >= policy.refusals)


def _told_of(item: Taken, outcome: Outcome, client_id: str, services: Services, now: datetime) -> list[LedgerRecord]:
    """The event of an outcome; what waits for its answer has none yet."""
    if outcome.result is Result.WAITS:
        return []
    if outcome.result is not Result.FAILED:
        refusal = None if outcome.result is Result.TAKEN else outcome.code
        return [closing(item, refusal, client_id, services, now)]
    body = {
        "delivery_id": item.delivery_id,
        "exchange_id": item.exchange_id,
        "recipient": item.recipient,
        "client_id": client_id,
        "reason": outcome.code,
    }
    operator, key = services.settings.operator_siret, item.key or services.vault.own
    return [record_of(EventType.DISCLOSURE_FAILED, now, operator, body, key)]


async def _endpoint_fares(
    tx: Transaction, endpoint: Endpoint, outcomes: Sequence[Outcome], services: Services, now: datetime
) -> tuple[Endpoint, list[LedgerRecord]]:
    """Record how the endpoint fares: one failure a handing over, however many deliveries it had."""
    if any(outcome.went_through for outcome in outcomes):
        await endpoints.succeeded(tx, endpoint, now)
        return await endpoints.get(tx, endpoint.client_id, services.vault) or endpoint, []
    failures = [outcome for outcome in outcomes if outcome.result is Result.FAILED]
    if not failures:
        return endpoint, []
    code = failures[-1].code or "failed"
    asked = max((outcome.retry_after for outcome in failures if outcome.retry_after), default=None)
    after = await endpoints.failed(tx, endpoint, code, asked, now)
    long_enough = now - (after.failing_since or now) >= timedelta(minutes=endpoint.policy.suspend_minutes)
    gone = any(outcome.gone for outcome in failures)
    if not gone and not (after.failures >= endpoint.policy.suspend_failures and long_enough):
        return after, []
    await endpoints.suspend(tx, endpoint, code, now)
    _log.warning("endpoint.suspended", extra={"client_id": endpoint.client_id, "reason": code})
    body = {"change": "endpoint_suspended", "client_id": endpoint.client_id, "reason": code}
    operator, own = services.settings.operator_siret, services.vault.own
    event = record_of(EventType.CONFIGURATION_CHANGED, now, operator, body, own)
    return await endpoints.get(tx, endpoint.client_id, services.vault) or after, [event]


async def _keep_attempts(
    tx: Transaction,
    endpoint: Endpoint,
    told: Mapping[str, Outcome],
    keys: Mapping[str, DataKey],
    subject_of: Mapping[str, str],
    now: datetime,
) -> None:
    rows = [
        _attempt(endpoint, delivery_id, outcome, keys.get(subject_of[delivery_id]), now)
        for delivery_id, outcome in told.items()
    ]
    if rows:
        await tx.execute(sa.insert(delivery_attempts), rows)


def _attempt(
    endpoint: Endpoint, delivery_id: str | None, outcome: Outcome, key: DataKey | None, now: datetime
) -> dict[str, Any]:
    ident = time_ordered()
    kept = outcome.reply[:REPLY_KEPT]
    return {
        "id": ident,
        "delivery_id": delivery_id,
        "client_id": endpoint.client_id,
        "transport": endpoint.transport,
        "outcome": outcome.result.value,
        "code": outcome.code,
        "milliseconds": outcome.milliseconds,
        "sealed": key.seal(kept, place_of_reply(ident)) if key and kept else None,
        "attempted_at": instant(now),
    }


def _count(taken: Sequence[Taken], told: Mapping[str, Outcome], services: Services) -> None:
    for item in taken:
        outcome = told[item.delivery_id]
        if outcome.result is not Result.WAITS:
            services.measures.closed([item], None if outcome.result is Result.TAKEN else outcome.result.value)
