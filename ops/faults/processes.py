"""
What is killed: the processes of a gateway, each of one role, and the servers beside them, with the means to start each again.

A process of the gateway is forked from one that has read the program already (the standard library's fork server), so that
hundreds of them may die in an hour on a small machine; from the fork on it is `tdu serve --role ROLE`, and nothing is shared.
A cold start, which reads the program from the disk as a supervisor's does, is `start(role, cold=True)`.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Final

from sqlalchemy.engine import make_url

from ops.services import temporary
from ops.services.probe import postgresql_version, rabbitmq_version, wait_for
from ops.services.temporary import Server

_FORKS: Final = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["ops.commands.serve", "gateway.app"])


class Processes:
    """The processes of one gateway, by role; each has its environment and its log."""

    def __init__(self, environments: Mapping[str, Mapping[str, str]], directory: Path) -> None:
        """`environments` are whole ones, by role; the logs go to `directory`."""
        self._environments = environments
        self._directory = directory
        self._running: dict[str, BaseProcess | subprocess.Popen[bytes]] = {}

    @property
    def roles(self) -> Sequence[str]:
        """The roles of these processes."""
        return tuple(self._environments)

    def pid(self, role: str) -> int:
        """The number of the process of a role."""
        return int(self._running[role].pid or 0)

    def start(self, role: str, *, cold: bool = False) -> None:
        """Start the process of a role; it needs a moment before it works."""
        environment, log = dict(self._environments[role]), self._directory / f"{role}.log"
        if cold:
            command = [sys.executable, "-m", "ops.cli", "serve", "--role", role]
            with log.open("ab") as output:
                self._running[role] = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
            return
        process = _FORKS.Process(target=_serve, args=(role, environment, str(log)), daemon=True)
        process.start()
        self._running[role] = process

    def kill(self, role: str) -> None:
        """End a process as a power failure does, and return once it is gone."""
        os.kill(self.pid(role), signal.SIGKILL)
        self._wait(role)

    def dead(self) -> list[str]:
        """The roles whose process ended by itself."""
        return [role for role, process in self._running.items() if _has_ended(process)]

    def close(self) -> None:
        """Ask every process to end, and end those that do not."""
        for process in self._running.values():
            process.terminate()
        deadline = time.monotonic() + 15
        for role, process in self._running.items():
            while not _has_ended(process) and time.monotonic() < deadline:
                time.sleep(0.05)
            if not _has_ended(process):
                self.kill(role)

    def _wait(self, role: str) -> None:
        process = self._running[role]
        if isinstance(process, subprocess.Popen):
            process.wait()
        else:
            process.join()


def _has_ended(process: BaseProcess | subprocess.Popen[bytes]) -> bool:
    if isinstance(process, subprocess.Popen):
        return process.poll() is not None
    return not process.is_alive()


def _serve(role: str, environment: Mapping[str, str], log: str) -> None:
    """In the forked process: become `tdu serve --role ROLE`."""
    os.setsid()
    output = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.environ.clear()
    os.environ.update(environment)
    from gateway.composition import Role  # noqa: PLC0415 - read by the fork server, not by whoever drives it
    from ops.commands.serve import serve  # noqa: PLC0415

    serve(role=Role(role), workers=1)


class KillableServer:
    """A PostgreSQL or a RabbitMQ of our own, that may be killed and started again with what it kept."""

    def __init__(self, server: Server, version: Callable[[str], str], mapper: Server | None = None) -> None:
        """`version` asks the server; `mapper` runs beside it."""
        self.url = server.url
        self._server, self._version, self._mapper = server, version, mapper
        self._process: subprocess.Popen[bytes] | None = None
        self._beside: subprocess.Popen[bytes] | None = None

    @classmethod
    def postgresql(cls, folder: Path) -> KillableServer:
        """A cluster in `folder`."""
        folder.mkdir(exist_ok=True)
        return cls(temporary.postgresql_in(folder), postgresql_version)

    @classmethod
    def rabbitmq(cls, folder: Path) -> KillableServer:
        """A node in `folder`."""
        folder.mkdir(exist_ok=True)
        mapper, server = temporary.rabbitmq_in(folder)
        return cls(server, rabbitmq_version, mapper)

    def start(self) -> str:
        """Start it and wait until it answers; gives its version. Raises `Unavailable`."""
        if self._mapper is not None and self._beside is None:
            self._beside = self._mapper.start()
        self._process = self._server.start()
        return wait_for(self._version, self.url, lambda: True)

    def kill(self) -> None:
        """Kill the process that clients speak to (the postmaster, or the node with the script that started it), and see it gone."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)  # PostgreSQL's children are in groups of their own, and notice
        self._process.wait()
        deadline = time.monotonic() + 5
        while _listens(self.url):
            if time.monotonic() > deadline:
                raise RuntimeError("a server that was killed still listens")
            time.sleep(0.01)

    async def start_again(self) -> None:
        """Start it after a kill until it listens; tried until the children of the one that died are gone."""
        while True:
            self._process = self._server.start()
            while self._process.poll() is None:
                await asyncio.sleep(0.1)
                if _listens(self.url):
                    return

    def control(self, *words: str) -> None:
        """Run `rabbitmqctl` on the node; raises `RuntimeError` with what it said."""
        command = [str(Path(self._server.command[0]).with_name("rabbitmqctl")), *words]
        environment = os.environ | dict(self._server.environment)
        user, folder = self._server.user, self._server.folder
        done = subprocess.run(
            command, env=environment, user=user, cwd=folder, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"rabbitmqctl {words[0]}: {(done.stderr or done.stdout)[-500:]}")

    def close(self) -> None:
        """Stop it."""
        for process in (self._process, self._beside):
            if process is not None:
                temporary.stop(process)


def _listens(url: str) -> bool:
    address = make_url(url)
    with suppress(OSError), socket.create_connection((address.host or "", address.port or 0), 1):
        return True
    return False
