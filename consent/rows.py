"""
Inserting many rows by one statement, on both databases.

On PostgreSQL the values go as one array a column, so the text of the statement does not change with their number: the driver finds it
prepared, and the server executes it once instead of once a row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection


async def insert_rows(
    tx: AsyncConnection,
    table: sa.Table,
    rows: Sequence[Mapping[str, Any]],
    *,
    ignore: bool = False,
    returning: tuple[str, ...] = (),
) -> Sequence[sa.Row[Any]]:
    """
    Insert `rows`, which all have the same columns, in the order given; durable when `tx` commits.

    With `ignore`, a row whose unique key is there already is left out. Gives the columns `returning` of what was inserted.
    Raises `IntegrityError` as any insertion does.
    """
    if not rows:
        return ()
    columns = tuple(rows[0])
    if tx.dialect.name == "postgresql":
        statement, written = _by_arrays(table, columns, ignore, returning)
        values = {column: [write(row[column]) for row in rows] for column, write in zip(columns, written, strict=True)}
        found = await tx.execute(statement, values)
        return found.all() if returning else ()
    insert = sqlite.insert(table)
    insert = insert.on_conflict_do_nothing() if ignore else insert
    if not returning:
        await tx.execute(insert, list(rows))
        return ()
    return (await tx.execute(insert.returning(*(table.c[name] for name in returning)), list(rows))).all()


@lru_cache(maxsize=64)
def _by_arrays(
    table: sa.Table, columns: tuple[str, ...], ignore: bool, returning: tuple[str, ...]
) -> tuple[sa.Insert, tuple[Callable[[Any], Any], ...]]:
    """The statement, and how each column's values are written in its array."""
    target = [table.c[name] for name in columns]
    is_json = [isinstance(column.type, sa.JSON) for column in target]
    types = [sa.Text() if json else column.type for column, json in zip(target, is_json, strict=True)]
    arrays = [sa.bindparam(name, type_=postgresql.ARRAY(type_)) for name, type_ in zip(columns, types, strict=True)]
    names = [sa.column(name, type_) for name, type_ in zip(columns, types, strict=True)]
    given = sa.func.unnest(*arrays).table_valued(*names, with_ordinality="rank").render_derived(name="given")
    values = [
        sa.cast(given.c[name], sa.JSON) if json else given.c[name] for name, json in zip(columns, is_json, strict=True)
    ]
    insert = postgresql.insert(table).from_select(list(columns), sa.select(*values).order_by(given.c.rank))
    insert = insert.on_conflict_do_nothing() if ignore else insert
    statement = insert.returning(*(table.c[name] for name in returning)) if returning else insert
    return statement, tuple(json_text if json else _as_it_is for json in is_json)


def json_text(value: Any) -> str:
    """Write a value of a JSON column; names that are enumerations or numbers are written as their texts, as everywhere."""
    return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS).decode()


def _as_it_is(value: Any) -> Any:
    return value
