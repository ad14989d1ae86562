"""
What the partners know by themselves, written down at once: what was promised to them (each 202), and what they received.

Two files of lines, appended and never changed, so that a campaign that is stopped goes on from them.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(slots=True)
class _Wait:
    """Somebody waits for an exchange sent after an instant to reach a recipient."""

    recipient: str
    since: float
    arrived: asyncio.Future[float]


@dataclass(slots=True)
class Journal:
    """The accounts of the partners, kept in a folder; times are those of one clock (seconds)."""

    folder: Path
    promised: dict[str, tuple[str, float]] = field(default_factory=dict)
    """By delivery: to whom, and when the request that was answered 202 was sent."""
    received: Counter[str] = field(default_factory=Counter)
    """By delivery, how many times it was handed over."""
    documents: dict[tuple[str, str], str] = field(default_factory=dict)
    """By recipient and document, the delivery that brought it first."""
    closed: set[str] = field(default_factory=set)
    """Deliveries whose acknowledgement the gateway confirmed to the recipient."""
    twice: list[str] = field(default_factory=list)
    """Effects that happened twice, each with what is wrong."""
    refused: Counter[str] = field(default_factory=Counter)
    """Answers that no retry can change, and nobody expected."""
    _waits: list[_Wait] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Read what an earlier part of the campaign wrote."""
        for line in self._lines("promised"):
            self.promised[line["delivery"]] = (line["to"], 0.0)
        for line in self._lines("received"):
            self._receive(line["to"], line["delivery"], line["document"])
        for line in self._lines("closed"):
            self.closed.update(line["deliveries"])

    def promise(self, recipient: str, deliveries: Iterable[str], sent_at: float) -> None:
        """A 202 came for these deliveries."""
        deliveries = list(deliveries)
        self._write("promised", [{"delivery": each, "to": recipient} for each in deliveries])
        for each in deliveries:
            self.promised[each] = (recipient, sent_at)
        if any(each in self.received for each in deliveries):
            self._arrived(recipient, sent_at)

    def receive(self, recipient: str, deliveries: Sequence[tuple[str, str]]) -> None:
        """A recipient was handed these deliveries, each with its document."""
        self._write("received", [{"to": recipient, "delivery": d, "document": doc} for d, doc in deliveries])
        for delivery, document in deliveries:
            if delivery in self.closed:
                self.twice.append(f"{delivery} was offered again after its acknowledgement was confirmed")
            self._receive(recipient, delivery, document)
        sent = [self.promised[delivery][1] for delivery, _ in deliveries if delivery in self.promised]
        if sent:
            self._arrived(recipient, max(sent))

    def close(self, deliveries: Iterable[str]) -> None:
        """The gateway confirmed these acknowledgements."""
        deliveries = list(deliveries)
        self._write("closed", [{"deliveries": deliveries}])
        self.closed.update(deliveries)

    async def recovered(self, recipient: str, since: float, patience: float = 120) -> float | None:
        """
        Seconds from `since` until an exchange that was sent after it, and promised, is in the recipient's hands.

        None when that does not happen within `patience` seconds.
        """
        wait = _Wait(recipient, since, asyncio.get_running_loop().create_future())
        self._waits.append(wait)
        try:
            return await asyncio.wait_for(wait.arrived, patience) - since
        except TimeoutError:
            return None
        finally:
            self._waits.remove(wait)

    def missing(self, recipient: str | None = None) -> list[str]:
        """What was promised, to one recipient or to all, and not received."""
        return [
            delivery
            for delivery, (to, _) in self.promised.items()
            if delivery not in self.received and recipient in (None, to)
        ]

    async def arrived(self, wanted: Iterable[str], patience: float) -> None:
        """Wait until some deliveries are received; at most so many seconds."""
        until, left = time.monotonic() + patience, set(wanted)
        while True:
            left -= self.received.keys()
            if not left or time.monotonic() > until:
                return
            await asyncio.sleep(0.5)

    def _receive(self, recipient: str, delivery: str, document: str) -> None:
        first = self.documents.setdefault((recipient, document), delivery)
        if first != delivery:
            self.twice.append(f"one document came to {recipient} as {first} and as {delivery}")
        self.received[delivery] += 1

    def _arrived(self, recipient: str, sent_at: float) -> None:
        for wait in self._waits:
            if wait.recipient == recipient and sent_at > wait.since and not wait.arrived.done():
                wait.arrived.set_result(time.monotonic())

    def _write(self, name: str, lines: Iterable[dict[str, Any]]) -> None:
        with (self.folder / f"{name}.jsonl").open("a") as file:
            file.writelines(json.dumps(line) + "\n" for line in lines)

    def _lines(self, name: str) -> Iterable[dict[str, Any]]:
        path = self.folder / f"{name}.jsonl"
        if not path.exists():
            return
        with path.open() as file:
            for line in file:
                if line.endswith("\n"):  # the last one may have been cut with its writer
                    yield json.loads(line)
