"""
Reading the records of a flow beside the event loop, some at a time, always in the same thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from itertools import islice

from adapters.base import Record


class Reading:
    """Records that are read one after the other; one caller at a time."""

    def __init__(self, records: Iterator[Record], thread: ThreadPoolExecutor) -> None:
        self._records = records
        self._thread = thread

    async def next(self, count: int) -> Sequence[Record]:
        """The next `count` records, fewer at the end, none after it. Raises what reading them raises."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._read, count)

    def _read(self, count: int) -> Sequence[Record]:
        return list(islice(self._records, count))


@asynccontextmanager
async def reading(records: Callable[[], Iterator[Record]]) -> AsyncIterator[Reading]:
    """
    Read in a thread that ends with the block.

    libxml2 keeps the names of what it parses in a table of the thread: a parser that another thread of a pool goes on with
    writes in a table that is not its own, and the process is aborted.
    """
    thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="flow")
    made = records()
    try:
        yield Reading(made, thread)
    finally:
        if hasattr(made, "close"):
            thread.submit(made.close)
        thread.shutdown(wait=False)
