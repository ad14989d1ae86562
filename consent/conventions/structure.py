"""
What a document cannot do without: the members that each container of a kind must have to stay valid.

A right without its name or a representative without a role would be refused by the recipient's software, and half a
fact is worse than none. So a container that cannot leave with all its required members does not leave at all.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Final

from schemas import Kind, fields, schema
from schemas.positions import escape
from schemas.references import Place, References, children
from schemas.registry import references

PSEUDONYM: Final = "/subject/pseudonym"
"""What stands for the person towards the recipient: the gateway puts it in every document that leaves."""


@dataclass(frozen=True, slots=True)
class _Whole:
    """
    A container with required members: all its leaves, and for each required member the leaves that make it present.
    """

    leaves: frozenset[str]
    members: tuple[frozenset[str], ...]


def names(pattern: str, leaf: str) -> bool:
    """
    Whether a pointer pattern names this leaf, itself or through a container that holds it.
    """
    return leaf == pattern or leaf.startswith(pattern + "/")


def prune(kind: Kind, patterns: frozenset[str]) -> frozenset[str]:
    """
    The patterns that may leave together: without those of the containers that would miss a required member.

    Empty when the document itself would miss one.
    """
    for whole in _wholes(kind):
        if any(patterns.isdisjoint(member) for member in whole.members):
            patterns -= whole.leaves
    return patterns


@cache
def open_maps(kind: Kind) -> frozenset[str]:
    """
    The containers of a kind whose members have names of the partner's choosing, by pattern.
    """
    keywords = ("additionalProperties", "patternProperties", "unevaluatedProperties")
    return frozenset(
        pattern
        for pattern, places in _containers(kind)
        if any(isinstance(part.schema.get(name), dict) for part in references().parts(places) for name in keywords)
    )


@cache
def _wholes(kind: Kind) -> tuple[_Whole, ...]:
    """
    The containers of a kind that have required members, the deepest first.
    """
    leaves = fields(kind)
    found = []
    for pattern, places in _containers(kind):
        certain = references().certain_parts(places)
        required = sorted({name for part in certain for name in part.schema.get("required", ())})
        if required:
            members = tuple(_under(f"{pattern}/{escape(name)}", leaves) for name in required)
            found.append((pattern.count("/"), _Whole(_under(pattern, leaves), members)))
    return tuple(whole for _, whole in sorted(found, key=lambda each: -each[0]))


def _containers(kind: Kind) -> Iterator[tuple[str, list[Place]]]:
    """
    Every place of a kind that holds labelled leaves, with the schemas that describe it.
    """
    leaves = fields(kind)
    waiting: list[tuple[str, list[Place]]] = [("", [References.root(schema(kind))])]
    while waiting:
        pattern, places = waiting.pop()
        # Leaves are finite in number, so that this ends even where a schema contains itself.
        if pattern in leaves or not _under(pattern, leaves):
            continue
        yield pattern, places
        inside = children(references().parts(places))
        waiting += [(f"{pattern}/{escape(name)}", list(parts)) for name, parts in inside.items()]


def _under(pattern: str, leaves: Iterable[str]) -> frozenset[str]:
    return frozenset(leaf for leaf in leaves if names(pattern, leaf))
