"""A file too large to be waited for is kept, taken in by a task household by household, and told line by line."""

from __future__ import annotations

import asyncio
import json
import random
import time
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from adapters.cnaf_rsa.fictitious import fictitious_flow
from gateway.flows.taking import FlowTaker
from gateway.store.tables import deliveries, documents, exchanges, flow_pieces, flows
from ops.demo.partner import Partner

pytestmark = pytest.mark.anyio

CAF, DEPARTEMENT, CCAS = "99900001100018", "99900002900010", "99900004500016"
MODEL = (files("consent") / "models" / "tznr-caf-departement.yaml").read_bytes()
HOUSEHOLDS = 60
FLOW = fictitious_flow(HOUSEHOLDS, 3)
XML = {"Content-Type": "application/xml"}
LATER = XML | {"Prefer": "respond-async"}


@dataclass(slots=True)
class Desk:
    """A gateway, the CAF that sends flows, and the département that receives what they hold."""

    started: Any
    caf: Partner
    departement: Partner

    async def put_in_force(self, text: bytes) -> None:
        await self.caf.propose(text)
        await self.caf.sign(text)
        await self.departement.sign(text)

    async def send(self, content: bytes = FLOW, headers: dict[str, str] = LATER, **more: Any) -> httpx.Response:
        return await self.caf.call("POST", "/v1/inbound/cnaf-rsa", content=content, headers=headers, **more)

    async def ended(self, task: dict[str, Any]) -> dict[str, Any]:
        """The task once it is over."""
        return await self.until(task, lambda shown: shown["finished_at"] is not None)

    async def until(self, task: dict[str, Any], reached: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The task once it is somewhere."""
        async with asyncio.timeout(60):
            while True:
                shown: dict[str, Any] = (await self.caf.call("GET", task["progress"])).json()
                if reached(shown):
                    return shown
                await asyncio.sleep(0.05)

    async def report(self, task: dict[str, Any]) -> list[dict[str, Any]]:
        answer = await self.caf.call("GET", task["report"])
        return [json.loads(line) for line in answer.text.splitlines()]

    async def count(self, table: sa.Table, *conditions: Any) -> int:
        async with self.started.runtime.services.database.read() as tx:
            return int(
                (await tx.execute(sa.select(sa.func.count()).select_from(table).where(*conditions))).scalar_one()
            )


@pytest.fixture
async def desk(in_process: Callable[..., Any]) -> AsyncIterator[Desk]:
    """The two partners and their convention in force."""
    async with in_process(sync_file_bytes=1_000_000) as started:
        caf = await started.partner(CAF, "CAF de Valombre", "caf")
        departement = await started.partner(DEPARTEMENT, "Département de Valombre", "dep")
        found = Desk(started, caf, departement)
        await found.put_in_force(MODEL)
        yield found


async def test_a_flow_that_is_not_waited_for_ends_as_one_that_is(desk: Desk) -> None:
    """The same documents, decisions and counts as the synchronous answer; a report line a household; the bytes are gone."""
    answer = await desk.send()
    task = answer.json()
    assert (answer.status_code, answer.headers["location"]) == (202, f"/v1/flows/{task['id']}")
    done = await desk.ended(task)
    assert {"total": HOUSEHOLDS, "left": 0} == {name: done["records"][name] for name in ("total", "left")}
    assert ("done", len(FLOW), None) == (done["state"], done["bytes"], done["problem"])
    summary, *lines = await desk.report(task)
    assert summary["records"] == done["records"]
    assert list(range(1, HOUSEHOLDS + 1)) == [line["record"] for line in lines]
    assert done["records"]["refused"] == sum(line["state"] != "accepted" for line in lines)
    told = [each for line in lines for each in line.get("documents", ())]
    kept = await desk.count(documents)
    assert done["documents"]["accepted"] == kept == sum(each["state"] == "accepted" for each in told)
    assert len(told) == await desk.count(exchanges, exchanges.c.batch == task["id"])
    assert kept == len(await desk.departement.pull(await desk.count(deliveries, deliveries.c.state != "refused")))
    # The same file waited for, then: every document of it is known, and no other.
    again = (await desk.send(headers=XML)).json()
    assert (kept, 0) == (again["already_received"], again["accepted"])
    assert 0 == await desk.count(flow_pieces, flow_pieces.c.part == "body")


async def test_a_file_is_for_a_task_by_its_size(desk: Desk) -> None:
    """Above the limit, or when its length is not said, a flow is taken in by a task without being asked."""
    large = fictitious_flow(300, 5)
    assert len(large) > 1_000_000 > len(FLOW)

    async def unannounced() -> AsyncIterator[bytes]:
        yield FLOW

    tasks = [(await desk.send(content, XML)).json() for content in (large, unannounced())]
    assert [(300, "done"), (HOUSEHOLDS, "done")] == [
        (done["records"]["total"], done["state"]) for done in [await desk.ended(task) for task in tasks]
    ]
    assert "exchanges" in (await desk.send(headers=XML)).json()
    listed = (await desk.caf.call("GET", "/v1/flows")).json()["flows"]
    assert [tasks[1]["id"], tasks[0]["id"]] == [each["id"] for each in listed]


async def test_the_same_key_gives_the_same_task_and_the_same_file_is_recognised(desk: Desk) -> None:
    """Sent again with its key it is one task; with another key its documents are known; another file under the key is refused."""
    key = {"Idempotency-Key": str(uuid.uuid4())}
    first = (await desk.send(headers=LATER | key)).json()
    again = await desk.send(headers=LATER | key)
    other = await desk.send(fictitious_flow(2, 9), LATER | key, expect=(422,))
    assert (first["id"], "true") == (again.json()["id"], again.headers["idempotent-replayed"])
    assert "idempotency_key_reused" == other.json()["code"]
    done = await desk.ended(first)
    second = await desk.ended((await desk.send()).json())
    assert second["documents"]["already_received"] == done["documents"]["accepted"]
    assert "accepted" not in second["documents"]
    assert 2 == await desk.count(flows)


async def test_loops_that_steal_from_each_other_take_each_household_once(in_process: Callable[..., Any]) -> None:
    """Leases that end five times too soon, loops that are cancelled anywhere: what is recorded is before the cursor, and once."""
    began, real = datetime.now(UTC), time.monotonic()
    number = 400

    def hasty() -> datetime:
        return began + 5 * timedelta(seconds=time.monotonic() - real)

    async with in_process(clock=hasty) as started:
        caf = await started.partner(CAF, "CAF de Valombre", "caf")
        desk = Desk(started, caf, await started.partner(DEPARTEMENT, "Département de Valombre", "dep"))
        await desk.put_in_force(MODEL)
        taker, never = FlowTaker(started.runtime.services), asyncio.Event()
        task = (await desk.send(fictitious_flow(number, 8))).json()
        loops = [asyncio.create_task(taker.run(never)) for _ in range(3)]
        stolen = 0
        while (await caf.call("GET", task["progress"])).json()["finished_at"] is None:
            await asyncio.sleep(random.uniform(0.03, 0.2))
            stolen += 1
            rank = random.randrange(len(loops))
            loops[rank].cancel()
            await asyncio.gather(loops[rank], return_exceptions=True)
            loops[rank] = asyncio.create_task(taker.run(never))
        for loop in loops:
            loop.cancel()
        await asyncio.gather(*loops, return_exceptions=True)
        summary, *lines = await desk.report(task)
        told = [each["exchange"] for line in lines for each in line.get("documents", ())]
        assert (number, 0) == (summary["records"]["done"], summary["records"]["left"])
        assert list(range(1, number + 1)) == [line["record"] for line in lines]
        async with started.runtime.services.database.read() as tx:
            kept = list((await tx.execute(sa.select(exchanges.c.id))).scalars())
        assert sorted(told) == sorted(kept)
        assert await desk.count(documents) == len(kept)
    assert stolen > 2


async def test_a_file_that_is_not_whole_takes_nothing_in(desk: Desk) -> None:
    """Cut, or with a wrong total at its end: refused with its line and what to do, and no household of it passed."""
    cut = FLOW[: len(FLOW) * 2 // 3]
    short = FLOW.replace(b"<NBTOTDOSRSATRANSM>00000060<", b"<NBTOTDOSRSATRANSM>00000061<")
    assert short != FLOW
    for content, code in ((cut, "truncated"), (short, "total_mismatch")):
        done = await desk.ended((await desk.send(content)).json())
        assert ("refused", "file_refused") == (done["state"], done["problem"]["code"])
        [error] = done["problem"]["errors"]
        assert (code, True) == (error["code"], error["line"] > 1)
        assert [done] == await desk.report(done)
    assert 0 == await desk.count(exchanges) == await desk.count(flow_pieces)


async def test_a_convention_that_changed_stops_the_rest(desk: Desk) -> None:
    """A task goes by the token it was sent with: what its sender has not taken note of lets nothing out in its name."""
    token = await desk.caf.signed_in()
    await desk.put_in_force(MODEL.replace(b"\nversion: 1", b"\nversion: 2"))
    desk.caf.token = token
    done = await desk.ended((await desk.send()).json())
    assert ("stopped", "convention_outdated") == (done["state"], done["problem"]["code"])
    assert {"total": HOUSEHOLDS, "done": 0, "refused": 0, "left": HOUSEHOLDS} == done["records"]
    assert 0 == await desk.count(exchanges)


async def test_what_a_minute_allows_is_waited_for(desk: Desk) -> None:
    """Beyond the volume of the convention the task waits instead of being refused, and is told when it goes on."""
    limits = b"limits: { per_day: 500000, per_minute: 250000 }"
    assert limits in MODEL
    text = MODEL.replace(b"\nversion: 1", b"\nversion: 2").replace(limits, b"limits: { per_day: 20 }")
    await desk.put_in_force(text)
    desk.caf.token = None
    task = (await desk.send()).json()
    shown = await desk.until(task, lambda shown: shown["waits_until"] is not None)
    assert "running" == shown["state"] and shown["documents"]["accepted"] <= 20
    assert shown["records"]["left"] > 0
    cancelled = (await desk.caf.call("POST", f"{task['progress']}/cancel")).json()
    assert ("cancelled", shown["records"]) == (cancelled["state"], cancelled["records"])
    await desk.started.runtime.keeper.once()
    assert 0 == await desk.count(flow_pieces, flow_pieces.c.part == "body")


async def test_another_partners_flow_does_not_exist(desk: Desk) -> None:
    """Its progress, its report and its end are its sender's: another gets the answer of what was never there."""
    task = (await desk.send()).json()
    ccas = await desk.started.partner(CCAS, "CCAS de Valombre", "ccas")
    await desk.caf.propose(MODEL.replace(DEPARTEMENT.encode(), CCAS.encode()).replace(b"tznr-valombre", b"autre"))
    other = MODEL.replace(CAF.encode(), CCAS.encode()).replace(b"tznr-valombre", b"tierce")
    await ccas.propose(other)
    await ccas.sign(other)
    await desk.departement.sign(other)
    for path in (task["progress"], task["report"], f"/v1/flows/{uuid.uuid4()}"):
        answer = await ccas.call("GET", path, expect=(404,))
        assert "not_found" == answer.json()["code"]
    assert 404 == (await ccas.call("POST", f"{task['progress']}/cancel", expect=(404,))).status_code
    assert [] == (await ccas.call("GET", "/v1/flows")).json()["flows"]
    assert "done" == (await desk.ended(task))["state"]


async def test_nothing_of_a_body_that_does_not_come_whole_is_kept(desk: Desk) -> None:
    """A sender that is cut leaves no task and no bytes."""

    async def broken() -> AsyncIterator[bytes]:
        yield FLOW[:1_000]
        raise httpx.WriteError("cut")

    with pytest.raises(httpx.WriteError):
        await desk.send(broken(), XML)
    assert 0 == await desk.count(flows) == await desk.count(flow_pieces)
