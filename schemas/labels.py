"""
Which data a document may hold: the leaves of a schema, each with its category, read from the schema's annotations.
"""

from dataclasses import dataclass

from schemas.positions import escape
from schemas.references import ANY, Place, References, annotation, children


@dataclass(frozen=True, slots=True)
class FieldLabel:
    """
    What a schema says of one leaf: where it is, what sort of data it is, how sensitive, and its names.
    """

    pattern: str
    category: str
    sensitivity: str
    title_fr: str
    title_en: str


@dataclass(frozen=True, slots=True)
class _Node:
    """
    One place of a document: all the schemas that describe it, and the label its container hands down to it.
    """

    pattern: str
    places: tuple[Place, ...]
    inherited: tuple[str, str, str, str] | None
    above: frozenset[int]


def leaves(references: References, root: Place) -> dict[str, FieldLabel]:
    """
    The labelled leaves of a schema, by pointer pattern: a JSON pointer in which `*` stands for any item or any key.

    A leaf is a value without properties or items of its own. The scalars of an array and the values of an open map
    take the label of their container: `/subject/given_names/*`, `/local/fields/*`. The branches of allOf, anyOf, oneOf
    and `$ref` count as one schema. A leaf that carries no category is left out, and so can never leave the gateway.
    """
    found: dict[str, FieldLabel] = {}
    waiting = [_Node("", (root,), None, frozenset())]
    while waiting:
        node = waiting.pop()
        parts = references.parts(node.places)
        label = _label(parts) or node.inherited
        inside = children(parts)
        if not inside and label and node.pattern:
            found[node.pattern] = FieldLabel(node.pattern, *label)
        above = node.above | {id(part.schema) for part in parts}
        for name, places in inside.items():
            # A schema that contains itself would go on for ever: its second turn says nothing new of the leaves.
            if all(id(place.schema) in node.above for place in places):
                continue
            handed_down = label if name == ANY else None
            waiting.append(_Node(f"{node.pattern}/{escape(name)}", tuple(places), handed_down, above))
    return dict(sorted(found.items()))


def _label(parts: list[Place]) -> tuple[str, str, str, str] | None:
    category = annotation(parts, "x-category")
    if not category:
        return None
    title = annotation(parts, "title") or ""
    return category, annotation(parts, "x-sensitivity") or "ordinary", title, annotation(parts, "x-title-en") or title
