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
