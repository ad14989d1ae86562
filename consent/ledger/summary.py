"""
What an event says of itself without being opened: its type, its time, and which organisations, conventions and purposes it
names. Nothing of it concerns a person; it is what a search selects on, and what is left to read of an erased person's events.

Pure, and the same code for whoever writes an event and whoever verifies one that is shown.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

_PARTNERS: Final = frozenset({"recipient", "recipients", "notified", "sender", "partner", "collected_by", "acted_by"})
_CONVENTIONS: Final = frozenset({"convention_id", "conventions"})
_PURPOSES: Final = frozenset({"purpose", "purposes"})
_SIRET: Final = re.compile("[0-9]{14}")

# Made once: json.dumps makes one at each call, which costs as much as the encoding.
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def summarize(event_type: str, occurred_at: str, actor: str, body: Mapping[str, Any]) -> bytes:
    """
    The summary of an event as canonical JSON: `actor`, `conventions`, `occurred_at`, `partners`, `purposes` and `type`.

    Partners are the SIRETs of the actor and of every organisation that the body names by `recipient`, `recipients`,
    `notified`, `sender`, `partner`, `collected_by`, `acted_by`, `party` or `told`, at any depth; lists are sorted, without repetition.
    """
    named: dict[str, set[str]] = {"partners": {actor}, "conventions": set(), "purposes": set()}
    for kind, text in _named(body):
        if kind != "partners" or _SIRET.fullmatch(text):
            named[kind].add(text)
    told = {kind: sorted(texts) for kind, texts in named.items()}
    return canonical({"actor": actor, "occurred_at": occurred_at, "type": event_type, **told})


def matches(summary: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """
    Whether an event is among those wanted: `from` (included) and `until` (excluded) as events write instants, `partner`,
    `convention`, `purpose`, `types`; what is absent or null is not looked at.
    """
    return (
        (wanted.get("from") or "") <= summary["occurred_at"] < (wanted.get("until") or "~")
        and wanted.get("partner") in (None, *summary["partners"])
        and wanted.get("convention") in (None, *summary["conventions"])
        and wanted.get("purpose") in (None, *summary["purposes"])
        and (wanted.get("types") is None or summary["type"] in wanted["types"])
    )


def canonical(value: Mapping[str, Any]) -> bytes:
    """JSON with its names sorted and no space: the one spelling of a summary (RFC 8785 for what a summary holds)."""
    return _ENCODER.encode(value).encode()


def _named(value: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, item in value.items():
        if name in _PARTNERS:
            yield from (("partners", text) for text in _texts(item))
        elif name in _CONVENTIONS:
            yield from (("conventions", text) for text in _texts(item))
        elif name in _PURPOSES:
            yield from (("purposes", text) for text in _texts(item))
        elif isinstance(item, Mapping):
            if name == "convention" and isinstance(item.get("id"), str):
                yield "conventions", item["id"]
            yield from _named(item)
        elif isinstance(item, list | tuple):
            for each in item:
                if isinstance(each, Mapping):
                    yield from _named(each)


def _texts(item: Any) -> Iterator[str]:
    if isinstance(item, str):
        yield item
    elif isinstance(item, list | tuple):
        yield from (each for each in item if isinstance(each, str))
