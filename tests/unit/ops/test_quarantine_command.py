"""
`tdu quarantine`: what was refused is found and examined by the operator, and the reading is an event of the ledger.
"""

from __future__ import annotations

import asyncio
import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from adapters.cnaf_rsa.fictitious import fictitious_flow
from consent.tables import ledger_events
from gateway.store.database import Database
from ops.cli import app
from ops.demo.partner import Partner

CUT = fictitious_flow(4, 1)[:-1000]
MODEL = Path(__file__).parents[3] / "consent" / "models" / "tznr-caf-departement.yaml"


@pytest.fixture
def environment(in_process: Callable[..., Any], database_url: str, tmp_path: Path) -> tuple[dict[str, str], list[str]]:
    """A gateway to which the CAF sent the same cut flow three times, and another one once; its settings, and the ids given."""

    async def sent() -> list[str]:
        async with in_process() as started:
            caf: Partner = await started.partner("99900001100018", "CAF de Valombre", "caf")
            other: Partner = await started.partner("99900002900010", "Département de Valombre", "departement")
            await caf.propose(MODEL.read_bytes())
            await caf.sign(MODEL.read_bytes())
            await other.sign(MODEL.read_bytes())
            ids = []
            for content in (CUT, CUT, CUT, CUT[:-1]):
                headers = {"Content-Type": "application/xml"}
                address = "/v1/inbound/cnaf-rsa"
                answer = await caf.call("POST", address, content=content, headers=headers, expect=(422,))
                ids.append(answer.json()["quarantine"])
            return ids

    ids = asyncio.run(sent())
    return {"TDU_DATA_DIR": str(tmp_path), "TDU_DATABASE_URL": database_url, "TDU_BUS_URL": ""}, ids


async def _events(url: str, kind: str) -> int:
    database = Database(url)
    async with database.read() as tx:
        query = sa.select(sa.func.count()).select_from(ledger_events).where(ledger_events.c.type == kind)
        found = int((await tx.execute(query)).scalar_one())
    await database.close()
    return found


def test_the_operator_finds_and_opens_a_file_that_was_set_aside(
    environment: tuple[dict[str, str], list[str]], tmp_path: Path
) -> None:
    """Sent three times it is kept once; the command gives its very bytes, to its caller only, and the ledger knows."""
    settings, ids = environment
    listed = CliRunner().invoke(app, ["quarantine", "list"], env=settings)
    target = tmp_path / "examined.xml"
    opened = CliRunner().invoke(app, ["quarantine", "open", ids[0], str(target)], env=settings)
    files = json.loads(listed.stdout)
    url = settings["TDU_DATABASE_URL"]
    assert ids[0] == ids[1] == ids[2] != ids[3]
    assert {ids[0], ids[3]} == {file["id"] for file in files}
    assert [("99900001100018", "caf", "cnaf-rsa", "truncated")] * 2 == [
        (file["sender"], file["client_id"], file["adapter"], file["code"]) for file in files
    ]
    assert (0, CUT, 0o600) == (opened.exit_code, target.read_bytes(), stat.S_IMODE(target.stat().st_mode))
    assert 2 == asyncio.run(_events(url, "file_quarantined"))
    assert 1 == asyncio.run(_events(url, "content_read"))


def test_a_number_that_names_nothing_opens_nothing(
    environment: tuple[dict[str, str], list[str]], tmp_path: Path
) -> None:
    """No file is written and no reading recorded; nor is a file written over."""
    settings, ids = environment
    target = tmp_path / "examined.xml"
    unknown = CliRunner().invoke(app, ["quarantine", "open", ids[0][::-1], str(target)], env=settings)
    assert (1, False) == (unknown.exit_code, target.exists())
    target.write_bytes(b"mine")
    over = CliRunner().invoke(app, ["quarantine", "open", ids[0], str(target)], env=settings)
    assert (1, b"mine") == (over.exit_code, target.read_bytes())
    assert 0 == asyncio.run(_events(settings["TDU_DATABASE_URL"], "content_read"))
