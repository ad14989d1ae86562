"""
Where the values of a rule come from: sources, several joined, a text split, an expression.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from adapters.mapping.expression import Evaluate, ExpressionFailed, compile_expression, values_of
from adapters.mapping.model import ITSELF, Rule
from adapters.mapping.notes import text_of
from adapters.mapping.records import Getter, Reader, Record
from adapters.mapping.run import EXPRESSION_FAILED, Run
from adapters.tables import Table

Origin = Callable[[Record, Run], list[tuple[str, str, Any]]]
"""The values that a rule finds, each with its source and its pointer."""


def origin_of(rule: Rule, reader: Reader, tables: Mapping[str, Table], pointer_of: Callable[[str], str]) -> Origin:
    """
    How to find the values of a rule; `pointer_of` names a source as issues do.
    """
    if rule.expression is not None:
        return _from_expression(rule, reader, tables, pointer_of)
    getters = [(source, pointer_of(source), reader.getter(source)) for source in rule.sources]
    if rule.join is not None:
        return _joined(getters, rule.join)
    many, split = rule.target.many, rule.split

    def origin(record: Record, run: Run) -> list[tuple[str, str, Any]]:
        found: list[tuple[str, str, Any]] = []
        for source, pointer, get in getters:
            value = get(record)
            if value is None:
                continue
            if split:
                found.extend((source, pointer, part) for part in split_text(value, split))
            elif isinstance(value, list):
                found.extend((source, pointer, part) for part in value)
            else:
                found.append((source, pointer, value))
            if found and not many:
                return found
        return found

    return origin


def _from_expression(
    rule: Rule, reader: Reader, tables: Mapping[str, Table], pointer_of: Callable[[str], str]
) -> Origin:
    evaluate: Evaluate = compile_expression(rule.expression or "", tables)
    source = rule.sources[0] if rule.sources else ITSELF
    pointer, plain = pointer_of(rule.sources[0]) if rule.sources else "", reader.plain

    def origin(record: Record, run: Run) -> list[tuple[str, str, Any]]:
        run.at(record, source, pointer)
        try:
            value = evaluate(plain(record), run)
        except ExpressionFailed:
            run.warn(EXPRESSION_FAILED)
            return []
        return [(source, pointer, each) for each in values_of(value)]

    return origin


def _joined(getters: Sequence[tuple[str, str, Getter]], join: str) -> Origin:
    def origin(record: Record, run: Run) -> list[tuple[str, str, Any]]:
        del run
        found = [(source, pointer, get(record)) for source, pointer, get in getters]
        filled = [text_of(value) for _, _, value in found if value is not None]
        return [(*found[0][:2], join.join(filled))] if filled else []

    return origin


def split_text(value: Any, separators: Sequence[str]) -> list[str]:
    """
    The parts of a text, or of several, that hold something.
    """
    parts = [text_of(each) for each in value] if isinstance(value, list) else [text_of(value)]
    for separator in separators:
        parts = [part for each in parts for part in each.split(separator)]
    return [part.strip() for part in parts if part.strip()]
