"""The records of a flow are read beside the event loop, from the first to the end of the last in one thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from anyio import to_thread

from gateway.flows.reading import reading

pytestmark = pytest.mark.anyio


async def test_a_flow_is_read_in_one_thread_whatever_others_do() -> None:
    """While other work takes and leaves the threads of the pool; what was not read to its end is closed there too."""
    threads: list[int] = []

    def records() -> Iterator[Any]:
        try:
            while True:
                threads.append(threading.get_ident())
                yield object()
        finally:
            threads.append(threading.get_ident())
            closed.set()

    closed = threading.Event()
    async with reading(records) as source:
        for count in (1, 2, 3):
            assert count == len(await source.next(count))
            await to_thread.run_sync(threading.get_ident)
    assert await to_thread.run_sync(closed.wait, 5)
    assert 7 == len(threads) and 1 == len(set(threads))
    assert threading.get_ident() not in threads


async def test_what_reading_raises_is_raised_and_the_end_is_told() -> None:
    """An empty list after the last record; the fault of a file is the fault of whoever reads it."""

    def faulty() -> Iterator[Any]:
        yield 1
        raise ValueError("cut")

    async with reading(lambda: iter([1, 2, 3])) as source:
        assert [[1, 2], [3], []] == [await source.next(2) for _ in range(3)]
    async with reading(faulty) as source:
        with pytest.raises(ValueError, match="cut"):
            await source.next(2)
