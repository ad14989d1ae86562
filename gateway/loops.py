"""
The loops of one process: relay, courier, sequencer, as its role has them; and which of them died.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence


class Loops:
    """
    What runs beside the HTTP server for as long as the process lives.

    One that ended has died, whatever it ended with: nothing but the end of the process stops them.
    """

    def __init__(self, tasks: Sequence[asyncio.Task[None]] = ()) -> None:
        """`tasks` carry the names of their loops."""
        self._tasks = tuple(tasks)

    def alive(self) -> dict[str, bool]:
        """Each loop by its name, and whether it still runs."""
        return {task.get_name(): not task.done() for task in self._tasks}

    def dead(self) -> list[str]:
        """The names of those that no longer run."""
        return [name for name, runs in self.alive().items() if not runs]
