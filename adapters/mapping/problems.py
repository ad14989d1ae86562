"""
What is wrong with a mapping file, told to the person who writes it: a line, a column, a sentence.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from adapters.mapping.yaml_lines import Path, Positions


@dataclass(frozen=True, slots=True)
class Problem:
    """
    One thing to correct. `file` is `mapping.yaml` or a table, `line` and `column` count from 1.
    """

    file: str
    line: int
    column: int
    message_fr: str
    message_en: str


class MappingRefused(ValueError):
    """
    A mapping file cannot be used; `problems` says everything that is wrong with it.
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__(
            "\n".join(f"{each.file}:{each.line}:{each.column}: {each.message_fr}" for each in self.problems)
        )


class Problems:
    """
    Gathers what is wrong, by the path of what is wrong in the file.
    """

    def __init__(self, file: str, positions: Positions) -> None:
        self._file = file
        self._positions = positions
        self.found: list[Problem] = []

    def line(self, path: Path) -> int:
        """
        The line of a part of the file, or of what contains it.
        """
        return self._place(path)[0]

    def add(self, path: Path, message_fr: str, message_en: str) -> None:
        """
        Say that something is wrong at a path.
        """
        problem = Problem(self._file, *self._place(path), message_fr, message_en)
        if problem not in self.found:  # the same word may break two rules of the grammar
            self.found.append(problem)

    def _place(self, path: Path) -> tuple[int, int]:
        while path and path not in self._positions:
            path = path[:-1]
        return self._positions.get(path, (1, 1))
