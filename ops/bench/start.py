"""
What a cold start costs: the processor time of commands from end to end, and of each role's process from its start until it is ready.

Beside it, a bare interpreter that imports FastAPI and SQLAlchemy, in the same rounds: less than that no process that uses both may cost.
The data directory is new, on SQLite; the best of the rounds counts, since what makes a round slower is the rest of the machine.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Final

from ops.bench.measured import Goal, Measured, Say
from ops.demo.gateway_process import started

_ROUNDS: Final = 3
_TDU: Final = (sys.executable, "-m", "ops.cli")
_EXAMPLE: Final = Path(str(files("schemas"))) / "referral/v1/valid/dora-orientation.json"
_COMMANDS: Final[Mapping[str, tuple[str, ...]]] = {
    "imports_s": (sys.executable, "-c", "import fastapi, sqlalchemy.ext.asyncio"),
    "help_s": (*_TDU, "--help"),
    "adapter_list_s": (*_TDU, "adapter", "list"),
    "schema_check_s": (*_TDU, "schema", "check", str(_EXAMPLE)),
}
_ROLES: Final = ("relay", "sequencer", "keeper", "courier", "api")
_LIMITS: Final = {"help_s": 0.5, "relay_s": 1.5, "sequencer_s": 1.5, "courier_s": 1.5}


def run(say: Say) -> Measured:
    """Seconds of processor time (user and system) of each command and role, the best of three rounds."""
    tasks: dict[str, Callable[[], float]] = {name: partial(_command, *words) for name, words in _COMMANDS.items()}
    tasks |= {f"{role}_s": partial(_role, role) for role in _ROLES}
    taken: dict[str, list[float]] = {name: [] for name in tasks}
    for number in range(_ROUNDS):
        say(f"round {number + 1} of {_ROUNDS}")
        for name, task in tasks.items():
            taken[name].append(task())
    figures = {name: min(times) for name, times in taken.items()}
    return Measured(figures, {name: Goal(figures[name], most, at_most=True) for name, most in _LIMITS.items()})


def _command(*words: str) -> float:
    """One command, from its start to its end. Raises `CalledProcessError`."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(words, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _role(role: str) -> float:
    """`tdu serve --role ROLE`, until it answers that it is ready. Linux only: read in `/proc/PID/stat` (proc(5), utime and stime)."""
    with tempfile.TemporaryDirectory() as folder, started(Path(folder), roles=(role,)) as process:
        fields = Path(f"/proc/{process.pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
