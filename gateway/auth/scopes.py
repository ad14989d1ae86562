"""
The closed list of scopes: what a token may open. Which of them a system gets comes from its roles and conventions.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Final


class Scopes(StrEnum):
    """
    One thing that a token may open (RFC 6749 section 3.3), with its label in French and in English.
    """

    label_fr: str
    label_en: str

    def __new__(cls, value: str, label_fr: str, label_en: str) -> Scopes:
        """Make one member from its value and its labels."""
        scope = str.__new__(cls, value)
        scope._value_ = value
        scope.label_fr = label_fr
        scope.label_en = label_en
        return scope

    REFERRAL_SEND = ("referral:send", "Envoyer des orientations", "Send referrals")
    BILAN_SEND = ("bilan:send", "Envoyer des bilans de droits", "Send reviews of rights")
    CONSENT_SEND = (
        "consent:send",
        "Déclarer un accord, son retrait ou une opposition",
        "Record an agreement, its withdrawal or an objection",
    )
    STATUS_SEND = ("status:send", "Donner l'avancement d'une orientation", "Report progress on a referral")
    INBOUND_SEND = (
        "inbound:send",
        "Déposer un fichier dans le format de son propre logiciel",
        "Post a file in one's own software's format",
    )
    MAILBOX_READ = (
        "mailbox:read",
        "Relever sa boîte et accuser réception",
        "Pull one's mailbox and acknowledge",
    )
    DELIVERY_MANAGE = (
        "delivery:manage",
        "Régler comment on reçoit, voir les essais et rejouer une remise",
        "Set how one receives, see the attempts and replay a delivery",
    )
    EXCHANGE_READ = ("exchange:read", "Suivre ses propres échanges", "Follow one's own exchanges")
    DIRECTORY_READ = (
        "directory:read",
        "Chercher un service dans l'annuaire",
        "Look for a service in the directory",
    )
    DIRECTORY_WRITE = (
        "directory:write",
        "Déclarer les places libres de ses services",
        "Declare the open places of one's services",
    )
    CONVENTION_WRITE = (
        "convention:write",
        "Proposer, signer et révoquer des conventions",
        "Propose, sign and revoke conventions",
    )
    LEDGER_READ = ("ledger:read", "Consulter le journal des preuves", "Read the ledger of proofs")
    PERSON_MANAGE = (
        "person:manage",
        "Donner à une personne ce qui est connu d'elle, ou l'effacer",
        "Give a person what is known about them, or erase them",
    )
    BREAK_GLASS_OPEN = (
        "break-glass:open",
        "Ouvrir un accès d'urgence qu'une convention prévoit",
        "Open an emergency access that a convention provides for",
    )
    BREAK_GLASS_REVIEW = (
        "break-glass:review",
        "Voir et revoir les accès d'urgence",
        "See and review the emergency accesses",
    )
    VALIDATE = (
        "validate",
        "Essayer un document ou un fichier sans rien enregistrer",
        "Try a document or a file; nothing is kept",
    )
    SYSTEM_SERVICE_REQUEST = (
        "system/ServiceRequest.rs",
        "Lire les orientations par FHIR (SMART)",
        "Read referrals through FHIR (SMART)",
    )
    SYSTEM_TASK = (
        "system/Task.rs",
        "Lire leur suivi par FHIR (SMART)",
        "Read their follow-up through FHIR (SMART)",
    )


WHOLE: Final = frozenset({Scopes.LEDGER_READ, Scopes.PERSON_MANAGE})
"""What opens the rows of every partner: an auditor's and the operator's work. Every other scope stays behind its partner's wall."""

SMART: Final = frozenset({Scopes.SYSTEM_SERVICE_REQUEST, Scopes.SYSTEM_TASK})
"""What FHIR clients ask for (SMART App Launch 2, section "Scopes for requesting FHIR resources"); each is a part of exchange:read."""

SENDING: Final = frozenset({Scopes.REFERRAL_SEND, Scopes.BILAN_SEND, Scopes.STATUS_SEND, Scopes.INBOUND_SEND})
"""What only a convention in force opens, by a flow from the partner."""


def opened_by(scopes: Iterable[str]) -> tuple[str, str]:
    """
    What opens scopes that are not granted, in French and English, to be put after a sentence; empty when no convention does.
    """
    wanted = SENDING.intersection(scopes)
    if not wanted:
        return "", ""
    names = " ".join(sorted(wanted))
    return (
        f" {names} : il faut une convention en vigueur, avec un flux de ce genre (orientation ou bilan pour inbound:send) dont votre organisation est l'émettrice.",
        f" {names}: it takes a convention in force, with a flow of that kind (referral or bilan for inbound:send) whose sender is your organisation.",
    )
