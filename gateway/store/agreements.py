"""
What the person said, as kept: agreements and objections of some subjects, ready for the gate.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any, Final

import orjson
import sqlalchemy as sa

from consent.agreement import Agreement, Objection, decisive
from consent.break_glass import Opening
from consent.tables import agreements, break_glass, objections
from gateway.store.crypto import DataKey
from gateway.store.database import Transaction, insert_ignore, instant, mentions, moment, one_of
from gateway.store.subjects import chunks
from schemas import Document


@dataclass(slots=True)
class Standing:
    """What one person said until now, and the emergency accesses opened about them."""

    agreements: list[Agreement] = field(default_factory=list)
    objections: list[Objection] = field(default_factory=list)
    openings: list[Opening] = field(default_factory=list)
    closed: datetime | None = None
    """When the last of the openings that did not last until their term was closed."""

    def seen_at(self, now: datetime) -> datetime:
        """
        The instant to decide at: `now`, or later if something recorded says so.

        Two machines' clocks differ. What is committed has happened: a withdrawal must not look as if it were still to come.
        """
        withdrawals = [scope.withdrawn_at for each in self.agreements for scope in each.scopes if scope.withdrawn_at]
        emergencies = [*(opening.since for opening in self.openings), *([self.closed] if self.closed else [])]
        return max([now, *withdrawals, *emergencies, *(objection.since for objection in self.objections)])


async def standing(tx: Transaction, subject_ids: Collection[str]) -> dict[str, Standing]:
    """Read what each subject said; lock the subjects first, for the answer to hold until the transaction ends."""
    found: dict[str, Standing] = defaultdict(Standing)
    for ids in chunks(sorted(subject_ids)):
        for subject_id, table, row in await tx.execute(_said(tx.dialect.name), {"values": ids}):
            _ADD[table](found[subject_id], row)
    return found


@cache
def _said(dialect: str) -> sa.CompoundSelect[Any]:
    """One statement for agreements, objections and emergency accesses: of each, its table and the columns that decide, as JSON."""
    read = {
        agreements: agreements.c.decisive,
        objections: _json(objections.c["id", "recipient", "purpose", "since", "until"], dialect),
        break_glass: _json(break_glass.c["id", "convention_hash", "flow", "opened_at", "until", "ended_at"], dialect),
    }
    return sa.union_all(
        *(
            sa.select(table.c.subject_id, sa.literal_column(f"'{table.name}'").label("table"), row.label("row")).where(
                one_of(table.c.subject_id, "values", dialect)
            )
            for table, row in read.items()
        )
    )


def _json(columns: Iterable[sa.ColumnElement[Any]], dialect: str) -> sa.ColumnElement[Any]:
    members = [part for column in columns for part in (sa.literal_column(f"'{column.key}'"), column)]
    return sa.func.json_object(*members) if dialect == "sqlite" else sa.func.json_build_object(*members)


def _agreement(standing: Standing, decisive: Document) -> None:
    standing.agreements.append(Agreement.from_document(decisive))


def _objection(standing: Standing, row: Document) -> None:
    since, until = moment(row["since"]), moment(row["until"])
    standing.objections.append(Objection(row["id"], row["recipient"], row["purpose"], since, until))


def _opening(standing: Standing, row: Document) -> None:
    until = moment(row["until"])
    if row["ended_at"] is not None and moment(row["ended_at"]) < until:
        until = moment(row["ended_at"])
        standing.closed = max(until, standing.closed or until)
    standing.openings.append(Opening(row["id"], row["convention_hash"], row["flow"], moment(row["opened_at"]), until))


_ADD: Final[Mapping[str, Callable[[Standing, Document], None]]] = {
    agreements.name: _agreement,
    objections.name: _objection,
    break_glass.name: _opening,
}


async def add(tx: Transaction, document: Document, subject_id: str, key: DataKey, event_id: str, now: datetime) -> bool:
    """Keep a new consent document, sealed; False when this id is already there. `event_id` names its event in the ledger."""
    ends_at = instant(Agreement.from_document(document).valid_until) if document["state"] == "given" else None
    row = {
        "id": document["id"],
        "subject_id": subject_id,
        "collected_by": document["collected_by"]["siret"],
        "event_id": event_id,
        "recorded_at": instant(now),
        "ends_at": ends_at,
        "over_at": ends_at or instant(now),
        **_content(document, key),
    }
    added = await tx.execute(insert_ignore(agreements, tx).values(row).returning(agreements.c.id))
    return added.first() is not None


async def get(tx: Transaction, agreement_id: str, partner: str, *, named: bool = False) -> Any | None:
    """
    Read the row of an agreement that a partner collected (`named`: or that names it), or None.

    Another's is not found by the same query as a missing one: the time of the answer tells no more than its body.
    """
    concerns = agreements.c.collected_by == partner
    if named:
        concerns = sa.or_(concerns, mentions(agreements.c.decisive, partner))
    return (await tx.execute(sa.select(agreements).where(agreements.c.id == agreement_id, concerns))).first()


async def named(tx: Transaction, ids: Sequence[str], partner: str) -> list[Any]:
    """Read the rows of some agreements that a partner collected; those that are not there are left out."""
    rows: list[Any] = []
    for some in chunks(ids):
        query = sa.select(agreements).where(agreements.c.id.in_(some), agreements.c.collected_by == partner)
        rows += (await tx.execute(query)).all()
    return rows


async def known(tx: Transaction, agreement_id: str) -> bool:
    """Whether an agreement has this id, whoever collected it."""
    return (await tx.execute(sa.select(agreements.c.id).where(agreements.c.id == agreement_id))).first() is not None


async def collected(tx: Transaction, partner: str, cursor: tuple[str, str] | None, limit: int) -> Sequence[Any]:
    """The agreements that a partner collected, the last recorded first, after a cursor (recorded_at, id)."""
    columns = (agreements.c.id, agreements.c.recorded_at, agreements.c.decisive)
    query = (
        sa.select(*columns)
        .where(agreements.c.collected_by == partner)
        .order_by(agreements.c.recorded_at.desc(), agreements.c.id.desc())
        .limit(limit)
    )
    if cursor is not None:
        query = query.where(sa.tuple_(agreements.c.recorded_at, agreements.c.id) < sa.tuple_(*map(sa.literal, cursor)))
    return (await tx.execute(query)).all()


async def others(tx: Transaction, agreement_id: str, subject_id: str, collected_by: str) -> Sequence[Any]:
    """The other agreements of the same person that the same organisation collected, the first recorded first."""
    same = agreements.c.subject_id == subject_id, agreements.c.collected_by == collected_by
    query = sa.select(agreements).where(*same, agreements.c.id != agreement_id)
    return (await tx.execute(query.order_by(agreements.c.recorded_at, agreements.c.id))).all()


async def replace(tx: Transaction, document: Document, key: DataKey, now: datetime) -> None:
    """Keep the new state of a consent document after a withdrawal."""
    values = _content(document, key) | {"withdrawn_at": instant(now)}
    if document["state"] != "given":
        values |= {"ends_at": None, "over_at": instant(now)}
    await tx.execute(sa.update(agreements).where(agreements.c.id == document["id"]).values(values))


def opened(row: Any, key: DataKey) -> Document:
    """Read the consent document of a row."""
    document: Document = orjson.loads(key.open(row.sealed, _place(row.id)))
    return document


async def add_objection(tx: Transaction, objection: Objection, subject_id: str, recorded_by: str) -> None:
    """Keep an objection until its term."""
    values = {
        "id": objection.id,
        "subject_id": subject_id,
        "recorded_by": recorded_by,
        "recipient": objection.recipient,
        "purpose": objection.purpose,
        "since": instant(objection.since),
        "until": instant(objection.until),
    }
    await tx.execute(sa.insert(objections).values(values))


def _content(document: Document, key: DataKey) -> dict[str, Any]:
    return {"sealed": key.seal(orjson.dumps(document), _place(document["id"])), "decisive": decisive(document)}


def _place(agreement_id: str) -> str:
    return f"agreements/{agreement_id}"
