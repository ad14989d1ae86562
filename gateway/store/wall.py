"""
The second wall between partners: PostgreSQL's row-level security, under the clause that each query writes itself.

A transaction says for whom it is opened (`app.partner`, `app.client`), and the policies of the tables let nothing else be seen or
written (`ops/migrations/versions/0014`). Outside a request, for the loops and the commands, it is everybody's; in a request it
is nobody's until the token is read. On SQLite there is no such wall: what separates partners there is each query.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Side:
    """Whose rows may be seen: of a partner (SIRET) and its system (client_id)."""

    partner: str
    client: str = ""

    @property
    def settings(self) -> dict[str, str]:
        """The parameters of PostgreSQL that the policies read."""
        return {"app.partner": self.partner, "app.client": self.client}


EVERYBODY: Final = Side("*")
"""The gateway itself: its loops, its commands, and those who may see everything (auditors, administrators)."""

NOBODY: Final = Side("")

_side: ContextVar[Side] = ContextVar("side", default=EVERYBODY)

SHARED: Final[Mapping[str, str]] = {
    "alembic_version": "the history of the database itself",
    "generations": "numbers only",
    "partners": "who takes part is known to all: names and public keys",
    "systems": "read before anybody is known: a token is asked for with it",
    "invitations": "read by its secret before anybody is known",
    "assertion_jtis": "read before anybody is known",
    "revoked_tokens": "read before anybody is known",
    "conventions": "the gate reads them all; who may see one is decided by its parties",
    "convention_signatures": "as conventions",
    "convention_marks": "as conventions",
    "subjects": "a person belongs to no partner: found by a blind index, said to nobody",
    "subject_keys": "as subjects",
    "subject_data_keys": "as subjects: opens nothing without the root secret and the sealed row, which is behind the wall",
    "erasures": "as subjects: identifiers of people of whom nothing is left",
    "outbox": "identifiers on their way to the bus, taken out by the relay",
    "inbox": "identifiers of messages that came",
    "bus_messages": "identifiers on their way, as in RabbitMQ",
    "people": "who signs in, read before anybody is known",
    "person_sessions": "as people",
    "directory_structures": "public data, about nobody",
    "directory_services": "as directory_structures",
    "directory_facets": "as directory_structures",
    "directory_capacities": "as directory_structures: declared to be seen by all",
    "ledger_tiles": "public",
    "ledger_checkpoints": "public",
    "ledger_policies": "public",
    "ledger_index": "hashes",
    "ledger_lists": "hashes",
    "ledger_list_rows": "places in the public log, under hashes",
    "ledger_list_tiles": "hashes",
    "ledger_index_tiles": "hashes",
}
"""The tables that hold no partner's rows, and why; every other table is behind the wall."""


def current() -> Side:
    """Whose rows the transactions opened from here on may see."""
    return _side.get()


def stand(side: Side) -> None:
    """Open the transactions of this request for `side` from now on."""
    _side.set(side)


@contextmanager
def request() -> Iterator[None]:
    """What is opened within is nobody's until `stand` says whose it is."""
    token = _side.set(NOBODY)
    try:
        yield
    finally:
        _side.reset(token)
