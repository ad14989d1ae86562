"""
The memory that a large B flow takes: 200,000 fictitious households read as a stream, each document looked at and let go.

The reading has a process of its own, fed household by household, so that the peak is that of the reading and of the
generator that feeds it, and no file of several hundred megabytes is written. Then a running gateway takes the same flow in
(`ops.bench.held`), which lasts: about half an hour on two cores.
"""

from __future__ import annotations

import io
import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any, Final

from adapters.cnaf_rsa.adapter import CnafRsa
from adapters.cnaf_rsa.fictitious import fictitious_pieces
from adapters.exam import EXAM_CONTEXT
from ops.bench import held
from ops.bench.measured import Goal, Measured, Say

HOUSEHOLDS: Final = 200_000
GOAL_MB: Final = 300.0
_ATTACHMENT_MB: Final = 50.0
"""An attachment is never whole in memory: it is 50 MB itself."""


class Pieces(io.RawIOBase):
    """
    A file made of pieces that are written only when they are read.
    """

    def __init__(self, pieces: Iterator[bytes]) -> None:
        super().__init__()
        self._pieces = pieces
        self._left = b""
        self.given = 0

    def readable(self) -> bool:
        """It is only read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """The next bytes of the file; 0 at its end."""
        if not self._left:
            self._left = next(self._pieces, b"")
        part = self._left[: len(buffer)]
        buffer[: len(part)] = part
        self._left = self._left[len(part) :]
        self.given += len(part)
        return len(part)


def run(say: Say) -> Measured:
    """Peak memory, in megabytes, and households per second of a flow of 200,000: read alone, then taken in by a gateway."""
    say(f"cnaf-rsa: {HOUSEHOLDS} households, read as a stream")
    found = measured_alone(HOUSEHOLDS)
    say(f"an embedded gateway takes in {HOUSEHOLDS} households, and an attachment of 50 MB")
    taken = held.measure(HOUSEHOLDS, say)
    figures = {
        "cnaf-rsa_peak_mb": found["peak_mb"],
        "cnaf-rsa_documents": found["documents"],
        "cnaf-rsa_file_mb": found["file_mb"],
        "cnaf-rsa_households_per_s": HOUSEHOLDS / found["seconds"],
        **taken,
    }
    limits = {
        "cnaf-rsa_peak_mb": GOAL_MB,
        "flow_growth_mb": GOAL_MB,
        "attachment_upload_growth_mb": _ATTACHMENT_MB,
        "attachment_download_growth_mb": _ATTACHMENT_MB,
    }
    return Measured(figures, {name: Goal(figures[name], limit, at_most=True) for name, limit in limits.items()})


def measured_alone(households: int) -> dict[str, float]:
    """
    `measure`, in a process of its own: a peak is that of a whole process. Raises `CalledProcessError`.
    """
    answer = subprocess.run(
        [sys.executable, "-m", "ops.bench.memory", str(households)], check=True, capture_output=True, text=True
    )
    found: dict[str, float] = json.loads(answer.stdout)
    return found


def measure(households: int) -> dict[str, float]:
    """
    Read a flow of so many households here: documents given, megabytes read, seconds of processor, peak megabytes.
    """
    begun = time.process_time()
    pieces = Pieces(fictitious_pieces(households, 7))
    documents = sum(1 for _ in CnafRsa().read(io.BufferedReader(pieces, 65_536), EXAM_CONTEXT))
    # Linux counts the peak in kibibytes, macOS in bytes.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return {
        "documents": documents,
        "file_mb": pieces.given / 1e6,
        "seconds": time.process_time() - begun,
        "peak_mb": peak / 1e6,
    }


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]))))
