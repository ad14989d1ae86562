"""
The report of a check: how many documents, which rules are broken where and how often, and the first problems one by one.

Its size depends on the schemas, never on the number of documents.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

from schemas import Issue
from schemas.checking import Checked

_INDEX = re.compile(r"/[0-9]+(?=/|$)")


@dataclass(slots=True)
class Report:
    """
    What was found in one or several files; `shown` is how many problems, and how many doubts, are kept one by one.
    """

    shown: int
    documents: int = 0
    invalid: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    rules: Counter[tuple[str, str]] = field(default_factory=Counter)
    doubts: Counter[tuple[str, str]] = field(default_factory=Counter)
    first: list[tuple[str, Issue]] = field(default_factory=list)
    first_doubts: list[tuple[str, Issue]] = field(default_factory=list)

    def add(self, file: str, checked: Checked) -> None:
        """Count one document of a file."""
        self.documents += 1
        self.invalid += bool(checked.issues)
        self.kinds[checked.kind or "?"] += 1
        for found, counter, first in (
            (checked.issues, self.rules, self.first),
            (checked.remarks, self.doubts, self.first_doubts),
        ):
            for issue in found:
                # One place of the schema, whatever the item of the list.
                counter[issue.code, _INDEX.sub("/*", issue.pointer)] += 1
                if len(first) < self.shown:
                    first.append((file, issue))

    @property
    def problems(self) -> int:
        """How many problems in all."""
        return self.rules.total()

    @property
    def warnings(self) -> int:
        """How many doubtful things in all; they make no document invalid."""
        return self.doubts.total()

    @staticmethod
    def counts(counter: Counter[tuple[str, str]]) -> list[tuple[str, str, int]]:
        """The broken rules (or the doubts) as (code, pointer with `*` for any item, count), the most frequent first."""
        ordered = sorted(counter.items(), key=lambda rule: (-rule[1], rule[0]))
        return [(code, pointer, count) for (code, pointer), count in ordered]

    def as_json(self) -> dict[str, Any]:
        """The report for a program."""
        return {
            "documents": self.documents,
            "valid": self.documents - self.invalid,
            "invalid": self.invalid,
            "problems": self.problems,
            "warnings": self.warnings,
            "kinds": dict(self.kinds),
            "counts": self._counted(self.rules),
            "warning_counts": self._counted(self.doubts),
            "first": [{"file": file, **asdict(issue)} for file, issue in self.first],
            "first_warnings": [{"file": file, **asdict(issue)} for file, issue in self.first_doubts],
        }

    def _counted(self, counter: Counter[tuple[str, str]]) -> list[dict[str, Any]]:
        return [{"code": code, "pointer": pointer, "count": count} for code, pointer, count in self.counts(counter)]
