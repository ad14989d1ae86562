"""
Two sequencers were started on one database by mistake: real processes, under load, of which the one that signs is paused and
killed. Whatever was ever signed or shown is one history, and the other one takes over.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
import sqlalchemy as sa

from consent.ledger.checkpoint import open_checkpoint
from consent.ledger.event import Event, EventType, LedgerRecord, commit
from consent.ledger.export import export
from consent.ledger.note import Verifier
from consent.ledger.store import Ledger
from consent.tables import ledger_checkpoints, ledger_events
from consent.verify import verify_directory
from gateway.store.database import Database
from ops.demo.gateway_process import GatewayProcess, free_port
from ops.faults.processes import Processes

ROUNDS, FORMS = 3, [("sqlite", 1), ("postgresql", 2)]
if os.environ.get("TDU_FAULTS") == "all":
    ROUNDS, FORMS = 20, [*FORMS, ("postgresql", 1)]
"""How often one is killed; the database, and on how many machines the two are: on two, each has its own mark."""
WRITERS = 4
TAKEN_OVER_SECONDS = 10
NAMES = ("first", "second")

pytestmark = pytest.mark.timeout(240)


@dataclass(slots=True)
class Pair:
    """The two processes, each with its own environment, and what an outsider and the writers saw."""

    gateway: GatewayProcess
    database: Database
    processes: dict[str, Processes]
    marks: dict[str, Path]
    committed: list[str] = field(default_factory=list)
    shown: list[bytes] = field(default_factory=list)
    takeovers: list[float] = field(default_factory=list)

    def pid(self, name: str) -> int:
        return self.processes[name].pid("sequencer")

    def start(self, name: str) -> None:
        self.processes[name].start("sequencer")

    async def signing(self) -> str:
        """The one that has the mark in its hands now: it is about to sign, or has just signed."""
        [lock] = [path for folder in set(self.marks.values()) for path in folder.glob("*.lock")]
        pids = {str(self.pid(name)): name for name in NAMES}
        async with asyncio.timeout(TAKEN_OVER_SECONDS):
            while not (found := pids.keys() & _holders(lock)):  # noqa: ASYNC110 - the kernel tells nobody
                await asyncio.sleep(0)
        return pids[found.pop()]


def _holders(lock: Path) -> set[str]:
    """The processes that hold the lock of a file, which the kernel knows by its number."""
    lines = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
    number = str(lock.stat().st_ino)
    return {words[4] for words in lines if words[1] == "FLOCK" and words[5].rpartition(":")[2] == number}


@pytest.mark.parametrize(("database_url", "machines"), FORMS, indirect=["database_url"])
def test_two_sequencers_started_by_mistake_sign_one_history(
    database_url: str, machines: int, tmp_path: Path, go_audit: Callable[..., Any]
) -> None:
    """Every head that was signed or shown is continued by the last one, no event is lost or placed twice, and each takes over."""
    pair, key = asyncio.run(_story(database_url, machines, tmp_path))
    heads, events = asyncio.run(_stored(database_url, tmp_path / "log", key.vkey))
    assert sorted(pair.committed) == sorted(event_id for event_id, _ in events)
    assert len(events) == len({place for _, place in events}) and None not in {place for _, place in events}
    assert verify_directory(tmp_path / "log", key.vkey).to_json()["findings"] == []
    sizes = [open_checkpoint(note, key).checkpoint.size for note in pair.shown]
    assert sizes == sorted(set(sizes)), "what an outsider is shown never goes back"
    assert set(pair.shown) <= set(heads)
    marks = [path.read_bytes() for folder in set(pair.marks.values()) for path in folder.glob("*.checkpoint")]
    assert machines == len(marks), "each of them signed"
    assert set(marks) <= set(heads)
    for note in [*heads[:: len(heads) // 50 or 1], *pair.shown]:
        (tmp_path / "older").write_bytes(note)
        accepted, _, reason = go_audit(tmp_path / "log", key.vkey, tmp_path / "older")
        assert accepted, reason
    logs = "".join(path.read_text() for path in tmp_path.glob("*/sequencer.log"))
    assert "ledger.sequencer_refused" not in logs and "loop.died" not in logs
    print(
        f"{len(events)} events, {len(heads)} heads, {len(sizes)} shown; taken over in {max(pair.takeovers):.2f} s at most"
    )


async def _story(url: str, machines: int, folder: Path) -> tuple[Pair, Verifier]:
    async with _started(url, machines, folder) as (pair, key):
        stop = asyncio.Event()
        working = [
            asyncio.create_task(_watch(pair, stop)),
            *(asyncio.create_task(_write(pair, stop)) for _ in range(WRITERS)),
        ]
        try:
            await _first_head(pair)
            for number in range(ROUNDS):
                await _kill(pair, NAMES[number % 2] if machines == 2 else await pair.signing(), paused=number % 2 == 1)
        finally:
            stop.set()
            await asyncio.gather(*working)
        await _published(pair)
        await _watch(pair, stop)
        return pair, key


async def _first_head(pair: Pair) -> None:
    async with asyncio.timeout(60):
        while not pair.shown:  # noqa: ASYNC110 - told by another process
            await asyncio.sleep(0.05)


async def _kill(pair: Pair, name: str, *, paused: bool) -> None:
    """Kill one, perhaps after a pause in which the other one may have worked; the other one takes over, then it comes back."""
    if paused:
        os.kill(pair.pid(name), signal.SIGSTOP)
        await asyncio.sleep(0.3)
        os.kill(pair.pid(name), signal.SIGCONT)
        await asyncio.sleep(random.uniform(0, 0.05))
    pair.processes[name].kill("sequencer")
    pair.takeovers.append(await _published(pair))
    pair.start(name)
    await asyncio.sleep(random.uniform(0.2, 0.8))  # the next kill may come before it works again


@asynccontextmanager
async def _started(url: str, machines: int, folder: Path) -> AsyncIterator[tuple[Pair, Verifier]]:
    """An API and two sequencers; on two machines each has its own marks."""
    outside = {name: value for name, value in os.environ.items() if not name.startswith("TDU_")}
    address = f"http://127.0.0.1:{free_port()}"
    common = outside | {
        "TDU_DATABASE_URL": url,
        "TDU_DATA_DIR": str(folder / "data"),
        "TDU_ISSUER": address,
        "TDU_LOG_LEVEL": "warning",
        "TDU_INDEX_SECONDS": "0.1",
    }
    gateway = GatewayProcess(address, common, url, folder / "api.log")
    done = await asyncio.to_thread(gateway.command, "init")
    assert 0 == done.returncode, done.stderr
    environments = {"api": {"api": common | {"TDU_PORT": address.rpartition(":")[2]}}}
    marks = {name: folder / (name if machines == 2 else "marks") for name in NAMES}
    for name in NAMES:
        own = {"TDU_PORT": str(free_port()), "TDU_LEDGER_MARKS": str(marks[name])}
        environments[name] = {"sequencer": common | own}
    processes = {}
    for name, environment in environments.items():
        (folder / f"of-{name}").mkdir()
        processes[name] = Processes(environment, folder / f"of-{name}")
        processes[name].start(next(iter(environment)))
    pair = Pair(gateway, Database(url), processes, marks)
    try:
        async with httpx.AsyncClient() as http, asyncio.timeout(60):
            while True:
                with suppress(httpx.TransportError):
                    vkey = (await http.get(f"{address}/ledger/vkey")).text.strip()
                    break
                await asyncio.sleep(0.1)
        yield pair, Verifier.parse(vkey)
    finally:
        await pair.database.close()
        for each in processes.values():
            each.close()


async def _watch(pair: Pair, stop: asyncio.Event) -> None:
    """An outsider who reads the public log again and again, and keeps each head it is shown."""
    async with httpx.AsyncClient() as http:
        while True:
            answer = await http.get(f"{pair.gateway.address}/ledger/checkpoint")
            if answer.status_code == 200 and pair.shown[-1:] != [answer.content]:
                pair.shown.append(answer.content)
            if stop.is_set():
                return
            await asyncio.sleep(0.02)


async def _write(pair: Pair, stop: asyncio.Event) -> None:
    """Record events, a few in each transaction, as fast as the database takes them in."""
    while not stop.is_set():
        records = []
        for _ in range(random.randint(1, 5)):
            event = Event(str(uuid4()), EventType.CONTENT_READ, datetime.now(UTC), "99900009400014")
            records.append(LedgerRecord(event, commit(event, UUID(event.id).bytes * 2), b"sealed"))
        async with pair.database.write() as tx:
            await Ledger().append(tx, records)
        pair.committed += [each.event.id for each in records]
        await asyncio.sleep(random.uniform(0, 0.02))


async def _published(pair: Pair) -> float:
    """Wait until what is recorded now is under a head that is shown; gives the seconds that it took."""
    began, event, head = time.monotonic(), ledger_events.c, ledger_checkpoints.c
    async with pair.database.read() as tx:
        last = (await tx.execute(sa.select(sa.func.max(event.seq)))).scalar_one()
    shown = sa.select(sa.func.max(head.size)).where(head.published_at.is_not(None)).scalar_subquery()
    beyond = sa.or_(event.index.is_(None), event.index >= shown, shown.is_(None))
    async with asyncio.timeout(TAKEN_OVER_SECONDS):
        while True:
            async with pair.database.read() as tx:
                if (await tx.execute(sa.select(event.seq).where(event.seq <= last, beyond).limit(1))).first() is None:
                    return time.monotonic() - began
            await asyncio.sleep(0.05)


async def _stored(url: str, directory: Path, vkey: str) -> tuple[list[bytes], Sequence[Any]]:
    """Export the log; gives every head that was ever signed, and the writers' events with their places."""
    database, event = Database(url), ledger_events.c
    async with database.read() as tx:
        await export(tx, directory, vkey)
        notes = (await tx.execute(sa.select(ledger_checkpoints.c.note).order_by(ledger_checkpoints.c.size))).scalars()
        heads = [note.encode() for note in notes]
        written = sa.select(event.id, event.index).where(event.type == EventType.CONTENT_READ.value)
        events = (await tx.execute(written)).all()
    await database.close()
    return heads, events
