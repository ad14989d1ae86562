"""
The shared format as a file: one document or one per line, read strictly.
"""

import json

import pytest

from adapters.base import AdapterError, FileRefused
from adapters.shared_json.adapter import SharedJson
from adapters.testing import EXAM_CONTEXT

ADAPTER = SharedJson()
DOCUMENT = {"kind": "referral", "subject": {"birth_name": "OLIVARDE", "given_names": ["Zoé", "Inès"]}}


def line(**more):
    return json.dumps(DOCUMENT | more, ensure_ascii=False).encode()


def test_a_document_may_take_several_lines():
    """Indented JSON is one document, not one per line."""
    raw = json.dumps(DOCUMENT, indent=2).encode()
    assert [found.document for found in ADAPTER.to_shared(raw, EXAM_CONTEXT).documents] == [DOCUMENT]


def test_each_line_is_a_document_with_its_place():
    """Blank lines do not count, and the place is the line of the file."""
    found = ADAPTER.to_shared(line() + b"\r\n\n" + line(kind="status") + b"\n", EXAM_CONTEXT).documents
    assert [(each.document["kind"], each.source.line) for each in found] == [("referral", 1), ("status", 3)]


def test_what_is_written_is_read_again():
    """A single document is also an ordinary JSON file."""
    documents = [DOCUMENT, DOCUMENT | {"kind": "bilan"}]
    written = ADAPTER.to_partner(documents)
    assert [found.document for found in ADAPTER.to_shared(written, EXAM_CONTEXT).documents] == documents
    assert json.loads(ADAPTER.to_partner([DOCUMENT])) == DOCUMENT


def test_properties_are_counted_against_the_schemas():
    """Known ones by their pattern; unknown ones are named when they look like names."""
    raw = line(local={"fields": {"a": "1", "b": "2"}}, inconnu=1, **{"2840299612034": 1})
    coverage = ADAPTER.to_shared(raw, EXAM_CONTEXT).coverage
    counts = {each.path: each.count for each in coverage.lines}
    assert (counts["/referral/subject/given_names/*"], counts["/referral/local/fields/*"]) == (2, 2)
    assert {each.path for each in coverage.unknown} == {"/referral/inconnu", "/referral/*"}


@pytest.mark.parametrize(
    ("raw", "code", "place"),
    [
        (b"", "empty", (1, 1)),
        (line() + b"\n" + line()[:-1] + b"\n", "missing_comma", (2, None)),
        (line() + b"\n[1]\n", "kind_missing", (2, None)),
        (b'{"kind": ["referral"]}', "kind_missing", (1, None)),
        (b'{"kind": "convention"}', "kind_missing", (1, None)),
        (b'{"kind": "referral",\n "a": 1,\n "a": 2}', "duplicate_key", (3, None)),
        ('{"kind": "referral", "a": "é"}'.encode("cp1252"), "encoding", (1, None)),
    ],
)
def test_a_file_that_is_not_strict_json_is_refused_with_its_place(raw, code, place):
    """Empty, cut, not an object, an unknown kind, a property twice, another encoding."""
    with pytest.raises(FileRefused) as refusal:
        ADAPTER.to_shared(raw, EXAM_CONTEXT)
    assert (refusal.value.code, refusal.value.line) == (code, place[0])


def test_a_file_beyond_the_limit_is_refused():
    """More than 50 MB is not even parsed."""
    with pytest.raises(FileRefused) as refusal:
        ADAPTER.to_shared(b" " * 50_000_001, EXAM_CONTEXT)
    assert refusal.value.code == "too_large"


@pytest.mark.parametrize("document", [{}, {"kind": "convention"}, {"kind": None}])
def test_only_the_four_kinds_are_written(document):
    """A convention is not exchanged this way."""
    with pytest.raises(AdapterError):
        ADAPTER.to_partner([document])
