"""
Records of an XML file read as a stream; names lose their namespace, attributes are `@name`.
"""

from collections.abc import Iterator, Sequence
from io import BytesIO
from typing import Any

from lxml import etree

from adapters.base import FileRefused
from adapters.hardened_xml import GuardedBytes, Limits, line_of, records
from adapters.mapping.model import ITSELF, SourceFormat
from adapters.mapping.paths import TEXT
from adapters.mapping.records import Record
from adapters.mapping.tree import TreeReader


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
            self.see(value, prefix)
            self._element = element
            yield Record(value if isinstance(value, dict) else {TEXT: value}, line_of(element), where=element)
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
            self.see(
                {name: child for name, child in value.items() if name != records_name}, f"/{self._source.records[0]}"
            )


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
        found[TEXT] = text
    for child in element:
        name, value = etree.QName(child).localname, plain_element(child)
        if name not in found:
            found[name] = value
        elif isinstance(found[name], list):
            found[name].append(value)
        else:
            found[name] = [found[name], value]
    return found


def _stands_at(element: Any, path: Sequence[str]) -> bool:
    for name in reversed(path):
        if element is None or etree.QName(element).localname != name:
            return False
        element = element.getparent()
    return element is None


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


def _other_root(name: str) -> FileRefused:
    return FileRefused(
        "other_root",
        f"La racine attendue est « {name} », et les enregistrements n'y sont pas. Vérifiez que c'est le bon fichier.",
        f"The expected root is “{name}”, and the records are not there. Check that it is the right file.",
        quarantine=False,
        line=1,
    )
