"""
Finding rows by keys of several columns, by the index on both databases: for `(a, b) IN (…)` SQLite reads the whole table.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa


def among(columns: Sequence[sa.Column[Any]], keys: Iterable[tuple[Any, ...]]) -> sa.ColumnElement[bool]:
    """
    The condition that the `columns` of a row have one of these `keys`, which share their first values: few groups, each searched.
    """
    groups: dict[tuple[Any, ...], set[Any]] = defaultdict(set)
    for *first, last in keys:
        groups[tuple(first)].add(last)
    *leading, ending = columns
    each = (
        sa.and_(*(column == value for column, value in zip(leading, first, strict=True)), ending.in_(sorted(lasts)))
        for first, lasts in sorted(groups.items())
    )
    return sa.or_(sa.false(), *each)


def joined(query: sa.Select[Any], columns: Sequence[sa.Column[Any]], keys: Sequence[tuple[Any, ...]]) -> sa.Select[Any]:
    """Restrict `query` to the rows whose `columns` have one of these distinct `keys`, many and with nothing in common."""
    names = [sa.column(column.name, column.type) for column in columns]
    wanted = sa.values(*names, name="wanted").data(list(keys)).cte("wanted")
    return query.join(wanted, sa.and_(*(column == wanted.c[column.name] for column in columns)))
