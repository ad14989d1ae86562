"""
The database: one class over SQLAlchemy Core for SQLite (embedded) and PostgreSQL (production).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import lru_cache
from time import monotonic
from typing import Any, Final

import asyncpg
import orjson
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from consent.rows import json_text
from gateway.store import wall

Transaction = AsyncConnection
"""An open transaction: everything executed on it is durable together, when the block that opened it ends without error."""

_ITS_OWN_FAULT = (sa.exc.DataError, sa.exc.IntegrityError, sa.exc.ProgrammingError)

_BUSY_MS = 30_000
_CONNECT_SECONDS = 5
_COMMAND_SECONDS = 60

_PAUSE_SECONDS = 1.0

_JSON: Final[Mapping[str, Any]] = {
    "json_serializer": json_text,
    "json_deserializer": orjson.loads,
}

_PASSES_BY = sa.text("SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user")

_STAND = sa.text(
    "SELECT set_config('app.partner', :partner, true), set_config('app.client', :client, true), "
    "set_config('app.gate', :gate, true)"
)
"""Until the transaction ends: a connection that goes back to the pool is everybody's again."""


def instant(moment: datetime) -> str:
    """Write an aware `moment` as the UTC text kept in the tables (`2026-11-23T09:00:00.000000Z`)."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def moment(text: str) -> datetime:
    """Read back what `instant` wrote."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)


class Database:
    """
    Opens transactions on one database.

    `write()` is one atomic, durable transaction. On SQLite it takes the only write lock at its start (BEGIN IMMEDIATE),
    so writers queue and never lose an update; on PostgreSQL it is READ COMMITTED and callers lock the rows they decide on.
    `read()` is for reading only. Both may be used concurrently; neither retries: a failed transaction has had no effect,
    except that an error at commit leaves the outcome unknown and the caller must read again.

    On PostgreSQL both see only the rows of whoever the request is for (`gateway.store.wall`). `gate` shows besides what any
    partner recorded of people's agreements and objections, which the gate decides on; `beyond` says why a transaction must
    see, or write, what is others' too.
    """

    def __init__(self, url: str, *, pool_size: int = 10) -> None:
        """`url` always names its driver: `sqlite+aiosqlite:///file` or `postgresql+asyncpg://host/database`."""
        self.url = make_url(url)
        self.dialect = self.url.get_backend_name()
        if self.dialect == "sqlite":
            self._writer = _sqlite_engine(url, "BEGIN IMMEDIATE", pool_size=1)
            self._reader = _sqlite_engine(url, "BEGIN", pool_size=pool_size)
        elif self.dialect == "postgresql":
            # No connection beyond the pool: it would be opened for one transaction and closed after it, which costs ten.
            # A server that stopped answering must not hold a request or a loop for ever.
            limits: dict[str, Any] = {"timeout": _CONNECT_SECONDS, "command_timeout": _COMMAND_SECONDS}
            limits["server_settings"] = wall.EVERYBODY.settings
            self._writer = self._reader = create_async_engine(
                url, pool_size=pool_size, max_overflow=0, pool_use_lifo=True, connect_args=limits, **_JSON
            )
            _look_after_a_pause(self._writer)
        else:
            raise ValueError(f"unsupported database: {self.dialect}; use sqlite+aiosqlite or postgresql+asyncpg")

    @asynccontextmanager
    async def write(self, *, gate: bool = False, beyond: str = "") -> AsyncIterator[Transaction]:
        """Open a transaction that commits at the end of the block and rolls back if the block raises."""
        async with self._writer.begin() as transaction:
            await self._stand(transaction, gate, beyond)
            yield transaction

    @asynccontextmanager
    async def read(self, *, gate: bool = False, beyond: str = "") -> AsyncIterator[Transaction]:
        """Open a transaction for reading; nothing written in it is kept."""
        async with self._reader.connect() as connection:
            await self._stand(connection, gate, beyond)
            yield connection

    async def _stand(self, transaction: Transaction, gate: bool, beyond: str) -> None:
        side = wall.current()
        if self.dialect == "postgresql" and side != wall.EVERYBODY and not beyond:
            named = {"partner": side.partner, "client": side.client, "gate": "on" if gate else ""}
            await transaction.execute(_STAND, named)

    async def wall_holds(self) -> bool:
        """Whether row-level security binds the role of the connections: a superuser, or a role that bypasses it, is not bound."""
        if self.dialect != "postgresql":
            return True
        async with self.read() as tx:
            return not (await tx.execute(_PASSES_BY)).scalar_one()

    async def close(self) -> None:
        """Close every connection."""
        await self._writer.dispose()
        if self._reader is not self._writer:
            await self._reader.dispose()

    @property
    def engine(self) -> AsyncEngine:
        """The engine that writes; for migrations and checks."""
        return self._writer


def is_away(error: Exception) -> bool:
    """Whether the database is what failed, and not what it was asked: it did not answer, or the connection broke."""
    if isinstance(error, _ITS_OWN_FAULT):
        return False
    return isinstance(error, sa.exc.DBAPIError | sa.exc.TimeoutError | asyncpg.PostgresError | OSError)


def insert_ignore(table: sa.Table, transaction: Transaction) -> Any:
    """Build an INSERT that leaves an existing row untouched (ON CONFLICT DO NOTHING), on both databases."""
    if transaction.dialect.name == "sqlite":
        return sqlite.insert(table).on_conflict_do_nothing()
    return postgresql.insert(table).on_conflict_do_nothing()


