"""
A gateway of the demonstration: its own data directory, a free local port, a process of its own.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

_START_SECONDS = 180


class GatewayDidNotStart(Exception):
    """The gateway's process ended or did not answer; its log says why."""


@dataclass(frozen=True, slots=True)
class GatewayProcess:
    """
    A gateway that answers at `address` and keeps its data at `database`, with the environment its other commands need.

    `pid` is the process that serves the API; 0 when somebody else started it.
    """

    address: str
    environment: Mapping[str, str]
    database: str
    log: Path
    pid: int = 0

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run another `tdu` command in a process of its own."""
        return subprocess.run(_tdu(*words), env=dict(self.environment), capture_output=True, text=True, check=False)


@contextmanager
def started(
    directory: Path, settings: Mapping[str, str] | None = None, roles: Sequence[str] = ("all",), workers: int = 1
) -> Iterator[GatewayProcess]:
    """
    Start a gateway in `directory`, wait until it is ready, stop it at the end.

    By default the embedded one, in one process. `settings` are other TDU_ variables (a database, a bus) and `roles` the
    processes it is made of; the first one serves the API, by so many `workers`.
    """
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    outside = {name: value for name, value in os.environ.items() if not name.startswith("TDU_")}
    environment = outside | {
        "TDU_DATA_DIR": str(directory / "data"),
        "TDU_ISSUER": address,
        "TDU_LOG_LEVEL": "warning",
        **(settings or {}),
    }
    database = (
        environment.get("TDU_DATABASE_URL") or f"sqlite+aiosqlite:///{directory / 'data' / 'trait-dunion.sqlite'}"
    )
    log = directory / "gateway.log"
    with log.open("ab") as output:
        subprocess.run(_tdu("init"), env=environment, stdout=output, stderr=output, check=False)
        processes = [
            subprocess.Popen(
                _tdu("serve", "--role", role, *(["--workers", str(workers)] if rank == 0 and workers > 1 else [])),
                env=environment | {"TDU_PORT": str(port if rank == 0 else free_port())},
                stdout=output,
                stderr=output,
            )
            for rank, role in enumerate(roles)
        ]
    try:
        _wait(processes, address, log)
        yield GatewayProcess(address, environment, database, log, processes[0].pid)
    finally:
        _stop(processes)


def _stop(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        process.terminate()
    for process in processes:
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _tdu(*words: str) -> list[str]:
    return [sys.executable, "-m", "ops.cli", *words]


def free_port() -> int:
    """A port of this machine on which nobody listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait(processes: Sequence[subprocess.Popen[bytes]], address: str, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if any(process.poll() is not None for process in processes):
            break
        try:
            if httpx.get(f"{address}/readyz", timeout=2).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise GatewayDidNotStart(log.read_text(errors="replace")[-2000:])
