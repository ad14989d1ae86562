"""
Which data a document may hold: the leaves of a schema, each with its category, read from the schema's annotations.
"""

from collections.abc import Iterator
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
class Node:
    """
    One place of a document: its pattern (a JSON pointer in which `*` stands for any item or any key), the pattern of its
    container, all the schemas that describe it, and whether something may be inside.
    """

    pattern: str
    container: str
    parts: list[Place]
    leaf: bool


def nodes(references: References, root: Place) -> Iterator[Node]:
    """
    The places of a document that a schema describes, containers before what is inside them.

    The branches of allOf, anyOf, oneOf and `$ref` count as one schema.
    """
    waiting: list[tuple[str, str, list[Place], frozenset[int]]] = [("", "", [root], frozenset())]
    while waiting:
        pattern, container, places, above = waiting.pop()
        parts = references.parts(places)
        inside = children(parts)
        yield Node(pattern, container, parts, not inside)
        here = above | {id(part.schema) for part in parts}
        for name, found in inside.items():
            # A schema that contains itself would go on for ever.
            if not all(id(place.schema) in above for place in found):
                waiting.append((f"{pattern}/{escape(name)}", pattern, found, here))


def leaves(references: References, root: Place) -> dict[str, FieldLabel]:
    """
    The labelled leaves of a schema, by pattern.

    A leaf is a value without properties or items of its own. The scalars of an array and the values of an open map
    take the label of their container when they have none: `/subject/given_names/*`, `/local/fields/*`. A leaf that
    carries no category is left out, and so can never leave the gateway.
    """
    labels: dict[str, FieldLabel] = {}
    found: dict[str, FieldLabel] = {}
    for node in nodes(references, root):
        label = _label(node)
        if label is None and node.pattern.endswith(f"/{ANY}") and (above := labels.get(node.container)):
            label = FieldLabel(node.pattern, above.category, above.sensitivity, above.title_fr, above.title_en)
        if label:
            labels[node.pattern] = label
            if node.leaf:
                found[node.pattern] = label
    return dict(sorted(found.items()))


def _label(node: Node) -> FieldLabel | None:
    category = annotation(node.parts, "x-category")
    if not category:
        return None
    sensitivity = annotation(node.parts, "x-sensitivity") or "ordinary"
    title = annotation(node.parts, "title") or ""
    return FieldLabel(node.pattern, category, sensitivity, title, annotation(node.parts, "x-title-en") or title)
