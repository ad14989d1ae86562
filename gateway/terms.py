"""
When the time of a kept row is over, in SQL: the gateway's own times, and those of the conventions that it went under.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Callable, Collection
from datetime import datetime
from typing import TypeAlias

import sqlalchemy as sa

from consent.conventions import retention
from consent.conventions.retention import Terms
from gateway.services import Services
from gateway.store.database import instant
from gateway.store.tables import deliveries

Linked: TypeAlias = Callable[[Collection[str]], sa.ColumnElement[bool]]
"""Whether a row went under one of some conventions (their ids)."""


async def terms(services: Services, now: datetime, name: str) -> Terms:
    """Give the times of a retention class, by the conventions that were ever in force."""
    async with services.database.read() as tx:
        conventions = await services.conventions.in_force(tx, now)
    return retention.terms(conventions, name, services.settings.durations)


def content_past(
    since: sa.ColumnElement[str], of: Terms, linked: Linked, now: datetime
) -> list[sa.ColumnElement[bool]]:
    """The conditions under which content goes: past the gateway's own time, or that of any convention it went under."""
    own = since < instant(months_ago(now, of.own))
    shorter = [sa.and_(since < instant(months_ago(now, months)), linked(ids)) for months, ids in of.shorter().items()]
    return [own, *shorter]


def proofs_past(of: Terms, months: int, linked: Linked) -> sa.ColumnElement[bool]:
    """Whether nothing asks for more than some months for a proof, which are asked for: the time itself is for the caller."""
    conditions: list[sa.ColumnElement[bool]] = [sa.true()]
    if beyond := of.beyond(months):
        conditions.append(~linked(beyond))
    if months < of.own:
        conditions.append(linked(of.within(months)))
    return sa.and_(*conditions)


def proof_times(of: Terms) -> list[int]:
    """The times at which proofs of a class may go, in months, the shortest first."""
    return sorted({of.own, *of.others})


def left_under(ids: Collection[str], *joined: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    """Whether there is a delivery, joined as said, of which something left or may leave under one of some conventions."""
    convention = deliveries.c.decision["convention"]["id"].as_string()
    return sa.exists().where(*joined, convention.in_(sorted(ids)), deliveries.c.state != "refused")


def months_ago(moment: datetime, months: int) -> datetime:
    """The same day some months earlier, or the last one of that month."""
    year, month = divmod(moment.month - 1 - months, 12)
    year, month = moment.year + year, month + 1
    return moment.replace(year=year, month=month, day=min(moment.day, monthrange(year, month)[1]))