def mentions(column: sa.ColumnElement[Any], siret: str) -> sa.ColumnElement[bool]:
    """Whether a JSON column names an organisation anywhere, on both databases; what its place means is for the caller to read."""
    return sa.cast(column, sa.Text).contains(f'"{siret}"', autoescape=True)


def one_of(column: sa.ColumnElement[Any], name: str, dialect: str) -> sa.ColumnElement[bool]:
    """
    Build `column IN (the values given under this name)`, on both databases, for a statement that is built once.

    On PostgreSQL it is an array: the text of the statement does not change with the number of values, so the driver finds it
    prepared, and there is no limit to them.
    """
    if dialect == "sqlite":
        return column.in_(sa.bindparam(name, expanding=True))
    return column == sa.any_(sa.bindparam(name, type_=postgresql.ARRAY(column.type)))


@lru_cache(maxsize=64)
def select_by(column: sa.Column[Any], *shown: sa.Column[Any], dialect: str) -> sa.Select[Any]:
    """
    Build, once, `SELECT shown FROM table WHERE column IN (the values given under "values")`.

        rows = await tx.execute(select_by(table.c.id, table.c.name, dialect=tx.dialect.name), {"values": ids})
    """
    return sa.select(*shown).where(one_of(column, "values", dialect))


def for_each(asked: Sequence[sa.Column[Any]], found: sa.Select[Any], dialect: str) -> sa.Select[Any]:
    """
    Build, once, the rows of `found` for each of some values of the columns `asked`, given as one list a column, under its name.

    On SQLite a row may take its values from several of them: whoever asks looks at what comes. On PostgreSQL, one look into the
    index for each, whatever the planner believes. A prepared statement keeps its plan: made while a table was empty, that of an
    IN list goes on reading all of it until somebody analyses the table, a minute or more of a new gateway.
    """
    if dialect == "sqlite":
        return found.where(*(one_of(column, column.name, dialect) for column in asked))
    arrays = [sa.bindparam(column.name, type_=postgresql.ARRAY(column.type)) for column in asked]
    names = [sa.column(column.name, column.type) for column in asked]
    each = sa.func.unnest(*arrays).table_valued(*names).render_derived(name="each")
    same = [column == each.c[column.name] for column in asked]
    # OFFSET keeps the planner from joining the whole table instead.
    rows = found.where(*same).offset(sa.literal_column("0")).lateral("found")
    return sa.select(rows).select_from(each.join(rows, sa.true()))


def upsert(table: sa.Table, transaction: Transaction, row: Mapping[str, Any], changed: Mapping[str, Any]) -> Any:
    """Build an INSERT of a row that changes the existing one of the same primary key instead, on both databases."""
    dialect = sqlite if transaction.dialect.name == "sqlite" else postgresql
    statement = dialect.insert(table).values(row)
    return statement.on_conflict_do_update(index_elements=list(table.primary_key), set_=changed)


def _look_after_a_pause(engine: AsyncEngine) -> None:
    """
    Ask a connection that rested whether it is still there, before a transaction is given it.

    One that was at work a moment ago is not asked: that costs three round trips, and a server that goes away between two
    transactions is told as one that goes away during the second.
    """

    @event.listens_for(engine.sync_engine, "checkin")
    def _rest(_connection: Any, record: Any) -> None:
        record.info["rests_since"] = monotonic()

    @event.listens_for(engine.sync_engine, "checkout")
    def _look(connection: Any, record: Any, _proxy: Any) -> None:
        if monotonic() - record.info.get("rests_since", monotonic()) < _PAUSE_SECONDS:
            return
        try:
            engine.dialect.do_ping(connection)
        except (engine.dialect.loaded_dbapi.Error, OSError) as error:
            raise sa.exc.DisconnectionError from error  # the pool opens another one


def _sqlite_engine(url: str, begin: str, *, pool_size: int) -> AsyncEngine:
    engine = create_async_engine(
        url, pool_size=pool_size, max_overflow=0, pool_timeout=60, connect_args={"timeout": _BUSY_MS / 1000}, **_JSON
    )

    # The default driver transactions lose updates: it opens none before a SELECT. Both hooks are needed.
    @event.listens_for(engine.sync_engine, "connect")
    def _connect(connection: Any, _record: Any) -> None:
        _finish_what_is_begun(connection.driver_connection)
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=FULL", f"busy_timeout={_BUSY_MS}", "foreign_keys=ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


def _finish_what_is_begun(connection: Any) -> None:
    """
    Have whoever is cancelled in the middle of a statement wait for the end of it, and undo its transaction.

    The driver works in a thread: a statement that nobody waits for goes on there, and one that begins or ends a transaction
    would leave the only write lock to a connection that was given up meanwhile. Closing that connection is not enough: SQLite
    keeps it, and its lock, for as long as a cursor of it is referred to.
    """
    execute = connection._execute

    async def whole(*words: Any, **options: Any) -> Any:
        work = asyncio.ensure_future(execute(*words, **options))
        cancelled = await _ended(work)
        if cancelled is None:
            return work.result()
        work.exception()
        if connection._connection is not None:
            undone = asyncio.ensure_future(execute(connection._connection.rollback))
            await _ended(undone)
            undone.exception()
        raise cancelled

    connection._execute = whole


async def _ended(work: asyncio.Future[Any]) -> asyncio.CancelledError | None:
    """Wait for the end of some work however often this is cancelled, and give the last cancellation."""
    cancelled = None
    while not work.done():
        try:
            await asyncio.shield(work)
        except asyncio.CancelledError as error:
            cancelled = error
        except Exception:
            break  # told by the work itself
    return cancelled
