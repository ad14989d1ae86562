"""
CSV that means the same to a program and to a spreadsheet: encodings as partners write them, cells that are no formulas.

A cell that a spreadsheet would run (it begins, after spaces, with one of `= + - @ | %`, a tab or a full-width form of
them) is written with an apostrophe before it; reading takes that apostrophe away again. Nothing else is escaped, and
values whose form we choose (telephone numbers) are written so that they never need it.
"""

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from io import StringIO

from adapters.base import BIDI_CONTROLS, FileRefused

_FORMULA = re.compile(r"'*[\s\x00]*[=+\-@|%＝＋－＠]|'*[\t\r\n\x00]")
_LINE_END = re.compile(r"\r\n?")
_MAX_BYTES = 50_000_000


def guard_cell(text: str) -> str:
    """
    A cell that no spreadsheet takes for a formula.
    """
    return f"'{text}" if _FORMULA.match(text) else text


def read_cell(text: str) -> str:
    """
    The value that `guard_cell` was given, without the spaces around it.
    """
    if text.startswith("'") and _FORMULA.match(text):
        text = text[1:]
    return text.strip()


def decode(raw: bytes, declared: str | None = None) -> tuple[str, bool]:
    """
    The text of a file, and whether it had to be taken as windows-1252 although nothing declared it.

    In the `declared` encoding and no other; without one, UTF-8 with or without a byte order mark, else windows-1252;
    never a guess by frequency. Raises `FileRefused`.
    """
    if len(raw) > _MAX_BYTES:
        raise FileRefused(
            "too_large",
            f"Le fichier dépasse {_MAX_BYTES} octets. Découpez-le en plusieurs envois.",
            f"The file is larger than {_MAX_BYTES} bytes. Send it in several parts.",
            quarantine=False,
        )
    for encoding in ("utf-8-sig", "cp1252") if declared in {None, "utf-8"} else (declared,):
        if declared == "utf-8" and encoding == "cp1252":
            break
        try:
            text = raw.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" in text or (declared and declared != "utf-8" and _is_utf8(raw)):
            break
        if hidden := BIDI_CONTROLS.search(text):
            raise FileRefused(
                "bidi_control",
                "Un caractère invisible change le sens de lecture d'une cellule. Retirez-le.",
                "An invisible character changes the reading order of a cell. Remove it.",
                quarantine=False,
                line=text.count("\n", 0, hidden.start()) + 1,
            )
        return text, declared is None and encoding == "cp1252"
    if declared:
        raise FileRefused(
            "encoding_mismatch",
            f"Le fichier n'est pas en {declared}, l'encodage convenu pour ce format. Exportez-le dans cet encodage.",
            f"The file is not in {declared}, the encoding agreed for this format. Export it in that encoding.",
            quarantine=True,
        )
    raise FileRefused(
        "encoding_not_accepted",
        "Le fichier n'est pas du texte en UTF-8 ou en windows-1252. Exportez-le en CSV UTF-8.",
        "The file is not text in UTF-8 or windows-1252. Export it as UTF-8 CSV.",
        quarantine=False,
    )


def _is_utf8(raw: bytes) -> bool:
    """
    Whether bytes said to be of a single-byte encoding are UTF-8 all along: read as declared, their names would be wrong.
    """
    try:
        return not raw.decode("utf-8").isascii()
    except UnicodeDecodeError:
        return False


