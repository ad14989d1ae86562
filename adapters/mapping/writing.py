"""
From shared documents to the partner's file: the rules read backwards, then what the file says to write besides.
"""

import json
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from io import BytesIO
from typing import Any, Final

from lxml import etree

from adapters.csv_cells import guard_cell, write_lines
from adapters.mapping.elements import used_sources
from adapters.mapping.expression import ExpressionFailed, compile_expression
from adapters.mapping.model import ITSELF, DocumentRule, MappingFile, Rule
from adapters.mapping.notes import Silent
from adapters.mapping.run import field_name
from adapters.mapping.steps import make_step
from adapters.tables import Table
from schemas import Document

_FIXED_TIME: Final = (1980, 1, 1, 0, 0, 0)
_HOUR: Final = re.compile(rb">[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z<")
Cells = dict[str, Any]


def write_documents(mapping: MappingFile, documents: Sequence[Document]) -> bytes:
    """
    The file of some documents, each a row, an object or an element. What a document does not hold is left empty.
    """
    by_kind = {rule.kind: rule for rule in reversed(mapping.documents)}
    found = [_cells(mapping, by_kind[document["kind"]], document) for document in documents]
    return _WRITERS[mapping.source.format](mapping, found)


def _cells(mapping: MappingFile, rule: DocumentRule, document: Document) -> Cells:
    """
    What one document gives to each source of the mapping.
    """
    cells: Cells = {}
    _unfill(rule.fields, document, cells, mapping.tables, document)
    for written in mapping.write:
        value: Any = written.const
        if written.target is not None:
            values = [
                _backwards(each, written.steps, mapping.tables.get(written.table or ""))
                for each in written.target.values(document)
            ]
            value = next(iter(values), "")
        elif written.expression is not None:
            try:
                value = _expression(written.expression)(document, Silent())
            except ExpressionFailed:
                value = ""
        cells[written.source] = "" if value is None else value
    return cells


def _unfill(
    rules: Sequence[Rule], part: Mapping[str, Any], cells: Cells, tables: Mapping[str, Table], whole: Document
) -> None:
    for rule in rules:
        values = rule.target.values(dict(part))
        if rule.fields:
            _unfill_object(rule, values, cells, tables, whole)
        elif rule.sources and rule.expression is None:
            texts = [_backwards(value, rule.steps, tables.get(rule.table or "")) for value in values]
            if not texts and rule.table:
                local = whole.get("local", {}).get("fields", {}).get(field_name(rule.sources[0]))
                texts = [local] if local else []
            _spread(rule, texts, cells)


def _unfill_object(
    rule: Rule, values: Sequence[Any], cells: Cells, tables: Mapping[str, Table], whole: Document
) -> None:
    constants = {each.target.text: each.const for each in rule.fields if each.const is not None}
    own = [value for value in values if all(value.get(name) == const for name, const in constants.items())]
    if rule.each is None:
        for value in own[:1]:
            _unfill(rule.fields, value, cells, tables, whole)
        return
    items: list[Cells] = []
    for value in own:
        item: Cells = {}
        _unfill(rule.fields, value, item, tables, whole)
        for source in [source for source in item if source.startswith("../")]:
            cells.setdefault(source.removeprefix("../"), item.pop(source))
        items.append(item)
    if rule.split:
        cells.setdefault(rule.each, f"{rule.split[0]} ".join(str(item.get(ITSELF, "")) for item in items))
    else:
        cells.setdefault(rule.each, [item.get(ITSELF, item) for item in items])


def _spread(rule: Rule, texts: Sequence[Any], cells: Cells) -> None:
    """
    Put the values of a rule back in its columns: one each, or all in one where they were cut from it.
    """
    filled = (
        [text for text in texts if text not in {None, ""}] if all(isinstance(t, str) for t in texts) else list(texts)
    )
    if rule.split and filled:
        separator = rule.split[0]
        cells.setdefault(
            rule.sources[0],
            f"{separator.rstrip()} ".join(map(str, filled)) if separator.strip() else separator.join(map(str, filled)),
        )
        return
    # A list stays one even of one item (`prenoms`); an item chosen by a constant is usually alone (`numero_caf`).
    listed = rule.target.last.item == "" or len(filled) > 1
    if rule.target.many and len(rule.sources) == 1 and filled and listed:
        cells.setdefault(rule.sources[0], filled)
        return
    for source, text in zip(rule.sources if rule.target.many else rule.sources[:1], filled, strict=False):
        cells.setdefault(source, text)


def _backwards(value: Any, steps: Sequence[tuple[str, Any]], table: Table | None) -> Any:
    if table is not None:
        value = table.partner(value) or ""
    for name, parameter in reversed(steps):
        value = make_step(name, parameter).write(value) if value != "" else ""
    return value


@lru_cache(maxsize=256)
def _expression(text: str) -> Callable[[Any, Any], Any]:
    return compile_expression(text)


def _columns(mapping: MappingFile) -> list[str]:
    return list(dict.fromkeys((*used_sources(mapping), *(written.source for written in mapping.write))))


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_text, value))
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def _rows(mapping: MappingFile, found: Sequence[Cells]) -> Iterator[list[str]]:
    columns = _columns(mapping)
    for cells in found:
        yield [_text(cells.get(column, "")) for column in columns]


