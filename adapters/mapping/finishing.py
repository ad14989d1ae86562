"""
What is done to each value that a rule finds: its functions, its table, and whether the shared schema takes it.
"""

from collections.abc import Callable
from typing import Any

from adapters.mapping import places
from adapters.mapping.model import FLAT, MappingFile, Rule
from adapters.mapping.notes import Number, Unreadable, text_of
from adapters.mapping.run import NOT_ALLOWED, Run
from adapters.mapping.steps import KEEPS_LINES, make_step
from schemas import Kind

Finish = Callable[[Any, Run], Any]
"""From a value of the file to a value of the document; None when it is not used, and why is told."""


def finishing(rule: Rule, kind: Kind, above: str, mapping: MappingFile) -> Finish:
    """
    What is done to each value found: functions, table, and the question whether the shared schema takes it.
    """
    pattern = above + rule.target.pattern
    flat = mapping.source.format in FLAT
    node = places.find(kind, pattern)
    accepts = places.accepts(kind, pattern)
    takes_text = node is None or not (types := places.types(node)) or "string" in types
    reads = [make_step(name, parameter).read for name, parameter in rule.steps]
    as_text = takes_text or bool(reads) or rule.table is not None
    lines_kept = any(name == KEEPS_LINES for name, _ in rule.steps)
    plain_text = as_text and not reads and rule.table is None
    table = mapping.tables[rule.table] if rule.table else None

    def finish(raw: Any, run: Run) -> Any:
        value = raw
        if as_text and type(value) is not str:
            if isinstance(value, dict | list):
                run.refuse(NOT_ALLOWED)
                return None
            value = text_of(value)
            if plain_text and isinstance(value, Number) and flat:
                run.number_in_text()
        if isinstance(value, str) and not lines_kept and not value.isalnum():
            value = type(value)(" ".join(value.split()))
        try:
            for read in reads:
                value = read(value, run)
                if value is None:
                    return None
        except Unreadable as error:
            run.refuse(error.reason)
            return None
        if table is not None and (value := run.code(table, text_of(value))) is None:
            return None
        if type(value) is Number:
            value = str(value)
        if not accepts(value):
            run.refuse(NOT_ALLOWED)
            return None
        return value

    return finish
