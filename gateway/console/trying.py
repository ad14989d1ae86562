"""
A partner's file tried on the console: what one record becomes, rule by rule, and what its sender would be told.

Nothing is kept, sent or written down: not the file, not what is in it, not that it was tried. The identifiers are drawn
at random for each try, so that nothing on the page can be matched with a real exchange; within one they depend on
their key, so that a document that names another has its identifier.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final

import orjson

from adapters import registry
from adapters.base import Adapter, AdapterError, Context, Records
from adapters.mapping.engine import MappingAdapter
from schemas import Issue

LARGEST: Final = 1_000_000
"""Bytes of a form that holds a file: below it, the form stays in memory."""


@dataclass(frozen=True, slots=True)
class Rule:
    """
    A value that a rule gave: the place in the shared document, the value, where it comes from, the line of the mapping.
    """

    target: str
    value: str
    source: str
    line: int


@dataclass(frozen=True, slots=True)
class Tried:
    """
    What a record became: each document as text, the rules, what its sender is told; or why the file is refused.

    Formats that are programs, not mappings, have no rules to show: then `record` is the rank of a document in the file.
    `records` counts those of the whole file; None when the file is refused further on, or its format does not count.
    """

    documents: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()
    issues: tuple[Issue, ...] = ()
    refused: AdapterError | None = None
    absent: bool = False
    records: Records | None = None


def formats() -> list[tuple[str, str]]:
    """
    The formats that can be tried, by name, with their title.
    """
    return [(name, adapter.title) for name, adapter in registry.ADAPTERS.items() if adapter.kinds_in]


def attempt(name: str, raw: bytes, record: int, siret: str, now: datetime) -> Tried:
    """
    Try a file as the format `name`; `record` counts from 1. Raises `UnknownAdapter`.
    """
    adapter = registry.get(name)
    context = Context({"siret": siret, "name": "Essai"}, "inform_about_rights", now, partial(_drawn, uuid.uuid4()))
    try:
        if isinstance(adapter, MappingAdapter):
            explained = adapter.explain(raw, context, record)
            if explained is None:
                return Tried(absent=True)
            rules = tuple(Rule(each.target, _text(each.value), each.source, each.line) for each in explained.given)
            shown = tuple(_text(each) for each in explained.documents)
            return Tried(shown, rules, explained.issues, records=_counted(adapter, raw, context))
        found = adapter.to_shared(raw, context)
    except AdapterError as error:
        return Tried(refused=error)
    chosen = found.documents[record - 1 : record]
    shown = tuple(_text(each.document) for each in chosen)
    return Tried(shown, (), found.issues, absent=not chosen, records=found.records)


def _counted(adapter: Adapter, raw: bytes, context: Context) -> Records | None:
    try:
        return adapter.to_shared(raw, context).records
    except AdapterError:
        return None


def _drawn(of_this_try: uuid.UUID, key: str) -> str:
    return str(uuid.uuid5(of_this_try, key))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
