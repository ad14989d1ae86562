"""
Endurance: a fault a minute, and what each process of the gateway holds of memory and of file descriptors meanwhile.
"""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from ops.faults.territory import Territory

FAULT_SECONDS: Final = 60
_SAMPLE_SECONDS: Final = 5
_WARM_SHARE: Final = 5
"""The first fifth fills caches and pools, and is left out."""


async def soaked(territory: Territory, minutes: float, fault: Callable[[], Awaitable[None]]) -> dict[str, Any]:
    """
    Go on for some minutes with a fault each minute; gives for each role the medians of the second and of the last quarter of
    what was sampled after the warm-up: resident memory (kB) and descriptors, with the growth between them in percent.
    """
    samples: dict[str, list[tuple[int, int]]] = {role: [] for role in territory.processes.roles}
    loop = asyncio.get_running_loop()
    began = loop.time()
    next_fault = began + FAULT_SECONDS
    while loop.time() - began < minutes * 60:
        if loop.time() >= next_fault:
            next_fault += FAULT_SECONDS
            await fault()
        for role, taken in samples.items():
            with suppress(OSError):
                taken.append(_held(territory.processes.pid(role)))
        await asyncio.sleep(_SAMPLE_SECONDS)
    return {"minutes": minutes, "roles": {role: _growth(taken) for role, taken in samples.items()}}


def _held(pid: int) -> tuple[int, int]:
    """Resident memory in kB, and open descriptors, of a process of this machine."""
    process = Path("/proc") / str(pid)
    status = (process / "status").read_text()
    resident = int(status.partition("VmRSS:")[2].split()[0])
    return resident, sum(1 for _ in (process / "fd").iterdir())


def _growth(taken: list[tuple[int, int]]) -> dict[str, Any]:
    warm = taken[len(taken) // _WARM_SHARE :]
    quarter = max(1, len(warm) // 4)
    told: dict[str, Any] = {"samples": len(taken)}
    for place, name in enumerate(("memory_kb", "descriptors")):
        early = statistics.median(each[place] for each in warm[quarter : 2 * quarter] or warm)
        late = statistics.median(each[place] for each in warm[-quarter:])
        told[name] = {"early": early, "late": late, "growth_percent": round(100 * (late / early - 1), 2)}
    return told
