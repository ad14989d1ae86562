"""
The publisher of the static log is killed, or its disk refuses, at every one of its file calls: Go's auditor, which nobody here
wrote, accepts every state that is left behind. The faults are strace's.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from consent.ledger.event import Event, EventType, LedgerRecord, commit
from consent.ledger.export import export
from consent.ledger.mark import Mark
from consent.ledger.note import Signer
from consent.ledger.sequencer import Sequencer
from consent.ledger.store import Ledger
from gateway.store.database import Database
from ops.migrations import migrate

SIGNER = Signer.from_seed("journal.valombre.example", bytes(range(32)))
OLD, NEW = 255, 300
CALLS = ("openat", "mkdir", "rename", "write", "fsync", "close")
FAULTS = ("error=EIO", "error=ENOSPC", "signal=KILL")
STEP = 1 if os.environ.get("TDU_FAULTS") == "all" else 6
"""`make faults` injects at every call; `make test` at one in six."""


class Publisher:
    """The publisher, its database of NEW entries, and a good log of the first OLD of them to start from."""

    calls = CALLS

    def __init__(self, folder: Path, strace: str) -> None:
        self.folder, self.strace = folder, strace
        self.good, self.older, self.runs = folder / "good", folder / "older", 0
        url = self.prepare()
        words = [sys.executable, str(Path(__file__).with_name("publisher.py")), url, SIGNER.vkey]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def prepare(self) -> str:
        """Make the database and the good log; gives what the publisher is told of the database."""
        url = f"sqlite+aiosqlite:///{self.folder / 'gateway.sqlite'}"
        asyncio.run(_prepare(url, self.good))
        shutil.copy(self.good / "checkpoint", self.older)
        return url

    def publish(self, *injected: str) -> tuple[Path, str]:
        """Publish into a copy of the good log while strace watches; gives the directory, and what strace wrote."""
        self.runs += 1
        directory, go, trace = (self.folder / f"{kind}-{self.runs}" for kind in ("log", "go", "trace"))
        shutil.copytree(self.good, directory)
        os.mkfifo(go)
        assert self.process.stdin is not None and self.process.stdout is not None
        print(directory, go, file=self.process.stdin, flush=True)
        pid = self.process.stdout.readline().strip()
        words = [self.strace, "-f", "-o", str(trace), "-p", pid, "-e", f"trace={','.join(self.calls)}", *injected]
        with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as tracing:
            assert tracing.stderr is not None
            assert "attached" in tracing.stderr.readline()
            with go.open("wb") as pipe:
                pipe.write(b"1")
            tracing.stderr.read()
        go.unlink()
        return directory, trace.read_text(errors="replace")

    def end(self) -> None:
        """Let the publisher go."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()


class Working(Publisher):
    """A gateway's sequencer with its own database, mark and static log: OLD entries are published, the others wait."""

    calls = ("openat", "pwrite64", "ftruncate", "unlink", "rename", "write", "fdatasync", "fsync")

    def prepare(self) -> str:
        """Make the folder that each run works on a copy of."""
        self.good.mkdir()
        url = f"sqlite+aiosqlite:///{self.good / 'gateway.sqlite'}"
        asyncio.run(_prepare(url, self.good / "log", Mark(self.good / "marks", SIGNER.verifier)))
        shutil.copy(self.good / "log" / "checkpoint", self.older)
        return "-"


async def _prepare(url: str, good: Path, mark: Mark | None = None) -> None:
    """Publish OLD entries in `good`, and have the others follow: placed too, or waiting when there is a mark."""
    database = Database(url)
    await migrate(database)
    for count in (OLD, NEW - OLD):
        records = []
        for _ in range(count):
            event = Event(str(uuid4()), EventType.CONTENT_READ, datetime.now(UTC), "99900009400014")
            records.append(LedgerRecord(event, commit(event, UUID(event.id).bytes * 2), b"sealed"))
        async with database.write() as tx:
            await Ledger().append(tx, records)
        if mark is None or count == OLD:
            await Sequencer(database.write, SIGNER, mark=mark).catch_up()
        if count == OLD:
            async with database.read() as tx:
                await export(tx, good, SIGNER.vkey)
    await database.close()


@pytest.fixture(scope="module")
def publisher(tmp_path_factory: pytest.TempPathFactory, strace: str) -> Iterator[Publisher]:
    """A publisher to be cut."""
    publisher = Publisher(tmp_path_factory.mktemp("publisher"), strace)
    yield publisher
    publisher.end()


