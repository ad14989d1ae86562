"""
The cursor of `/v1/exchanges`: a place in the ledger, and the log in which it is one.

    <index>.<8 hexadecimal digits>      for instance 1042.5f0c9a17; partners give it back as it is

A log that is opened over a restored backup (`tdu ledger open-new`) gives the same places to other events: a cursor of the log
before it would skip them in silence, so it is refused.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Annotated, Final

from fastapi import Query

from consent.ledger.checkpoint import Checkpoint
from consent.ledger.store import Ledger
from gateway.errors import Problem
from gateway.store.database import Transaction

LogCursor = Annotated[str | None, Query(pattern=r"^[0-9]{1,12}(\.[0-9a-f]{8})?$")]
"""The `next` of the page before, as it was given; a bare number is one that an earlier version gave."""

_NO_LOG: Final = "00000000"


async def log_now(tx: Transaction) -> str:
    """The name that cursors give to the log of this database: a digest of its origin and of its key's id."""
    head = await Ledger().head(tx)
    return _NO_LOG if head is None else _name(head)


async def index_of(tx: Transaction, cursor: str | None, log: str) -> int:
    """
    The place in `log` that a cursor names, -1 without one.

    Raises `Problem` cursor_outdated for a cursor of another log, and for a bare number once the log has succeeded another one:
    nothing says of which of them it is.
    """
    if cursor is None:
        return -1
    index, _, named = cursor.partition(".")
    if not named:
        first = await Ledger().first(tx)
        named = log if first is None else _name(first)
    if named != log:
        raise Problem(
            "cursor_outdated",
            "Ce curseur est d'un journal qui a été remplacé depuis : ses places ne valent plus. Recommencez sans cursor, avec "
            "updated_after à l'heure du dernier changement que vous avez traité, ou à celle que l'exploitant vous a dite.",
            "This cursor is of a log that was replaced since: its places are void. Start again without cursor, with "
            "updated_after at the time of the last change that you handled, or at the time that the operator told you.",
        )
    return int(index)


def cursor_at(index: int, log: str) -> str:
    """The cursor of a place in a log."""
    return f"{index}.{log}"


def _name(head: Checkpoint) -> str:
    keys = [line.id for line in Checkpoint.parse(head.note)[1].signatures if line.name == head.origin]
    return sha256(head.origin.encode() + b"\n" + keys[0]).hexdigest()[:8]
