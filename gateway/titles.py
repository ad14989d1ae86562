"""
How the fields of a document are called in French, with what they stand in: "Code" alone would say nothing to a reader.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache

from schemas import Kind, code_list, fields, schema
from schemas.labels import nodes
from schemas.references import References, annotation
from schemas.registry import references


@dataclass(frozen=True, slots=True)
class FieldTitle:
    """
    The title of a field and those of what it stands in, outermost first: (`Personne concernée`, `Adresse`), `Commune`.
    """

    within: tuple[str, ...]
    title: str


@dataclass(frozen=True, slots=True)
class Group:
    """
    Fields of one data category: its code and its label, and the titles of the fields by what they stand in.
    """

    category: str
    label: str
    fields: Mapping[str, tuple[str, ...]]


@cache
def field_titles(kind: Kind) -> Mapping[str, FieldTitle]:
    """
    The titles of the fields of a kind, by pattern; a list is called by its own title, not by that of its items.
    """
    titles = {
        node.pattern: annotation(node.parts, "title") for node in nodes(references(), References.root(schema(kind)))
    }
    found = {}
    for pattern in fields(kind):
        parts = pattern.split("/")
        above = ["/".join(parts[:end]) for end in range(2, len(parts) + 1) if parts[end - 1] != "*"]
        *within, title = [titles[each] for each in above]
        found[pattern] = FieldTitle(tuple(within), title)
    return found


@cache
def field_codes(kind: Kind) -> Mapping[str, str]:
    """
    The code lists of the fields of a kind that have one, by pattern.
    """
    places = nodes(references(), References.root(schema(kind)))
    lists = {node.pattern: annotation(node.parts, "x-code-list") for node in places}
    return {pattern: name for pattern, name in lists.items() if name}


def grouped(kind: Kind, patterns: Collection[str]) -> tuple[Group, ...]:
    """
    Some fields of a kind by data category, in the order of the list of categories and then of the schema.
    """
    labels, titles = fields(kind), field_titles(kind)
    groups = []
    for code, category in code_list("data_category").items():
        inside: dict[str, dict[str, None]] = {}
        for pattern, label in labels.items():
            if pattern in patterns and label.category == code:
                inside.setdefault(", ".join(titles[pattern].within), {})[titles[pattern].title] = None
        if inside:
            groups.append(Group(code, category.label_fr, {name: tuple(some) for name, some in inside.items()}))
    return tuple(groups)
