"""
How far a campaign is, in one JSON file that is whole after every round.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

RECOVERY_SECONDS: Final = 15
"""What a recovery may take."""


@dataclass(slots=True)
class Progress:
    """How far a campaign is, kept in its folder."""

    folder: Path
    phases: dict[str, list[float | None]] = field(default_factory=dict)
    """By phase and kind, the recovery of each round; None when it did not come back in time."""
    notes: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Read what an earlier part did."""
        if self._file.exists():
            kept = json.loads(self._file.read_text())
            self.phases, self.notes = kept["phases"], kept["notes"]
        self.notes.setdefault("began", _now())

    @property
    def _file(self) -> Path:
        return self.folder / "progress.json"

    def done(self, phase: str) -> int:
        """Rounds of a phase that are over."""
        return sum(len(rounds) for name, rounds in self.phases.items() if name.partition(":")[0] == phase)

    def add(self, phase: str, kind: str, recovery: float | None) -> None:
        """A round is over."""
        rounded = None if recovery is None else round(recovery, 2)
        self.phases.setdefault(f"{phase}:{kind}", []).append(rounded)
        self.notes.setdefault("load", []).append(round(os.getloadavg()[0], 1))
        self.write()

    def began_again(self, command: str) -> None:
        """A command begins, or goes on with what an earlier one left."""
        self.note("commands", [*self.notes.get("commands", ()), f"{command}    # {_now()}, revision {_revision()}"])

    def note(self, name: str, value: Any) -> None:
        """Keep a fact."""
        self.notes[name] = value
        self.write()

    def write(self) -> None:
        """Write the file whole, or leave the one before."""
        partial = self._file.with_suffix(".partial")
        kept = {"phases": self.phases, "notes": self.notes | {"written": _now()}}
        partial.write_text(json.dumps(kept, ensure_ascii=False, indent=1))
        partial.replace(self._file)


def summary(rounds: Sequence[float | None]) -> dict[str, Any]:
    """How the rounds of one kind recovered."""
    times = [each for each in rounds if each is not None]
    late = len(rounds) - len([each for each in times if each <= RECOVERY_SECONDS])
    return {
        "rounds": len(rounds),
        "median": round(statistics.median(times), 2) if times else None,
        "longest": max(times, default=None),
        "late": late,
    }


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _revision() -> str:
    """The revision of the code that is tried, when it comes from a repository."""
    folder = Path(__file__).parent
    try:
        done = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], cwd=folder, capture_output=True, text=True, check=False
        )
    except OSError:
        return "unknown"
    return done.stdout.strip() or "unknown"
