"""
The pages of the events that the ledger records, made from their schemas.

Each function gives a whole page in one language; it raises UnknownPage when there is no such event.
"""

from __future__ import annotations

from consent.ledger.event import EventType
from consent.ledger.event_schemas import event_schema, path_of
from gateway.console.schema_layout import WORDS, UnknownPage, page, words
from gateway.console.schema_texts import Language, spaced


def events(language: Language) -> str:
    """
    The types of events that the ledger records.
    """
    shown = [_event(event_type, language) | {"type": event_type.value} for event_type in EventType]
    return page("events", language, "events/", "events", [], events=shown)


def one_event(language: Language, name: str) -> str:
    """
    What the events of a type hold.
    """
    if name not in set(EventType):
        raise UnknownPage(name)
    found = event_schema(EventType(name))
    body = found["properties"]["body"]
    title = "title" if language == "fr" else "x-title-en"
    members = [
        {"name": member, "title": spaced(rule[title], language), "required": member in body["required"]}
        for member, rule in body["properties"].items()
    ]
    crumbs = [("events/", WORDS[language]["events"])]
    context = {"event": _event(EventType(name), language), "schema": path_of(EventType(name)), "members": members}
    return page("event", language, f"events/{name}/", "events", crumbs, type=name, **context)


def _event(event_type: EventType, language: Language) -> dict[str, str]:
    return words(event_schema(event_type), language)
