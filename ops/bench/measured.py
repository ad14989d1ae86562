"""
What a bench gives: figures, the goals that some of them must meet, and the machine on which they were taken.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Say = Callable[[str], None]
"""Where a bench tells what it is doing; it goes to stderr."""


@dataclass(frozen=True, slots=True)
class Goal:
    """
    A bound on a figure, which has the same name: at least `goal`, or at most.
    """

    value: float
    goal: float
    at_most: bool = False

    @property
    def met(self) -> bool:
        """Whether the figure is on the right side of its bound."""
        return self.value <= self.goal if self.at_most else self.value >= self.goal


@dataclass(frozen=True, slots=True)
class Measured:
    """
    The figures of one run, with their units in their names (`_us`, `_per_s`, `_ratio`), and the goals.
    """

    figures: Mapping[str, float]
    goals: Mapping[str, Goal] = field(default_factory=dict)

    @property
    def met(self) -> bool:
        """Whether every goal is met."""
        return all(goal.met for goal in self.goals.values())

    def as_json(self, bench: str) -> dict[str, Any]:
        """The result as `tdu bench --json` prints it."""
        goals = {name: {"value": _short(g.value), "goal": g.goal, "met": g.met} for name, g in self.goals.items()}
        return {
            "bench": bench,
            "figures": {name: _short(value) for name, value in self.figures.items()},
            "goals": goals,
            "command": f"tdu bench {bench}",
            "machine": machine(),
        }


def machine() -> dict[str, Any]:
    """
    The machine and the interpreter: figures mean nothing without them, and are only compared within one run.
    """
    model = platform.processor()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), model)
    return {
        "processor": model,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def microseconds(*tasks: Callable[[], object], rounds: int = 7, seconds: float = 0.05) -> list[float]:
    """
    The processor time of one call of each task, in microseconds: the best of rounds in which the tasks take turns.

    For tasks that only compute: what makes a round slower than the best is the rest of the machine, and taking turns makes
    it fall on all tasks alike. One round of one task lasts `seconds`.
    """
    counts = [_calls_in(task, seconds) for task in tasks]
    taken: list[list[float]] = [[] for _ in tasks]
    for _ in range(rounds):
        for task, count, times in zip(tasks, counts, taken, strict=True):
            times.append(_time(task, count) / count * 1e6)
    return [min(times) for times in taken]


def _calls_in(task: Callable[[], object], seconds: float) -> int:
    task()  # what is made once, at the first call, is not what is measured
    count = 1
    while (taken := _time(task, count)) < seconds / 10:
        count *= 4
    return max(1, int(count * seconds / taken))


def _time(task: Callable[[], object], count: int) -> float:
    begun = time.process_time()
    for _ in range(count):
        task()
    return time.process_time() - begun


def _short(value: float) -> float:
    """
    Four significant figures: more would be noise.
    """
    return float(f"{value:.4g}")
