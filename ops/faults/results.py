"""
The report of campaigns, written from what they kept: nothing in it is typed by hand.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ops.faults.progress import RECOVERY_SECONDS, Progress, summary

_COUNTS = {
    "promised": "exchanges acknowledged by a 202",
    "received": "of these, in their recipient's hands",
    "lost": "acknowledged and lost",
    "twice": "effects twice",
    "undisclosed": "disclosures without their event in the exported log",
    "set_aside": "healthy messages set aside",
    "parked": "messages in the bus's dead letters",
    "unsent": "rows left in the outbox",
    "handed_over_again": "handed over again before their acknowledgement, under the same id (at least once)",
    "log_size": "entries of the log",
    "log_verified": "the exported log verifies",
}


def written(folders: Sequence[Path]) -> str:
    """The report, in Markdown."""
    lines = [
        "# Faults: what was broken, and what was lost",
        "",
        "Written by `tdu faults report` from what the campaigns kept. A recovery is the time from a kill, or from the end of a",
        "fault, until an exchange sent after it is in its recipient's hands; the goal is "
        f"{RECOVERY_SECONDS} s, and `late` counts what took longer.",
        "What was lost, doubled or disclosed without an event is counted from what the partners wrote down and the exported log.",
    ]
    for folder in folders:
        lines += _campaign(Progress(folder))
    return "\n".join(lines) + "\n"


def _campaign(progress: Progress) -> Iterator[str]:
    notes = progress.notes
    versions = notes.get("versions")
    form = " and ".join(f"{name} {version}" for name, version in versions.items()) if versions else "SQLite"
    yield from ("", f"## {form}", "")
    yield f"From {notes['began']} to {notes.get('written', '')}. Commands, in the order in which they went on in one folder:"
    yield from ("", *(f"    {command}" for command in notes.get("commands", ())), "")
    if "code" in notes:  # campaigns begun before each command told its own
        yield from (f"The first of these tried revision {notes['code']}.", "")
    if load := notes.get("load"):
        told = f"median {statistics.median(load):g}, highest {max(load):g}, on {os.cpu_count()} processors"
        yield f"Load average of the machine at the rounds, other work included: {told}."
        yield ""
    yield from _rounds(progress)
    for name in ("webhook_outage", "poison", "ended_by_themselves", "poisoned"):
        if name in notes:
            yield f"- {name.replace('_', ' ')}: {_told(notes[name])}"
    if "soak" in notes:
        yield from _soak(notes["soak"])
    counted = notes.get("accounts")
    if counted is None:
        yield f"Not over: no accounts yet; {notes.get('promised', 0)} exchanges promised so far."
        return
    yield from ("", "| counted at the end | |", "|---|---|")
    yield from (f"| {text} | {_told(counted[name])} |" for name, text in _COUNTS.items())
    for name in ("poison_set_aside", "unexpected_answers"):
        if counted[name]:
            yield f"| {name.replace('_', ' ')} | {_told(counted[name])} |"


def _rounds(progress: Progress) -> Iterator[str]:
    yield from ("| fault | rounds | median s | longest s | late |", "|---|---|---|---|---|")
    for name, rounds in sorted(progress.phases.items()):
        found = summary(rounds)
        if "outage" in name:  # how long a partner is tried later is its policy
            found["late"] = "not counted"
        yield f"| {name.replace(':', ': ')} | {found['rounds']} | {found['median']} | {found['longest']} | {found['late']} |"
    yield ""


def _soak(soak: dict[str, Any]) -> Iterator[str]:
    yield from ("", f"Soak of {soak['minutes']:g} minutes, a fault a minute, after the warm-up:", "")
    yield from (
        "| process | memory kB, early | late | growth % | descriptors, early | late | growth % |",
        "|---|---|---|---|---|---|---|",
    )
    for role, held in soak["roles"].items():
        cells = [
            held[kind][name] for kind in ("memory_kb", "descriptors") for name in ("early", "late", "growth_percent")
        ]
        yield f"| {role} | " + " | ".join(map(str, cells)) + " |"


def _told(value: Any) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{name}: {_told(each)}" for name, each in value.items()) or "none"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
