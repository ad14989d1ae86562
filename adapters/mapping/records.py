"""
What every format gives to the rules: records, how to take a value out of one, and where it stood in the file.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from adapters.report import Tally


class Record:
    """
    A record of the file, or an item of a list in one.

    `value` is what paths are read in: the cells of a row, or a tree of dicts, lists and texts; `item` is what the source
    `.` means. `parent` is the record that an item belongs to. `where` is for the format, to find a line and a column.
    """

    __slots__ = ("item", "line", "parent", "value", "where")

    def __init__(
        self, value: Any, line: int | None, parent: "Record | None" = None, item: Any = None, where: Any = None
    ) -> None:
        self.value = value
        self.line = line
        self.parent = parent
        self.item = item
        self.where = where


Getter = Callable[[Record], Any]
"""Gives what a source holds: a text, a number, a boolean, a list, a dict; None when there is nothing."""


class Reader(Protocol):
    """
    One file being read.
    """

    def records(self) -> Iterator[Record]:
        """
        Each record in order. Raises `FileRefused`.
        """

    def getter(self, source: str) -> Getter:
        """
        How to take a source out of a record; call it after the file is opened.
        """

    def items(self, record: Record, source: str, values: Sequence[Any]) -> list[Record]:
        """
        The items of a list as records of their own.
        """

    def plain(self, record: Record) -> Any:
        """
        The record as an expression sees it.
        """

    def place(self, record: Record, source: str) -> tuple[int | None, int | None]:
        """
        The line and the column of a source of a record, from 1, as far as the format has them.
        """

    def count(self, tally: Tally) -> None:
        """
        Count every element of the file that was read, known or not.
        """

    @property
    def guessed_encoding(self) -> bool:
        """
        Whether the file had to be taken as windows-1252.
        """
