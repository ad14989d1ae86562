"""
What no adapter may answer otherwise than by refusing it, and the damage that real files come with.
"""

import io
import zipfile
from collections.abc import Iterator, Mapping
from functools import cache
from types import MappingProxyType
from typing import Final

_LARGE: Final = 50_000_000


def _zip_bomb() -> bytes:
    """
    A workbook's zip of about 70 kB whose sheet unfolds to 70 MB.
    """
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", b"<Types/>")
        archive.writestr("xl/worksheets/sheet1.xml", b" " * 70_000_000)
    return written.getvalue()


_BYTES: Final[dict[str, bytes]] = {
    "nothing": b"",
    "spaces": b" \n\t ",
    "nul bytes": b"\x00" * 4096,
    "noise": bytes(range(256)) * 64,
    "lone byte order mark": b"\xef\xbb\xbf",
    "utf-16": "<?xml version='1.0' encoding='utf-16'?><Racine/>".encode("utf-16"),
    "external entity": b'<?xml version="1.0"?><!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/hostname">]><Racine>&x;</Racine>',
    "billion laughs": (
        b'<?xml version="1.0"?><!DOCTYPE r [<!ENTITY a "lol">'
        + b"".join(b'<!ENTITY %c "%s">' % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(9))
        + b"]><Racine>&j;</Racine>"
    ),
    "depth 100,000": b"<Racine>" + b"<a>" * 100_000,
    "200,000 attributes": b"<Racine " + b" ".join(b'a%d="1"' % n for n in range(200_000)) + b"/>",
    "nested arrays": b"[" * 100_000,
    "NaN": b'{"kind": NaN}',
    "quote never closed": b'"' + b"a;" * 10_000,
    "formula": b"=cmd|'/c calc'!A1;+1;-1;@x\n",
    "executable": b"MZ" + b"\x90\x00" * 1024,
    "zip": b"PK\x03\x04" + b"\x00" * 1024,
}


@cache
def small() -> Mapping[str, bytes]:
    """
    Hostile bytes by name, made at the first exam; any answer but a refusal is a fault.
    """
    return MappingProxyType({**_BYTES, "zip bomb": _zip_bomb()})


def large() -> Iterator[tuple[str, bytes]]:
    """
    The same at 50 MB, made one at a time.
    """
    yield "50 MB of one line", b"a;" * (_LARGE // 2)
    yield "50 MB of lines", b"a;b;c\n" * (_LARGE // 6)
    yield "50 MB of elements", b"<Racine>" + b"<a>x</a>" * (_LARGE // 8)
    yield "50 MB of array", b"[" + b"0," * (_LARGE // 2)
    yield "50 MB of text", b'{"a":"' + b"x" * _LARGE


def damaged(raw: bytes) -> Iterator[bytes]:
    """
    A file cut at every kilobyte, then with a byte changed here and there.
    """
    for end in range(0, len(raw), 1024):
        yield raw[:end]
    for position in range(0, len(raw), 997):
        yield raw[:position] + b"\xff" + raw[position + 1 :]


def in_other_encodings(raw: bytes) -> Iterator[tuple[str, bytes]]:
    """
    A text file as a program that mistakes encodings writes it again: bytes that its declaration contradicts.
    """
    for written in ("utf-8", "cp1252"):
        try:
            text = raw.decode(written)
        except UnicodeDecodeError:
            continue
        for other in ("utf-8", "cp1252", "utf-16"):
            if other != written and not text.isascii():
                yield other, text.encode(other, errors="replace")
        return


FORMULAS: Final = ("=1+1", "+33", "-1", "@somme", "\t=1", "|cmd", "%x", "＝1")
"""Texts that a spreadsheet would run, to be put in a document."""
