"""
What a witness remembers, in one SQLite file of its own: a witness needs no gateway and no database server.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from consent.ledger.checkpoint import Checkpoint

MAX_EVIDENCE = 100
"""Contradicting heads kept per log: one is proof enough, and whoever holds the log's key could send many."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS cosigned (origin TEXT PRIMARY KEY, note BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS evidence (origin TEXT NOT NULL, size INTEGER NOT NULL, root BLOB NOT NULL, note BLOB NOT NULL,
    PRIMARY KEY (origin, size, root)) STRICT;
"""


class SqliteMemory:
    """A `consent.ledger.witness.Memory` in the file `path`. Safe to use from several threads and processes."""

    def __init__(self, path: Path) -> None:
        """Open the file, made when it is missing. Raises sqlite3.Error when it is not such a file or cannot be written."""
        self._path = path
        with self._open() as connection:
            connection.executescript(_SCHEMA)

    def advance(self, origin: str, decide: Callable[[bytes | None], bytes]) -> None:
        """Replace the last note of `origin` by what `decide` makes of it; durable when this returns."""
        with self._open() as connection:
            connection.execute("BEGIN IMMEDIATE")  # the only writer: nobody decides on what is being replaced
            try:
                note = decide(_last(connection, origin))
                statement = "INSERT INTO cosigned VALUES (?, ?) ON CONFLICT (origin) DO UPDATE SET note = excluded.note"
                connection.execute(statement, (origin, note))
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    def last(self, origin: str) -> bytes | None:
        """The last note cosigned for `origin`; None when there is none."""
        with self._open() as connection:
            return _last(connection, origin)

    def keep_evidence(self, origin: str, note: bytes) -> None:
        """Keep a signed head that contradicts the last one cosigned, once each, up to MAX_EVIDENCE."""
        head = Checkpoint.parse(note)[0]
        with self._open() as connection:
            connection.execute(
                "INSERT OR IGNORE INTO evidence SELECT ?, ?, ?, ? "
                "WHERE (SELECT count(*) FROM evidence WHERE origin = ?) < ?",
                (origin, head.size, head.root, note, origin, MAX_EVIDENCE),
            )

    def evidence(self, origin: str) -> list[bytes]:
        """The signed heads of `origin` that contradicted what was cosigned."""
        with self._open() as connection:
            query = "SELECT note FROM evidence WHERE origin = ? ORDER BY size, root"
            return [note for (note,) in connection.execute(query, (origin,))]

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._path, timeout=10, isolation_level=None)) as connection:
            connection.execute("PRAGMA synchronous = EXTRA")
            yield connection


def _last(connection: sqlite3.Connection, origin: str) -> bytes | None:
    row = connection.execute("SELECT note FROM cosigned WHERE origin = ?", (origin,)).fetchone()
    return None if row is None else bytes(row[0])
