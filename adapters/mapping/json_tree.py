"""
Records of a JSON text, or one object per line.
"""

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from adapters.base import FileRefused
from adapters.csv_cells import last_line_open
from adapters.mapping.model import ITSELF, SourceFormat
from adapters.mapping.records import Record
from adapters.mapping.tree import TreeReader
from schemas import MalformedJson, parse_json
from schemas.positions import escape, locate_all

_MAX_BYTES: Final = 50_000_000
_MAX_ITEMS: Final = 5_000_000


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
                raise last_line_open(len(self._found))  # each line was read: the last is a whole object
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
            self.see(value, prefix)
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
                self.see(child, f"{path}/{name}")


def composed(raw: bytes) -> bytes:
    """
    UTF-8 whose accents are composed (NFC), as codes and keys are written here; bytes that are not UTF-8 as they are.
    """
    with suppress(UnicodeDecodeError):
        text = raw.decode()
        return raw if unicodedata.is_normalized("NFC", text) else unicodedata.normalize("NFC", text).encode()
    return raw


def parse(raw: bytes, line: int) -> Any:
    """
    A JSON text, read strictly, its accents composed (NFC): in keys and codes too. Raises `FileRefused`.
    """
    try:
        return parse_json(raw if raw.isascii() else composed(raw), max_bytes=_MAX_BYTES, max_items=_MAX_ITEMS)
    except MalformedJson as error:
        raise FileRefused(
            error.code,
            error.message_fr,
            error.message_en,
            quarantine=error.code != "too_large",
            line=line + error.line - 1,
            column=error.column,
        ) from None


def _at(node: Any, path: Sequence[str]) -> Any:
    for part in path:
        node = node.get(part) if isinstance(node, Mapping) else None
    return node


def _records_in(root: Any, path: Sequence[str]) -> list[Any]:
    found = _at(root, path)
    if found is None or not isinstance(found, list | dict):
        raise _not_records(1)
    return found if isinstance(found, list) else [found]


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


def _not_records(line: int) -> FileRefused:
    return FileRefused(
        "records_missing",
        "Les enregistrements attendus ne sont pas à leur place. Vérifiez que c'est le bon fichier.",
        "The expected records are not in their place. Check that it is the right file.",
        quarantine=False,
        line=line,
    )
