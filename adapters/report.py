"""
What became of each element of a partner's file: carried, kept, dropped for a reason, or never seen before.

The list of a format's elements is a file, `tables/elements.csv` (path, treatment, target, reason), so that it can be
read and argued about without reading code. A `Tally` counts a translation against it; a `Coverage` is the result.
"""

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from importlib.resources.abc import Traversable
from io import StringIO

_UNKNOWN_LISTED = 100
_PATH_LENGTH = 200
_ORDINARY_NAME = re.compile(r"@?[A-Za-z_][A-Za-z_.-]{0,39}|[A-Z][A-Z0-9]{1,39}")


class Treatment(StrEnum):
    """
    What is done with an element.

    `mapped`: its meaning is in the shared document. `kept`: its own words are in `local`. `ignored`: left out, for a
    written reason. `group`: holds other elements and no value. `unknown`: not in the list of the format.
    """

    MAPPED = "mapped"
    KEPT = "kept"
    IGNORED = "ignored"
    GROUP = "group"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class FieldRule:
    """
    One element of a format: its path, its treatment, where it goes in the shared document, why it does not.
    """

    path: str
    treatment: Treatment
    target: str
    reason: str


@dataclass(frozen=True, slots=True)
class CoverageLine:
    """
    One element of one file, and how many times it was there.
    """

    path: str
    treatment: Treatment
    count: int
    target: str
    reason: str


@dataclass(frozen=True, slots=True)
class Coverage:
    """
    The elements of one file, in the order of the format, then the unknown ones.
    """

    lines: tuple[CoverageLine, ...]

    def of(self, treatment: Treatment) -> tuple[CoverageLine, ...]:
        """
        The lines that had this treatment.
        """
        return tuple(line for line in self.lines if line.treatment is treatment)

    @property
    def unknown(self) -> tuple[CoverageLine, ...]:
        """
        The elements that the format's list does not name: nothing of them was carried.
        """
        return self.of(Treatment.UNKNOWN)

    def totals(self) -> dict[str, int]:
        """
        How many elements of the file had each treatment, `{"mapped": 120, "ignored": 43, …}`; every treatment is there.
        """
        counts = {treatment.value: 0 for treatment in Treatment}
        for line in self.lines:
            counts[line.treatment.value] += line.count
        return counts

    def as_document(self) -> dict[str, object]:
        """
        The same as plain values for JSON: `{"totals": {…}, "elements": [{path, treatment, count, target, reason}]}`.
        """
        return {
            "totals": self.totals(),
            "elements": [
                {
                    "path": line.path,
                    "treatment": line.treatment.value,
                    "count": line.count,
                    "target": line.target,
                    "reason": line.reason,
                }
                for line in self.lines
            ],
        }


class Tally:
    """
    Counts the elements of one file against the list of its format.
    """

    def __init__(self, rules: Mapping[str, FieldRule]) -> None:
        self._rules = rules
        self._seen: dict[str, int] = dict.fromkeys(rules, 0)
        self._unknown: dict[str, int] = {}
        self._parts: frozenset[str] | None = None

    def add(self, path: str, count: int = 1) -> None:
        """
        Count an element of the list; the path must be in it.
        """
        self._seen[path] += count

    def knows(self, path: str) -> bool:
        """
        Whether the list of the format names this path.
        """
        return path in self._seen

    def names(self, part: str) -> bool:
        """
        Whether a path of the list has this name in it: such a name is the format's own, and may be shown.
        """
        if self._parts is None:
            self._parts = frozenset(part for path in self._rules for part in path.split("/"))
        return part in self._parts

    def add_unknown(self, path: str, count: int = 1) -> None:
        """
        Count an element that the list does not name.

        At most a hundred different ones are named, each cut to 200 characters: the names come from the file, and a
        hostile file must not choose the size of the report.
        """
        name = path[:_PATH_LENGTH]
        if name not in self._unknown and len(self._unknown) >= _UNKNOWN_LISTED:
            name = "…"
        self._unknown[name] = self._unknown.get(name, 0) + count

    def coverage(self) -> Coverage:
        """
        The result so far; elements that were not there are left out.
        """
        known = (
            CoverageLine(path, rule.treatment, self._seen[path], rule.target, rule.reason)
            for path, rule in self._rules.items()
            if self._seen[path]
        )
        unknown = (
            CoverageLine(path, Treatment.UNKNOWN, count, "", "absent from the list of the format")
            for path, count in self._unknown.items()
        )
        return Coverage((*known, *unknown))


def shown_name(name: str) -> str:
    """
    The name of an element that the format does not know, or `*` when it does not look like a name: a partner may have
    put a number or a sentence there.
    """
    return name if _ORDINARY_NAME.fullmatch(name) else "*"


def read_rules(source: Traversable) -> dict[str, FieldRule]:
    """
    Read a list of elements (CSV, UTF-8, comma, header `path,treatment,target,reason`), in its order.

    Raises `ValueError` when a path comes twice, a treatment is not one of the words, a dropped element has no reason or
    a carried one no target.
    """
    rules: dict[str, FieldRule] = {}
    for row in _rows(source):
        rule = FieldRule(row["path"], Treatment(row["treatment"]), row["target"], row["reason"])
        if rule.path in rules:
            raise ValueError(f"{source.name}: {rule.path} comes twice")
        if rule.treatment is Treatment.IGNORED and not rule.reason:
            raise ValueError(f"{source.name}: {rule.path} is ignored without a reason")
        if rule.treatment in {Treatment.MAPPED, Treatment.KEPT} and not rule.target:
            raise ValueError(f"{source.name}: {rule.path} is carried without a target")
        rules[rule.path] = rule
    return rules


def count_rules(rules: Mapping[str, FieldRule]) -> dict[str, int]:
    """
    How many elements of a format have each treatment: the format's own coverage, before any file.
    """
    counts = {treatment.value: 0 for treatment in Treatment if treatment is not Treatment.UNKNOWN}
    for rule in rules.values():
        counts[rule.treatment.value] += 1
    return counts


def _rows(source: Traversable) -> Iterator[dict[str, str]]:
    yield from csv.DictReader(StringIO(source.read_text(encoding="utf-8"), newline=""), strict=True)
