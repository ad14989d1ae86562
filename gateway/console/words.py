"""
What the console says that is not in a page's own text: (French, English).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

from gateway.auth.people.roles import PersonRole

Words: TypeAlias = tuple[str, str]

PAGES: Final[Mapping[PersonRole, tuple[tuple[str, str, str], ...]]] = {
    PersonRole.AUDITOR: (
        ("/console/ledger", "Journal des preuves", "Ledger of proofs"),
        ("/console/emergencies", "Accès d'urgence", "Emergency accesses"),
    ),
    PersonRole.ADMINISTRATOR: (
        ("/console/partners", "Partenaires", "Partners"),
        ("/console/conventions", "Conventions", "Conventions"),
        ("/console/deliveries", "Remises", "Deliveries"),
    ),
    PersonRole.OPERATOR: (
        ("/console/exchanges", "Nos échanges", "Our exchanges"),
        ("/console/try", "Essayer un fichier", "Try a file"),
        ("/console/emergencies", "Accès d'urgence", "Emergency accesses"),
    ),
    PersonRole.COORDINATOR: (("/console/indicators", "Indicateurs", "Indicators"),),
}
"""The pages that each role opens."""

STATES: Final[Mapping[str, Words]] = {
    "refused": ("refusée par les règles", "refused by the rules"),
    "queued": ("en route", "on its way"),
    "available": ("attend son destinataire", "waits for its recipient"),
    "leased": ("remise, pas encore acquittée", "handed over, not acknowledged yet"),
    "acknowledged": ("acquittée", "acknowledged"),
    "rejected": ("refusée par son destinataire", "rejected by its recipient"),
    "abandoned": ("abandonnée après plusieurs essais", "given up after several attempts"),
    "stopped": (
        "arrêtée : retrait, opposition ou convention finie",
        "stopped: withdrawal, objection or ended convention",
    ),
    "proposed": ("proposée", "proposed"),
    "valid": ("en vigueur", "in force"),
    "suspended": ("suspendue", "suspended"),
    "revoked": ("révoquée", "revoked"),
    "expired": ("expirée", "expired"),
}
"""The states of deliveries and conventions."""

KINDS: Final[Mapping[str, str]] = {
    "referral": "orientations",
    "bilan": "bilans de droits",
    "status": "réponses à une orientation",
    "consent": "avis de retrait, d'opposition ou d'effacement",
}

REFUSED: Final[Mapping[str, Words]] = {
    "role": (
        "Cette page n'est pas ouverte à votre rôle. Demandez à l'administrateur de la passerelle s'il doit l'être.",
        "This page is not open to your role. Ask the gateway's administrator whether it should be.",
    ),
    "form": (
        "Ce formulaire ne vient pas d'une page ouverte dans cette session. Revenez à l'accueil et recommencez.",
        "This form does not come from a page opened in this session. Go back to the first page and start again.",
    ),
    "no_role": (
        "Vous êtes reconnu, mais aucun rôle ne vous est donné ici. Demandez-le à l'administrateur de la passerelle.",
        "You are recognised, but have no role here. Ask the gateway's administrator for one.",
    ),
    "second_factor_missing": (
        "Votre fournisseur d'identité n'a pas demandé de second facteur, et il en faut un ici. Activez-le, puis recommencez.",
        "Your identity provider asked for no second factor, and one is needed here. Turn it on, then start again.",
    ),
    "provider_away": (
        "Le fournisseur d'identité ne répond pas. Réessayez dans quelques minutes.",
        "The identity provider does not answer. Try again in a few minutes.",
    ),
    "too_late": (
        "La connexion a pris trop de temps. Recommencez.",
        "Signing in took too long. Start again.",
    ),
}
"""Why somebody stays at the door; the other reasons are the operator's affair, and are in the log."""

EVENT_WORDS: Final[Mapping[str, str]] = {
    "occurred_at": "Date",
    "actor": "Auteur",
    "partners": "Organisations",
    "conventions": "Conventions",
    "convention": "Convention",
    "purposes": "Finalités",
    "kinds": "Documents",
    "categories": "Données",
    "recipients": "Destinataires",
    "withdrawn_at": "Retirée le",
    "id": "Identifiant",
    "version": "Version",
    "hash": "Empreinte",
    "flow": "Flux",
    "permit": "Permis",
    "agreement": "Accord",
    "basis": "Fondement",
    "steps": "Étapes",
    "fields": "Champs permis",
    "decided_at": "Décidé le",
    "break_glass": "Accès d'urgence",
}
"""What stands inside the members of events; the members themselves are named by `consent.ledger.event_members`."""

EVENT_CODES: Final[Mapping[str, str]] = {
    "purpose": "purpose",
    "purposes": "purpose",
    "kind": "document_kind",
    "kinds": "document_kind",
    "categories": "data_category",
    "agreement_type": "agreement_type",
    "channel": "consent_channel",
    "level": "evidence_level",
    "reason": "audit_reason",
}
"""The code lists of the members that hold codes; a code that is not in its list is shown as it is."""

WITHHELD: Final[Mapping[str, Words]] = {
    "masked": (
        "Contenu masqué : donnez un motif, plus bas, pour l'ouvrir.",
        "Masked: give a reason, below, to open it.",
    ),
    "erased": (
        "La personne a été effacée : le contenu ne peut plus être lu, la preuve reste valable.",
        "The person was erased: the content can no longer be read, the proof still holds.",
    ),
    "expired": (
        "Le contenu est au terme de sa conservation ; la preuve reste valable.",
        "The content came to the end of its retention; the proof still holds.",
    ),
    "public": (
        "Cet événement est public : son entrée dit tout.",
        "This event is public: its entry says everything.",
    ),
}
"""Why the content of an event is not shown."""
