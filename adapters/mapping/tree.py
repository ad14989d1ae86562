"""
Records with structure: JSON, one JSON object per line, XML; a path such as `Personne/NOM` is read in each of them alike.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from io import BytesIO
from typing import Any, Final

from lxml import etree

from adapters.base import FileRefused
from adapters.hardened_xml import GuardedBytes, Limits, line_of, records
from adapters.mapping.model import ITSELF, SourceFormat
from adapters.mapping.records import Getter, Record
from adapters.report import Tally, shown_name
from schemas import MalformedJson, parse_json
from schemas.positions import escape, locate_all

_MAX_BYTES: Final = 50_000_000
_MAX_ITEMS: Final = 5_000_000
_PREDICATE: Final = re.compile(r"([^\[\]]+)\[([^=\[\]]+)=([^\[\]]*)\]")
_TEXT: Final = "#text"

_PLAIN: Final = (int, float, bool)

Step = Callable[[Any], list[Any]]

Levels = tuple[tuple[str, ...], ...]
"""The absolute paths of the records, of the items in them, of the items in those: `..` climbs one level."""


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
            found = [_scalar(leaf) for node in nodes for leaf in _leaves(node)]
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

    def _see(self, node: Any, path: str) -> None:
        """
        Count the values under a node.
        """
        if isinstance(node, dict):
            for name, child in node.items():
                self._see(child, path if name == _TEXT else f"{path}/{name}")
        elif isinstance(node, list):
            for child in node:
                self._see(child, path)
        elif node is not None and not (isinstance(node, str) and node.strip() in self._nothing):
            self._paths[path] = self._paths.get(path, 0) + 1


class JsonReader(TreeReader):
    """
    A JSON text, or one object per line; records are at `source.records`, a list or a single object.
    """

    def __init__(self, raw: bytes, source: SourceFormat) -> None:
        super().__init__(source)
        self._raw = raw
        if source.lines:
            self._found: list[tuple[int | None, Any]] = [
                (number, parse(line, number)) for number, line in enumerate(raw.split(b"\n"), 1) if line.strip()
            ]
            if not self._found:
                parse(raw, 1)
            if not raw.endswith(b"\n") and not source.open_end:
                raise _cut(len(self._found))
        else:
            self._root = parse(raw, 1)
            self._found = [(None, each) for each in _records_in(self._root, source.records)]

    def records(self) -> Iterator[Record]:
        """
        See `Reader.records`.
        """
        prefix = "".join(f"/{part}" for part in self._source.records)
        single = not self._source.lines and not isinstance(_at(self._root, self._source.records), list)
        above = (self._root, "") if self._root is not None else (None, "")
        self._see_outside(above[0], self._source.records, "")
        for index, (line, value) in enumerate(self._found):
            if not isinstance(value, dict):
                raise _not_records(line or 1)
            self._see(value, prefix)
            pointer = "".join(f"/{escape(part)}" for part in self._source.records) + ("" if single else f"/{index}")
            yield Record(value, line, where=pointer)

    def place(self, record: Record, source: str) -> tuple[int | None, int | None]:
        """
        See `Reader.place`; the whole text is looked through, so it is only for what is wrong.
        """
        if self._source.lines:
            return record.line, None
        places = [f"{above}{_pointer(source)}" for above in _pointers(record)] + _pointers(record)
        found = locate_all(self._raw, places)
        return next((found[place] for place in places if place in found), (None, None))

    def _see_outside(self, node: Any, records: tuple[str, ...], path: str) -> None:
        """
        Count what is around the records.
        """
        if not records or not isinstance(node, dict):
            return
        for name, child in node.items():
            if name == records[0]:
                self._see_outside(child, records[1:], f"{path}/{name}")
            else:
                self._see(child, f"{path}/{name}")


class XmlReader(TreeReader):
    """
    An XML file read as a stream; names lose their namespace, attributes are `@name`.
    """

    def __init__(self, raw: bytes, source: SourceFormat) -> None:
        super().__init__(source)
        if not source.records:
            raise ValueError("an XML mapping names its records")
        self._guard = GuardedBytes(BytesIO(raw), Limits(total_bytes=500_000_000))

    def records(self) -> Iterator[Record]:
        """
        See `Reader.records`.
        """
        path = self._source.records
        prefix = "".join(f"/{part}" for part in path)
        any_found = False
        for element in records(self._guard, (f"{{*}}{path[-1]}",)):
            if element.getparent() is None and len(path) > 1:
                if etree.QName(element).localname != path[0]:
                    raise _other_root(path[0])
                self._see_root(element)
                return
            if not _stands_at(element, path):
                continue
            any_found = True
            value = plain_element(element)
            self._see(value, prefix)
            self._element = element
            yield Record(value if isinstance(value, dict) else {_TEXT: value}, line_of(element), where=element)
            self._guard.record_done()
            if len(path) > 1:
                element.clear()
                before, parent = element.getprevious(), element.getparent()
                if before is not None and parent is not None and before.tag == element.tag:
                    parent.remove(before)
            else:
                return
        if not any_found:
            raise _other_root(path[0])

    def root(self, record: Record) -> Any:
        """
        What stands before this record in the file, as a tree.
        """
        if self._root is None:
            while record.parent is not None:
                record = record.parent
            self._root = {self._source.records[0]: plain_element(record.where.getroottree().getroot())}
        return self._root

    def place(self, record: Record, source: str) -> tuple[int | None, int | None]:
        """
        See `Reader.place`: libxml2 gives lines, no columns.
        """
        element = _element_of(record)
        found = _elements(element, source) if "@" not in source else []
        return line_of(found[0] if found else element) or record.line, None

    def _see_root(self, root: Any) -> None:
        value = plain_element(root)
        records_name = self._source.records[1]
        if isinstance(value, dict):
            self._see(
                {name: child for name, child in value.items() if name != records_name}, f"/{self._source.records[0]}"
            )


def parse_path(source: str) -> tuple[int, bool, list[Step]]:
    """
    A path as how many records to climb, whether it starts from the root, and what to do at each step.
    """
    if source == ITSELF:
        return 0, False, []
    parts: list[str] = re.findall(r"(?:[^/\[]|\[[^\]]*\])+", source)
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
        parts = re.findall(r"(?:[^/\[]|\[[^\]]*\])+", source)
        for index, part in enumerate(parts):
            if match := _PREDICATE.fullmatch(part):
                yield "/".join((*parts[:index], match.group(1), match.group(2)))


def plain_element(element: Any) -> Any:
    """
    An element as a tree: its text, or a dict of its attributes (`@name`), its text (`#text`) and its children by local
    name, a list where a name comes several times.
    """
    found: dict[str, Any] = {f"@{etree.QName(name).localname}": value for name, value in element.attrib.items()}
    text = (element.text or "").strip()
    if len(element) == 0 and not found:
        return text
    if text:
        found[_TEXT] = text
    for child in element:
        name, value = etree.QName(child).localname, plain_element(child)
        if name not in found:
            found[name] = value
        elif isinstance(found[name], list):
            found[name].append(value)
        else:
            found[name] = [found[name], value]
    return found


def parse(raw: bytes, line: int) -> Any:
    """
    A JSON text, read strictly. Raises `FileRefused`.
    """
    try:
        return parse_json(raw, max_bytes=_MAX_BYTES, max_items=_MAX_ITEMS)
    except MalformedJson as error:
        raise FileRefused(
            error.code,
            error.message_fr,
            error.message_en,
            quarantine=error.code != "too_large",
            line=line + error.line - 1,
            column=error.column,
        ) from None


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
                each for each in found if isinstance(each, Mapping) and str(_scalar(each.get(wanted[0]))) == wanted[1]
            ]
        return found

    return step


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


def _scalar(node: Any) -> Any:
    return node[_TEXT] if isinstance(node, Mapping) and isinstance(node.get(_TEXT), str) else node


def _at(node: Any, path: Sequence[str]) -> Any:
    for part in path:
        node = node.get(part) if isinstance(node, Mapping) else None
    return node


def _records_in(root: Any, path: Sequence[str]) -> list[Any]:
    found = _at(root, path)
    if found is None or not isinstance(found, list | dict):
        raise _not_records(1)
    return found if isinstance(found, list) else [found]


def _stands_at(element: Any, path: Sequence[str]) -> bool:
    for name in reversed(path):
        if element is None or etree.QName(element).localname != name:
            return False
        element = element.getparent()
    return element is None


def _pointers(record: Record) -> list[str]:
    """
    The JSON pointers at which a record, or an item in one, may be, the most precise first: a lone item is in no list.
    """
    if not isinstance(record.where, tuple) or record.parent is None:
        return [record.where]
    _, source, index = record.where
    lists = [f"{above}{_pointer(source)}" for above in _pointers(record.parent)]
    return [f"{pointer}/{index}" for pointer in lists] + lists


def _pointer(source: str) -> str:
    parts = (part.partition("[")[0] for part in source.split("/"))
    return "".join(f"/{escape(part)}" for part in parts if part not in {"", ITSELF, ".."})


def _element_of(record: Record) -> Any:
    """
    The element of a record, or of an item in one.
    """
    if not isinstance(record.where, tuple) or record.parent is None:
        return record.where
    _, source, index = record.where
    found = _elements(_element_of(record.parent), source)
    return found[index] if index < len(found) else _element_of(record.parent)


def _elements(element: Any, source: str) -> list[Any]:
    """
    The elements at a path, predicates aside.
    """
    found = [element]
    for part in source.split("/"):
        if part not in {"", ITSELF, ".."}:
            found = [child for each in found for child in each.iterfind(f"{{*}}{part.partition('[')[0]}")]
    return found


def _cut(line: int) -> FileRefused:
    return FileRefused(
        "truncated",
        "Le fichier est coupé : sa dernière ligne n'est pas finie. Rien n'en est repris ; renvoyez-le entier.",
        "The file is cut: its last line is not ended. Nothing of it is used; send it again, whole.",
        quarantine=True,
        line=line,
    )


def _not_records(line: int) -> FileRefused:
    return FileRefused(
        "records_missing",
        "Les enregistrements attendus ne sont pas à leur place. Vérifiez que c'est le bon fichier.",
        "The expected records are not in their place. Check that it is the right file.",
        quarantine=False,
        line=line,
    )


def _other_root(name: str) -> FileRefused:
    return FileRefused(
        "other_root",
        f"La racine attendue est « {name} », et les enregistrements n'y sont pas. Vérifiez que c'est le bon fichier.",
        f"The expected root is “{name}”, and the records are not there. Check that it is the right file.",
        quarantine=False,
        line=1,
    )
