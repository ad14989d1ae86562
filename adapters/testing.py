"""
The exam under pytest, shipped so that a partner's own adapter sits it too.

    class TestAcme(AdapterContract):
        adapter = Acme()

Each question of `adapters.exam` is a test; what it finds is what the failure shows. Cases are files, one folder each in
`samples/` beside the adapter: `partner.*` (what the partner sends), `shared.json` (the documents it must become), `back.*`
(what those documents must become again), `issues.json` (what the sender is told: `{"refused": {…}, "issues": […],
"unknown": {path: count}}`, each part optional). A case without `shared.json` is a file that is refused.

`pytest.register_assert_rewrite("adapters.testing")` in a conftest gives failures that show both sides.
"""

from importlib.resources.abc import Traversable
from typing import ClassVar

from adapters import exam, fidelity, resistance
from adapters.base import Adapter, Context
from adapters.exam import EXAM_CONTEXT, Sitting

__all__ = ["EXAM_CONTEXT", "AdapterContract"]


class AdapterContract:
    """
    The questions asked of every adapter; subclass it and name the adapter.
    """

    adapter: ClassVar[Adapter]
    context: ClassVar[Context] = EXAM_CONTEXT

    @classmethod
    def folder(cls) -> Traversable:
        """
        The adapter's folder, where its samples, tables and README are.
        """
        return exam.folder_of(cls.adapter)

    def _asked(self, ask: exam.Ask) -> list[str]:
        found = ask(Sitting(self.adapter, self.folder(), self.context))
        return [f"{finding.where}: {finding.message_fr}" for finding in found]

    def test_there_is_a_sample_for_every_kind(self) -> None:
        """
        (1) What an adapter announces, in and out, is shown by at least one sample.
        """
        assert self._asked(fidelity.kinds_shown) == []

    def test_partner_bytes_become_exactly_the_shared_documents(self) -> None:
        """
        (2) A sample gives its `shared.json`; a sample without one is refused.
        """
        assert self._asked(fidelity.translated_exactly) == []

    def test_shared_documents_are_valid(self) -> None:
        """
        (3) What comes out is valid for its schema.
        """
        assert self._asked(fidelity.valid_documents) == []

    def test_shared_documents_become_the_partner_file_again(self) -> None:
        """
        (4) Each `back.*` is reproduced byte for byte; an adapter that writes nothing says so.
        """
        assert self._asked(fidelity.written_exactly) == []

    def test_the_sender_is_told_exactly_what_is_wrong(self) -> None:
        """
        (5) A sample gives its `issues.json`, nothing when there is none.
        """
        assert self._asked(fidelity.told_exactly) == []

    def test_nothing_is_lost_in_silence(self) -> None:
        """
        (6) An element of a sample is in the format's list, with a reason when it is dropped, or it is named as unknown.
        """
        assert self._asked(fidelity.nothing_lost) == []

    def test_the_same_input_gives_the_same_output(self) -> None:
        """
        (7) Twice the same bytes, twice the same documents, issues, coverage, or refusal; twice the same file.
        """
        assert self._asked(fidelity.deterministic) == []

    def test_every_shared_value_of_a_table_exists(self) -> None:
        """
        (8) A table gives only codes of the shared list that it is bound to, and every table file is declared.
        """
        assert self._asked(fidelity.tables_known) == []

    def test_hostile_input_is_refused_and_nothing_else(self) -> None:
        """
        (9) Bombs, entities, noise: an adapter's own refusal, never another answer.
        """
        assert self._asked(resistance.hostile_refused) == []

    def test_a_damaged_sample_never_raises_anything_else(self) -> None:
        """
        (10) A sample cut at every kilobyte, with a byte changed, or in another encoding, is translated or refused.
        """
        assert self._asked(resistance.damage_survived) == []

    def test_no_sentence_holds_a_value_of_the_file(self) -> None:
        """
        (11) What the sender is told names no person: no issue and no refusal holds a word of the subject.
        """
        assert self._asked(resistance.values_kept_secret) == []

    def test_no_formula_is_written(self) -> None:
        """
        (12) A name that looks like a formula is written so that no spreadsheet runs it.
        """
        assert self._asked(resistance.formulas_disarmed) == []

    def test_the_quality_file_is_truthful(self) -> None:
        """
        (14) `quality.toml` claims no more than the program measures.
        """
        assert self._asked(exam.quality_true) == []
