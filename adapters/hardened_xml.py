"""
Reads a partner's XML as a stream, on a parser that a hostile file can neither feed with entities nor exhaust.

Before libxml2 sees a byte: no document type declaration at all (hence no entity and nothing fetched), a known encoding
that the bytes do not contradict, a bounded number of bytes, of bytes between two `<` (hence of attributes in a tag) and
of elements since the last record (hence of memory). libxml2 bounds the depth at 256.
"""

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from lxml import etree

from adapters.base import FileRefused

_PIECE = 32_768
_DECLARED = re.compile(rb"""\A(?:\xef\xbb\xbf)?<\?xml[^>]{0,200}?encoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""")
_DECLARATION = re.compile(rb"<!(?:DOCTYPE|ENTITY)")
_SINGLE_BYTE = frozenset({"cp1252", "iso8859-1", "iso8859-15"})
_ACCEPTED = _SINGLE_BYTE | {"utf-8", "ascii"}
_C1_CONTROLS = re.compile(rb"[\x80-\x9f]")
_CUT_ERRORS = frozenset({"ERR_TAG_NOT_FINISHED", "ERR_DOCUMENT_EMPTY"})


@dataclass(frozen=True, slots=True)
class Limits:
    """
    What one file may cost: bytes in all, bytes between two `<`, elements between two records.
    """

    total_bytes: int = 500_000_000
    run_bytes: int = 8_192
    pending_elements: int = 50_000


class GuardedBytes:
    """
    The file as libxml2 reads it: each piece is checked before it is handed over.
    """

    def __init__(self, source: BinaryIO, limits: Limits) -> None:
        self._source = source
        self._limits = limits
        self._long_run = re.compile(rb"<[^<]{%d}" % limits.run_bytes)
        self._tail = b""
        self._read = 0
        self._newlines = 0
        self._pending = 0
        self._encoding: str | None = None
        self._utf8: codecs.IncrementalDecoder | None = None
        self._beyond_ascii = False

    def stops_short(self) -> bool:
        """
        Whether the file ends here, and not on the end of a tag.
        """
        return not self._source.read(1) and not self._tail.rstrip().endswith(b">")

    def likely_encoding(self) -> str | None:
        """
        What the bytes look like when they are not in the declared encoding; None when nothing says so.
        """
        if self._encoding in _SINGLE_BYTE:
            return "UTF-8" if self._utf8 is not None and self._beyond_ascii else None
        return "windows-1252 ou ISO-8859-1"

    def record_done(self) -> None:
        """
        Say that the elements read so far were taken and freed.
        """
        self._pending = 0

    def read(self, size: int) -> bytes:
        """
        The next piece of at most `size` bytes. Raises `FileRefused` when it breaks a limit.
        """
        piece = self._source.read(size)
        if self._encoding is None:
            self._encoding = _encoding_of(piece)
            if self._encoding in _SINGLE_BYTE:
                self._utf8 = codecs.getincrementaldecoder("utf-8")()
        self._check_size(piece)
        window = self._tail + piece
        self._check_shape(window)
        if not piece.isascii() or not piece:
            self._check_encoding(piece)
        self._newlines += piece.count(b"\n")
        self._tail = window[-self._limits.run_bytes :]
        return piece

    def _check_size(self, piece: bytes) -> None:
        self._read += len(piece)
        self._pending += piece.count(b"<")
        if self._read > self._limits.total_bytes:
            raise FileRefused(
                "too_large",
                f"Le fichier dépasse {self._limits.total_bytes} octets. Découpez-le en plusieurs envois.",
                f"The file is larger than {self._limits.total_bytes} bytes. Send it in several parts.",
                quarantine=False,
            )
        if self._pending > 2 * self._limits.pending_elements:
            raise FileRefused(
                "record_too_large",
                f"Plus de {self._limits.pending_elements} éléments sans fin d'enregistrement : "
                "ce n'est pas un fichier de ce format.",
                f"More than {self._limits.pending_elements} elements without the end of a record: "
                "this is not a file of this format.",
                quarantine=False,
                line=self._newlines + 1,
            )

    def _check_shape(self, window: bytes) -> None:
        declaration = _DECLARATION.search(window)
        if declaration:
            raise FileRefused(
                "doctype_refused",
                "Le fichier contient une déclaration de type de document (DOCTYPE), refusée par sécurité. Retirez-la.",
                "The file has a document type declaration (DOCTYPE), refused for safety. Remove it.",
                quarantine=False,
                line=self._line_at(window, declaration.start()),
            )
        long_run = self._long_run.search(window)
        if long_run:
            raise FileRefused(
                "element_too_long",
                f"Une balise ou un texte dépasse {self._limits.run_bytes} octets.",
                f"A tag or a text is longer than {self._limits.run_bytes} bytes.",
                quarantine=False,
                line=self._line_at(window, long_run.start()),
            )

    def _line_at(self, window: bytes, position: int) -> int:
        return self._newlines - self._tail.count(b"\n") + window.count(b"\n", 0, position) + 1

    def _check_encoding(self, piece: bytes) -> None:
        """
        Refuse bytes that contradict a single-byte encoding: text that is UTF-8 all along, or C1 controls in ISO-8859.

        Such a file parses without an error and gives wrong names (`Ã©` for `é`): libxml2 cannot see it.
        """
        if self._encoding in {"iso8859-1", "iso8859-15"} and _C1_CONTROLS.search(piece):
            raise _contradiction("windows-1252", self._newlines + 1)
        if self._utf8 is None:
            return
        self._beyond_ascii = self._beyond_ascii or bool(piece)
        try:
            self._utf8.decode(piece, final=not piece)
        except UnicodeDecodeError:
            self._utf8 = None
            return
        if not piece and self._beyond_ascii:
            raise _contradiction("UTF-8", None)


