"""
What a person may open in the console. Nobody gets content by role alone: it is opened one event at a time, for a stated reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class PersonRole(StrEnum):
    """One role of a person, who may have several."""

    AUDITOR = "auditor"
    ADMINISTRATOR = "administrator"
    OPERATOR = "operator"
    COORDINATOR = "coordinator"


LABELS: Final[Mapping[PersonRole, tuple[str, str, str]]] = {
    PersonRole.AUDITOR: (
        "Auditeur",
        "Cherche dans le journal des preuves ; n'ouvre un contenu qu'avec un motif.",
        "Searches the ledger of proofs; opens content only for a stated reason.",
    ),
    PersonRole.ADMINISTRATOR: (
        "Administrateur",
        "Partenaires, conventions, remises en panne ; jamais un contenu.",
        "Partners, conventions, stuck deliveries; never content.",
    ),
    PersonRole.OPERATOR: (
        "Opérateur d'un partenaire",
        "Suit les échanges de son organisation.",
        "Follows the exchanges of their own organisation.",
    ),
    PersonRole.COORDINATOR: (
        "Coordinateur de territoire",
        "Les indicateurs, et rien d'autre.",
        "The indicators, and nothing else.",
    ),
}
"""Each role: its name in French, and what it opens in French and in English."""
