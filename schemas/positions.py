"""
Where things are in a JSON text: the line and column of a pointer, and of the first thing our rules refuse.

Used only once something is known to be wrong, so it may be slower than the parser; it never recurses, is linear in
the length of the text and survives any input.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

# A string that is never closed runs to the end of the text, so that each character is read once whatever the input.
STRING = re.compile(r'"[^"\\]*+(?:\\.?[^"\\]*+)*+(?:"|\Z)', re.DOTALL)
_TOKEN = re.compile(STRING.pattern + r"|[\[\]{},:]|[^\s\[\]{},:\"]++", re.DOTALL)


@dataclass(slots=True)
class _Container:
    """
    An object or an array being read: the last key seen, or the index of the current item.
    """

    is_object: bool
    key: str | None = None
    index: int = 0
    keys: set[str] = field(default_factory=set)

    def step(self) -> str:
        return (self.key or "") if self.is_object else str(self.index)


@dataclass(frozen=True, slots=True)
class Token:
    """
    A value (`role` "value") or the name of a property ("key") met in a JSON text.

    `offset` counts characters, `depth` the containers around it; `repeated` is true of a key already seen in its object.
    """

    role: str
    offset: int
    text: str
    depth: int
    repeated: bool = False


class Scan:
    """
    One pass over a JSON text, yielding its keys and values in order; `path()` is where the last one stands.

    The text need not be valid: the pass ends where the brackets stop making sense.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._open: list[_Container] = []

    def path(self) -> tuple[str, ...]:
        """
        The reference tokens (unescaped) of the last token yielded.
        """
        return tuple(container.step() for container in self._open)

    def __iter__(self) -> Iterator[Token]:
        for match in _TOKEN.finditer(self._text):
            text, offset = match.group(), match.start()
            container = self._open[-1] if self._open else None
            if text in "]}":
                if container is None:
                    return
                self._open.pop()
            elif text == ",":
                if container is not None:
                    container.key, container.index = None, container.index + 1
            elif text == ":":
                continue
            elif container is not None and container.is_object and container.key is None:
                yield self._key(container, text, offset)
            else:
                yield Token("value", offset, text, len(self._open))
                if text in "[{":
                    self._open.append(_Container(is_object=text == "{"))

    def _key(self, container: _Container, text: str, offset: int) -> Token:
        name = _unquote(text)
        repeated = name in container.keys
        container.keys.add(name)
        container.key = name
        return Token("key", offset, text, len(self._open), repeated)


def _unquote(text: str) -> str:
    if "\\" not in text:
        return text.strip('"')
    try:
        return str(json.loads(text))
    except ValueError:
        return text


def line_and_column(text: str, offset: int) -> tuple[int, int]:
    """
    The line and column, both from 1 and in characters, of the character at `offset`.
    """
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)


def locate(raw: bytes, pointer: str) -> tuple[int, int] | None:
    """
    The line and column (from 1, in characters) where the value at a JSON pointer begins in a JSON text.

    A pointer to something absent gives the place of the nearest container that exists, where the missing property
    belongs. None only if `raw` is not UTF-8 or holds no value at all.
    Pointers: RFC 6901.
    """
    return locate_all(raw, [pointer]).get(pointer)


def locate_all(raw: bytes, pointers: Iterable[str]) -> dict[str, tuple[int, int]]:
    """
    Like `locate`, for many pointers in one pass over the text.
    """
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return {}
    paths = {pointer: _parts(pointer) for pointer in pointers}
    wanted = {path[:size] for path in paths.values() for size in range(len(path) + 1)}
    deepest = max(map(len, wanted), default=0)
    found: dict[tuple[str, ...], int] = {}
    scan = Scan(text)
    for token in scan:
        if token.role == "value" and token.depth <= deepest and (path := scan.path()) in wanted:
            found.setdefault(path, token.offset)
    places = {}
    for pointer, path in paths.items():
        offset = next((found[path[:size]] for size in range(len(path), -1, -1) if path[:size] in found), None)
        if offset is not None:
            places[pointer] = line_and_column(text, offset)
    return places


def escape(part: str) -> str:
    """
    One part of a path as it is written in a JSON pointer (RFC 6901 section 3).
    """
    return part.replace("~", "~0").replace("/", "~1")


def _parts(pointer: str) -> tuple[str, ...]:
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:])
