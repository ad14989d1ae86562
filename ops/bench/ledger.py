"""
`tdu bench ledger`: the log at a thousand entries and at a million: what appending costs beside the database's own bulk insert, how
fast a receipt and a search answer as it grows, how fast and in how much memory the offline verifier reads it whole, and how long
after the 202 of an exchange its receipt is there.

`TDU_BENCH_LEDGER_ENTRIES` makes it smaller; goals are only judged at a million. `TDU_BENCH_LEDGER_DATABASE` is an empty PostgreSQL
database (`postgresql+asyncpg://…`) to measure instead of SQLite; the receipts after the 202 stay those of the embedded gateway.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid4

import httpx
import sqlalchemy as sa

from consent.ledger import indexer, search
from consent.ledger.event import Event, EventType, LedgerRecord, commit
from consent.ledger.export import export
from consent.ledger.lists import Covered
from consent.ledger.mark import Mark
from consent.ledger.note import Signer
from consent.ledger.sequencer import Sequencer
from consent.ledger.store import Ledger
from gateway.store.database import Database
from ops.bench.measured import Goal, Measured, Say
from ops.bench.territory import referral, territory
from ops.demo.gateway_process import started
from ops.migrations import migrate

ENTRIES: Final = int(os.environ.get("TDU_BENCH_LEDGER_ENTRIES", "1000000"))
DATABASE: Final = os.environ.get("TDU_BENCH_LEDGER_DATABASE", "")
STEPS: Final = (1_000, 10_000, 100_000, 1_000_000)
CHUNK: Final = 10_000
PLAIN_EVERY: Final = 5
"""One chunk in so many is inserted beside, as plain rows without index: the database's own rate."""
ASKED: Final = 200
RECEIPTS: Final = 60
_SIRETS: Final = tuple(f"9990000{number:07d}" for number in range(40))
_BEGUN: Final = datetime(2026, 1, 1, tzinfo=UTC)


def run(say: Say) -> Measured:
    """Measure on the database that is given, or on a SQLite file of the temporary folder."""
    with tempfile.TemporaryDirectory(prefix="tdu-bench-") as directory:
        return asyncio.run(_measure(Path(directory), say))


async def _measure(folder: Path, say: Say) -> Measured:
    figures = {f"receipt_after_202_{name}_ms": value for name, value in (await _receipts(folder, say)).items()}
    database = Database(DATABASE or f"sqlite+aiosqlite:///{folder / 'ledger.sqlite'}")
    await migrate(database)
    log = _Log(database, folder)
    await log.prepare()
    for size in (size for size in STEPS if size <= ENTRIES):
        await log.grow_to(size)
        say(f"{size:,} entrées")
        figures[f"proof_ms_at_{size}"] = await _median(log.proof)
        figures[f"search_ms_at_{size}"] = await _median(log.search)
        if size >= 10_000:
            figures |= await log.verified(size)
    figures |= log.rates()
    await database.close()
    return Measured(figures, _goals(figures))


def _goals(figures: dict[str, float]) -> dict[str, Goal]:
    goals = {"receipt_after_202_p99_ms": Goal(figures["receipt_after_202_p99_ms"], 1_000, at_most=True)}
    if STEPS[-1] > ENTRIES:
        return goals
    # A tree a thousand times larger has ten levels more: three tiles instead of two are read.
    figures["proof_growth_ratio"] = figures["proof_ms_at_1000000"] / figures["proof_ms_at_1000"]
    figures["search_growth_ratio"] = figures["search_ms_at_1000000"] / figures["search_ms_at_1000"]
    figures["verify_memory_ratio"] = figures["verify_mb_at_1000000"] / figures["verify_mb_at_10000"]
    return goals | {
        "append_ratio": Goal(figures["append_ratio"], 0.15),
        "proof_growth_ratio": Goal(figures["proof_growth_ratio"], 3.0, at_most=True),
        "search_growth_ratio": Goal(figures["search_growth_ratio"], 4.0, at_most=True),
        "verify_memory_ratio": Goal(figures["verify_memory_ratio"], 1.25, at_most=True),
    }


