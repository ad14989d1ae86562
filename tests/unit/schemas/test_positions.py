"""
A pointer leads to a line and a column of the text that was received.
"""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import locate
from schemas.positions import escape, locate_all

TEXT = """{
  "subject": {"birth_name": "É", "nir": "1"},
  "reasons": [
    {"code": "a"},
      {"code": "b, c: [", "x/y": {"~": [1, 2]}}
  ],
  "\\u00e9": null
}
"""


@pytest.mark.parametrize(
    ("pointer", "place"),
    [
        ("", (1, 1)),
        ("/subject", (2, 14)),
        ("/subject/birth_name", (2, 29)),
        ("/subject/nir", (2, 41)),
        ("/reasons/0/code", (4, 14)),
        ("/reasons/1", (5, 7)),
        ("/reasons/1/x~1y/~0/1", (5, 44)),
        ("/é", (7, 13)),
        ("/subject/absent/deeper", (2, 14)),
        ("/reasons/7", (3, 14)),
        ("/absent", (1, 1)),
    ],
)
def test_finds_a_value(pointer: str, place: tuple[int, int]) -> None:
    """
    The place is where the value begins; what is absent is looked for in what would hold it.
    """
    assert place == locate(TEXT.encode(), pointer)


def test_finds_many_values_in_one_pass() -> None:
    """
    Several pointers are found together, with or without a byte order mark.
    """
    places = locate_all(b"\xef\xbb\xbf" + TEXT.encode(), ["/subject/nir", "/reasons/0"])

    assert places == {"/subject/nir": (2, 41), "/reasons/0": (4, 5)}


@pytest.mark.parametrize("raw", [b"", b"\xff", b"]", b"  "])
def test_finds_nothing_where_there_is_no_value(raw: bytes) -> None:
    """
    Without any value, or without UTF-8, there is no place to give.
    """
    assert locate(raw, "/a") is None


@pytest.mark.parametrize("raw", [b"[" * 200_000, b'{"a":' * 100_000, b'["' + b'\\"' * 500_000, b"[" + b"1," * 200_000])
def test_survives_hostile_texts(raw: bytes) -> None:
    """
    Texts that are malformed or absurdly nested are scanned without trouble.
    """
    assert locate(raw, "") == (1, 1)


VALUES = st.recursive(
    st.none() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=15,
)


def everything(value: Any, pointer: str = "") -> dict[str, Any]:
    """
    Each value of a document under its pointer.
    """
    found = {pointer: value}
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in items:
        found |= everything(child, f"{pointer}/{escape(str(key))}")
    return found


@settings(max_examples=100, deadline=None)
@given(VALUES)
def test_the_value_stands_at_its_place(document: Any) -> None:
    """
    Read from the place of any pointer, the text begins with the value that the pointer names.
    """
    text = json.dumps(document, indent=1, ensure_ascii=False)
    values = everything(document)
    starts = [0]
    for line in text.split("\n"):
        starts.append(starts[-1] + len(line) + 1)

    for pointer, (line, column) in locate_all(text.encode(), values).items():
        found, _ = json.JSONDecoder(strict=False).raw_decode(text, starts[line - 1] + column - 1)

        assert values[pointer] == found
