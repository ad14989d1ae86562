"""
Rows and columns: CSV, XLSX and fixed-width lines, read as records of cells.
"""

import unicodedata
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

from adapters.base import FileRefused
from adapters.csv_cells import cut, decode, last_line_open, raw_rows, read_cell, wrong_length
from adapters.hardened_xlsx import read_sheet
from adapters.mapping.model import ITSELF, SourceFormat
from adapters.mapping.records import Getter, Record
from adapters.report import Tally, shown_name

Rows = Iterator[tuple[int, list[str]]]


class FlatReader:
    """
    A file of rows. `used` are the columns that the mapping names; `known` says which column names may be shown.
    """

    def __init__(self, raw: bytes, source: SourceFormat, used: Sequence[str]) -> None:
        self.source = source
        self._nothing = source.nothing
        self._used = used
        self.guessed_encoding = False
        self._text = ""
        self._separator = source.separator[0]
        self._starts: list[int] | None = None
        self._rows = islice(_OPENERS[source.format](self, raw), source.skip, None)
        self._header = self._read_header()
        self._index = self._find_columns()
        self._counts = [0] * len(self._header)

    def text(self, raw: bytes) -> str:
        """
        The text of the file, kept to find columns of characters.
        """
        text, self.guessed_encoding = decode(raw, self.source.encoding)
        self._text = unicodedata.normalize("NFC", text)
        return self._text

    def separator(self) -> str:
        """
        What stands between two cells: of the separators that the mapping accepts, the one that the first line holds most.
        """
        first = self._text.lstrip("\r\n").partition("\n")[0]
        self._separator = max(self.source.separator, key=first.count)
        return self._separator

    def records(self) -> Iterator[Record]:
        """
        Each row that is not empty; see `Reader.records`.
        """
        width, counts, nothing = len(self._header), self._counts, self._nothing
        exact = self.source.format != "xlsx" and not self.source.short_rows
        for line, cells in self._rows:
            if len(cells) != width and (exact or len(cells) > width):
                raise wrong_length(line)
            row = [read_cell(cell) if type(cell) is str else cell for cell in cells]
            row.extend([""] * (width - len(cells)))
            filled = False
            for index, cell in enumerate(row):
                if cell and cell not in nothing:
                    counts[index] += 1
                    filled = True
            if filled:
                yield Record(row, line)

    def getter(self, source: str) -> Getter:
        """
        See `Reader.getter`.
        """
        if source == ITSELF:
            return lambda record: record.item
        index, nothing = self._index[source], self._nothing
        if index is None:
            return lambda record: None

        def get(record: Record) -> str | None:
            cell: str = record.value[index]
            return None if cell in nothing else cell

        return get

    def items(self, record: Record, source: str, values: Sequence[Any]) -> list[Record]:
        """
        See `Reader.items`: the same row, with an item.
        """
        return [Record(record.value, record.line, record, value, source) for value in values]

    def plain(self, record: Record) -> Any:
        """
        The cells by column name, those that hold something; or the item of a list.
        """
        if record.item is not None:
            return record.item
        return {name: cell for name, cell in zip(self._names, record.value, strict=True) if cell not in self._nothing}

    def place(self, record: Record, source: str) -> tuple[int | None, int | None]:
        """
        See `Reader.place`: the column is a character of the line, or the rank of the cell in a spreadsheet.
        """
        column = self._index.get(source if source != ITSELF else record.where)
        if column is None or record.line is None:
            return record.line, None
        if self.source.format == "xlsx":
            return record.line, column + 1
        if self.source.format == "fixed":
            return record.line, self.source.places[self._header[column]][0]
        return record.line, self._character(record.line, column)

    def count(self, tally: Tally) -> None:
        """
        See `Reader.count`: one for each cell that holds something.
        """
        for name, count in zip(self._names, self._counts, strict=True):
            if count and tally.knows(f"/{name}"):
                tally.add(f"/{name}", count)
            elif count:
                tally.add_unknown(f"/{shown_name(name)}", count)

    def _read_header(self) -> list[str]:
        if self.source.format == "fixed":
            return list(self.source.places)
        if not self.source.header:
            return list(self.source.columns)
        _, names = next(self._rows, (1, []))
        return [str(name) for name in names]

    def _find_columns(self) -> dict[str, int | None]:
        """
        Where each column of the mapping is, whatever its case and spaces, under its name or another of its names.
        """
        places: dict[str, list[int]] = {}
        for index, name in enumerate(self._header):
            places.setdefault(plain_name(name), []).append(index)
        found: dict[str, int | None] = {}
        missing, twice = [], []
        self._names = list(self._header)
        for column in self._used:
            indexes = [
                index
                for name in (column, *self.source.aliases.get(column, ()))
                for index in places.get(plain_name(name), ())
            ]
            if not indexes and column not in self.source.optional:
                missing.append(column)
            elif len(set(indexes)) > 1:
                twice.append(column)
            found[column] = indexes[0] if indexes else None
            if indexes:
                self._names[indexes[0]] = column
        if missing or twice:
            raise _columns_wrong(missing, twice, self.source)
        return found

    def _character(self, line: int, column: int) -> int | None:
        """
        The character of a line where a cell begins; None when the row has a cell of several lines before it.
        """
        if self._starts is None:
            self._starts = [0]
            position = self._text.find("\n")
            while position >= 0:
                self._starts.append(position + 1)
                position = self._text.find("\n", position + 1)
        position, quoted = self._starts[line - 1] if line <= len(self._starts) else len(self._text), False
        begun = position
        while column:
            if position >= len(self._text) or (self._text[position] == "\n" and not quoted):
                return None
            quoted ^= self._text[position] == '"'
            column -= not quoted and self._text[position] == self._separator
            position += 1
        return position - begun + 1


