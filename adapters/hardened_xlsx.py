"""
Reads a spreadsheet (XLSX) as rows of text, after the zip it is made of was shown to be no bomb.

What a cell is matters: a number is given as `Number`, because zeros on the left of an identifier are lost in it.
"""

import zipfile
import zlib
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from io import BytesIO
from typing import Final

import python_calamine

from adapters.base import FileRefused
from adapters.mapping.notes import Number

_MAX_ENTRIES: Final = 200
_MAX_BYTES: Final = 50_000_000
_MAX_RATIO: Final = 100
_FLOOR: Final = 16_384
_PIECE: Final = 65_536

Cell = str | int | float | bool | date | datetime | time | timedelta


def read_sheet(raw: bytes, sheet: str | None = None) -> Iterator[tuple[int, list[str]]]:
    """
    The rows of a sheet (the first one by default) that hold anything, as (row number from 1, texts).

    Dates are `YYYY-MM-DD`, numbers are `Number`. Raises `FileRefused`.
    """
    check_zip(raw)
    try:
        workbook = python_calamine.CalamineWorkbook.from_filelike(BytesIO(raw))
        names = workbook.sheet_names
        if not names or (sheet is not None and sheet not in names):
            raise _refused(
                "sheet_missing",
                "La feuille attendue n'est pas dans le classeur.",
                "The expected sheet is not in the workbook.",
            )
        found = workbook.get_sheet_by_name(sheet if sheet is not None else names[0])
        start = (found.start or (0, 0))[0]
        rows = found.to_python(skip_empty_area=True)
    except python_calamine.CalamineError:
        raise _not_a_workbook() from None
    for number, cells in enumerate(rows, start + 1):
        texts = [_text(cell) for cell in cells]
        if any(texts):
            yield number, texts


def check_zip(raw: bytes) -> None:
    """
    Refuse a zip that costs more than it should: its real decompressed bytes are counted, since its headers can lie.
    """
    if len(raw) > _MAX_BYTES:
        raise _bomb()
    allowed = min(_MAX_BYTES, _MAX_RATIO * max(len(raw), _FLOOR))
    try:
        with zipfile.ZipFile(BytesIO(raw)) as archive:
            entries = archive.infolist()
            if len(entries) > _MAX_ENTRIES:
                raise _bomb()
            for entry in entries:
                if entry.flag_bits & 1 or entry.filename.startswith("/") or ".." in entry.filename.split("/"):
                    raise _bomb()
                with archive.open(entry) as stream:
                    while piece := stream.read(_PIECE):
                        allowed -= len(piece)
                        if allowed < 0:
                            raise _bomb()
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, ValueError, OSError):
        raise _not_a_workbook() from None


def _text(cell: Cell) -> str:
    if isinstance(cell, str):
        return " ".join(cell.split()) if "\n" in cell or "\t" in cell else cell.strip()
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, int | float):
        return Number(int(cell)) if float(cell).is_integer() else Number(cell)
    if isinstance(cell, datetime):
        return cell.date().isoformat() if cell.time() == time() else cell.isoformat(" ")
    return str(cell)


def _refused(code: str, message_fr: str, message_en: str, *, quarantine: bool = False) -> FileRefused:
    return FileRefused(code, message_fr, message_en, quarantine=quarantine)


def _bomb() -> FileRefused:
    return _refused(
        "archive_refused",
        "Ce classeur se déplie en bien plus que sa taille, ou contient ce qu'un classeur ne contient pas. Exportez-le de nouveau.",
        "This workbook unfolds to far more than its size, or holds what a workbook does not. Export it again.",
    )


def _not_a_workbook() -> FileRefused:
    return _refused(
        "not_a_workbook",
        "Ce n'est pas un classeur XLSX entier. Enregistrez-le de nouveau au format « Classeur Excel (.xlsx) » et renvoyez-le.",
        "This is not a whole XLSX workbook. Save it again as “Excel workbook (.xlsx)” and send it again.",
        quarantine=True,
    )
