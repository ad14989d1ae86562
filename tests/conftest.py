"""
What every test may use: the real servers, and new databases on them.
"""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine

pytest.register_assert_rewrite("adapters.testing")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """The gateway runs on asyncio."""
    return "asyncio"


@pytest.fixture(scope="session")
def amqp_url() -> str:
    """The real RabbitMQ, as `python -m ops.services` found or started it; a missing one fails at the first connection."""
    return os.environ.get("TDU_TEST_AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/")


@pytest.fixture(scope="session")
def postgres_url() -> str:
    """The real PostgreSQL, as `python -m ops.services` found or started it; a missing one fails at the first connection."""
    return os.environ.get("TDU_TEST_POSTGRES_URL", "postgresql+asyncpg://postgres@127.0.0.1:5432/postgres")


@pytest.fixture
def new_postgres(postgres_url: str) -> Iterator[Callable[[], str]]:
    """Make empty databases on the real server, dropped after the test; each call gives the address of another."""
    names: list[str] = []

    def make() -> str:
        names.append(f"tdu_test_{uuid.uuid4().hex[:12]}")
        asyncio.run(_administer(postgres_url, f"CREATE DATABASE {names[-1]}"))
        return make_url(postgres_url).set(database=names[-1]).render_as_string(hide_password=False)

    yield make
    for name in names:
        asyncio.run(_administer(postgres_url, f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database of each kind: a test that takes it runs on both."""
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path / 'gateway.sqlite'}"
    make: Callable[[], str] = request.getfixturevalue("new_postgres")
    return make()


async def _administer(url: str, statement: str) -> None:
    engine = create_async_engine(url, isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        await connection.execute(
            sa.text(statement)
        )  # a database's name cannot be a parameter; ours is made of hex digits
    await engine.dispose()
