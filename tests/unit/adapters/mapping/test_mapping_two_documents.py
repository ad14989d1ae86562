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
    assert [("required_missing", 3)] == [(issue.code, issue.line) for issue in found.issues]
    assert found.issues[0].message_fr.endswith(
        "cette valeur n'est pas reprise. Elle est nécessaire : le document « bilan » de cet enregistrement n'est pas repris."
    )


def test_a_cell_that_two_documents_need_has_one_remark_that_names_both(make: Callable[..., Any]) -> None:
    """Missing or unreadable, whichever documents fall with it; with one document only, it is the record."""
    text = TWO.replace("[TEL, FIXE], do: telephone}", "TEL, do: telephone, required: true}")
    adapter = make(text, {"motif": "LOGEMENT,,vu\n"})
    missing, unreadable = (
        adapter.to_shared(f"{HEAD}A;{phone};;;12/05/2026\n".encode(), EXAM_CONTEXT) for phone in ("", "06")
    )
    both = "les documents « referral », « bilan » de cet enregistrement ne sont pas repris."
    for found in (missing, unreadable):
        assert ["required_missing"] == [issue.code for issue in found.issues]
        assert found.issues[0].message_fr.endswith(both)
        assert (0, 1) == (found.records.used, found.records.refused)
    alone = make(text.partition("  - kind: bilan")[0], {"motif": "LOGEMENT,,vu\n"})
    found = alone.to_shared(f"{HEAD}A;06;;;12/05/2026\n".encode(), EXAM_CONTEXT)
    assert found.issues[0].message_fr.endswith("Elle est nécessaire : l'enregistrement n'est pas repris.")


def test_the_values_of_a_record_that_is_left_out_are_counted(make: Callable[..., Any]) -> None:
    """Those that come after what it lacks too, and nothing else is told of them."""
    text = TWO.replace("[TEL, FIXE], do: telephone}", "TEL, do: telephone, required: true}")
    adapter = make(text, {"motif": "LOGEMENT,,vu\n"})
    found = adapter.to_shared(f"{HEAD}A;;;RIEN;\nB;0199000123;;RIEN;\n".encode(), EXAM_CONTEXT)

    assert [("RIEN", 2)] == [(each.value, each.count) for each in found.unmapped]
    assert [("required_missing", 2), ("code_unknown", 3)] == [(issue.code, issue.line) for issue in found.issues]


def test_an_explained_record_is_told_as_the_whole_file_is(make: Callable[..., Any]) -> None:
    """`tdu adapter try --row` says each remark once too."""
    adapter = make(TWO, {"motif": "LOGEMENT,,vu\n"})
    raw = (HEAD + "A;06;;RIEN;12/05/2026\n").encode()

    explained = adapter.explain(raw, EXAM_CONTEXT, 1)

    assert adapter.to_shared(raw, EXAM_CONTEXT).issues == explained.issues
    assert 2 == len(explained.documents) == len(explained.issues)
