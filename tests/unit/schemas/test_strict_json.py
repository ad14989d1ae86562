"""
The strict reader lets in only what every other reader would understand alike, and survives everything else.
"""

import json
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import MalformedJson, parse_json
from schemas.strict_json import MAX_BYTES, MAX_DEPTH, MAX_ITEMS

PERSON = "DUPONTEL"


def refusal(raw: bytes, **caps: int) -> MalformedJson:
    """
    The error that a text must raise.
    """
    with pytest.raises(MalformedJson) as caught:
        parse_json(raw, **caps)
    return caught.value


@pytest.mark.parametrize(
    ("raw", "code", "line", "column"),
    [
        (b"", "empty", 1, 1),
        (b" \n\t", "empty", 1, 1),
        (b'{\n "a": 1,\n "a": 2}', "duplicate_key", 3, 2),
        (b'{"a": 1, "\\u0061": 2}', "duplicate_key", 1, 10),
        (b'{"b" :1, "b" :2, "c" :3}', "duplicate_key", 1, 10),
        (b'[{"x": {"k": 1, "k": 1}}]', "duplicate_key", 1, 17),
        (b"[1,\n NaN]", "not_a_number", 2, 2),
        (b"[Infinity]", "not_a_number", 1, 2),
        (b"[-Infinity]", "not_a_number", 1, 2),
        (b'{"x": 1e999}', "number_range", 1, 7),
        (b"[-1e999]", "number_range", 1, 2),
        (b"[9007199254740992]", "number_range", 1, 2),
        (b"[-9007199254740992]", "number_range", 1, 2),
        (b"[123456789012345678901234]", "number_range", 1, 2),
        (b"1" * 5000, "number_range", 1, 1),
        (b'["\\ud800"]', "lone_surrogate", 1, 3),
        (b'["\\udc00"]', "lone_surrogate", 1, 3),
        (b'["\\udc00\\ud800"]', "lone_surrogate", 1, 3),
        (b'["\\ud83d \\ude00"]', "lone_surrogate", 1, 3),
        (b'["\\u0000"]', "nul", 1, 3),
        (b'["\x00"]', "control_character", 1, 3),
        (b'{"\n": 1}', "control_character", 1, 3),
        ('{\n"é": 1}'.encode("latin-1"), "encoding", 2, 2),
        ("{}".encode("utf-16"), "encoding", 1, 1),
        (b'["\xed\xa0\x80"]', "encoding", 1, 3),
        (b'{"a" 1}', "missing_colon", 1, 6),
        (b"[1 2]", "missing_comma", 1, 4),
        (b"[1,]", "missing_value", 1, 4),
        (b"{'a': 1}", "missing_name", 1, 2),
        (b'["a', "unterminated", 1, 2),
        (b'["\\q"]', "bad_escape", 1, 3),
        (b"{} {}", "extra_data", 1, 4),
        (b"[01]", "missing_comma", 1, 3),
        (b"nul", "missing_value", 1, 1),
    ],
)
def test_refuses_and_says_where(raw: bytes, code: str, line: int, column: int) -> None:
    """
    Each text that readers could understand differently is refused with a code, a line and a column.
    """
    error = refusal(raw)

    assert (code, line, column) == (error.code, error.line, error.column)
    assert error.message_fr
    assert error.message_en


@pytest.mark.parametrize("code_point", [*range(0x202A, 0x202F), *range(0x2066, 0x206A)])
def test_refuses_bidi_controls_raw_and_escaped(code_point: int) -> None:
    """
    The characters that reverse the reading order are refused, written as they are or escaped.
    """
    raw = json.dumps(["ab" + chr(code_point)], ensure_ascii=False).encode()
    escaped = f'["ab\\u{code_point:04X}"]'.encode()

    assert [(error.code, error.column) for error in map(refusal, (raw, escaped))] == [
        ("bidi_control", 5),
        ("bidi_control", 5),
    ]


@pytest.mark.parametrize(
    "raw",
    [
        b'{"a": "\\ud83d\\ude00", "b": "\\\\ud800", "c": "\\u00e9"}',
        b'{"https://example.org/": ":", "b": "a:b"}',
        b"[9007199254740991, -9007199254740991, 1.5, 1e22, -0.0, true, null]",
        b'{"nir": "269054958815780", "sha256": "12345678901234567890"}',
        b'"a"',
        '["é œ \u200d \u2069"]'.replace("\u2069", "").encode(),
    ],
)
def test_reads_what_the_standard_library_reads(raw: bytes) -> None:
    """
    An ordinary document is read as everybody reads it.
    """
    assert json.loads(raw) == parse_json(raw)


def test_ignores_a_byte_order_mark() -> None:
    """
    A byte order mark at the start is not part of the document.
    """
    assert parse_json(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}


@pytest.mark.parametrize(
    "raw",
    [
        b"[" * 100_000,
        b"[" * 90_000 + b"]" * 90_000,
        b'{"a":' * 100_000,
        b"[[],{" * 50_000,
        b'["' + b'\\"' * 900_000,
        b'["' + b"\\" * 1_900_001,
        b"[" + b"1" * 1_900_000 + b"]",
        b'"' * 1_999_999,
        b"\\" * 1_999_999,
        b'[\\" "' + b"[" * 200_000,
    ],
)
def test_survives_hostile_texts(raw: bytes) -> None:
    """
    A text made to exhaust the stack, the memory or the time of the reader gets an ordinary refusal.
    """
    assert refusal(raw).code


