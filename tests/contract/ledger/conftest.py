"""
One ledger on each kind of database, emptied before each test, and what a test does to it.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine

from consent.ledger.event import Event, EventType, LedgerRecord, commit
from consent.ledger.export import export
from consent.ledger.note import Signer
from consent.ledger.sequencer import Sequencer
from consent.ledger.store import Ledger
from consent.tables import ledger_checkpoints, ledger_events, ledger_tiles, metadata
from consent.verify import verify_directory
from gateway.store.database import Database

POSTGRES = os.environ.get("TDU_TEST_POSTGRES_URL", "postgresql+asyncpg://postgres@127.0.0.1:5432/postgres")


@dataclass(frozen=True, slots=True)
class Log:
    """A ledger in a database, with the key that signs it."""

    database: Database
    signer: ClassVar[Signer] = Signer.from_seed("journal.valombre.example", bytes(range(32)))
    now: ClassVar[datetime] = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)

    def on(self, database: Database) -> Log:
        """The same log, in another database."""
        return Log(database)

    async def create(self) -> None:
        """Make the tables of the house."""
        async with self.database.write() as tx:
            await tx.run_sync(metadata.create_all)

    @staticmethod
    def opening_of(event_id: str) -> bytes:
        """The opening of an event, as a subject's data key would derive it."""
        return UUID(event_id).bytes * 2

    def record(self, event_id: str | None = None, **body: Any) -> LedgerRecord:
        """A record of a disclosure between fictitious partners."""
        fields = {"recipient": "99900002900010", "exchange_id": str(uuid4()), **body}
        event = Event(event_id or str(uuid4()), EventType.DISCLOSURE_MADE, self.now, "99900009400014", fields)
        return LedgerRecord(event, commit(event, self.opening_of(event.id)), b"sealed", subject_id=str(uuid4()))

    async def append(self, *records: LedgerRecord) -> None:
        """Append in a transaction of their own."""
        async with self.database.write() as tx:
            await Ledger().append(tx, records)

    async def indexes(self) -> list[int | None]:
        """The index of every event, in insertion order."""
        async with self.database.read() as tx:
            return list((await tx.execute(sa.select(ledger_events.c.index).order_by(ledger_events.c.seq))).scalars())

    def sequencer(self, **options: Any) -> Sequencer:
        """A sequencer on this database."""
        return Sequencer(self.database.write, self.signer, **options)

    async def verified(self, folder: Path) -> int:
        """Export the log, verify it offline, and return its size."""
        async with self.database.read() as tx:
            head = await export(tx, folder, self.signer.vkey)
        assert head is not None
        report = verify_directory(folder, self.signer.vkey)
        assert report.to_json()["findings"] == []
        return head.size

    async def published_size(self) -> int | None:
        """The size that the outside sees."""
        async with self.database.read() as tx:
            head = await Ledger().published(tx)
        return None if head is None else head.size

    async def within(self, seconds: float, ask: Callable[[], Awaitable[bool]]) -> bool:
        """Ask every 10 ms until the answer is yes or the time is over."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if await ask():
                return True
            await asyncio.sleep(0.01)
        return False


@asynccontextmanager
async def postgres_database() -> AsyncIterator[str]:
    """A new database on the real server, dropped afterwards; a missing server is an error, never a skip."""
    name = f"ledger_{uuid4().hex[:12]}"
    server = create_async_engine(POSTGRES, isolation_level="AUTOCOMMIT")
    try:
        async with server.connect() as connection:
            await connection.execute(sa.text(f"CREATE DATABASE {name}"))  # a name cannot be a parameter
        yield make_url(POSTGRES).set(database=name).render_as_string(hide_password=False)
        async with server.connect() as connection:
            await connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))
    finally:
        await server.dispose()


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
async def opened(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Log]:
    """One database of each kind for these tests, with the tables of the house."""
    if request.param == "sqlite":
        log = Log(Database(f"sqlite+aiosqlite:///{tmp_path_factory.mktemp('ledger') / 'ledger.db'}"))
        await log.create()
        yield log
        await log.database.close()
        return
    async with postgres_database() as url:
        log = Log(Database(url, pool_size=16))
        await log.create()
        yield log
        await log.database.close()


@pytest.fixture
async def log(opened: Log) -> Log:
    """The log, empty."""
    async with opened.database.write() as tx:
        for table in (ledger_checkpoints, ledger_tiles, ledger_events):
            await tx.execute(sa.delete(table))
    return opened
