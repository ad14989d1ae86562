"""
What the shared schemas say of the places that a mapping fills: whether they exist, and which values they take.
"""

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from functools import cache
from typing import Any

import jsonschema_rs

from schemas import Kind
from schemas.labels import Node, nodes
from schemas.references import ANY, References
from schemas.registry import FORMATS, references, schema


@cache
def places(kind: Kind) -> Mapping[str, Node]:
    """
    Every place of a kind by pattern (`/subject/phones/*`).
    """
    return {node.pattern: node for node in nodes(references(), References.root(schema(kind)))}


def find(kind: Kind, pattern: str) -> Node | None:
    """
    The place of a pattern, `*` standing for the names of an open map; None when the kind has no such place.
    """
    known = places(kind)
    found = ""
    for name in pattern.split("/")[1:]:
        exact = f"{found}/{name}"
        found = exact if exact in known else f"{found}/{ANY}"
        if found not in known:
            return None
    return known.get(found)


def nearest(kind: Kind, pattern: str) -> str | None:
    """
    The target, as a mapping file writes it, that looks most like an unknown pattern.
    """
    leaves = {target(node.pattern): node for node in places(kind).values() if node.leaf}
    near = get_close_matches(target(pattern), leaves, n=1, cutoff=0.6)
    return near[0] if near else None


def target(pattern: str) -> str:
    """
    A pattern as a mapping file writes it: `/subject/phones/*` is `subject.phones[]`.
    """
    return pattern[1:].replace("/*", "[]").replace("/", ".")


def types(node: Node) -> frozenset[str]:
    """
    The JSON types that a place takes; empty when the schema does not say.
    """
    for part in node.parts:
        if (said := part.schema.get("type")) is not None:
            return frozenset([said] if isinstance(said, str) else said)
    return frozenset()


@cache
def accepts(kind: Kind, pattern: str) -> Callable[[Any], bool]:
    """
    Whether a place (a pattern that `find` knows) takes a value, by everything that the schemas say of it alone.
    """
    node = find(kind, pattern)
    if node is None:
        raise KeyError(pattern)
    validator = jsonschema_rs.validator_for(
        {"$schema": "https://json-schema.org/draft/2020-12/schema", **references().constraints(node.parts[0])},
        offline=True,
        validate_formats=True,
        ignore_unknown_formats=False,
        formats=dict(FORMATS),
        pattern_options=jsonschema_rs.RegexOptions(),
    )
    return validator.is_valid
