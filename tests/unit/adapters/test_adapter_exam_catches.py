"""
The exam fails an adapter that deserves it: each fault is put into a good adapter, and the question that asks about it must see it.
"""

import inspect
from dataclasses import replace
from pathlib import Path

import pytest

from adapters._template.python.adapter import Template
from adapters.base import Translation, warning
from adapters.report import Coverage
from adapters.testing import EXAM_CONTEXT, HOSTILE, AdapterContract

FOLDER = Path(inspect.getfile(Template)).parent


def exam(adapter):
    """The exam of the template, sat by another adapter."""

    class Exam(AdapterContract):
        @classmethod
        def folder(cls):
            return FOLDER

    Exam.adapter = adapter
    return Exam()


def altered(change):
    """The template, its translations changed by a function."""

    class Altered(Template):
        def to_shared(self, raw, context):
            return change(super().to_shared(raw, context))

    return Altered()


def test_a_good_adapter_passes_the_same_questions():
    """The faults below are what the questions see, not the set-up."""
    sitting = exam(Template())
    sitting.test_there_is_a_sample_for_every_kind()
    sitting.test_partner_bytes_become_exactly_the_shared_documents()
    sitting.test_shared_documents_become_the_partner_file_again()
    sitting.test_the_sender_is_told_exactly_what_is_wrong()
    sitting.test_nothing_is_lost_in_silence()
    sitting.test_the_same_input_gives_the_same_output()
    sitting.test_every_shared_value_of_a_table_exists()
    sitting.test_no_sentence_holds_a_value_of_the_file()
    sitting.test_the_quality_file_is_truthful()


def test_a_kind_without_a_sample_is_seen():
    """(1) An adapter that announces statuses must show one."""
    adapter = Template()
    adapter.kinds_in = adapter.kinds_in | {"status"}
    with pytest.raises(AssertionError):
        exam(adapter).test_there_is_a_sample_for_every_kind()


def test_a_lost_document_is_seen():
    """(2) One document less than in `shared.json`."""
    adapter = altered(lambda translation: replace(translation, documents=translation.documents[1:]))
    with pytest.raises(AssertionError):
        exam(adapter).test_partner_bytes_become_exactly_the_shared_documents()


def test_another_byte_is_seen():
    """(4) A file that is not `back.*` byte for byte."""

    class Windows(Template):
        def to_partner(self, documents):
            return super().to_partner(documents).replace(b"\n", b"\r\n")

    with pytest.raises(AssertionError):
        exam(Windows()).test_shared_documents_become_the_partner_file_again()


def test_a_silent_warning_is_seen():
    """(5) An issue that is not told."""
    adapter = altered(lambda translation: replace(translation, issues=()))
    with pytest.raises(AssertionError):
        exam(adapter).test_the_sender_is_told_exactly_what_is_wrong()


def test_an_element_outside_the_list_is_seen():
    """(6) A column that the list of the format does not name."""
    adapter = altered(lambda translation: replace(translation, coverage=with_unknown(translation.coverage)))
    with pytest.raises(AssertionError):
        exam(adapter).test_nothing_is_lost_in_silence()


def with_unknown(coverage: Coverage) -> Coverage:
    from adapters.report import Tally

    tally = Tally({})
    tally.add_unknown("/SECRET")
    return Coverage((*coverage.lines, *tally.coverage().lines))


def test_chance_is_seen():
    """(7) An answer that depends on anything but the bytes."""
    calls = iter(range(10))
    adapter = altered(lambda translation: replace(translation, issues=(warning("x", "", "", "", line=next(calls)),)))
    with pytest.raises(AssertionError):
        exam(adapter).test_the_same_input_gives_the_same_output()


def test_a_code_that_does_not_exist_is_seen():
    """(8) A table that gives a code outside the shared list."""
    adapter = Template()
    adapter.tables = (replace(adapter.tables[0], rows={"A": "no_such_reason"}),)
    with pytest.raises(AssertionError):
        exam(adapter).test_every_shared_value_of_a_table_exists()


def test_an_accepted_bomb_is_seen():
    """(9) Hostile bytes that are answered instead of refused."""

    class Naive(Template):
        def to_shared(self, raw, context):
            return Translation((), (), Coverage(()))

    with pytest.raises(AssertionError, match=f"{len(HOSTILE)} more items"):
        exam(Naive()).test_hostile_input_is_refused_and_nothing_else()


def test_another_exception_is_seen():
    """(9) A ValueError on a damaged file is a fault of the adapter."""

    class Fragile(Template):
        def to_shared(self, raw, context):
            raw.decode("utf-8")
            return super().to_shared(raw, context)

    with pytest.raises(UnicodeDecodeError):
        exam(Fragile()).test_a_damaged_sample_never_raises_anything_else()


def test_a_name_in_a_sentence_is_seen():
    """(9) An issue that repeats a value of the file."""
    adapter = altered(lambda translation: replace(translation, issues=(warning("x", "", "OLIVARDE ?", "", line=1),)))
    with pytest.raises(AssertionError):
        exam(adapter).test_no_sentence_holds_a_value_of_the_file()


def test_a_false_claim_is_seen():
    """(10) `quality.toml` says `done` for tables that are not there."""
    adapter = Template()
    adapter.tables = ()
    with pytest.raises(AssertionError):
        exam(adapter).test_the_quality_file_is_truthful()


def test_the_exam_context_is_fixed():
    """Two sittings see the same sender, hour and identifiers."""
    assert EXAM_CONTEXT.document_id("a") == EXAM_CONTEXT.document_id("a") != EXAM_CONTEXT.document_id("b")
