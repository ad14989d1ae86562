"""
JSONata in a mapping: what it may do, what it may not, and the same answers from another implementation.
"""

import time
from collections.abc import Sequence
from typing import Any

import jsonata
import pytest

from adapters.mapping.expression import (
    FORBIDDEN,
    TIME_LIMIT_MS,
    BadExpression,
    ExpressionFailed,
    compile_expression,
    expression_functions,
    values_of,
)
from adapters.mapping.notes import Reason
from adapters.registry import ADAPTERS
from adapters.tables import Table


class Heard:
    """Where functions called by an expression tell their repairs."""

    def __init__(self) -> None:
        self.codes: list[str] = []

    def warn(self, reason: Reason) -> None:
        self.codes.append(reason.code)

    def document_id(self, kind: str, key: Sequence[str]) -> str:
        return "/".join((kind, *key))


TABLES = {"motif": Table("motif", "reason", {"LOG": "housing"}, {})}
RECORD = {
    "NOM": "Olivarde",
    "DN": "25/05/1998",
    "TELS": "0199000123, 0199000124",
    "MOTIFS": ["LOG", "FAIM"],
    "LIGNES": [{"code": "rsa", "montant": "1 234,50"}, {"code": "ppa", "montant": "0"}],
    "VIDE": "",
}
FIXTURES = (
    "NOM & ' ' & DN",
    "$uppercase(NOM)",
    "$date_fr(DN)",
    "$split(TELS, /,\\s*/).$telephone($)",
    "MOTIFS.$table('motif', $)",
    "LIGNES[code='rsa'].$nombre_fr(montant)",
    "$sum(LIGNES.$nombre_fr(montant))",
    "LIGNES.{'right': code, 'paid': $nombre_fr(montant) > 0}",
    "$exists(ABSENT) ? 'oui' : 'non'",
    "$oui_non(VIDE)",
    "ABSENT",
    "$join($map(MOTIFS, function($m) { $lowercase($m) }), '+')",
    "$match(NOM, /^O/) ? 'O' : ''",
    "$substringBefore(TELS, ',')",
    "$telephone('12')",
)
"""What the project's mappings need of JSONata; each expression of a mapping of the project is added to these."""


def twin(text: str, record: Any) -> Any:
    """The answer of jsonata-python, another implementation, with the same functions."""
    from adapters.mapping import expression

    program = jsonata.Jsonata(text)
    for name, function in expression_functions(TABLES).items():
        program.register_lambda(name, lambda *arguments, called=function: called(*arguments))
    token = expression._notes.set(Heard())
    try:
        return program.evaluate(record)
    finally:
        expression._notes.reset(token)


@pytest.mark.parametrize("text", FIXTURES)
def test_two_implementations_give_the_same_answer(text: str) -> None:
    """What a mapping says does not hang on one library."""
    found = compile_expression(text, TABLES)(RECORD, Heard())
    other = twin(text, RECORD)
    assert values_of(found) == values_of(other)


def test_the_expressions_of_the_project_mean_the_same_in_both() -> None:
    """Every expression of every mapping of the project, on every record of its samples."""
    from adapters.exam import EXAM_CONTEXT, Sitting
    from adapters.mapping.engine import MappingAdapter

    for adapter in ADAPTERS.values():
        if not isinstance(adapter, MappingAdapter):
            continue
        texts = [
            rule.expression for document in adapter.mapping.documents for rule in document.fields if rule.expression
        ]
        for case in Sitting(adapter).inbound if texts else ():
            for row in range(1, 100):
                try:
                    explained = adapter.explain(case.partner or b"", EXAM_CONTEXT, row)
                except ValueError:
                    break
                except Exception:  # a sample that is refused has no record
                    break
                if explained is None:
                    break
                for text in texts:
                    found = compile_expression(text, adapter.mapping.tables)(explained.record, Heard())
                    assert values_of(found) == values_of(twin(text, explained.record)), (adapter.name, text)


@pytest.mark.parametrize("name", FORBIDDEN)
def test_clocks_chance_and_programs_made_of_text_are_refused(name: str) -> None:
    """The same record gives the same answer; no text of a record is ever run."""
    with pytest.raises(BadExpression) as refused:
        compile_expression(f"${name}('1')")
    assert "forbidden" == refused.value.code


def test_a_forbidden_function_hidden_in_a_variable_gives_nothing() -> None:
    """Called under another name, it fails too."""
    with pytest.raises((BadExpression, ExpressionFailed)):
        compile_expression("($f := $lookup({'a': $now}, 'a'); $f())")({}, Heard())


@pytest.mark.parametrize(
    "text",
    [
        "($f := function($n) { $f($n + 1) }; $f(0))",
        "$count([1..10000000])",
        "($f := function($n) { $n = 0 ? 0 : 1 + $f($n - 1) }; $f(100000))",
        "$map([1..1000000], function($i) { $map([1..1000], function($j) { $i * $j }) })",
    ],
)
def test_an_expression_that_never_ends_is_stopped(text: str) -> None:
    """In a moment, as a failure of that value and nothing else."""
    begun = time.monotonic()
    with pytest.raises(ExpressionFailed) as failed:
        compile_expression(text)({}, Heard())
    assert time.monotonic() - begun < 20 * TIME_LIMIT_MS / 1000
    assert failed.value.code[1:].isdigit() or failed.value.code == "failed"


def test_a_regular_expression_made_to_last_returns_at_once() -> None:
    """Catastrophic backtracking does not exist in the library that serves."""
    begun = time.monotonic()
    compile_expression("$match(NOM, /(a+)+$/)")({"NOM": "a" * 50 + "!"}, Heard())
    assert time.monotonic() - begun < 2


def test_a_failure_holds_no_value_of_the_record() -> None:
    """Neither the error nor its cause repeats what was in the record."""
    with pytest.raises(ExpressionFailed) as failed:
        compile_expression("NOM + 1")({"NOM": "OLIVARDE"}, Heard())
    assert "OLIVARDE" not in str(failed.value) and failed.value.__cause__ is None


def test_repairs_and_refusals_in_an_expression_are_told() -> None:
    """A function called by an expression warns as it does in `do`; what it refuses gives nothing."""
    heard = Heard()
    found = compile_expression("[$telephone('199000123'), $siret('12')]")({}, heard)
    assert (["+33199000123"], ["zero_restored", "cell_unreadable"]) == ([each for each in found if each], heard.codes)
