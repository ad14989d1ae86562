"""
Whatever a partner sends, a mapping answers with valid documents and fixed sentences, or refuses the file; nothing else.
"""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from adapters.base import FileRefused
from adapters.csv_cells import write_lines
from adapters.exam import EXAM_CONTEXT, Sitting
from adapters.registry import get
from schemas import Kind, validate

TEXTS = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        ["NULL", "0", "1e308", "9" * 40, "=1+1", "31/02/2026", "2026-13-45", "🙂", "é", "\u00a0", "1;2", "a\nb", '"']
    ),
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**53) + 1, 2**53 - 1), st.floats(allow_nan=False, allow_infinity=False), TEXTS),
    lambda inside: st.one_of(st.lists(inside, max_size=3), st.dictionaries(st.sampled_from(["a", "nom", "code", "#text"]), inside, max_size=3)),
    max_leaves=6,
)  # fmt: skip


def answers(adapter: Any, raw: bytes) -> None:
    """What is promised of any answer."""
    try:
        found = adapter.to_shared(raw, EXAM_CONTEXT)
    except FileRefused as refused:
        assert refused.message_fr and refused.message_en
        return
    for each in found.documents:
        assert [] == validate(Kind(each.document["kind"]), each.document)
    assert all(issue.message_fr and issue.message_en for issue in found.issues)
    assert found == adapter.to_shared(raw, EXAM_CONTEXT)
    if adapter.kinds_out:
        answers_written(adapter, [each.document for each in found.documents])


def answers_written(adapter: Any, documents: list[dict[str, Any]]) -> None:
    """What a mapping wrote from valid documents, it reads again, as many."""
    assert len(documents) == len(adapter.to_shared(adapter.to_partner(documents), EXAM_CONTEXT).documents)


@pytest.mark.parametrize("name", ["carnet-de-bord"])
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_cells_of_a_table(name: str, data: st.DataObject) -> None:
    """Every column, any text in it."""
    adapter = get(name)
    columns = [path[1:] for path in adapter.fields]
    rows = data.draw(st.lists(st.lists(TEXTS, min_size=len(columns), max_size=len(columns)), max_size=3))
    answers(adapter, write_lines([columns, *rows], line_end="\r\n"))


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_any_value_anywhere_in_json(data: st.DataObject) -> None:
    """A real record in which any part is replaced by any value: a list for a text, an object for a number, nothing."""
    adapter = get("orientation-json")
    case = next(case for case in Sitting(adapter).cases if case.name == "deux-orientations")
    record = json.loads(case.partner or b"")["orientations"][0]
    for _ in range(data.draw(st.integers(1, 4))):
        node = record
        while True:
            key = data.draw(st.sampled_from(sorted(node)))
            if not isinstance(node[key], dict) or not node[key] or data.draw(st.booleans()):
                node[key] = data.draw(VALUES)
                break
            node = node[key]
    answers(adapter, json.dumps({"orientations": [record]}).encode())


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_text_and_any_order_of_elements_in_xml(data: st.DataObject) -> None:
    """Elements moved, doubled, emptied, filled with any text."""
    adapter = get("departement-dossiers")
    case = next(case for case in Sitting(adapter).cases if case.name == "dossiers")
    root = etree.fromstring(case.partner or b"")
    elements = list(root.iter())[1:]
    for _ in range(data.draw(st.integers(1, 6))):
        chosen = data.draw(st.sampled_from(elements))
        text = data.draw(st.text(st.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=20))
        if data.draw(st.booleans()):
            chosen.text = text
        else:
            other = etree.SubElement(data.draw(st.sampled_from(elements)), chosen.tag)
            other.text = text
    answers(adapter, etree.tostring(root, encoding="iso-8859-1"))