def _csv(reader: FlatReader, raw: bytes) -> Rows:
    source = reader.source
    return raw_rows(reader.text(raw), reader.separator(), open_end=source.open_end, unended=last_line_open)


def _fixed(reader: FlatReader, raw: bytes) -> Rows:
    source = reader.source
    text = reader.text(raw)
    slices = [slice(start - 1, start - 1 + length) for start, length in source.places.values()]
    width = 0 if source.trimmed else max(part.stop for part in slices)
    if text and not source.open_end and not text.endswith("\n"):
        whole = width and len(text.rpartition("\n")[2]) >= width
        raise (last_line_open if whole else cut)(text.count("\n") + 1)
    if not text.strip():
        raise cut(1)
    for number, ended in enumerate(text.split("\n"), 1):
        line = ended.rstrip("\r")
        if not line.strip():
            continue
        if len(line) < width:
            raise wrong_length(number)
        yield number, [line[part] for part in slices]


def _xlsx(reader: FlatReader, raw: bytes) -> Rows:
    return read_sheet(raw, reader.source.sheet)


_OPENERS: dict[str, Callable[[FlatReader, bytes], Rows]] = {"csv": _csv, "fixed": _fixed, "xlsx": _xlsx}


def plain_name(name: str) -> str:
    """
    A column's name without what spreadsheets do to it: line breaks, tabs, doubled spaces, case.
    """
    return " ".join(unicodedata.normalize("NFKC", name).split()).casefold()


def _columns_wrong(missing: Sequence[str], twice: Sequence[str], source: SourceFormat) -> FileRefused:
    names = ", ".join((*missing, *twice))
    return FileRefused(
        "columns_missing" if missing else "columns_twice",
        f"La première ligne doit nommer une fois chaque colonne ; {'il manque' if missing else 'en double'} : {names}.",
        f"The first line must name each column once; {'missing' if missing else 'twice'}: {names}.",
        quarantine=False,
        line=source.skip + 1,
    )
