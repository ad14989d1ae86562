"""
A mapping file is checked when it is read: everything wrong with it is said at once, with lines, in French and English.
"""

from collections.abc import Callable
from typing import Any

import pytest

from adapters.mapping.problems import MappingRefused, Problem
from adapters.mapping.yaml_lines import read_yaml

HEAD = "title: Essai\nsource: {format: csv}\n"
DOCUMENT = "documents:\n  - kind: referral\n    fields:\n"


def problems(make: Callable[..., Any], text: str, **tables: str) -> list[Problem]:
    """What is said of a mapping text."""
    with pytest.raises(MappingRefused) as refused:
        make(text, tables)
    return list(refused.value.problems)


@pytest.mark.parametrize(
    ("text", "line", "column", "sentence"),
    [
        (HEAD + DOCUMENT + "      subject.birthname: NOM\n", 6, 7, "Vouliez-vous dire « subject.birth_name » ?"),
        (HEAD + DOCUMENT + "      subject.birth_name: {requis: NOM}\n", 6, 28, "Vouliez-vous dire « required » ?"),
        (HEAD + DOCUMENT + "      subject.birth_date: {from: DN, do: date_rf}\n", 6, 38, "Vouliez-vous dire « date_fr » ?"),
        (HEAD + DOCUMENT + "      subject.birth_date: {from: DN, do: [{zeros: x}]}\n", 6, 43, "n'a pas le paramètre qu'il lui faut"),
        (HEAD + DOCUMENT + "      subject.birth_date: {from: DN, do: {date: AAAA}}\n", 6, 38, "il faut AAAA, MM et JJ"),
        (HEAD + DOCUMENT + "      subject.sex: {const: homme}\n", 6, 21, "ne permet pas cette valeur ici"),
        (HEAD + DOCUMENT + "      subject.phones: TEL\n      subject.phones[0: TEL\n", 7, 7, "Cible mal écrite"),
        (HEAD + DOCUMENT + "      subject.birth_name: {from: A, const: B}\n", 6, 7, "une fois d'où vient la valeur"),
        (HEAD + DOCUMENT + "      subject.birth_name: {from: A, split: ','}\n", 6, 7, "terminez-la par []"),
        (HEAD + DOCUMENT + "      subject.birth_name: [A, B]\n", 6, 7, "terminez la cible par []"),
        (HEAD + DOCUMENT + "      reasons[scheme=reason].code: {from: A, table: motif}\n", 6, 46, "n'est pas déclarée"),
        (HEAD + DOCUMENT + "      notes: {jsonata: '$now()'}\n", 6, 15, "Expression JSONata refusée (forbidden)"),
        (HEAD + DOCUMENT + "      notes: {jsonata: '(('}\n", 6, 15, "Expression JSONata refusée (S0"),
        (HEAD + DOCUMENT + "      notes: A\n      notes: B\n", 7, 7, "écrit deux fois"),
        (HEAD + "documents:\n  - kind: orientation\n    fields: {notes: A}\n", 4, 5, "referral"),
        (HEAD + "documents: [\n", 4, 1, "Ce n'est pas du YAML"),
        ("title: Essai\nsource: {format: xls}\n" + DOCUMENT + "      notes: A\n", 2, 10, "Vouliez-vous dire « xlsx » ?"),
        ("title: Essai\nsource: {format: fixed}\n" + DOCUMENT + "      notes: A\n", 2, 1, "son début et sa longueur"),
        ("title: Essai\n" + DOCUMENT + "      notes: A\n", 1, 1, "source"),
        (HEAD + DOCUMENT + "      notes: A\nignored: {B: non}\n", 7, 11, "trop court"),
        ("", 1, 1, "vide"),
    ],
)  # fmt: skip
def test_each_fault_has_its_line_its_column_and_a_sentence(
    make: Callable[..., Any], text: str, line: int, column: int, sentence: str
) -> None:
    """Where it is, what is wrong, and the word that was perhaps meant."""
    found = problems(make, text)[0]
    assert (line, column) == (found.line, found.column)
    assert sentence in found.message_fr and found.message_en


