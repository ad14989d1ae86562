"""A database that does not answer is said so, with what to do; a mistake of ours is not taken for that."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa
from fastapi import FastAPI

from gateway.app import create_app
from gateway.composition import assemble
from gateway.keys import Keys, generate
from gateway.settings import Settings

pytestmark = pytest.mark.anyio


async def test_a_database_that_is_away_is_a_503_with_a_time(tmp_path: Path) -> None:
    """Nothing of the driver's words is shown; the same request may be sent again."""
    settings = Settings(data_dir=tmp_path, database_url="postgresql+asyncpg://postgres@127.0.0.1:1/absent")
    generate(settings)
    runtime = assemble(settings, Keys.load(settings))
    async with client(create_app(runtime)) as http:
        answer = await http.get("/ledger/checkpoint")
    await runtime.services.database.close()
    assert (503, "2") == (answer.status_code, answer.headers["retry-after"])
    assert "unavailable" == answer.json()["code"] and "Connect" not in answer.text


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (sa.exc.OperationalError("select 1", {}, Exception("gone")), 503),
        (sa.exc.TimeoutError("no connection is free"), 503),
        (ConnectionRefusedError(), 503),
        (sa.exc.DataError("select 1", {}, Exception("wrong")), 500),
        (sa.exc.InvalidRequestError("a mistake"), 500),
        (ZeroDivisionError(), 500),
    ],
)
async def test_what_failed_decides_the_status(tmp_path: Path, error: Exception, status: int) -> None:
    """What a retry may mend is 503; what it cannot is 500, and told as such in the log."""
    settings = Settings(data_dir=tmp_path)
    generate(settings)
    app = create_app(assemble(settings, Keys.load(settings)))

    @app.get("/fails")
    async def fails() -> None:
        raise error

    async with client(app) as http:
        assert status == (await http.get("/fails")).status_code


def client(app: FastAPI) -> httpx.AsyncClient:
    """What calls an application in this process."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080")
