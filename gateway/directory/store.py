"""
The directory in the database: replaced source by source, searched by pages, asked for the structures of services.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa

from gateway.directory.reading import Found, facets
from gateway.store.database import Transaction
from gateway.store.subjects import chunks
from gateway.store.tables import directory_capacities, directory_facets, directory_services, directory_structures

UNKNOWN: Final = "unknown"
"""The capacity of a service of which nothing is declared, or not any more."""

_ROWS: Final = 1_000
_OVERSEAS: Final = ("97", "98")
_DECLARED: Final = ("places", "until", "declared_by", "declared_at")


async def replace(tx: Transaction, found: Found) -> None:
    """Put what files gave in the place of all that was known of the same sources; those that no file names are kept."""
    sources = sorted({record["source"] for record in (*found.structures.values(), *found.services.values())})
    gone = sa.select(directory_services.c.id).where(directory_services.c.source.in_(sources))
    await tx.execute(directory_facets.delete().where(directory_facets.c.service_id.in_(gone)))
    for table in (directory_services, directory_structures):
        await tx.execute(table.delete().where(table.c.source.in_(sources)))
    for table, rows in _rows(found):
        for begin in range(0, len(rows), _ROWS):
            await tx.execute(table.insert(), rows[begin : begin + _ROWS])


async def search(
    tx: Transaction,
    *,
    today: str,
    theme: str | None = None,
    public: str | None = None,
    commune: str | None = None,
    capacity: str | None = None,
    after: str = "",
    limit: int,
) -> list[dict[str, Any]]:
    """
    At most `limit` services whose id comes after `after`, in the order of ids, each with its structure and its open places.

    `theme` is a theme or a category of themes; `public` also finds what is for everybody; `commune` (Insee code) finds what
    serves that commune, its département or the whole country, and what stands there. `capacity` is a number of places declared
    at least and still in force on the day `today`, or UNKNOWN for the services of which nothing is declared.
    """
    query = _services(today).where(directory_services.c.id > after).order_by(directory_services.c.id).limit(limit)
    if theme:
        query = query.where(_has("theme", [theme]))
    if public:
        query = query.where(_has("public", [public, "tous-publics"]))
    if commune:
        query = query.where(_has("zone", [commune, _departement(commune), "france"]) | _has("place", [commune]))
    if capacity == UNKNOWN:
        query = query.where(directory_capacities.c.places.is_(None))
    elif capacity is not None:
        query = query.where(directory_capacities.c.places >= int(capacity))
    return [_shown(row) for row in await tx.execute(query)]


async def one(tx: Transaction, service: str, today: str) -> dict[str, Any] | None:
    """A service as `search` gives it; None when the directory does not know it."""
    row = (await tx.execute(_services(today).where(directory_services.c.id == service))).first()
    return _shown(row) if row is not None else None


async def filled(tx: Transaction) -> bool:
    """Whether this gateway has a directory."""
    return (await tx.execute(sa.select(directory_services.c.id).limit(1))).first() is not None


async def structures_of(tx: Transaction, services: Sequence[str]) -> Mapping[str, str | None]:
    """The SIRET of the structure of each service that is known, None where the directory has none."""
    found: dict[str, str | None] = {}
    for ids in chunks(sorted(set(services))):
        query = (
            sa.select(directory_services.c.id, directory_structures.c.siret)
            .join(directory_structures, directory_structures.c.id == directory_services.c.structure_id)
            .where(directory_services.c.id.in_(ids))
        )
        found |= {row.id: row.siret for row in await tx.execute(query)}
    return found


def _services(today: str) -> sa.Select[Any]:
    """Services with their structure, and with what is declared of their places as long as that holds."""
    in_force = (directory_capacities.c.service_id == directory_services.c.id) & (directory_capacities.c.until >= today)
    declared = [directory_capacities.c[name] for name in _DECLARED]
    return (
        sa.select(directory_services.c.record, directory_structures.c.record.label("structure"), *declared)
        .join(directory_structures, directory_structures.c.id == directory_services.c.structure_id)
        .outerjoin(directory_capacities, in_force)
    )


def _shown(row: Any) -> dict[str, Any]:
    structure = {name: row.structure.get(name) for name in ("id", "nom", "siret")}
    declared = None if row.places is None else {name: getattr(row, name) for name in _DECLARED}
    return {**row.record, "structure": structure, "capacity": declared}


def _rows(found: Found) -> Iterator[tuple[sa.Table, list[dict[str, Any]]]]:
    yield (
        directory_structures,
        [
            {"id": name, "source": record["source"], "siret": record.get("siret"), "record": record}
            for name, record in found.structures.items()
        ],
    )
    yield (
        directory_services,
        [
            {"id": name, "source": record["source"], "structure_id": record["structure_id"], "record": record}
            for name, record in found.services.items()
        ],
    )
    yield (
        directory_facets,
        [
            {"facet": facet, "value": value, "service_id": name}
            for name, record in found.services.items()
            for facet, value in sorted(facets(record, found.structures[record["structure_id"]]))
        ],
    )


def _has(facet: str, values: Sequence[str]) -> sa.ColumnElement[bool]:
    services = sa.select(directory_facets.c.service_id).where(
        directory_facets.c.facet == facet, directory_facets.c.value.in_(values)
    )
    return directory_services.c.id.in_(services)


def _departement(commune: str) -> str:
    return commune[: 3 if commune.startswith(_OVERSEAS) else 2]