def test_everything_wrong_is_said_at_once(make: Callable[..., Any]) -> None:
    """Three faults, three sentences."""
    text = HEAD + DOCUMENT + "      subject.birthname: NOM\n      subject.sex: {const: homme}\n      notes[: A\n"
    assert [6, 7, 8] == [problem.line for problem in problems(make, text)]


def test_a_table_is_checked_against_its_shared_list(make: Callable[..., Any]) -> None:
    """A code that the shared list does not have is told with the table's line, and the nearest code."""
    text = (
        HEAD + "tables: {motif: reason}\n" + DOCUMENT + "      reasons[scheme=reason].code: {from: A, table: motif}\n"
    )
    found = problems(make, text, motif="A,housing,\nB,huosing,\n")
    assert [("tables/motif.csv", 3)] == [(problem.file, problem.line) for problem in found]
    assert "Vouliez-vous dire « housing » ?" in found[0].message_fr


def test_a_missing_table_and_one_read_twice_are_told(make: Callable[..., Any]) -> None:
    """The file that is not there, at the place where the table is declared; the value that comes twice, at its line."""
    text = HEAD + "tables:\n  motif: reason\n  autre: reason\n" + DOCUMENT + "      notes: A\n"
    found = problems(make, text, motif="A,housing,\nA,debt,\n")
    assert [("mapping.yaml", 5), ("tables/motif.csv", 3)] == sorted((problem.file, problem.line) for problem in found)
    assert any("est déjà, plus haut" in problem.message_fr for problem in found)


def test_a_table_that_cannot_be_read_is_the_only_thing_told(make: Callable[..., Any]) -> None:
    """Its sentence is French and says what to write; the rule that uses the table is not said to be wrong as well."""
    rule = "      reasons[scheme=reason].code: {from: A, table: motif}\n"
    found = problems(make, HEAD + "tables: {motif: reason}\n" + DOCUMENT + rule, motif='"A,housing,\n')
    assert [("tables/motif.csv", 2)] == [(problem.file, problem.line) for problem in found]
    assert "guillemet" in found[0].message_fr


def test_words_stay_words(make: Callable[..., Any]) -> None:
    """`no`, `01` and a date are texts in a mapping, as the person who typed them believes."""
    found, _ = read_yaml("a: no\nb: 01\nc: 2026-01-01\nd: 12\ne: true\nf: ~\n")
    assert {"a": "no", "b": "01", "c": "2026-01-01", "d": 12, "e": True, "f": None} == found


def test_an_anchor_shares_rules_between_documents(make: Callable[..., Any]) -> None:
    """The subject is written once and merged into each document."""
    adapter = make(
        """
        title: Essai
        source: {format: csv}
        documents:
          - kind: referral
            fields: &person
              subject.birth_name: NOM
          - kind: bilan
            fields:
              <<: *person
              established_at: {context: now}
        """
    )
    assert [2, 1] == [len(document.fields) for document in adapter.mapping.documents][::-1]


def test_a_bomb_of_anchors_is_refused(make: Callable[..., Any]) -> None:
    """References that unfold a thousand times over are refused, in a moment."""
    lines = ["a0: &a0 [x,x,x,x,x,x,x,x,x,x]"]
    lines += [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    assert "trop grand" in problems(make, "\n".join(lines))[0].message_fr


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        ("do: [minut, rang]", "« minut » n'est pas une fonction de « do ». Vouliez-vous dire « minuit » ?"),
        ("do: minuit, rang", "« rang » est une fonction : plusieurs s'écrivent entre crochets, do: [minuit, rang]."),
        ("do: {minuit, rang}", "n'est pas écrite comme il faut. Une fonction et son paramètre : do: { zeros: 7 }"),
        ("do: zeros", "n'a pas le paramètre qu'il lui faut"),
    ],
)
def test_a_function_that_is_not_well_written_is_told_once_with_what_to_write(
    make: Callable[..., Any], written: str, sentence: str
) -> None:
    """One sentence for one fault: the word that is wrong, or how functions and parameters are written."""
    with pytest.raises(MappingRefused) as refused:
        make(
            "title: Essai\nsource: {format: csv}\ndocuments:\n  - kind: referral\n    fields:\n"
            f"      notes: {{from: A, {written}}}\n"
        )
    (problem,) = refused.value.problems
    assert sentence in problem.message_fr
    assert problem.line == 6
