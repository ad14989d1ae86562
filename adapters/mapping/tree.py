"""
Records with structure, JSON or XML: a path such as `Personne/NOM` is read in each of them alike, every value is counted.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, Final

from adapters.mapping.model import ITSELF, SourceFormat
from adapters.mapping.paths import TEXT, parse_path, scalar
from adapters.mapping.records import Getter, Record
from adapters.report import Tally, shown_name

_PLAIN: Final = (int, float, bool)


class TreeReader:
    """
    What JSON and XML have in common: paths, items, the count of elements.
    """

    guessed_encoding = False

    def __init__(self, source: SourceFormat) -> None:
        self._source = source
        self._nothing = source.nothing
        self._paths: dict[str, int] = {}
        self._root: Any = None

    def getter(self, source: str) -> Getter:
        """
        See `Reader.getter`. `../` climbs to the record that an item is in, a leading `/` starts from the root.
        """
        climbs, from_root, steps = parse_path(source)
        nothing = self._nothing

        def get(record: Record) -> Any:
            for _ in range(climbs):
                record = record.parent or record
            nodes = [self.root(record) if from_root else record.value]
            for step in steps:
                nodes = [child for node in nodes for child in step(node)]
            found = [scalar(leaf) for node in nodes for leaf in _leaves(node)]
            found = [node for node in found if not (isinstance(node, str) and node.strip() in nothing)]
            return found[0] if len(found) == 1 else found or None

        names = source.split("/")
        if climbs or from_root or source == ITSELF or "[" in source or any(name.isdecimal() for name in names):
            return get
        return partial(_straight, names, nothing, get)

    def root(self, record: Record) -> Any:
        """
        The root of the file, for paths that start with `/`.
        """
        del record
        return self._root

    def items(self, record: Record, source: str, values: Sequence[Any]) -> list[Record]:
        """
        See `Reader.items`.
        """
        return [
            Record(value, record.line, record, value, (record.where, source, index))
            for index, value in enumerate(values)
        ]

    def plain(self, record: Record) -> Any:
        """
        The tree itself.
        """
        return record.value

    def count(self, tally: Tally) -> None:
        """
        See `Reader.count`: one for each value.
        """
        for path, count in self._paths.items():
            known = path
            while known and not tally.knows(known):
                known = known.rpartition("/")[0]
            if known:
                tally.add(known, count)
                continue
            shown = "/".join(part if tally.names(part) else shown_name(part) for part in path.split("/")[1:])
            tally.add_unknown(f"/{shown}", count)

    def see(self, node: Any, path: str) -> None:
        """
        Count the values under a node.
        """
        if isinstance(node, dict):
            seen, nothing = self._paths, self._nothing
            for name, child in node.items():
                below = path if name == TEXT else f"{path}/{name}"
                if type(child) is not str:
                    self.see(child, below)
                elif child not in nothing and child.strip() not in nothing:  # nearly every value: without a call
                    seen[below] = seen.get(below, 0) + 1
        elif isinstance(node, list):
            for child in node:
                self.see(child, path)
        elif node is not None and not (isinstance(node, str) and node.strip() in self._nothing):
            self._paths[path] = self._paths.get(path, 0) + 1


def _straight(names: Sequence[str], nothing: frozenset[str], general: Getter, record: Record) -> Any:
    """
    A path of plain names, the usual one, without making lists: what meets a list on its way is left to `general`.
    """
    node = record.value
    for name in names:
        if type(node) is not dict:
            return None if not isinstance(node, list) else general(record)
        node = node.get(name)
    if type(node) is str:
        return None if node in nothing or node.strip() in nothing else node
    if type(node) is list and all(type(each) is str for each in node):
        found = [each for each in node if each.strip() not in nothing]
        return found[0] if len(found) == 1 else found or None
    return node if type(node) in _PLAIN else None if node is None else general(record)


def _leaves(node: Any) -> Iterator[Any]:
    """
    What lists in lists hold in the end.
    """
    if isinstance(node, list):
        for each in node:
            yield from _leaves(each)
    elif node is not None:
        yield node