def _lines(mapping: MappingFile, found: Sequence[Cells]) -> Iterator[list[str]]:
    """
    All the lines of a table: those before the header (the title of the format stands there), the header, the rows.
    """
    for number in range(mapping.source.skip):
        yield [mapping.title if number == 0 else "…"]
    if mapping.source.header:
        yield _columns(mapping)
    yield from _rows(mapping, found)


def _write_csv(mapping: MappingFile, found: Sequence[Cells]) -> bytes:
    source = mapping.source
    return _encoded(mapping, write_lines(_lines(mapping, found), source.separator[0], source.line_end).decode())


def _write_fixed(mapping: MappingFile, found: Sequence[Cells]) -> bytes:
    source = mapping.source
    width = max(start + length - 1 for start, length in source.places.values())
    lines = []
    for cells in found:
        line = [" "] * width
        for name, (start, length) in source.places.items():
            text = " ".join(_text(cells.get(name, "")).split())[:length].ljust(length)
            line[start - 1 : start - 1 + length] = text
        lines.append("".join(line) + source.line_end)
    return _encoded(mapping, "".join(lines))


def _encoded(mapping: MappingFile, text: str) -> bytes:
    encoding = mapping.source.encoding or "utf-8"
    return text.encode("utf-8-sig" if mapping.source.bom and encoding == "utf-8" else encoding, errors="replace")


def _write_xlsx(mapping: MappingFile, found: Sequence[Cells]) -> bytes:
    """
    A workbook whose bytes depend on its content alone: the hours that the format stores are fixed.
    """
    import openpyxl  # noqa: PLC0415  # a third of a second, that only workbooks need

    book = openpyxl.Workbook()
    sheet: Any = book.active
    if mapping.source.sheet:
        sheet.title = mapping.source.sheet
    for row, cells in enumerate(_lines(mapping, found), 1):
        for column, text in enumerate(cells, 1):
            cell = sheet.cell(row, column)
            cell.value = guard_cell(text) or None
            cell.number_format = "@"
            cell.data_type = "s" if text else "n"
    written = BytesIO()
    book.save(written)
    return _same_bytes(written.getvalue())


def _same_bytes(raw: bytes) -> bytes:
    fixed = BytesIO()
    with zipfile.ZipFile(BytesIO(raw)) as archive, zipfile.ZipFile(fixed, "w", zipfile.ZIP_DEFLATED) as out:
        for name in sorted(archive.namelist()):
            entry = zipfile.ZipInfo(name, _FIXED_TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED
            out.writestr(entry, _HOUR.sub(b">1980-01-01T00:00:00Z<", archive.read(name)))
    return fixed.getvalue()


def _tree(cells: Cells) -> dict[str, Any]:
    """
    The cells as a tree, by their paths; predicates become constants of the element that they choose.
    """
    tree: dict[str, Any] = {}
    for source, value in cells.items():
        if value in ("", None, []) or source.startswith("/"):
            continue
        *above, last = [part for part in source.split("/") if part not in {"", "."}]
        node = tree
        for part in above:
            child = node.setdefault(part, {})
            node = child if isinstance(child, dict) else {}
        if isinstance(value, list):
            node[last] = [_tree(item) if isinstance(item, dict) else item for item in value]
        else:
            node[last] = value
    return tree


def _write_json(mapping: MappingFile, found: Sequence[Cells]) -> bytes:
    trees: Any = [_tree(cells) for cells in found]
    if mapping.source.lines:
        return b"".join(json.dumps(tree, ensure_ascii=False).encode() + b"\n" for tree in trees)
    if mapping.source.single and len(trees) == 1:
        trees = trees[0]
    for part in reversed(mapping.source.records):
        trees = {part: trees}
    return json.dumps(trees, ensure_ascii=False, indent=2).encode() + b"\n"


def _write_xml(mapping: MappingFile, found: Sequence[Cells]) -> bytes:
    *above, name = mapping.source.records
    root = etree.Element(above[0] if above else name)
    parent = root
    for part in above[1:]:
        parent = etree.SubElement(parent, part)
    for cells in found:
        _element(parent if above else root, name, _tree(cells), itself=not above)
    encoding = mapping.source.encoding or "utf-8"
    written: Any = etree.tostring(root, xml_declaration=True, encoding=encoding, pretty_print=True)
    return bytes(written)


def _element(parent: Any, name: str, value: Any, *, itself: bool = False) -> None:
    for each in value if isinstance(value, list) else [value]:
        element = parent if itself else etree.SubElement(parent, name)
        if not isinstance(each, dict):
            element.text = _text(each)
            continue
        for child, inside in each.items():
            if child.startswith("@"):
                element.set(child[1:], _text(inside))
            else:
                _element(element, child, inside)


_WRITERS: Final[Mapping[str, Callable[[MappingFile, Sequence[Cells]], bytes]]] = {
    "csv": _write_csv,
    "fixed": _write_fixed,
    "xlsx": _write_xlsx,
    "json": _write_json,
    "xml": _write_xml,
}
