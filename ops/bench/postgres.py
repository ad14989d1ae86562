"""
An empty PostgreSQL database for one run of a bench, dropped at its end.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine

from ops.bench.servers import demanded


@contextmanager
def empty_database() -> Iterator[str]:
    """
    Give the address of a new database on the server of `TDU_TEST_POSTGRES_URL`; for use outside an event loop.

    Raises `ServerMissing` when no server is given.
    """
    server = demanded("TDU_TEST_POSTGRES_URL")
    name = f"tdu_bench_{uuid.uuid4().hex[:12]}"
    asyncio.run(_administer(server, f"CREATE DATABASE {name}"))
    try:
        yield make_url(server).set(database=name).render_as_string(hide_password=False)
    finally:
        asyncio.run(_administer(server, f"DROP DATABASE {name} WITH (FORCE)"))


async def _administer(url: str, statement: str) -> None:
    engine = create_async_engine(url, isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        await connection.execute(sa.text(statement))
    await engine.dispose()
