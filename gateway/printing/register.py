"""
The entry of the processing register (RGPD art. 30) that a convention gives to each of its parties, computed from its file.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from consent.conventions.convention import Convention
from gateway.printing.sheet import label, months
from schemas import code_list, fields

PROCESSOR: Final = "L'exploitant de la passerelle d'échange traite ces données pour le compte des parties (RGPD art. 28) : à compléter par son nom."

TRANSFERS: Final = "Aucun n'est prévu par la convention."

SECURITY: Final = (
    "Chiffrement des données de chaque personne par une clé qui lui est propre ; détruire cette clé efface la personne (AES-256-GCM).",
    "Chaque logiciel s'authentifie par une clé qu'il ne partage pas ; ses jetons durent cinq minutes et nomment les conventions qui les fondent (OAuth 2.0, private_key_jwt).",
    "Chaque envoi est décidé champ par champ selon la convention signée et, s'il le faut, l'accord de la personne ; ce qui n'est pas permis n'est pas remis.",
    "Chaque partenaire connaît une personne sous un pseudonyme qui lui est propre ; le NIR n'est jamais gardé en clair ni écrit dans un journal.",
    "Chaque décision, remise et accusé de réception est inscrit avant d'avoir lieu dans un journal que l'on ne peut pas réécrire, et qui se vérifie sans l'exploitant.",
    "Un retrait ou une opposition arrête aussitôt les envois et prévient les destinataires, qui en accusent réception.",
)
"""The measures of RGPD art. 32 that the gateway brings by itself; each party adds its own."""

_PEOPLE: Final = (
    (None, "Personnes qui ont peut-être droit à une aide et ne la demandent pas, ou qui sont accompagnées"),
    ("family", "Membres de leur foyer (composition du foyer seulement)"),
    ("professional", "Professionnels qui interviennent auprès d'elles"),
)
"""The categories of people, each with the data category that shows it (None: always there)."""


def register_entry(convention: Convention) -> dict[str, Any]:
    """
    The entry as JSON: controllers, purposes, categories of people and data, recipients, transfers, retention, security.
    """
    document = convention.document
    categories = _recipients_by_category(convention)
    return {
        "article": "RGPD art. 30(1)",
        "processing": document["title"],
        "territory": document.get("territory", ""),
        "convention": {"id": convention.id, "version": convention.version, "hash": convention.hash},
        "validity": dict(document["validity"]),
        "controllers": [_controller(party) for party in document["parties"]],
        "processor": PROCESSOR,
        "purposes": [{"code": code, "label": label("purpose", code)} for code in document["purposes"]],
        "legal_bases": [_basis(basis, convention) for basis in document["legal_bases"]],
        "people": [people for category, people in _PEOPLE if category is None or category in categories],
        "data_categories": [
            {
                "code": code,
                "label": label("data_category", code),
                "special": _is_special(code, convention),
                "recipients": [{"siret": siret, "name": convention.parties[siret].name} for siret in sirets],
            }
            for code, sirets in categories.items()
        ],
        "transfers": TRANSFERS,
        "retention": [
            {
                "class": rule["class"],
                "label": label("retention_class", rule["class"]),
                "months": rule["months"],
                "duration": months(rule["months"]),
                "justification": rule.get("justification", ""),
            }
            for rule in document["retention"]
        ],
        "security": list(SECURITY),
    }


def _controller(party: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "siret": party["siret"],
        "name": party["name"],
        "role": party["role"],
        "role_label": label("partner_role", party["role"]),
        "acts_for": party.get("acts_for"),
        "dpo": dict(party["contacts"]["dpo"]),
    }


def _basis(basis: Mapping[str, Any], convention: Convention) -> dict[str, Any]:
    used = [flow for flow in convention.flows if flow.basis is not None and flow.basis.id == basis["id"]]
    names = [label("rgpd_basis", basis["rgpd"])]
    if "special" in basis:
        names.append(label("rgpd_art9", basis["special"]))
    points = f"{basis['rgpd']} et {basis['special']}" if "special" in basis else basis["rgpd"]
    return {
        "id": basis["id"],
        "citation": f"RGPD art. {points} ; {basis['text']}, {basis['article']}",
        "label": ", ".join(names),
        "flows": [flow.id for flow in used],
    }


def _recipients_by_category(convention: Convention) -> dict[str, list[str]]:
    """Who may receive each category of data, from what the flows really let leave; the technical envelope set aside."""
    found: dict[str, dict[str, None]] = {code: {} for code in code_list("data_category") if code != "exchange"}
    for flow in convention.flows:
        for pattern in flow.mask.widest:
            category = fields(flow.kind)[pattern].category
            if category in found:
                found[category][flow.recipient] = None
    return {code: list(sirets) for code, sirets in found.items() if sirets}


def _is_special(category: str, convention: Convention) -> bool:
    return any(
        fields(flow.kind)[pattern].sensitivity == "special"
        for flow in convention.flows
        for pattern in flow.mask.widest
        if fields(flow.kind)[pattern].category == category
    )
