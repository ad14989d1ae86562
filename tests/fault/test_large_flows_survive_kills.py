"""
A large flow whose process is killed again and again: every household once, whole, and the report of a flow that nobody killed.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from adapters.cnaf_rsa.fictitious import fictitious_flow
from consent.tables import ledger_events
from gateway.store.database import Database
from gateway.store.tables import deliveries, documents, exchanges, flow_pieces
from ops.faults.partners import CAF, Client
from ops.faults.territory import Territory, opened

HOUSEHOLDS = 900
KILLS = 4


@pytest.mark.timeout(280)
def test_each_household_is_taken_once_whoever_dies(tmp_path: Path, territory_servers: dict[str, Any]) -> None:
    """Killed while it takes households in, the process that comes after goes on from the last that is recorded."""
    task, report, kept, cursors = asyncio.run(_story(tmp_path, territory_servers))
    summary, *lines = report
    assert ("done", HOUSEHOLDS, 0) == (task["state"], task["records"]["total"], task["records"]["left"])
    assert len(set(cursors)) == KILLS and 0 < min(cursors) and max(cursors) < HOUSEHOLDS, "killed in the middle"
    assert summary == task
    assert list(range(1, HOUSEHOLDS + 1)) == [line["record"] for line in lines]
    told = [each for line in lines for each in line.get("documents", ())]
    assert task["documents"] == dict(Counter(each["state"] for each in told))
    # One exchange, one event and one document for each that was told; a household is whole or not there.
    once = dict.fromkeys((each["exchange"] for each in told), 1)
    assert once == kept["exchanges"] == kept["events"]
    assert {each["document"] for each in told if each["state"] == "accepted"} == set(kept["documents"])
    assert {1} == set(kept["documents"].values())
    assert {1} == set(kept["deliveries"].values())
    assert not kept["body"]


async def _story(
    folder: Path, servers: dict[str, Any]
) -> tuple[dict[str, Any], list[Any], dict[str, Counter[str]], list[int]]:
    async with opened(folder, roles=("api", "courier"), **servers) as territory:
        caf = territory.clients[CAF]
        flow = fictitious_flow(HOUSEHOLDS, 11)
        headers = {"Content_Type": "application/xml", "Prefer": "respond-async"}
        task = (await caf.insist("POST", "/v1/inbound/cnaf-rsa", content=flow, **headers)).json()
        cursors = [await _killed(territory, caf, task["progress"]) for _ in range(KILLS)]
        task = await _once(caf, task["progress"], lambda shown: shown["finished_at"] is not None)
        report = [json.loads(line) for line in (await caf.insist("GET", task["report"])).text.splitlines()]
        return task, report, await _kept(territory, task["id"]), cursors


async def _killed(territory: Territory, caf: Client, path: str) -> int:
    """Kill the process once it took some more households in, and start another; gives how many were recorded then."""
    before = _taken(await _once(caf, path, lambda shown: shown["records"]["total"] is not None))
    await _once(caf, path, lambda shown: _taken(shown) > before)
    await asyncio.sleep(random.uniform(0, 0.3))
    territory.processes.kill("courier")
    cursor = _taken((await caf.insist("GET", path)).json())
    territory.processes.start("courier")
    return cursor


def _taken(shown: dict[str, Any]) -> int:
    return int(shown["records"]["done"] + shown["records"]["refused"])


async def _once(caf: Client, path: str, reached: Any) -> dict[str, Any]:
    while True:
        shown: dict[str, Any] = (await caf.insist("GET", path)).json()
        if reached(shown):
            return shown
        await asyncio.sleep(0.03)


async def _kept(territory: Territory, flow_id: str) -> dict[str, Counter[str]]:
    """What is in the database, by how often: the exchanges of the flow, their events, documents and deliveries; bytes left."""
    database = Database(territory.gateway.database)
    mine = sa.select(exchanges.c.id).where(exchanges.c.batch == flow_id)
    queries: dict[str, sa.Select[Any]] = {
        "exchanges": mine,
        "events": sa.select(ledger_events.c.exchange_id).where(
            ledger_events.c.exchange_id.in_(mine), ledger_events.c.type.in_(("exchange_accepted", "exchange_refused"))
        ),
        "documents": sa.select(exchanges.c.document_id)
        .join(documents, documents.c.id == exchanges.c.document_id)
        .where(exchanges.c.batch == flow_id),
        "deliveries": sa.select(deliveries.c.exchange_id + "/" + deliveries.c.recipient).where(
            deliveries.c.exchange_id.in_(mine)
        ),
        "body": sa.select(flow_pieces.c.part).where(flow_pieces.c.part == "body"),
    }
    async with database.read() as tx:
        found = {name: Counter((await tx.execute(query)).scalars()) for name, query in queries.items()}
    await database.close()
    return found