def raw_rows(
    text: str, separator: str = ";", *, open_end: bool = False, unended: Callable[[int], FileRefused] | None = None
) -> Iterator[tuple[int, list[str]]]:
    """
    The rows of a file that hold anything, as (line, cells).

    Raises `FileRefused` for a quote that is never closed, or (unless `open_end`) a last line that is not ended: the
    file was cut, or (`unended`, when given) its last row has all its cells and may be whole.
    """
    if text and not open_end and not text.endswith(("\n", "\r")):
        whole = unended is not None and _last_row_is_whole(text, separator)
        raise (unended if unended and whole else cut)(text.count("\n") + 1)
    reader = csv.reader(StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        line = 1
        for cells in reader:
            if cells:
                yield line, cells
            line = reader.line_num + 1
    except csv.Error:
        raise cut(reader.line_num) from None


def _last_row_is_whole(text: str, separator: str) -> bool:
    """
    Whether no quote is open at the end, and the last row is as long as the one before.
    """
    previous, last = 0, 0
    try:
        for cells in csv.reader(StringIO(text, newline=""), delimiter=separator, strict=True):
            previous, last = last, len(cells)
    except csv.Error:
        return False
    return last == previous > 0


def read_rows(text: str, columns: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """
    The rows of a `;` file under its header, as (line, cells in the order of `columns`, then the other columns).

    Raises `FileRefused` for a missing column, a row of another length, and what `raw_rows` refuses.
    """
    rows = raw_rows(text)
    line, first = next(rows, (1, []))
    header = [name.strip() for name in first]
    order = _order(header, columns)
    yield line, [header[index] for index in order]
    for line, cells in rows:
        if len(cells) != len(header):
            raise wrong_length(line)
        yield line, [read_cell(cells[index]) for index in order]


def write_rows(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> bytes:
    """
    A `;` file in UTF-8 with a header, lines ended by LF, every cell guarded.
    """
    return write_lines((columns, *rows))


def write_lines(lines: Iterable[Sequence[str]], separator: str = ";", line_end: str = "\n") -> bytes:
    """
    Lines of cells as a file in UTF-8, every cell guarded.

    A carriage return inside a cell becomes LF: the writer of the standard library does not quote it, and a reader
    would see another row there.
    """
    written = StringIO(newline="")
    writer = csv.writer(written, delimiter=separator, lineterminator=line_end)
    writer.writerows([guard_cell(_LINE_END.sub("\n", cell)) for cell in line] for line in lines)
    return written.getvalue().encode("utf-8")


def _order(header: list[str], columns: Sequence[str]) -> list[int]:
    missing = [name for name in columns if name not in header]
    if missing or len(set(header)) != len(header):
        raise FileRefused(
            "columns_missing",
            "La première ligne doit nommer une fois chaque colonne, séparées par « ; » : " + ", ".join(columns) + ".",
            "The first line must name each column once, separated by “;”: " + ", ".join(columns) + ".",
            quarantine=False,
            line=1,
        )
    known = [header.index(name) for name in columns]
    return known + [index for index in range(len(header)) if index not in known]


def cut(line: int) -> FileRefused:
    """
    The refusal of a file that stops before its end.
    """
    return FileRefused(
        "truncated",
        "Le fichier est coupé ou un guillemet n'y est pas fermé. Rien n'en est repris ; renvoyez-le entier.",
        "The file is cut, or a quote in it is not closed. Nothing of it is used; send it again, whole.",
        quarantine=True,
        line=line,
    )


def last_line_open(line: int) -> FileRefused:
    """
    The refusal of a file whose last line has all that it should, but no end of line: a habit of its software, or a cut.
    """
    return FileRefused(
        "last_line_open",
        "La dernière ligne n'est pas terminée. Si votre logiciel fait toujours ainsi, écrivez open_end: true sous source dans "
        "mapping.yaml ; sinon le fichier est coupé : renvoyez-le entier.",
        "The last line is not ended. If your software always does so, write open_end: true under source in mapping.yaml; "
        "otherwise the file is cut: send it again, whole.",
        quarantine=True,
        line=line,
    )


def wrong_length(line: int) -> FileRefused:
    """
    The refusal of a file in which a row is not as long as the others should be.
    """
    return FileRefused(
        "row_length",
        "Cette ligne n'a pas le même nombre de cellules que l'en-tête. Rien du fichier n'est repris ; corrigez-la.",
        "This row does not have as many cells as the header. Nothing of the file is used; correct it.",
        quarantine=True,
        line=line,
    )