@pytest.mark.parametrize("brackets", [(b"[", b"]"), (b'{"a":', b"}")])
def test_counts_depth_exactly(brackets: tuple[bytes, bytes]) -> None:
    """
    The deepest document allowed is read; one level more is refused where it opens.
    """
    opening, closing = brackets
    deepest = opening * (MAX_DEPTH - 1) + b"[]" + closing * (MAX_DEPTH - 1)
    deeper = opening * MAX_DEPTH + b"[]" + closing * MAX_DEPTH

    assert json.loads(deepest) == parse_json(deepest)
    assert ("too_deep", MAX_DEPTH * len(opening) + 1) == (refusal(deeper).code, refusal(deeper).column)


def test_brackets_in_strings_do_not_count() -> None:
    """
    Brackets written in a text neither add to the depth nor hide it.
    """
    wide = json.dumps(["[[{"] * 100).encode()
    hidden = b'["]",' * 65 + b"1" + b',"["]' * 65

    assert json.loads(wide) == parse_json(wide)
    assert refusal(hidden).code == "too_deep"


def test_caps_the_size() -> None:
    """
    Bytes and values beyond the caps are refused, and the caps belong to the caller.
    """
    many = b"[" + b"[]," * MAX_ITEMS + b"1]"

    assert refusal(b" " * (MAX_BYTES + 1)).code == "too_large"
    assert refusal(b"[1, 2]", max_bytes=5).code == "too_large"
    assert refusal(b"[[1]]", max_depth=1).code == "too_deep"
    assert refusal(many).code == "too_many_items"
    assert refusal(b"[1,2,3]", max_items=3).code == "too_many_items"
    assert parse_json(b"[1,2,3]", max_items=4) == [1, 2, 3]


def test_an_error_keeps_nothing_of_the_document() -> None:
    """
    Neither the sentences of an error nor the errors behind it hold the text that was received.
    """
    raws = [
        f'{{"{PERSON}": 1, "{PERSON}": 2}}',
        f'["{PERSON}\\ud800"]',
        f'["{PERSON}" "{PERSON}"]',
        f"[{PERSON}]",
        f'["{PERSON}", 1e999]',
    ]

    errors = [refusal(raw.encode()) for raw in raws]

    assert [None] * len(raws) == [error.__context__ for error in errors]
    assert not [
        error for error in errors if PERSON in f"{error!r}{error}{error.message_fr}{error.message_en}{vars(error)}"
    ]


def naive(raw: bytes) -> Any:
    """
    The same rules written for clarity alone, on the standard library: the document, or ValueError.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({key for key, _ in pairs}) < len(pairs):
            raise ValueError
        return dict(pairs)

    def number(text: str) -> Any:
        value = float(text) if set(text) & set(".eE") else int(text)
        if abs(value) == float("inf") or (isinstance(value, int) and abs(value) >= 2**53):
            raise ValueError
        return value

    def constant(text: str) -> None:
        raise ValueError(text)

    document = json.loads(raw, object_pairs_hook=unique, parse_int=number, parse_float=number, parse_constant=constant)
    text = json.dumps(document, ensure_ascii=False)
    text.encode()
    if "\\u0000" in text or set(text) & {chr(c) for c in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))}:
        raise ValueError
    return document


PIECES = st.sampled_from(
    ['"a"', '"a":', '"b" :', '"\\u0061":', '":"', '"\\u003a"', '"\\":"', "1", "12345678901234567890", "1e999", "NaN",
     '"\\ud800"', '"\u202e"', '"é"', ",", "[", "]", "{", "}", "{}", '"x":{', "null", " ", "-0", "1.0"]
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES, max_size=14).map("".join))
def test_the_fast_reader_never_disagrees_with_the_rules(text: str) -> None:
    """
    On texts made of awkward pieces the answer is always that of the plain implementation of the rules.
    """
    raw = text.encode()
    try:
        expected = naive(raw)
    except ValueError:
        assert refusal(raw).code
    else:
        assert json.dumps(expected) == json.dumps(parse_json(raw))


@settings(max_examples=100, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(st.characters(exclude_categories=["Cs", "Cf", "Cc"])),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs", "Cf", "Cc"])), inner),
        max_leaves=20,
    ),
    st.booleans(),
)  # fmt: skip
def test_reads_back_what_was_written(document: Any, ascii_only: bool) -> None:
    """
    Any document written by an ordinary program is read back equal, with or without escapes.
    """
    assert document == parse_json(json.dumps(document, ensure_ascii=ascii_only).encode())


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    """
    Whatever the bytes, the only error is MalformedJson.
    """
    try:
        parse_json(raw)
    except MalformedJson as error:
        assert error.line >= 1
        assert error.column >= 1


def test_reads_from_deep_in_the_stack() -> None:
    """
    The depth of the caller's own stack does not change the answer.
    """

    def descend(levels: int) -> Any:
        return descend(levels - 1) if levels else parse_json(b'{"a": {"a": [[1, "\\u0041"]]}}')

    assert descend(sys.getrecursionlimit() // 2) == {"a": {"a": [[1, "A"]]}}
