"""
A gateway of the demonstration: its own data directory, a free local port, a process of its own.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

_START_SECONDS = 60


class GatewayDidNotStart(Exception):
    """The gateway's process ended or did not answer; its log says why."""


@dataclass(frozen=True, slots=True)
class GatewayProcess:
    """A gateway that answers at `address`, with the environment its other commands need."""

    address: str
    environment: Mapping[str, str]
    log: Path

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run another `tdu` command in a process of its own."""
        return subprocess.run(_tdu(*words), env=dict(self.environment), capture_output=True, text=True, check=False)


@contextmanager
def started(directory: Path) -> Iterator[GatewayProcess]:
    """Start a gateway on the embedded default in `directory`, wait until it is ready, stop it at the end."""
    port = _free_port()
    address = f"http://127.0.0.1:{port}"
    outside = {name: value for name, value in os.environ.items() if not name.startswith("TDU_")}
    environment = outside | {"TDU_DATA_DIR": str(directory / "data"), "TDU_PORT": str(port), "TDU_LOG_LEVEL": "warning"}
    log = directory / "gateway.log"
    with log.open("wb") as output:
        process = subprocess.Popen(_tdu("serve"), env=environment, stdout=output, stderr=output)
    try:
        _wait(process, address, log)
        yield GatewayProcess(address, environment, log)
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _tdu(*words: str) -> list[str]:
    return [sys.executable, "-m", "ops.cli", *words]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait(process: subprocess.Popen[bytes], address: str, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            if httpx.get(f"{address}/readyz", timeout=2).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise GatewayDidNotStart(log.read_text(errors="replace")[-2000:])
