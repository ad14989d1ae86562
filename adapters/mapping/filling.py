"""
A document, or an object inside one, while rules fill it.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from adapters.base import Context
from adapters.mapping.model import Rule
from adapters.mapping.records import Record
from adapters.mapping.run import ITEM_INCOMPLETE, Run
from adapters.mapping.targets import Groups
from schemas import Document


class Missing(Exception):
    """
    A value that a document or an item needs is not there.
    """


@dataclass(slots=True)
class Filling:
    """
    A document, or an object inside one, being filled. `trace`, when there is one, hears of each value and its rule.
    """

    run: Run
    document: Document = field(default_factory=dict)
    groups: Groups = field(default_factory=dict)
    trace: Callable[[Rule, Any], None] | None = None

    def put(self, rule: Rule, value: Any) -> None:
        """
        Add a value that a rule gave.
        """
        if self.trace:
            self.trace(rule, value)
        rule.target.put(self.document, value, self.groups)


Apply = Callable[[Record, Filling], bool]
"""Applies a rule to a record; says whether the record itself gave something (a constant is not the record's)."""


def fill(rules: Sequence[Apply], record: Record, filling: Filling) -> bool:
    """
    Apply the rules of an item; False when the record gave nothing to it, or not what it needs.
    """
    given = False
    for rank, apply in enumerate(rules, 1):
        try:
            given = apply(record, filling) or given
        except Missing:
            if given:
                filling.run.warn(ITEM_INCOMPLETE)
            only_count(rules[rank:], record, filling.run)
            return False
    return given


def only_count(rules: Sequence[Apply], record: Record, run: Run) -> None:
    """
    Read the rest of what is left out, so that no value of it comes later without a code: see `Run.counting`.
    """
    with run.counting():
        nothing = Filling(run)
        for apply in rules:
            with suppress(Missing):
                apply(record, nothing)


def constant(rule: Rule, value: Callable[[Context], Any]) -> Apply:
    """
    A rule whose value is not the record's.
    """

    def apply(record: Record, filling: Filling) -> bool:
        del record
        filling.put(rule, value(filling.run.context))
        return False

    return apply


def _today(context: Context) -> str:
    return context.now.date().isoformat()


FROM_CONTEXT: Final[dict[str, Callable[[Context], Any]]] = {
    "now": lambda context: context.now.isoformat(),
    "today": _today,
    "organisation": lambda context: context.organisation,
    "siret": lambda context: context.organisation["siret"],
    "purpose": lambda context: context.purpose,
}
"""What a rule may take from the context (`context:`), by name."""
