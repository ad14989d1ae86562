"""
The steps of the gate: their numbers, their names, the article that each applies.
"""

from dataclasses import dataclass
from functools import cache
from typing import Final


@dataclass(frozen=True, slots=True)
class Step:
    """
    One step that a decision went through: `outcome` is passed, not_required, break_glass or refused.
    """

    number: int
    name: str
    article: str
    outcome: str


STEPS: Final = (
    ("purpose", "CRPA L114-8 II"),
    ("convention", "RGPD art. 5(2) ; CRPA R114-9-6"),
    ("legal_basis", "RGPD art. 6(1)"),
    ("objection", "RGPD art. 21 ; CRPA L114-8 II"),
    ("agreement", "RGPD art. 7 ; CASF L121-6-2"),
    ("fields", "RGPD art. 5(1)(c) et 9 ; décret 2019-341"),
    ("something_left", "RGPD art. 5(1)(c) ; CRPA L114-8"),
)
"""The names and articles of the steps, in order; their numbers start at 1."""


@cache
def steps(refused_at: int, *, agreement: str) -> tuple[Step, ...]:
    """
    The steps that a decision went through, up to the one that refused (0: none did); `agreement` is how that step ended.
    """
    gone = STEPS[:refused_at] if refused_at else STEPS
    outcomes = ["passed" if name != "agreement" else agreement for name, _ in gone]
    if refused_at:
        outcomes[-1] = "refused"
    return tuple(
        Step(number, name, article, outcome)
        for number, ((name, article), outcome) in enumerate(zip(gone, outcomes, strict=True), start=1)
    )
