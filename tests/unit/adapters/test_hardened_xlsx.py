"""
A workbook is read as rows of text, and a zip that lies or unfolds too far is refused before it is opened.
"""

import datetime
import io
import time
import zipfile

import openpyxl
import pytest

from adapters.base import FileRefused
from adapters.hardened_xlsx import check_zip, read_sheet
from adapters.hostile import small
from adapters.mapping.notes import Number


def workbook(*rows: list[object], sheet: str = "Feuille") -> bytes:
    """A workbook of one sheet."""
    book = openpyxl.Workbook()
    book.active.title = sheet
    for row in rows:
        book.active.append(row)
    written = io.BytesIO()
    book.save(written)
    return written.getvalue()


def archive(entries: dict[str, bytes]) -> bytes:
    """A zip."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as out:
        for name, content in entries.items():
            out.writestr(name, content)
    return written.getvalue()


def test_cells_are_texts_and_numbers_say_that_they_were() -> None:
    """Dates become `YYYY-MM-DD`, whole numbers lose their `.0`, empty rows are passed, row numbers are the file's."""
    raw = workbook(["A", "B"], [], [1550299350010, 1.5], [datetime.date(1998, 5, 25), True], ["x\ny", " z "])
    rows = list(read_sheet(raw))
    assert rows == [
        (1, ["A", "B"]),
        (3, ["1550299350010", "1.5"]),
        (4, ["1998-05-25", "true"]),
        (5, ["x y", "z"]),
    ]
    assert [True, True] == [isinstance(cell, Number) for cell in rows[1][1]]
    assert not isinstance(rows[2][1][0], Number)


def test_a_sheet_is_found_by_its_name() -> None:
    """The one that the mapping names, or a refusal."""
    raw = workbook(["A"], sheet="ENTRETIENS PHYSIQUES")
    assert [(1, ["A"])] == list(read_sheet(raw, "ENTRETIENS PHYSIQUES"))
    with pytest.raises(FileRefused) as refused:
        list(read_sheet(raw, "Autre"))
    assert "sheet_missing" == refused.value.code


def test_a_bomb_is_refused_by_counting_real_bytes() -> None:
    """70 kB that unfold to 70 MB: refused in a moment."""
    begun = time.monotonic()
    with pytest.raises(FileRefused) as refused:
        check_zip(small()["zip bomb"])
    assert "archive_refused" == refused.value.code and time.monotonic() - begun < 5


@pytest.mark.parametrize(
    "entries",
    [
        {f"{number}.xml": b"" for number in range(201)},
        {"../../etc/passwd": b"x"},
        {"/etc/passwd": b"x"},
        {"xl/../../x": b"x"},
    ],
)
def test_a_zip_that_is_no_workbook_s_is_refused(entries: dict[str, bytes]) -> None:
    """Too many entries, or names that leave the archive."""
    with pytest.raises(FileRefused):
        check_zip(archive(entries))


def test_an_encrypted_or_broken_archive_is_refused() -> None:
    """A flag that says encrypted, a cut file, a damaged entry, another format."""
    raw = workbook(["A"])
    encrypted = bytearray(raw)
    encrypted[raw.index(b"PK\x01\x02") + 8] |= 1
    damaged = bytearray(raw)
    damaged[60:80] = b"\xff" * 20
    for bad in (bytes(encrypted), raw[:-100], bytes(damaged), archive({"a": b"b"}), b"PK", b""):
        with pytest.raises(FileRefused):
            list(read_sheet(bad))
