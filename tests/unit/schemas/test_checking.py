"""
Checking texts and streams of documents: the same issues as a validation, a line each, in the memory of one line.
"""

import json
import tracemalloc
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

import schemas
from schemas import Kind, validate
from schemas.checking import check, check_lines
from schemas.strict_json import MAX_BYTES

FOLDER = Path(schemas.__file__).parent
MINIMAL = (FOLDER / "referral" / "v1" / "valid" / "minimal.json").read_bytes()
SECRET = "269054958815780"


def changed(**changes: Any) -> bytes:
    """The smallest valid referral on one line, with some properties changed."""
    return json.dumps(json.loads(MINIMAL) | changes, ensure_ascii=False).encode()


def test_a_document_is_checked_as_the_kind_it_says_it_is() -> None:
    """The kind is read in the document, and the issues are those of `validate`, with their places."""
    raw = changed(purpose="award_rigth")
    checked = check(raw)

    assert (1, Kind.REFERRAL) == (checked.line, checked.kind)
    assert validate(Kind.REFERRAL, json.loads(raw), raw) == checked.issues
    assert ["award_right"] == [issue.suggestion for issue in checked.issues]
    assert [1] == [issue.line for issue in checked.issues]


def test_the_kind_that_is_expected_wins() -> None:
    """A document of another kind than the one expected is told so, at its `kind`."""
    checked = check(MINIMAL, Kind.STATUS)

    assert Kind.STATUS == checked.kind
    assert "/kind" in {issue.pointer for issue in checked.issues}


@pytest.mark.parametrize(
    ("raw", "code", "pointer", "suggestion"),
    [
        (b"[]", "type", "", None),
        (b"{}", "required", "/kind", None),
        (b'{"kind": "referal"}', "enum", "/kind", "referral"),
        (b'{"kind": ["bilan"]}', "enum", "/kind", None),
        (b'{"kind": "' + SECRET.encode() + b'"}', "enum", "/kind", None),
    ],
)
def test_a_document_of_no_known_kind_is_one_issue(raw: bytes, code: str, pointer: str, suggestion: str | None) -> None:
    """What cannot be told is told once, with the kinds that exist and the nearest one, and without the value."""
    checked = check(raw)

    assert (None, 1) == (checked.kind, len(checked.issues))
    assert (code, pointer, suggestion) == (
        checked.issues[0].code,
        checked.issues[0].pointer,
        checked.issues[0].suggestion,
    )
    assert SECRET not in str(checked)


def test_what_is_not_json_is_an_issue_like_the_others() -> None:
    """A syntax error has its code, its sentence and its place, and raises nothing."""
    checked = check(b'{"kind": "referral",\n "kind": "bilan"}')

    assert [("duplicate_key", 2, 2)] == [(issue.code, issue.line, issue.column) for issue in checked.issues]


def test_a_newer_minor_version_is_read_when_asked() -> None:
    """`tolerant` reads a document as software that knows an older minor version does."""
    raw = changed(added_in_1_9="x")

    assert ["unknown_property"] == [issue.code for issue in check(raw).issues]
    assert [] == check(raw, tolerant=True).issues


def test_a_stream_is_checked_line_by_line() -> None:
    """Each line is a document; blank ones are skipped and still counted, a line end of Windows is no fault."""
    good, bad = changed(), changed(purpose="x", schema_version="1,0")
    stream = BytesIO(b"\xef\xbb\xbf" + good + b"\r\n\n  \n" + bad + b"\n{\n" + good)
    found = list(check_lines(stream))

    assert [1, 4, 5, 6] == [checked.line for checked in found]
    assert [0, 2, 1, 0] == [len(checked.issues) for checked in found]
    assert {4} == {issue.line for issue in found[1].issues}
    assert all(issue.column and issue.column > 1 for issue in found[1].issues)
    assert ["missing_name"] == [issue.code for issue in found[2].issues]


def test_only_the_first_faulty_documents_are_located() -> None:
    """Columns cost a second pass over the text: after as many faulty documents as asked, only the line is given."""
    stream = BytesIO(b"\n".join([changed(purpose="x"), changed(), changed(purpose="x"), changed(purpose="x")]))
    columns = [issue.column is None for checked in check_lines(stream, located=2) for issue in checked.issues]

    assert [False, False, True] == columns


def test_a_line_over_the_limit_is_refused_and_the_next_one_read() -> None:
    """However long a line, only the limit is read of it at once, and the lines after it keep their numbers."""
    long = b'{"kind": "' + b"a" * (2 * MAX_BYTES + 17) + b'"}'
    found = list(check_lines(BytesIO(long + b"\n" + changed())))

    assert [(1, ["too_large"]), (2, [])] == [(each.line, [issue.code for issue in each.issues]) for each in found]


class Endless:
    """A stream of the same line, as many times as wanted, that is never held in memory."""

    def __init__(self, line: bytes, count: int) -> None:
        self.line = line + b"\n"
        self.left = count

    def readline(self, _limit: int) -> bytes:
        """The next line, or nothing at the end."""
        self.left -= 1
        return self.line if self.left >= 0 else b""


def test_memory_does_not_grow_with_the_stream() -> None:
    """Twenty times more lines, half of them faulty, take no more memory."""
    peaks = []
    for count in (100, 100, 2000):
        tracemalloc.start()
        streams = (Endless(changed(), count), Endless(changed(purpose="x"), count))
        assert [0, count] == [sum(bool(each.issues) for each in check_lines(stream)) for stream in streams]
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()

    assert peaks[2] < peaks[1] + 20_000
