"""
Pages by key: the cursor names the last row shown, by its time and its id, and the next page begins after it.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

_TIME = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z"

Cursor = Annotated[str | None, Query(pattern=rf"^{_TIME}_[A-Za-z0-9-]{{1,64}}$")]
"""The `next` of the page before, as it was given."""


def place(cursor: str | None) -> tuple[str, str] | None:
    """The row that a cursor names: its time and its id."""
    if cursor is None:
        return None
    time, _, ident = cursor.partition("_")
    return time, ident


def next_page(last: tuple[str, str] | None) -> str | None:
    """The cursor of the page after a row; None when there is none."""
    return None if last is None else "_".join(last)
