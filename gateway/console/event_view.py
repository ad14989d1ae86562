"""
An event as an auditor reads it: its members in words, organisations by their names, codes by their labels.

Pure: what is shown is what the reading gave (`gateway.audit.reading.event`), nothing is looked up.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from consent.ledger.event_members import MEMBERS
from consent.reasons import CATALOGUE as REASONS
from gateway.console.words import EVENT_CODES, EVENT_WORDS
from schemas import code_list

Node: TypeAlias = "str | Lines | Listed"
"""What stands beside a label: a text, more lines, or a list of these."""


_SHORT: Final = 8
_SIRET: Final = re.compile("[0-9]{14}")


@dataclass(frozen=True, slots=True)
class Lines:
    """Labelled values, in order."""

    rows: tuple[tuple[str, Node], ...]


@dataclass(frozen=True, slots=True)
class Listed:
    """Several values; `long` when they are better folded."""

    items: tuple[Node, ...]

    @property
    def long(self) -> bool:
        """Whether the page folds them."""
        return len(self.items) > _SHORT


def sirets_of(value: Any) -> set[str]:
    """The organisations named in an event, a summary or a row, at any depth: their names are to be looked up."""
    if isinstance(value, str):
        return {value} if _SIRET.fullmatch(value) else set()
    items = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return {siret for item in items for siret in sirets_of(item)}


def opened(event: Mapping[str, Any]) -> dict[str, Any] | None:
    """The members of an opened event; None while it is masked, and for what can no longer be opened."""
    body: dict[str, Any] | None = json.loads(event["event"])["body"] if "event" in event else None
    return body


def summary_of(event: Mapping[str, Any], names: Mapping[str, str]) -> Lines:
    """What an event says of itself without being opened."""
    told = dict(event.get("summary") or {})
    shown = ("occurred_at", "actor", "partners", "conventions", "purposes")
    rows: list[tuple[str, Node]] = [
        ("Rang dans le journal", str(event["index"]) if event["index"] is not None else "en attente, dans la seconde")
    ]
    rows += [(_label(name), _node(name, told[name], names)) for name in shown if told.get(name)]
    return Lines(tuple(rows))


def lines_of(value: Mapping[str, Any], names: Mapping[str, str]) -> Lines:
    """Members with their labels, in their order; `names` are those of organisations, by SIRET."""
    return Lines(tuple((_label(name), _node(name, item, names)) for name, item in value.items()))


def _node(name: str, value: Any, names: Mapping[str, str]) -> Node:
    if isinstance(value, Mapping):
        return lines_of(value, names)
    if isinstance(value, list):
        return Listed(tuple(_node(name, item, names) for item in value)) if value else "aucun"
    if value is None:
        return "aucun"
    if isinstance(value, bool):
        return "oui" if value else "non"
    return _text(name, str(value), names)


def _text(name: str, text: str, names: Mapping[str, str]) -> str:
    if text in names:
        return f"{names[text]} ({text})"
    if name.endswith("_at") or name in ("since", "until"):
        return f"{text[:10]} {text[11:19]} UTC" if text.endswith("Z") and text[10:11] == "T" else text
    if name == "reasons" and text in REASONS:
        return REASONS[text].message_fr
    codes = code_list(EVENT_CODES[name]) if name in EVENT_CODES else {}
    return codes[text].label_fr if text in codes else text


def _label(name: str) -> str:
    if name in EVENT_WORDS:
        return EVENT_WORDS[name]
    return MEMBERS[name][1].rstrip(".") if name in MEMBERS else name
