"""
What a document says and FHIR has no element for, as a QuestionnaireResponse: one item per place of the document.

The items are read off the document's schema, so that they follow it: `linkId` is the place's pattern (the pointer with
`*` for any item, as in a convention), `text` its French title, and the answer has the type the schema gives.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.fhir.elements import CodeSystems, Element, instant, is_code_list
from schemas import Document, Kind, schema

_NEVER_WRITTEN = "secret"


def questionnaire_response(
    kind: Kind, document: Document, elsewhere: frozenset[str], codes: CodeSystems, **more: Any
) -> Element | None:
    """
    Write as `#answers` what a document says, except the properties that are `elsewhere` in the resource; None for nothing.

    What the schema does not describe, or marks as secret, is not written.
    """
    rest = {name: value for name, value in document.items() if name not in elsewhere}
    items = _items(schema(kind), rest, "", codes)
    if not items:
        return None
    return {
        "resourceType": "QuestionnaireResponse",
        "id": "answers",
        "status": "completed",
        "authored": instant(document["created_at"]),
        "item": items,
        **more,
    }


def _items(place: Mapping[str, Any], document: Document, pattern: str, codes: CodeSystems) -> list[Element]:
    named, others = place.get("properties", {}), place.get("additionalProperties")
    items: list[Element] = []
    for name, value in document.items():
        inside = named.get(name, others)
        if isinstance(inside, Mapping) and inside.get("x-sensitivity", _NEVER_WRITTEN) != _NEVER_WRITTEN:
            items += _questions(inside, value, f"{pattern}/{name}", codes)
    return items


def _questions(place: Mapping[str, Any], value: Any, pattern: str, codes: CodeSystems) -> list[Element]:
    """Give one question with all its answers, or a group for each object."""
    if isinstance(value, list):
        return _repeated(place["items"], value, f"{pattern}/*", codes)
    return _repeated(place, [value], pattern, codes)


def _repeated(place: Mapping[str, Any], values: list[Any], pattern: str, codes: CodeSystems) -> list[Element]:
    answers = [answer for value in values if (answer := _answer(place, value, pattern, codes))]
    groups = [_items(place, value, pattern, codes) for value in values if _is_group(value)]
    head = {"linkId": pattern, "text": place["title"]}
    items: list[Element] = [{**head, "item": group} for group in groups if group]
    return [*items, {**head, "answer": answers}] if answers else items


def _answer(place: Mapping[str, Any], value: Any, pattern: str, codes: CodeSystems) -> Element | None:
    if _is_group(value):
        return None
    if isinstance(value, dict):
        rest = {name: inner for name, inner in value.items() if name not in ("scheme", "code")}
        return {
            "valueCoding": codes.coding(value["scheme"], value["code"]),
            "item": _items(place, rest, pattern, codes),
        }
    return _typed(place, value, codes)


def _is_group(value: Any) -> bool:
    """Tell an object from a scalar, and from a code of one of our lists with what is said about it."""
    return isinstance(value, dict) and ("code" not in value or not is_code_list(value.get("scheme")))


def _typed(place: Mapping[str, Any], value: Any, codes: CodeSystems) -> Element:
    if isinstance(value, bool):
        return {"valueBoolean": value}
    if isinstance(value, int):
        return {"valueInteger": value}
    if name := place.get("x-code-list"):
        return {"valueCoding": codes.coding(name, value)}
    if place.get("format") == "date-time":
        return {"valueDateTime": instant(value)}
    return {"valueDate" if place.get("format") == "date" else "valueString": value}
