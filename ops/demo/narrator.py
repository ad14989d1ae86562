"""
How the demonstration speaks in the terminal: numbered steps, sentences, a progress bar for what takes long.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from typing import TypeVar

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.progress import Progress

_TOGETHER = 8
"""So many of a partner's requests are under way at once."""

T = TypeVar("T")


class Narrator:
    """Tells one story on a console."""

    def __init__(self, console: Console) -> None:
        """Tell on `console`."""
        self._console = console

    def step(self, number: int, title: str) -> None:
        """Begin one of the steps of the story."""
        self._console.print(f"\n[bold]{number}. {title}[/bold]")

    def tell(self, sentence: str) -> None:
        """Say one thing that happened."""
        self._console.print(f"   {sentence}")

    def show(self, text: str) -> None:
        """Show what a program wrote, as it wrote it."""
        for line in text.splitlines():
            self._console.print(f"      {line}", style="dim", markup=False)

    def table(self, table: RenderableType) -> None:
        """Show a table under the sentence before it."""
        self._console.print(Padding(table, (0, 0, 0, 3)))

    def waiting(self, title: str) -> AbstractContextManager[object]:
        """A sign of life during one thing that takes long."""
        return self._console.status(f"   {title}")

    async def each(self, title: str, items: Sequence[T], work: Callable[[T], Awaitable[None]]) -> None:
        """Do the same for each item, some at a time, under a progress bar."""
        # Where nobody watches there is nothing to draw, not even the empty line that a finished bar leaves.
        with Progress(console=self._console, transient=True, disable=not self._console.is_terminal) as progress:
            bar = progress.add_task(f"   {title}", total=len(items))
            for start in range(0, len(items), _TOGETHER):
                group = items[start : start + _TOGETHER]
                await asyncio.gather(*(work(item) for item in group))
                progress.advance(bar, len(group))
