"""
`tdu directory`: files of data·inclusion are imported, and the operator declares the open places of who does not.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gateway.directory.store import one
from gateway.store.database import Database
from ops.cli import app

_DATED = {"source": "valombre", "date_maj": "2026-01-15"}
_STRUCTURE = _DATED | {"id": "valombre--s1", "nom": "Maison fictive des solidarités"}
_SERVICE = _DATED | {
    "id": "valombre--1",
    "structure_id": "valombre--s1",
    "nom": "Service fictif",
    "description": "Un service inventé pour les essais.",
}


@pytest.fixture
def environment(in_process: Callable[..., Any], database_url: str, tmp_path: Path) -> dict[str, str]:
    """The settings of a gateway that was started once."""

    async def started() -> None:
        async with in_process():
            pass

    asyncio.run(started())
    return {"TDU_DATA_DIR": str(tmp_path), "TDU_DATABASE_URL": database_url, "TDU_BUS_URL": ""}


def test_places_are_declared_and_taken_back(environment: dict[str, str], tmp_path: Path, database_url: str) -> None:
    """Of a service that is in the directory, until a day to come; what cannot be is refused with a sentence, and changes nothing."""
    files = [tmp_path / "structures.json", tmp_path / "services.json"]
    for file, records in zip(files, ([_STRUCTURE], [_SERVICE]), strict=True):
        file.write_text(json.dumps(records))
    until = (datetime.now(UTC) + timedelta(days=20)).date().isoformat()

    def run(*words: str) -> Any:
        return CliRunner().invoke(app, ["directory", *words], env=environment)

    assert {"structures": 1, "services": 1, "left_out": {}} == json.loads(run("import", *map(str, files)).stdout)
    told = json.loads(run("declare", "valombre--1", "4", until).stdout)
    assert {"service": "valombre--1", "places": 4, "until": until} == told
    for words in (("declare", "valombre--404", "4", until), ("declare", "valombre--1", "4", "2020-01-01")):
        assert 1 == run(*words).exit_code
    assert (4, until) == tuple(asyncio.run(_capacity(database_url))[name] for name in ("places", "until"))
    assert [0, 1] == [run("withdraw", "valombre--1").exit_code for _ in range(2)]
    assert asyncio.run(_capacity(database_url)) is None


async def _capacity(url: str) -> Any:
    database = Database(url)
    try:
        async with database.read() as tx:
            found = await one(tx, "valombre--1", "2026-01-01")
    finally:
        await database.close()
    assert found is not None
    return found["capacity"]