def _points(trace: str, calls: Sequence[str]) -> list[tuple[str, int]]:
    """Every call to inject a fault at: its name and its rank, among the calls of one thread."""
    most = Counter[str]()
    for (_thread, call), count in Counter(re.findall(rf"^(\d+) +({'|'.join(calls)})\(", trace, re.MULTILINE)).items():
        most[call] = max(most[call], count)  # strace counts the calls of each thread apart
    assert set(calls) >= set(most)
    return [(call, at) for call in calls for at in range(1, most[call] + 1)]


def test_a_fault_at_every_file_call_leaves_a_log_that_a_foreign_verifier_accepts(
    publisher: Publisher, go_audit: Callable[..., Any]
) -> None:
    """
    EIO, ENOSPC and kill -9 at each openat, mkdir, rename, write, fsync and close from the moment it starts: the old log or the
    new one, never anything else, and the next run completes it.
    """
    clean, trace = publisher.publish()
    assert (True, NEW, "") == go_audit(clean, SIGNER.vkey, publisher.older)
    points = _points(trace, CALLS)
    assert set(CALLS) == {call for call, _ in points}
    left, injected = Counter[int](), 0
    for number, (call, at) in enumerate(points):
        if number % STEP:
            continue
        for fault in FAULTS:
            directory, trace = publisher.publish("-e", f"inject={call}:{fault}:when={at}")
            # How often threads wake one another differs from run to run: the last of these writes may not happen.
            injected += "INJECTED" in trace or "killed by SIGKILL" in trace
            accepted, size, reason = go_audit(directory, SIGNER.vkey, publisher.older)
            assert accepted, (call, at, fault, reason)
            left[size] += 1
            shutil.rmtree(directory)
    assert set(left) <= {OLD, NEW}, left
    assert injected > 0.8 * len(range(0, len(points), STEP)) * len(FAULTS)
    print(f"{injected} faults at {len(points)} calls: {dict(left)}")


def test_what_a_fault_left_behind_is_completed_by_the_next_run(
    publisher: Publisher, go_audit: Callable[..., Any], tmp_path: Path
) -> None:
    """Killed at its tenth write, its third rename and its last flush, it publishes the whole log when it runs again."""
    good, publisher.good = publisher.good, tmp_path / "left"
    try:
        for call, at in (("write", 3), ("rename", 3), ("fsync", 6)):
            shutil.rmtree(publisher.good, ignore_errors=True)
            shutil.copytree(good, publisher.good)
            left, _ = publisher.publish("-e", f"inject={call}:signal=KILL:when={at}")
            shutil.rmtree(publisher.good)
            left.rename(publisher.good)
            assert (True, OLD) == go_audit(publisher.good, SIGNER.vkey, publisher.older)[:2]
            whole, _ = publisher.publish()
            assert (True, NEW, "") == go_audit(whole, SIGNER.vkey, publisher.older)
    finally:
        publisher.good = good


def test_a_sequencer_cut_at_any_file_call_never_contradicts_itself(
    tmp_path: Path, strace: str, go_audit: Callable[..., Any]
) -> None:
    """
    EIO, ENOSPC and kill -9 while it places, signs, marks and publishes: what it left is accepted, and another one started on it
    agrees with its mark, takes in whatever waited and publishes a log that continues the old one.
    """
    working = Working(tmp_path, strace)
    try:
        clean, trace = working.publish()
        assert (True, NEW, "") == go_audit(clean / "log", SIGNER.vkey, working.older)
        points, left = _points(trace, working.calls), Counter[int]()
        assert {"pwrite64", "fdatasync", "rename", "fsync"} <= {call for call, _ in points}
        for call, at in points[:: STEP * 2 if STEP > 1 else 1]:
            for fault in FAULTS:
                directory, _ = working.publish("-e", f"inject={call}:{fault}:when={at}")
                accepted, size, reason = go_audit(directory / "log", SIGNER.vkey, working.older)
                assert accepted, (call, at, fault, reason)
                left[size] += 1
                good, working.good = working.good, directory
                mended, _ = working.publish()
                working.good = good
                again = go_audit(mended / "log", SIGNER.vkey, working.older)
                assert (True, NEW, "") == again, (call, at, fault, again)
                shutil.rmtree(directory)
                shutil.rmtree(mended)
        assert set(left) <= {OLD, NEW}, left
        print(f"{sum(left.values())} faults at {len(points)} calls: {dict(left)}")
    finally:
        working.end()
