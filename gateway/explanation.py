"""
A decision of the gate in words: its numbered steps with their articles, its reasons, and the fields by their titles.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from consent.gate import Decision
from gateway.titles import field_titles
from schemas import FieldLabel, fields

STEP_TITLES: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "purpose": ("La finalité est admise", "The purpose is allowed"),
        "convention": (
            "Une convention en vigueur prévoit cet envoi pour cette finalité",
            "A convention in force provides for this transmission and purpose",
        ),
        "legal_basis": ("La convention en dit la base légale", "The convention states its legal basis"),
        "objection": ("La personne ne s'y est pas opposée", "The person did not object"),
        "agreement": ("La personne a donné son accord", "The person agreed"),
        "fields": ("Les champs sont réduits à ce qui est permis", "The fields are cut to what is permitted"),
        "something_left": ("Il reste quelque chose à transmettre", "Something is left to send"),
        "notice": ("La personne a droit à ce que le destinataire soit prévenu", "The recipient must be told"),
    }
)
"""What each step of the gate checks, in French and in English."""

OUTCOMES: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "passed": ("oui", "yes"),
        "refused": ("NON", "NO"),
        "not_required": ("non demandé", "not required"),
        "break_glass": ("URGENCE", "EMERGENCY"),
    }
)
"""How a step ended, in French and in English."""


def explained(decision: Decision) -> dict[str, Any]:
    """
    The decision as JSON for a reader: French first, English beside it, nothing personal, no agreement's identifier.
    """
    convention = decision.convention
    return {
        "permit": decision.permit,
        "kind": decision.kind.value,
        "recipient": decision.recipient,
        "reasons": [
            {
                "code": reason.code,
                "article": reason.article,
                "message": reason.message_fr,
                "message_en": reason.message_en,
            }
            for reason in decision.reasons
        ],
        "steps": [
            {
                "number": step.number,
                "name": step.name,
                "title": STEP_TITLES[step.name][0],
                "title_en": STEP_TITLES[step.name][1],
                "article": step.article,
                "outcome": step.outcome,
            }
            for step in decision.steps
        ],
        "convention": convention
        and {"id": convention.id, "version": convention.version, "hash": convention.hash, "flow": convention.flow},
        "basis": decision.basis,
        "break_glass": decision.break_glass,
        "fields": [
            {
                "pattern": label.pattern,
                "title": label.title_fr,
                "within": list(field_titles(decision.kind)[label.pattern].within),
                "title_en": label.title_en,
                "category": label.category,
                "sensitivity": label.sensitivity,
            }
            for label in labels(decision)
        ],
    }


def labels(decision: Decision) -> list[FieldLabel]:
    """The labels of the fields that a decision permits, in the order of the schema."""
    return [label for pattern, label in fields(decision.kind).items() if pattern in decision.fields]
