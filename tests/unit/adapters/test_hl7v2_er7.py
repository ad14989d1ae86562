"""
HL7 v2 on the wire: frames, escapes and character sets, read and written again.
"""

import pytest

from adapters.base import FileRefused
from adapters.hl7v2 import er7

HEAD = "MSH|^~\\&|A|B|C|D|20260302093000||REF^I12|1|P|2.5||||||{}\r"
NOTE = "NTE|1||{}\r"


def note(text: str, charset: str = "", encoding: str = "utf-8") -> str:
    raw = (HEAD.format(charset) + NOTE.format(text)).encode(encoding)
    return str(er7.read(raw)[0]["NTE"][0]["NTE-3"][0]["NTE-3.1"])


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("a\\F\\b\\S\\c\\T\\d\\R\\e\\E\\f", "a|b^c&d~e\\f"),
        ("a\\.br\\b", "a\nb"),
        ("\\XC3A9\\", "é"),
        ("\\Zlocal\\", "\\Zlocal\\"),
    ],
)
def test_an_escape_is_read_or_left(written: str, expected: str) -> None:
    """The standard ones become what they stand for; a software's own is left as it is."""
    assert expected == note(written)


@pytest.mark.parametrize(
    ("charset", "encoding"),
    [("8859/1", "iso-8859-1"), ("8859/15", "iso-8859-15"), ("UNICODE UTF-8", "utf-8"), ("", "utf-8")],
)
def test_the_declared_character_set_is_used(charset: str, encoding: str) -> None:
    """MSH-18 says how to read; without it, UTF-8."""
    assert "élève" == note("élève", charset, encoding)


@pytest.mark.parametrize(
    ("charset", "encoding"),
    [("8859/1", "utf-8"), ("UNICODE UTF-8", "iso-8859-1"), ("", "iso-8859-1"), ("KS X 1001", "utf-8")],
)
def test_a_text_that_contradicts_its_character_set_is_refused(charset: str, encoding: str) -> None:
    """Nothing is guessed: a name must not come out damaged."""
    with pytest.raises(FileRefused):
        note("élève", charset, encoding)


def test_messages_in_frames_are_read_and_what_is_written_reads_the_same() -> None:
    """Two messages in MLLP frames; every delimiter inside a text survives."""
    one = HEAD.format("") + NOTE.format("x\\F\\\\E\\y")
    framed = f"\x0b{one}\x1c\r\x0b{one}\x1c\r".encode()
    messages = er7.read(framed)
    assert 2 == len(messages)
    assert messages == er7.read(er7.write(messages))


@pytest.mark.parametrize(
    "raw", [b"", b"MSH", b"MSH|^~\\&|A", b"PID|1\r", b"MSH|$%*+|A|B\r", HEAD.format("").encode()[:-1]]
)
def test_what_is_no_whole_message_is_refused(raw: bytes) -> None:
    """Empty, cut, without its header, or with other delimiters."""
    with pytest.raises(FileRefused):
        er7.read(raw)
