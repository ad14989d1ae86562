"""
The exam fails an adapter that deserves it: each fault is put into a good adapter, and the question that asks about it must see it.
"""

import inspect
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from adapters import exam as questions
from adapters import resistance
from adapters._template.python.adapter import Template
from adapters.base import Translation, warning
from adapters.hostile import small
from adapters.quality import Level, unmet
from adapters.report import Coverage
from adapters.round_trip import losses
from adapters.testing import EXAM_CONTEXT, AdapterContract

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

    with pytest.raises(AssertionError, match=f"{len(small())} more items"):
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


def test_a_name_in_another_encoding_is_seen():
    """(10) Bytes taken for another encoding give `Ã©`: a fault, not a translation."""

    class Mistaken(Template):
        def to_shared(self, raw, context):
            try:
                return super().to_shared(raw.decode("cp1252").encode("utf-8").decode("cp1252").encode(), context)
            except UnicodeError:
                return super().to_shared(raw, context)

    findings = list(resistance.damage_survived(questions.Sitting(Mistaken(), FOLDER)))
    assert any("abîmés" in finding.message_fr for finding in findings)


def test_a_formula_is_seen():
    """(12) A cell that a spreadsheet would run."""

    class Naive(Template):
        def to_partner(self, documents):
            return b"NOM\n" + "\n".join(each["subject"].get("birth_name", "") for each in documents).encode()

    with pytest.raises(AssertionError, match="formule"):
        exam(Naive()).test_no_formula_is_written()


def test_a_fault_of_the_program_is_a_finding_with_its_place():
    """The whole exam goes on when a question stops on an error, and names the file and the line."""

    class Fragile(Template):
        def to_shared(self, raw, context):
            raise ZeroDivisionError

    result = questions.sit(questions.Sitting(Fragile(), FOLDER))
    assert not result.passed and result.level is Level.NONE
    found = [finding for answer in result.answers for finding in answer.findings]
    assert any("ZeroDivisionError" in finding.message_fr and ".py:" in finding.where for finding in found)


def test_a_claim_above_the_measure_is_seen(tmp_path):
    """(13) `level = "gold"` with a table that is not total; an exemption with a reason is enough."""
    folder = tmp_path / "acme"
    shutil.copytree(FOLDER, folder)
    (folder / "README.md").write_text("## En français\n\nÀ nous.\n\n## In English\n\nOurs.\n", encoding="utf-8")
    quality = folder / "quality.toml"
    quality.write_text('level = "gold"\n', encoding="utf-8")
    sitting = questions.Sitting(Template(), folder)
    (finding,) = questions.quality_true(sitting)
    assert "tables_total" == finding.where and "exempt" in finding.message_fr

    quality.write_text('level = "gold"\n[rules]\ntables_total = {exempt = "the list is ours"}\n', encoding="utf-8")
    sitting = questions.Sitting(Template(), folder)
    assert [] == list(questions.quality_true(sitting)) and questions.sit(sitting).level is Level.GOLD


def test_a_loss_of_the_round_trip_is_seen_and_may_be_declared(tmp_path):
    """Gold: what writing and reading again loses is told by its pointer, or said in `[lost]`."""
    folder = tmp_path / "acme"
    shutil.copytree(FOLDER, folder)

    class Forgetful(Template):
        def to_partner(self, documents):
            return super().to_partner([{**each, "reasons": []} for each in documents])

    (folder / "samples" / "two-people" / "back.csv").write_bytes(b"")
    sitting = questions.Sitting(Forgetful(), folder)
    assert "/reasons" in losses(sitting.adapter, sitting.cases, sitting.subject.context)
    named = [each for each in unmet(sitting.subject)["round_trip"] if each.startswith("/reasons ← ")]
    assert named and all(each.endswith(" (two-people)") for each in named)
    quality = folder / "quality.toml"
    quality.write_text('[lost]\n"/reasons" = "no column"\n"/id" = "depends on the reasons"\n', encoding="utf-8")
    assert "round_trip" not in unmet(questions.Sitting(Forgetful(), folder).subject)


def test_a_slow_adapter_is_seen():
    """(13) Asked for, the speed is measured beside a JSON copy of the same documents."""

    class Slow(Template):
        def to_shared(self, raw, context):
            for _ in range(300):
                found = super().to_shared(raw, context)
            return found

    assert [] == list(resistance.fast_enough(questions.Sitting(Template(), FOLDER, large=True)))
    assert [] == list(resistance.fast_enough(questions.Sitting(Slow(), FOLDER)))
    (finding,) = resistance.fast_enough(questions.Sitting(Slow(), FOLDER, large=True))
    assert "fois le temps" in finding.message_fr
