"""
JSONata for the fields that rules cannot say, behind one function: no clock, no chance, no evaluation of text, little time.

Each expression is compiled once with a limit of time; it sees the record and gives a value. Functions of mapping files
are there under their names: `$date_fr(x)`, `$telephone(x)`; those that a step refuses give nothing.
"""

import re
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from functools import partial
from types import MappingProxyType
from typing import Any, Final

import jsonatapy

from adapters.mapping.notes import Notes, Unreadable, text_of
from adapters.mapping.steps import FUNCTIONS, make_step
from adapters.tables import Table

TIME_LIMIT_MS: Final = 200
FORBIDDEN: Final = ("eval", "now", "millis", "random", "shuffle")
"""Functions of JSONata whose answer depends on something else than the record, or that run text as a program."""

Evaluate = Callable[[Any, Notes], Any]


class BadExpression(ValueError):
    """
    A text is not an expression that may be used; `code` is JSONata's, or `forbidden`.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class ExpressionFailed(Exception):
    """
    An expression gave an error or took too long on this record; `code` is JSONata's.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


_USES_FORBIDDEN: Final = re.compile(rf"\$(?:{'|'.join(FORBIDDEN)})\b")
_CODE: Final = re.compile(r"[A-Z][0-9]{4}")
_notes: ContextVar[Notes] = ContextVar("notes")


def compile_expression(text: str, tables: Mapping[str, Table] = MappingProxyType({})) -> Evaluate:
    """
    An expression as a function of the record and of where to tell repairs.

    `$table(name, value)` gives the shared code of a value. Raises `BadExpression`; the function raises
    `ExpressionFailed`.
    """
    if _USES_FORBIDDEN.search(text):
        raise BadExpression("forbidden")
    try:
        compiled = jsonatapy.compile(text, timeout=TIME_LIMIT_MS, max_stack_depth=200, max_sequence_length=100_000)
    except ValueError as error:
        raise BadExpression(_code_of(error)) from None
    for name in FORBIDDEN:
        compiled.register_override(name, _forbidden)
    for name, function in expression_functions(tables).items():
        compiled.register(name, function)

    def evaluate(record: Any, notes: Notes) -> Any:
        token = _notes.set(notes)
        try:
            return compiled.evaluate(record)
        except ValueError as error:
            raise ExpressionFailed(_code_of(error)) from None
        finally:
            _notes.reset(token)

    return evaluate


def values_of(answer: Any) -> list[Any]:
    """
    The values that an answer gives, one or a list; null, nothing and an empty text give none.
    """
    return [value for value in (answer if isinstance(answer, list) else [answer]) if value is not None and value != ""]


def expression_functions(tables: Mapping[str, Table]) -> dict[str, Callable[..., Any]]:
    """
    What expressions may call beside JSONata's own functions: those of `do:` that need no parameter, and `$table`.
    """
    plain = {name: function for name, function in FUNCTIONS.items() if function.parameter is None or function.optional}
    found: dict[str, Callable[..., Any]] = {name: partial(_read, name) for name in plain}
    found["table"] = lambda name=None, value=None, *_: tables[name].shared(str(value)) if name in tables else None
    return found


def _read(name: str, value: Any = None, *_: Any) -> Any:
    if value is None or value == "":
        return None
    try:
        return make_step(name).read(text_of(value), _notes.get())
    except Unreadable as error:
        _notes.get().warn(error.reason)
        return None


def _forbidden(*_: Any) -> Any:
    raise ValueError("forbidden")


def _code_of(error: ValueError) -> str:
    """
    JSONata's code alone: the rest of its message may hold a value.
    """
    found = _CODE.search(str(error))
    return found.group() if found else "failed"