def records(guard: GuardedBytes, tags: tuple[str, ...]) -> Iterator[etree._Element]:
    """
    Give each element named in `tags` when it ends, then the root last; the caller frees what it has read.

    Raises `FileRefused`, with a line and a column and to be kept aside, when the XML is cut or badly formed.
    """
    parser = etree.XMLPullParser(
        events=("end",),
        tag=tags,
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        while piece := guard.read(_PIECE):
            parser.feed(piece)
            # An undeclared entity is logged and not raised: the parser would take the next piece for a new document.
            if any(entry.level >= etree.ErrorLevels.ERROR for entry in _log(parser)):
                raise _malformed(parser, guard)
            for _, element in parser.read_events():
                if isinstance(element, etree._Element):
                    yield element
        root = parser.close()
    except etree.XMLSyntaxError:
        raise _malformed(parser, guard) from None
    yield root


def line_of(element: etree._Element) -> int:
    """
    The line of an element in its file, 0 when it has none.
    """
    line: Any = element.sourceline
    return int(line or 0)


def _log(parser: etree.XMLPullParser) -> list[Any]:
    """
    The errors of this reading; the log of an exception is shared by all the readings of the process.
    """
    log: Any = parser.feed_error_log
    return list(log)


def _malformed(parser: etree.XMLPullParser, guard: GuardedBytes) -> FileRefused:
    entries = _log(parser)
    line, column = (entries[-1].line, entries[-1].column) if entries else (0, 0)
    kind = entries[-1].type_name if entries else "ERR_DOCUMENT_EMPTY"
    likely = guard.likely_encoding() if kind == "ERR_INVALID_ENCODING" else None
    if likely:
        return _contradiction(likely, line or None)
    if kind in _CUT_ERRORS or guard.stops_short():
        return FileRefused(
            "truncated",
            "Le fichier est coupé : il s'arrête avant la fin. Rien n'en est repris ; renvoyez-le entier.",
            "The file is cut: it stops before its end. Nothing of it is used; send it again, whole.",
            quarantine=True,
            line=line or None,
            column=column or None,
        )
    return FileRefused(
        "malformed_xml",
        f"Le XML est mal formé ({kind}). Rien n'en est repris ; corrigez-le à cet endroit et renvoyez-le.",
        f"The XML is badly formed ({kind}). Nothing of it is used; correct it there and send it again.",
        quarantine=True,
        line=line or None,
        column=column or None,
    )


def _encoding_of(start: bytes) -> str:
    """
    The encoding that the file declares, as Python names it; UTF-8 without a declaration, as XML says.
    """
    if not start.strip():
        raise FileRefused(
            "empty",
            "Le fichier est vide. Envoyez le fichier lui-même (avec curl : --data-binary @fichier).",
            "The file is empty. Send the file itself (with curl: --data-binary @file).",
            quarantine=False,
        )
    declared = _DECLARED.match(start)
    name = declared.group(1).decode("ascii") if declared else "utf-8"
    try:
        encoding = codecs.lookup(name).name
    except LookupError:
        encoding = name
    wide = start.startswith((b"\xff\xfe", b"\xfe\xff", b"\x00<", b"<\x00"))
    if not wide and not start.removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"<"):
        raise FileRefused(
            "not_xml",
            "Le fichier n'est pas du XML : il ne commence pas par « < ». Vérifiez que c'est le bon fichier.",
            "The file is not XML: it does not start with “<”. Check that it is the right file.",
            quarantine=False,
            line=1,
        )
    if wide or encoding not in _ACCEPTED:
        raise FileRefused(
            "encoding_not_accepted",
            "L'encodage du fichier n'est pas accepté. Employez windows-1252, ISO-8859-1, ISO-8859-15 ou UTF-8, "
            "et déclarez-le en première ligne.",
            "The file's encoding is not accepted. Use windows-1252, ISO-8859-1, ISO-8859-15 or UTF-8, "
            "and declare it on the first line.",
            quarantine=False,
            line=1,
        )
    if start.startswith(codecs.BOM_UTF8) and encoding in _SINGLE_BYTE:
        raise _contradiction("UTF-8", 1)
    return encoding


def _contradiction(looks_like: str, line: int | None) -> FileRefused:
    return FileRefused(
        "encoding_mismatch",
        f"Les octets du fichier contredisent l'encodage qu'il déclare : ils ressemblent à {looks_like}. "
        "Corrigez la déclaration et renvoyez-le.",
        f"The file's bytes contradict the encoding that it declares: they look like {looks_like}. "
        "Correct the declaration and send it again.",
        quarantine=True,
        line=line,
    )
