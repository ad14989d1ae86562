"""
A load on one port of this machine: requests written beforehand, sent over connections kept open, in a process of its own.

    answer = load(port, requests, connections=32)              as fast as answers come
    answer = load(port, requests, connections=64, rate=500)    so many a second, whether answers come or not

The latency of a paced request counts from the moment it was due: a server that stalls is not excused for what it kept waiting.
"""

from __future__ import annotations

import asyncio
import json
import pickle
import subprocess
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

_PATIENCE: Final = 120


@dataclass(frozen=True, slots=True)
class Answered:
    """What came back: `statuses` counts the HTTP codes, latencies are in milliseconds."""

    seconds: float
    statuses: dict[str, int]
    p50_ms: float
    p99_ms: float
    taken: list[tuple[str, float, float]] = field(default_factory=list)
    """Each exchange taken in, with the times (seconds since 1970) when its request was due and when its answer came."""

    def per_s(self, status: int) -> float:
        """Requests a second answered with `status`; raises `UnexpectedAnswers` when others came too."""
        if set(self.statuses) != {str(status)}:
            raise UnexpectedAnswers(f"{self.statuses} instead of {status} only")
        return self.statuses[str(status)] / self.seconds


class UnexpectedAnswers(Exception):
    """The server answered something else than what is measured: the figure would mean nothing."""


def load(port: int, requests: Sequence[bytes], *, connections: int, rate: float | None = None) -> Answered:
    """Send whole HTTP/1.1 requests to 127.0.0.1 in another process, and give what it measured."""
    with tempfile.TemporaryDirectory(prefix="tdu-load-") as directory:
        prepared = Path(directory) / "requests"
        prepared.write_bytes(pickle.dumps((port, list(requests), connections, rate)))
        answered = Path(directory) / "answered"
        command = [sys.executable, "-m", "ops.bench.load", str(prepared), str(answered)]
        subprocess.run(command, check=True, timeout=_PATIENCE + 30)
        return Answered(**json.loads(answered.read_bytes()))


class _Connection(asyncio.Protocol):
    """One kept-open connection, one request at a time; answers have a Content-Length."""

    def __init__(self, run: _Run) -> None:
        self._run = run
        self._received = bytearray()
        self._due = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._run.free(self)

    def send(self, request: bytes, due: float) -> None:
        self._due = due
        self._transport.write(request)  # type: ignore[attr-defined]  # the base class has no `write`

    def data_received(self, data: bytes) -> None:
        self._received += data
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self._received[:end]).lower()
        length = int(head.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
        if len(self._received) >= end + 4 + length:
            status, body = head[9:12].decode(), bytes(self._received[end + 4 : end + 4 + length])
            del self._received[: end + 4 + length]
            self._run.answered(status, body, self._due)
            self._run.free(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._run.lost(exc)


class _Run:
    def __init__(self, requests: Sequence[bytes], rate: float | None) -> None:
        self._requests = deque(requests)
        self._count = len(requests)
        self._rate = rate
        self._due: deque[tuple[bytes, float]] = deque()
        self._idle: list[_Connection] = []
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.statuses: Counter[str] = Counter()
        self.latencies: list[float] = []
        self.answers: list[tuple[bytes, float, float]] = []

    def free(self, connection: _Connection) -> None:
        if self._due:
            connection.send(*self._due.popleft())
        elif self._rate is None and self._requests:
            connection.send(self._requests.popleft(), time.perf_counter())
        else:
            self._idle.append(connection)

    async def pace(self) -> None:
        """Make requests due at their moments, whatever becomes of the earlier ones."""
        assert self._rate is not None
        begun = time.perf_counter()
        for rank in range(self._count):
            due = begun + rank / self._rate
            if (wait := due - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            self._due.append((self._requests.popleft(), due))
            if self._idle:
                self.free(self._idle.pop())

    def answered(self, status: str, body: bytes, due: float) -> None:
        now = time.perf_counter()
        self.statuses[status] += 1
        self.latencies.append(now - due)
        self.answers.append((body, due, now))
        if len(self.latencies) == self._count and not self.ended.done():
            self.ended.set_result(None)

    def lost(self, error: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_exception(ConnectionError(f"the server hung up: {error}"))


async def _main(port: int, requests: Sequence[bytes], connections: int, rate: float | None) -> Answered:
    loop = asyncio.get_running_loop()
    run = _Run(requests, rate)
    begun = time.perf_counter()
    transports = [
        (await loop.create_connection(lambda: _Connection(run), "127.0.0.1", port))[0] for _ in range(connections)
    ]
    pacing = asyncio.create_task(run.pace()) if rate is not None else None
    await asyncio.wait_for(run.ended, _PATIENCE)
    seconds = time.perf_counter() - begun
    if pacing is not None:
        await pacing
    for transport in transports:
        transport.close()
    ordered = sorted(run.latencies)
    p50, p99 = (ordered[min(len(ordered) - 1, int(len(ordered) * part))] * 1000 for part in (0.5, 0.99))
    return Answered(seconds, dict(run.statuses), p50, p99, list(_taken(run.answers)))


def _taken(answers: Sequence[tuple[bytes, float, float]]) -> Iterator[tuple[str, float, float]]:
    """Read the exchanges in the answers, once the load is over; the references answer with none."""
    offset = time.time() - time.perf_counter()
    for body, due, came in answers:
        for exchange in json.loads(body).get("exchanges", ()):
            yield exchange.get("exchange", ""), due + offset, came + offset


if __name__ == "__main__":
    import uvloop

    prepared = pickle.loads(Path(sys.argv[1]).read_bytes())  # noqa: S301 - written by `load`, just now
    Path(sys.argv[2]).write_text(json.dumps(asdict(uvloop.run(_main(*prepared)))), encoding="utf-8")