class _Log:
    """A log that grows, and what it took."""

    def __init__(self, database: Database, folder: Path) -> None:
        self._database = database
        self._folder = folder
        self._signer = Signer.from_seed("journal.valombre.example", bytes(range(32)))
        mark = Mark(folder / "marks", self._signer.verifier)
        self._sequencer = Sequencer(database.write, self._signer, mark=mark)
        self._plain = sa.Table(
            "plain", sa.MetaData(), *(sa.Column(name, sa.LargeBinary) for name in ("id", "entry", "sealed", "body"))
        )
        self._size = self._indexed = self._plainly = self._chunks = 0
        self._spent = {"append": 0.0, "integrate": 0.0, "plain": 0.0, "index": 0.0}
        self._ids: list[str] = []

    async def prepare(self) -> None:
        """Make the table of plain rows."""
        async with self._database.engine.begin() as connection:
            await connection.run_sync(self._plain.metadata.create_all)

    async def grow_to(self, size: int) -> None:
        """Append events and integrate them, a transaction of CHUNK events after the other."""
        while self._size < size:
            records = [self._record() for _ in range(min(CHUNK, size - self._size))]
            self._size += len(records)
            self._ids += [records[0].event.id, records[-1].event.id]
            begun = time.perf_counter()
            async with self._database.write() as tx:
                await Ledger().append(tx, records)
            appended = time.perf_counter()
            await self._sequencer.catch_up()
            self._spent["append"] += appended - begun
            self._spent["integrate"] += time.perf_counter() - appended
            if self._chunks % PLAIN_EVERY == 0:
                await self._insert_plainly(records)
            self._chunks += 1
            await self._index()

    async def _insert_plainly(self, records: list[LedgerRecord]) -> None:
        rows = [
            {"id": UUID(one.event.id).bytes, "entry": one.entry, "sealed": one.sealed, "body": one.event.canonical()}
            for one in records
        ]
        begun = time.perf_counter()
        async with self._database.write() as tx:
            await tx.execute(sa.insert(self._plain), rows)
        self._spent["plain"] += time.perf_counter() - begun
        self._plainly += len(rows)

    async def _index(self) -> None:
        begun = time.perf_counter()
        while True:
            async with self._database.write() as tx:
                if await indexer.extend(tx, self._covering) is None:
                    break
            await self._sequencer.catch_up()
        self._spent["index"] += time.perf_counter() - begun
        self._indexed = self._size

    def _covering(self, covered: Covered) -> LedgerRecord:
        self._size += 1
        record = self._record(EventType.INDEX_EXTENDED)
        return replace(record, entry=covered.encode())

    def _record(self, kind: EventType = EventType.DISCLOSURE_MADE) -> LedgerRecord:
        number = self._size + len(self._ids)
        body = {"recipient": _SIRETS[number % 40], "exchange_id": str(uuid4()), "purpose": "inform_about_rights"}
        at = _BEGUN + timedelta(seconds=5 * self._size)
        event = Event(str(uuid4()), kind, at, _SIRETS[(number + 1) % 40], body)
        return LedgerRecord(event, commit(event, UUID(event.id).bytes * 2), b"\0" * 300)

    async def proof(self, rank: int) -> None:
        """Make the receipt of some event."""
        async with self._database.read() as tx:
            assert await Ledger().receipt(tx, self._ids[rank * 7919 % len(self._ids)]) is not None

    async def search(self, rank: int) -> None:
        """Read a page of an organisation's events of one day, with its proof that none is missing."""
        day = _BEGUN.date().toordinal() - 719_163
        async with self._database.read() as tx:
            await search.page(tx, search.Asked("partner", _SIRETS[rank % 40], day, day), None, 20)

    async def verified(self, size: int) -> dict[str, float]:
        """Export the log, and have the offline verifier read it whole in a process of its own."""
        directory, begun = self._folder / "log", time.perf_counter()
        async with self._database.read() as tx:
            head = await export(tx, directory, self._signer.vkey)
        exported = time.perf_counter()
        assert head is not None
        figures = await asyncio.to_thread(_verified_whole, directory, self._signer.vkey, size)
        return {f"export_to_{size}_per_s": head.size / (exported - begun), **figures}

    def rates(self) -> dict[str, float]:
        """Entries a second: appended and integrated, each apart, and plain rows inserted in bulk beside them."""
        whole = self._size / (self._spent["append"] + self._spent["integrate"])
        plain = self._plainly / self._spent["plain"]
        return {
            "append_per_s": self._size / self._spent["append"],
            "integrate_per_s": self._size / self._spent["integrate"],
            "append_and_integrate_per_s": whole,
            "bulk_insert_per_s": plain,
            "append_ratio": whole / plain,
            "index_per_s": self._indexed / self._spent["index"],
        }


_VERIFY: Final = """
import re, sys, time
from ops.verifier.program import main
code = main([sys.argv[1], "--vkey", sys.argv[2], "--no-state", "--json"])
print(time.process_time(), re.search("VmHWM: *([0-9]+)", open("/proc/self/status").read().replace(chr(9), " "))[1], file=sys.stderr)
sys.exit(code)
"""
"""The verifier, then the processor time and the memory (kB) that its process took."""


def _verified_whole(directory: Path, vkey: str, size: int) -> dict[str, float]:
    done = subprocess.run([sys.executable, "-c", _VERIFY, str(directory), vkey], capture_output=True, check=True)
    seconds, kilobytes = done.stderr.split()
    entries = json.loads(done.stdout)["checked"]["entries"]
    return {f"verify_per_s_at_{size}": entries / float(seconds), f"verify_mb_at_{size}": int(kilobytes) / 1024}


async def _median(ask: Callable[[int], Awaitable[None]]) -> float:
    taken = []
    for rank in range(ASKED):
        begun = time.perf_counter()
        await ask(rank)
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken) * 1_000


async def _receipts(folder: Path, say: Say) -> dict[str, float]:
    """Milliseconds from the 202 of a referral to its receipt, asked for again and again over HTTP; embedded mode."""
    say("reçus")
    home, taken = folder / "gateway", list[float]()
    home.mkdir()
    with started(home, {"TDU_LIMIT_REQUESTS": "", "TDU_LIMIT_SUBJECTS": ""}) as gateway:
        async with territory(gateway) as sender, httpx.AsyncClient(timeout=30):
            for rank in range(RECEIPTS):
                document = referral(sender.people[rank % len(sender.people)], rank)
                [told] = (await sender.partner.call("POST", "/v1/referrals", json=document)).json()["exchanges"]
                begun = time.perf_counter()
                await _receipt(sender.partner, told["exchange"])
                taken.append((time.perf_counter() - begun) * 1_000)
    return {"p50": statistics.median(taken), "p99": sorted(taken)[int(len(taken) * 0.99)]}


async def _receipt(partner: Any, exchange: str) -> None:
    while True:
        answer = await partner.call("GET", f"/v1/exchanges/{exchange}/receipt", expect=(200, 409))
        if answer.status_code == 200:
            return
        await asyncio.sleep(0.005)
