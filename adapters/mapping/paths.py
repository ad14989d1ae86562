"""
The paths of a tree: `../` climbs, `/` starts from the root, `Adresse[Rang=1]/Ville` chooses, `0` is an index.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from adapters.mapping.model import ITSELF

TEXT: Final = "#text"
"""What the text of an element that has attributes or children is named."""

_PREDICATE: Final = re.compile(r"([^\[\]]+)\[([^=\[\]]+)=([^\[\]]*)\]")
_PART: Final = re.compile(r"(?:[^/\[]|\[[^\]]*\])+")

Step = Callable[[Any], list[Any]]

Levels = tuple[tuple[str, ...], ...]
"""The absolute paths of the records, of the items in them, of the items in those: `..` climbs one level."""


def parse_path(source: str) -> tuple[int, bool, list[Step]]:
    """
    A path as how many records to climb, whether it starts from the root, and what to do at each step.
    """
    if source == ITSELF:
        return 0, False, []
    parts: list[str] = _PART.findall(source)
    climbs = 0
    while parts and parts[0] == "..":
        climbs += 1
        parts = parts[1:]
    return climbs, source.startswith("/"), [_path_step(part) for part in parts]


def absolute(source: str, above: Levels) -> str:
    """
    A source as an absolute path, predicates and indexes left out; `above` is where the records, then the items in them, are.
    """
    parts = source.split("/")
    if source.startswith("/"):
        parts = parts[1:]
    else:
        levels = list(above)
        while parts and parts[0] == ".." and len(levels) > 1:
            levels.pop()
            parts = parts[1:]
        parts = [*levels[-1], *(part for part in parts if part != ITSELF)]
    names = (part.partition("[")[0] for part in parts)
    return "".join(f"/{name}" for name in names if name and not name.isdecimal())


def predicates(sources: Sequence[str]) -> Iterator[str]:
    """
    The sources that the predicates of paths read: `Adresse[Rang=1]/Ville` reads `Adresse/Rang`.
    """
    for source in sources:
        parts = _PART.findall(source)
        for index, part in enumerate(parts):
            if match := _PREDICATE.fullmatch(part):
                yield "/".join((*parts[:index], match.group(1), match.group(2)))


def _path_step(part: str) -> Step:
    match = _PREDICATE.fullmatch(part)
    name, wanted = (match.group(1), (match.group(2), match.group(3))) if match else (part, None)

    def step(node: Any) -> list[Any]:
        nodes = node if isinstance(node, list) else [node]
        if name.isdecimal() and isinstance(node, list):
            return node[int(name) : int(name) + 1]
        found: list[Any] = []
        for each in nodes:
            child = each.get(name) if isinstance(each, Mapping) else None
            found.extend(child if isinstance(child, list) else [child])
        if wanted:
            found = [
                each for each in found if isinstance(each, Mapping) and str(scalar(each.get(wanted[0]))) == wanted[1]
            ]
        return found

    return step


def scalar(node: Any) -> Any:
    """
    A value as it is compared and read: an element that has attributes is its text.
    """
    return node[TEXT] if isinstance(node, Mapping) and isinstance(node.get(TEXT), str) else node
