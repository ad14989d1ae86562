"""
A record of which a mapping makes two documents: counted once, and each remark about a cell told once.
"""

from collections.abc import Callable
from typing import Any

from adapters.exam import EXAM_CONTEXT

TWO = """
title: Essai
source: {format: csv}
tables: {motif: reason}
documents:
  - kind: referral
    key: ID
    fields:
      reference: ID
      subject.identifiers[scheme=partner].value: ID
      subject.phones[]: {from: [TEL, FIXE], do: telephone}
      reasons[scheme=reason].code: {from: MOTIF, table: motif}
  - kind: bilan
    key: ID
    when: {from: BILAN, filled: true}
    fields:
      subject.identifiers[scheme=partner].value: ID
      subject.phones[]: {from: [TEL, FIXE], do: telephone}
      established_at: {from: BILAN, do: minuit, required: true}
      local.fields.motif: {from: MOTIF, table: motif}
"""
HEAD = "ID;TEL;FIXE;MOTIF;BILAN\n"


def read(make: Callable[..., Any], *rows: str) -> Any:
    """What a file of these rows gives."""
    adapter = make(TWO, {"motif": "LOGEMENT,,vu\n"})
    return adapter.to_shared((HEAD + "".join(f"{row}\n" for row in rows)).encode(), EXAM_CONTEXT)


def test_a_cell_that_two_documents_read_is_told_once(make: Callable[..., Any]) -> None:
    """One remark for each cell, where it is; another cell with the same fault, or another row, has its own."""
    found = read(make, "A;06;04;RIEN;12/05/2026", "B;06;;;12/05/2026")

    assert 4 == len(found.documents)
    told = [(issue.code, issue.pointer, issue.line) for issue in found.issues]
    assert [
        ("cell_unreadable", "/TEL", 2),
        ("cell_unreadable", "/FIXE", 2),
        ("code_unknown", "/MOTIF", 2),
        ("cell_unreadable", "/TEL", 3),
    ] == told


def test_a_value_without_a_code_is_counted_once_for_each_cell(make: Callable[..., Any]) -> None:
    """Two documents of one row count it once; two rows, twice."""
    found = read(make, "A;;;RIEN;12/05/2026", "B;;;RIEN;12/05/2026")

    assert [("motif", "RIEN", 2, False)] == [(u.table, u.value, u.count, u.known) for u in found.unmapped]


def test_records_are_counted_and_not_documents(make: Callable[..., Any]) -> None:
    """A row of two documents is one record used; one whose second document is refused is used too, and told."""
    found = read(make, "A;;;;12/05/2026", "B;;;;bientôt", "C;;;;")

    assert (3, 3, 0) == (found.records.read, found.records.used, found.records.refused)
    assert [("cell_unreadable", 3), ("required_missing", 3)] == [(issue.code, issue.line) for issue in found.issues]


def test_an_explained_record_is_told_as_the_whole_file_is(make: Callable[..., Any]) -> None:
    """`tdu adapter try --row` says each remark once too."""
    adapter = make(TWO, {"motif": "LOGEMENT,,vu\n"})
    raw = (HEAD + "A;06;;RIEN;12/05/2026\n").encode()

    explained = adapter.explain(raw, EXAM_CONTEXT, 1)

    assert adapter.to_shared(raw, EXAM_CONTEXT).issues == explained.issues
    assert 2 == len(explained.documents) == len(explained.issues)
