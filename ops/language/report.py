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
    What was found in one or several files; `shown` is how many problems are kept one by one.
    """

    shown: int
    documents: int = 0
    invalid: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    rules: Counter[tuple[str, str]] = field(default_factory=Counter)
    first: list[tuple[str, Issue]] = field(default_factory=list)

    def add(self, file: str, checked: Checked) -> None:
        """Count one document of a file."""
        self.documents += 1
        self.invalid += bool(checked.issues)
        self.kinds[checked.kind or "?"] += 1
        for issue in checked.issues:
            # One place of the schema, whatever the item of the list.
            self.rules[issue.code, _INDEX.sub("/*", issue.pointer)] += 1
            if len(self.first) < self.shown:
                self.first.append((file, issue))

    @property
    def problems(self) -> int:
        """How many problems in all."""
        return self.rules.total()

    def counts(self) -> list[tuple[str, str, int]]:
        """The broken rules as (code, pointer with `*` for any item, count), the most frequent first."""
        ordered = sorted(self.rules.items(), key=lambda rule: (-rule[1], rule[0]))
        return [(code, pointer, count) for (code, pointer), count in ordered]

    def as_json(self) -> dict[str, Any]:
        """The report for a program."""
        return {
            "documents": self.documents,
            "valid": self.documents - self.invalid,
            "invalid": self.invalid,
            "problems": self.problems,
            "kinds": dict(self.kinds),
            "counts": [{"code": code, "pointer": pointer, "count": count} for code, pointer, count in self.counts()],
            "first": [{"file": file, **asdict(issue)} for file, issue in self.first],
        }
