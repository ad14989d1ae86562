"""
A replay in number whose process is killed again and again: everything is replayed, and nothing twice.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from ops.faults.partners import CAF, FLOW, Client, Load
from ops.faults.territory import MAILBOX, opened

FLOWS = 15


@pytest.mark.timeout(280)
def test_each_set_aside_delivery_is_replayed_once_whoever_dies(tmp_path: Path) -> None:
    """The courier's process, which replays, is killed while the task runs; each document comes again exactly once."""
    task, first, again = asyncio.run(_story(tmp_path))
    assert ("done", FLOWS * FLOW, 0) == (task["state"], task["replayed"], task["refused"])
    assert FLOWS * FLOW == len(first) == len(again)
    assert first.keys() == again.keys() and {1} == set(again.values())


async def _story(folder: Path) -> tuple[dict[str, Any], Counter[str], Counter[str]]:
    async with opened(folder, {}, ("api", "relay", "courier")) as territory:
        caf, recipient = territory.clients[CAF], territory.clients[MAILBOX]
        load = Load(caf, territory.journal, MAILBOX, (), rate=100)
        for _ in range(FLOWS):
            await load.flow()
        first = await _taken(recipient, "nack", b'{"reason": "unreadable"}')
        asked = await caf.insist("POST", "/v1/replays", content=b"{}", Content_Type="application/json")
        path = f"/v1/replays/{asked.json()['id']}"
        for _ in range(4):
            await asyncio.sleep(random.uniform(0, 0.6))
            territory.processes.kill("courier")
            territory.processes.start("courier")
        task = await _finished(caf, path)
        return task, first, await _taken(recipient, "ack", b"")


async def _finished(caf: Client, path: str) -> dict[str, Any]:
    """The task, once it runs no more."""
    while True:
        task: dict[str, Any] = json.loads((await caf.insist("GET", path)).content)
        if task["state"] != "running":
            return task
        await asyncio.sleep(0.2)


async def _taken(recipient: Client, verb: str, body: bytes) -> Counter[str]:
    """Take a mailbox until everything came, and answer each lease; gives the documents by how often they came."""
    documents: Counter[str] = Counter()
    while documents.total() < FLOWS * FLOW:
        taken = (await recipient.insist("GET", "/v1/mailbox?limit=400&wait=5")).json()
        if taken["deliveries"]:
            path = f"/v1/mailbox/{taken['lease']}/{verb}"
            answer = await recipient.insist("POST", path, content=body, Content_Type="application/json")
            assert 200 == answer.status_code, answer.text
            documents.update(each["document_id"] for each in taken["deliveries"])
    more = (await recipient.insist("GET", "/v1/mailbox?limit=400&wait=1")).json()
    documents.update(each["document_id"] for each in more["deliveries"])
    return documents
