"""
The exam that every adapter sits, as a program: questions, what was found, what to write next, the level reached.

`sit` asks everything; `adapters.testing` asks the same questions of each adapter under pytest. The questions are in
`fidelity` (what the samples show) and `resistance` (what they do not).
"""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from adapters import fidelity, resistance
from adapters.quality import RULES, Level, level_of, unmet
from adapters.sitting import EXAM_CONTEXT, Ask, Finding, Sitting, folder_of

__all__ = ["EXAM_CONTEXT", "QUESTIONS", "Answer", "Ask", "Finding", "Result", "Sitting", "folder_of", "sit"]


@dataclass(frozen=True, slots=True)
class Answer:
    """
    The findings of one question; none when it is passed. `answered` is false when there was no sample to look at, `concerns`
    when the question is not about such an adapter: nothing was shown, and nothing is missing.
    """

    question: str
    title_fr: str
    title_en: str
    findings: tuple[Finding, ...]
    answered: bool = True
    concerns: bool = True

    @property
    def passed(self) -> bool:
        """
        Whether the question was answered as it should be, or is not asked of such an adapter.
        """
        return (self.answered or not self.concerns) and not self.findings


@dataclass(frozen=True, slots=True)
class Result:
    """
    A whole exam: the answers, the level that the program measures, and what the next level asks for.
    """

    adapter: str
    answers: tuple[Answer, ...]
    level: Level
    next_steps: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        """
        Whether every question was passed.
        """
        return all(answer.passed for answer in self.answers)


def sit(sitting: Sitting) -> Result:
    """
    The whole exam. An exception of the adapter other than a refusal is a finding, not an end.
    """
    answers = tuple(
        Answer(
            name,
            question.title_fr,
            question.title_en,
            found,
            answered=bool(found or question.answerable(sitting)),
            concerns=question.concerns(sitting),
        )
        for name, question in QUESTIONS.items()
        for found in [tuple(_asked(question.ask, sitting))]
    )
    passed = all(answer.passed for answer in answers)
    missing = unmet(sitting.subject) if passed else {}
    level = level_of(missing) if passed else Level.NONE
    following = next((each for each in Level if each.rank == level.rank + 1), Level.GOLD)
    steps = [
        Finding(
            name, f"{RULES[name].todo_fr} : {', '.join(faults[:8])}", f"{RULES[name].todo_en}: {', '.join(faults[:8])}"
        )
        for name, faults in missing.items()
        if RULES[name].level is following
    ]
    return Result(sitting.adapter.name, answers, level, tuple(steps))


def _asked(ask: Ask, sitting: Sitting) -> Iterator[Finding]:
    try:
        yield from ask(sitting)
    except Exception as error:  # the exam of a faulty program must go on, and say where it failed
        where = inspect.trace()[-1]
        name = f"{Path(where.filename).name}:{where.lineno}"
        yield Finding(
            name,
            f"l'adaptateur s'arrête sur une erreur qui n'est pas un refus ({type(error).__name__})",
            f"the adapter stops on an error that is no refusal ({type(error).__name__})",
        )


def quality_true(sitting: Sitting) -> Iterator[Finding]:
    """
    (14) `quality.toml` claims no more than the program measures.
    """
    claims = sitting.claims
    for name in claims.unknown:
        yield Finding(name, f"règle inconnue ; règles : {', '.join(RULES)}", f"unknown rule; rules: {', '.join(RULES)}")
    missing = unmet(sitting.subject)
    for name, faults in missing.items():
        rule = RULES[name]
        if name in claims.done or rule.level.rank <= claims.level.rank:
            yield Finding(
                name,
                f"{rule.todo_fr}, ou dites pourquoi dans quality.toml (exempt) : {', '.join(faults[:8])}",
                f"{rule.todo_en}, or say why in quality.toml (exempt): {', '.join(faults[:8])}",
            )


def _samples_shown(sitting: Sitting) -> bool:
    return any(case.partner is not None or case.shared is not None for case in sitting.cases)


def _writing_shown(sitting: Sitting) -> bool:
    return any(case.back is not None for case in sitting.cases)


def _writes(sitting: Sitting) -> bool:
    return bool(sitting.adapter.kinds_out)


@dataclass(frozen=True, slots=True)
class Question:
    """
    One question of the exam, by what a good adapter does; `answerable` says whether there is something to look at: without
    a sample nothing can be found wrong, and nothing is shown right. `concerns` says whether it is about such an adapter.
    """

    title_fr: str
    title_en: str
    ask: Ask
    answerable: Callable[[Sitting], bool] = _samples_shown
    concerns: Callable[[Sitting], bool] = lambda _: True


QUESTIONS: Final[dict[str, Question]] = {
    "kinds_shown": Question("un exemple par genre", "a sample for every kind", fidelity.kinds_shown),
    "translated_exactly": Question("traduit exactement", "translated exactly", fidelity.translated_exactly),
    "valid_documents": Question("documents valables", "valid documents", fidelity.valid_documents),
    "written_exactly": Question(
        "réécrit à l'octet près", "written byte for byte", fidelity.written_exactly, _writing_shown, _writes
    ),
    "told_exactly": Question("l'émetteur est prévenu exactement", "the sender is told exactly", fidelity.told_exactly),
    "nothing_lost": Question("rien de perdu en silence", "nothing lost in silence", fidelity.nothing_lost),
    "deterministic": Question("même entrée, même réponse", "same input, same answer", fidelity.deterministic),
    "tables_known": Question(
        "les tables donnent des codes communs", "tables give shared codes", fidelity.tables_known, lambda _: True
    ),
    "hostile_refused": Question(
        "entrées hostiles refusées", "hostile input refused", resistance.hostile_refused, lambda _: True
    ),
    "damage_survived": Question(
        "fichiers abîmés : traduits ou refusés", "damaged files: translated or refused", resistance.damage_survived
    ),
    "values_kept_secret": Question(
        "aucune donnée dans une phrase", "no data in a sentence", resistance.values_kept_secret
    ),
    "formulas_disarmed": Question(
        "aucune formule écrite", "no formula written", resistance.formulas_disarmed, concerns=_writes
    ),
    "fast_enough": Question("assez rapide", "fast enough", resistance.fast_enough),
    "quality_true": Question("la qualité annoncée est vraie", "the quality claimed is true", quality_true),
}
"""The questions in order; each is passed when it finds nothing."""
