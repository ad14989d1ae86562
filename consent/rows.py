"""
Inserting many rows, of one table or of several, by one statement on PostgreSQL, one a table on SQLite.

On PostgreSQL the values go as one array a column, so the text of the statement does not change with their number: the driver finds it
prepared, and the server executes it once instead of once a row. That text is written once a process, and given to the driver as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.compiler import SQLCompiler

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Insertion:
    """Rows of one table, which all have the same columns; with `ignore`, a row whose unique key is there already is left out."""

    table: sa.Table
    rows: Sequence[Row]
    ignore: bool = False

    @property
    def shape(self) -> _Shape:
        """What its statement depends on."""
        return _Shape(self.table, tuple(self.rows[0]), self.ignore)


async def insert_rows(
    tx: AsyncConnection,
    table: sa.Table,
    rows: Sequence[Row],
    *,
    ignore: bool = False,
    returning: tuple[str, ...] = (),
) -> Sequence[sa.Row[Any]]:
    """
    Insert `rows`, which all have the same columns, in the order given; durable when `tx` commits.

    With `ignore`, a row whose unique key is there already is left out. Gives the columns `returning`, of texts, of what was inserted.
    Raises `IntegrityError` as any insertion does.
    """
    if not rows:
        return ()
    insertion = Insertion(table, rows, ignore)
    if not returning:
        await insert_all(tx, [insertion])
        return ()
    if tx.dialect.name == "postgresql":
        text = _text((insertion.shape,), tx.dialect, returning)
        return (await tx.exec_driver_sql(text, _arrays(insertion))).all()
    insert = _one_by_one(insertion).returning(*(table.c[name] for name in returning))
    return (await tx.execute(insert, list(rows))).all()


async def insert_all(tx: AsyncConnection, insertions: Sequence[Insertion]) -> None:
    """
    Insert rows of several tables, each named once and after those that it refers to; durable when `tx` commits.

    Raises `IntegrityError` as any insertion does.
    """
    there = [insertion for insertion in insertions if insertion.rows]
    if not there:
        return
    if tx.dialect.name == "postgresql":
        values = tuple(array for insertion in there for array in _arrays(insertion))
        await tx.exec_driver_sql(_text(tuple(insertion.shape for insertion in there), tx.dialect), values)
        return
    for insertion in there:
        await tx.execute(_one_by_one(insertion), list(insertion.rows))


def json_text(value: Any) -> str:
    """Write a value of a JSON column; names that are enumerations or numbers are written as their texts, as everywhere."""
    return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS).decode()


@dataclass(frozen=True, slots=True)
class _Shape:
    table: sa.Table
    columns: tuple[str, ...]
    ignore: bool


def _one_by_one(insertion: Insertion) -> sqlite.Insert:
    insert = sqlite.insert(insertion.table)
    return insert.on_conflict_do_nothing() if insertion.ignore else insert


def _arrays(insertion: Insertion) -> tuple[list[Any], ...]:
    """The values of an insertion, an array a column."""
    writers = _writers(insertion.table, tuple(insertion.rows[0]))
    return tuple(
        [row[column] for row in insertion.rows] if write is None else [write(row[column]) for row in insertion.rows]
        for column, write in writers
    )


@lru_cache(maxsize=64)
def _writers(table: sa.Table, columns: tuple[str, ...]) -> tuple[tuple[str, Callable[[Any], str] | None], ...]:
    """How the values of each column are written in its array: as they are, but those of JSON."""
    return tuple((name, json_text if isinstance(table.c[name].type, sa.JSON) else None) for name in columns)


@lru_cache(maxsize=64)
def _text(shapes: tuple[_Shape, ...], dialect: sa.Dialect, returning: tuple[str, ...] = ()) -> str:
    """The text of one statement that inserts into each table, its parameters in the order of the tables and of their columns."""
    parts = [_by_arrays(shape) for shape in shapes]
    if len(parts) == 1:
        [insert] = parts
        table = shapes[0].table
        whole: sa.ClauseElement = insert.returning(*(table.c[name] for name in returning)) if returning else insert
    else:
        whole = sa.select(sa.literal_column("1")).add_cte(
            *(part.cte(f"rows_{rank}") for rank, part in enumerate(parts))
        )
    compiled = whole.compile(dialect=dialect)
    expected = [f"{shape.table.name}_{column}" for shape in shapes for column in shape.columns]
    if not isinstance(compiled, SQLCompiler) or compiled.positiontup != expected:
        raise AssertionError("the parameters are not in the order of the columns")
    return str(compiled)


def _by_arrays(shape: _Shape) -> postgresql.Insert:
    """An insertion whose parameters, named after the table and the column, are arrays."""
    target = [shape.table.c[name] for name in shape.columns]
    is_json = [isinstance(column.type, sa.JSON) for column in target]
    types = [sa.Text() if json else column.type for column, json in zip(target, is_json, strict=True)]
    named = zip(shape.columns, types, strict=True)
    arrays = [sa.bindparam(f"{shape.table.name}_{name}", type_=postgresql.ARRAY(type_)) for name, type_ in named]
    names = [sa.column(name, type_) for name, type_ in zip(shape.columns, types, strict=True)]
    given = sa.func.unnest(*arrays).table_valued(*names, with_ordinality="rank").render_derived(name="given")
    values = [
        sa.cast(given.c[name], sa.JSON) if json else given.c[name]
        for name, json in zip(shape.columns, is_json, strict=True)
    ]
    insert = postgresql.insert(shape.table).from_select(list(shape.columns), sa.select(*values).order_by(given.c.rank))
    return insert.on_conflict_do_nothing() if shape.ignore else insert
