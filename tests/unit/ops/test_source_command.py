"""
`tdu system source`: the operator sets how what a software sends is got, tries it, pauses it and takes it back; no secret is shown.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from gateway.sources import store
from gateway.store.database import Database, instant
from gateway.store.tables import sources
from ops.cli import app
from ops.services.authority import Authority
from ops.services.receiver import Call, Receiver, Response, receiving

NAME, TOKEN = "127.0.0.1", "jeton-de-dora"


def dora(call: Call) -> Response:
    """Dora with one change, for who has the token."""
    if call.headers.get("authorization") != f"Token {TOKEN}":
        return 401, {}, b"{}"
    return 200, {}, json.dumps({"results": [{"status": "OUVERTE"}], "next": None}).encode()


@pytest.fixture
def environment(in_process: Callable[..., Any], database_url: str, tmp_path: Path) -> dict[str, str]:
    """A gateway with one software registered; its settings."""

    async def started() -> None:
        async with in_process() as gateway:
            await gateway.partner("99900002900010", "Département de Valombre", "departement")

    asyncio.run(started())
    authority = str(Authority(tmp_path).file)
    return {
        "TDU_DATA_DIR": str(tmp_path),
        "TDU_DATABASE_URL": database_url,
        "TDU_BUS_URL": "",
        "TDU_OUTGOING_CA_FILE": authority,
    }


class Operator:
    """The operator at the command line."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment, self.said = environment, ""

    def run(self, *words: str, fails: bool = False, typed: str = "") -> Any:
        """Run one command; gives what it prints."""
        done = CliRunner().invoke(app, ["system", *words], env=self.environment, input=typed)
        self.said += done.output
        assert fails == bool(done.exit_code), done.output
        return json.loads(done.stdout) if done.stdout else None

    def state(self) -> tuple[str, str | None]:
        """The state of the only source, and its last error."""
        [shown] = self.run("source", "list")
        return shown["state"], shown["last_error"]


def test_a_source_is_set_paused_resumed_and_removed(environment: dict[str, str], database_url: str) -> None:
    """A paused one is not asked, and is asked again when it is resumed; removed, the system sends by itself."""
    operator = Operator(environment)
    settings = ("--setting", "api_url=https://dora.valombre.example", "--setting", "every_seconds=60")
    assert [] == operator.run("source", "list")
    told = operator.run("source", "add", "departement", "dora", *settings, "--secret", "token=-", typed=TOKEN)
    assert {"client_id": "departement", "way": "dora"} == told
    assert ("active", None) == operator.state()
    assert ["departement"] == asyncio.run(_due(database_url))
    operator.run("source", "pause", "departement")
    assert [] == asyncio.run(_due(database_url))
    assert ("paused", "http_503") == operator.state()
    operator.run("source", "resume", "departement")
    assert ("active", None) == operator.state()
    assert ["departement"] == asyncio.run(_due(database_url))
    operator.run("source", "remove", "departement")
    assert [] == operator.run("source", "list")
    assert TOKEN not in operator.said


def test_what_cannot_be_set_is_refused_with_a_sentence(environment: dict[str, str], tmp_path: Path) -> None:
    """An unknown system or way, a wrong setting, a missing secret, a pause of what is not asked: nothing changes."""
    operator = Operator(environment)
    (tmp_path / "token").write_text(TOKEN + "\n")
    token = ("--secret", f"token={tmp_path / 'token'}")
    right = ("--setting", "api_url=https://dora.valombre.example", *token)
    for words in (
        ("add", "inconnu", "dora", *right),
        ("add", "departement", "pigeon", *right),
        ("add", "departement", "dora", "--setting", "api_url=http://dora.valombre.example", *token),
        ("add", "departement", "dora", *right, "--setting", "jeton=x"),
        ("add", "departement", "dora", *right[:2], "--secret", "token=absent"),
        ("pause", "departement"),
        ("remove", "departement"),
        ("test", "departement"),
    ):
        operator.run("source", *words, fails=True)
    assert [] == operator.run("source", "list")
    operator.run("source", "add", "departement", "dora", *right)
    assert ("active", None) == operator.state()


def test_a_try_asks_the_system_and_takes_nothing(environment: dict[str, str], tmp_path: Path) -> None:
    """It says how many messages wait, or why the system does not answer; nothing is recorded by it."""
    operator = Operator(environment)
    (tmp_path / "token").write_text(TOKEN)
    (tmp_path / "wrong").write_text("autre")

    async def tried() -> None:
        authority = Authority(tmp_path)
        async with receiving(Receiver(NAME, answer=dora), authority.context(NAME)) as server:
            where = ("--network", "127.0.0.0/8", "--port", str(server.port))
            await asyncio.to_thread(operator.run, "endpoint", "allow", "departement", *where)
            address = ("--setting", f"api_url=https://{NAME}:{server.port}", "--secret")
            for file, outcome, fails in (("token", "answered", False), ("wrong", "failed", True)):
                secret = f"token={tmp_path / file}"
                await asyncio.to_thread(operator.run, "source", "add", "departement", "dora", *address, secret)
                told = await asyncio.to_thread(
                    lambda bad=fails: operator.run("source", "test", "departement", fails=bad)
                )
                assert outcome == told["outcome"]
                assert (told.get("messages"), told.get("code")) == ((None, "http_401") if fails else (1, None))

    asyncio.run(tried())
    assert ("active", None) == operator.state()


async def _due(url: str) -> list[str]:
    """Claim what is due and fail at it, as the collector does; gives the systems."""
    database = Database(url)
    now = store.moment("2030-01-01T00:00:00.000000Z")
    try:
        async with database.write() as tx:
            due = await store.claim(tx, ["dora"], now, timedelta(minutes=5))
            for client_id in due:
                row = (await tx.execute(sa.select(sources).where(sources.c.client_id == client_id))).one()
                assert row.held_until > instant(now)
                source = store.Source(client_id, row.partner, row.way)
                await store.failed(tx, source, "http_503", timedelta(), now)
    finally:
        await database.close()
    return due
