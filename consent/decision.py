"""
What the gate is asked and what it answers; an answer that permits carries the seal without which nothing enters the outbox.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from consent.clock import in_utc
from consent.conventions.collection import ConventionRef
from consent.reasons import Reason
from consent.steps import Step
from schemas import Kind

_SEAL: Final = object()
"""Known to this module only: what carries it was made here."""


class NotPermitted(PermissionError):
    """
    Something was about to leave that the gate did not let through.
    """


@dataclass(frozen=True, slots=True)
class Request:
    """
    The question: a kind of document, for a purpose, from one SIRET to another, at an instant.

    `channel` is how it comes in or goes out (code list `channel`); None when neither is happening now.
    Raises ValueError when `at` has no offset; it is kept in UTC.
    """

    kind: Kind
    purpose: str
    sender: str
    recipient: str
    at: datetime
    channel: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "at", in_utc(self.at))


@dataclass(frozen=True, slots=True)
class Decision:
    """
    The answer, with what it rests on.

    `fields` are the leaf patterns that may leave (none when refused). On a refusal `reasons` holds one reason per
    convention that could have applied, without repetition, and `convention` and `steps` are those of the one that came
    nearest. `agreement` is an id, `basis` the legal basis in one line, `break_glass` the id of the opening that stood in for
    the agreement.
    """

    kind: Kind
    recipient: str
    permit: bool
    fields: frozenset[str] = field(repr=False)
    reasons: tuple[Reason, ...]
    convention: ConventionRef | None
    agreement: str | None
    basis: str | None
    steps: tuple[Step, ...] = field(repr=False)
    break_glass: str | None = None
    _seal: object = field(default=None, init=False, repr=False, compare=False)

    def cleared(self) -> "Cleared":
        """
        The pass that the outbox asks for. Raises NotPermitted unless the gate itself permitted.
        """
        if not self.permit or self._seal is not _SEAL:
            raise NotPermitted("the gate did not permit this")
        return Cleared(self, _SEAL)

    def summary(self) -> dict[str, Any]:
        """
        The decision as JSON, for the ledger and the answer to the sender: codes and references, nothing personal.
        """
        return {
            "permit": self.permit,
            "reasons": [reason.code for reason in self.reasons],
            "convention": None
            if self.convention is None
            else {name: getattr(self.convention, name) for name in ("id", "version", "hash", "flow")},
            "agreement": self.agreement,
            "basis": self.basis,
            **({"break_glass": self.break_glass} if self.break_glass else {}),
            "steps": [{"number": step.number, "name": step.name, "outcome": step.outcome} for step in self.steps],
        }


class Cleared:
    """
    The proof that the gate let something through to a recipient; only `Decision.cleared` can make one.
    """

    __slots__ = ("decision", "recipient")

    def __init__(self, decision: Decision, seal: object) -> None:
        """
        Raises NotPermitted for anybody but the gate.
        """
        if seal is not _SEAL:
            raise NotPermitted("only the gate clears")
        self.decision: Final = decision
        self.recipient: Final = decision.recipient


def sealed(decision: Decision) -> Decision:
    """
    The decision with the gate's seal. For `consent.gate` alone: whoever else called it would let something leave unasked.
    """
    object.__setattr__(decision, "_seal", _SEAL)
    return decision
