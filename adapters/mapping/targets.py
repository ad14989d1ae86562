"""
The places of a shared document that rules fill: `subject.birth_name`, `subject.phones[]`, `reasons[scheme=reason].code`.

    name                a property
    name[]              one more item of a list for each value
    name[1].part        the item numbered 1 among the rules of the file: rules with the same number fill the same item
    name[a=x,b=y].part  one item, with these constants, for each value
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from schemas import Document

_SEGMENT: Final = re.compile(r"([a-z_][A-Za-z0-9_-]*)(?:\[([^\[\]]*)\])?")
_CONSTANT: Final = re.compile(r"([a-z_][a-z0-9_]*)=([^,=\[\]]+)")

Groups = dict[tuple[int, str], Any]


class BadTarget(ValueError):
    """
    A target is not written as one.
    """


@dataclass(frozen=True, slots=True)
class Segment:
    """
    One step of a target: a property, and how an item of it is chosen when it is a list.

    `item` is None for a property, "" for `[]`, the number for `[1]`, and "=" for `[a=x]`, with its `constants`.
    """

    name: str
    item: str | None
    constants: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Target:
    """
    A place to fill, and to read again: `put` adds one value to a document, `values` gives those that are there.
    """

    text: str
    segments: tuple[Segment, ...]
    above: tuple[tuple[Segment, str], ...] = field(init=False)
    last: Segment = field(init=False)
    many: bool = field(init=False)

    def __post_init__(self) -> None:
        """
        Prepare what `put` needs: each segment but the last with the name that follows it; whether each value gets an item
        of its own (`many`).
        """
        names = [segment.name for segment in self.segments[1:]]
        object.__setattr__(self, "above", tuple(zip(self.segments[:-1], names, strict=True)))
        object.__setattr__(self, "last", self.segments[-1])
        many = any(segment.item is not None and not segment.item.isdecimal() for segment in self.segments)
        object.__setattr__(self, "many", many)

    @property
    def pattern(self) -> str:
        """
        The place as the schemas name it: `/reasons/*/code`.
        """
        return "".join(f"/{segment.name}" + ("" if segment.item is None else "/*") for segment in self.segments)

    def put(self, document: Document, value: Any, groups: Groups) -> None:
        """
        Add a value. `groups` remembers the numbered items of this document; it is empty at first.
        """
        node: Any = document
        for segment, following in self.above:
            if segment.item is None:
                child = node.get(segment.name)
                if child is None:
                    child = node[segment.name] = {}
                node = child
            else:
                node = _item(node.setdefault(segment.name, []), segment, following, groups)
        if self.last.item is None:
            node[self.last.name] = value
        else:
            node.setdefault(self.last.name, []).append(value)

    def values(self, document: Document) -> list[Any]:
        """
        The values that stand at this place, in order.
        """
        nodes: list[Any] = [document]
        for segment in self.segments:
            nodes = [child for node in nodes for child in _children(node, segment)]
        return nodes


def parse_target(text: str) -> Target:
    """
    Read a target. Raises `BadTarget`, with a sentence in French.
    """
    segments = []
    parts = _parts(text)
    if ".".join(parts) != text:
        raise BadTarget("un point ou un crochet est mal placé")
    for part in parts:
        match = _SEGMENT.fullmatch(part)
        if match is None:
            raise BadTarget(f"« {part} » n'est pas le nom d'une propriété, seul ou suivi de [], [1] ou [nom=valeur]")
        name, inside = match.groups()
        if inside is None or inside == "" or inside.isdecimal():
            segments.append(Segment(name, inside, ()))
            continue
        constants = [_CONSTANT.fullmatch(each.strip()) for each in inside.split(",")]
        if not all(constants):
            raise BadTarget(f"« [{inside}] » : il faut [], un numéro, ou nom=valeur séparés par des virgules")
        segments.append(Segment(name, "=", tuple((each.group(1), each.group(2)) for each in constants if each)))
    if segments[-1].item not in {None, ""}:
        raise BadTarget("après [1] ou [nom=valeur], il faut une propriété de l'élément : [1].nom")
    return Target(text, tuple(segments))


def _parts(text: str) -> list[str]:
    """
    The parts between the dots that are outside brackets.
    """
    found: list[str] = re.findall(r"(?:[^.\[\]]|\[[^\]]*\])+", text)
    return found


def _item(items: list[Any], segment: Segment, following: str, groups: Groups) -> Any:
    if segment.constants:
        wanted = dict(segment.constants)
        for item in items:
            if following not in item and all(item.get(name) == value for name, value in wanted.items()):
                return item
        items.append(wanted)
    elif segment.item == "":
        items.append({})
    else:
        number = (id(items), segment.item or "")
        if number not in groups:
            items.append({})
            groups[number] = items[-1]
        return groups[number]
    return items[-1]


def _children(node: Any, segment: Segment) -> list[Any]:
    found = node.get(segment.name) if isinstance(node, Mapping) else None
    if found is None:
        return []
    if segment.item is None:
        return [found]
    items = found if isinstance(found, list) else []
    if segment.item.isdecimal():
        return items[int(segment.item) - 1 : int(segment.item)]
    wanted = segment.constants
    return [
        item
        for item in items
        if not wanted or (isinstance(item, Mapping) and all(item.get(name) == value for name, value in wanted))
    ]
