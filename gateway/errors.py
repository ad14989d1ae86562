"""
What can go wrong at the door, as one exception that carries what the reader needs (RFC 9457).

    Problem
      code          stable word, also the end of the problem's `type` address
      status        HTTP status
      detail        what to do, in French then in English
      issues        every fault found, with pointer, line and column, never a value
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from schemas import Issue

TITLES: Mapping[str, tuple[int, str, str]] = {
    "malformed_json": (400, "Le corps n'est pas un JSON acceptable", "The body is not acceptable JSON"),
    "malformed_request": (400, "La requête est mal formée", "The request is malformed"),
    "unauthorized": (401, "Jeton absent ou refusé", "Token missing or refused"),
    "convention_outdated": (401, "Une convention a changé depuis votre jeton", "A convention changed since your token"),
    "signature_required": (401, "La convention demande des requêtes signées", "The convention demands signed requests"),
    "forbidden": (403, "Cette opération ne vous est pas ouverte", "This operation is not open to you"),
    "break_glass_refused": (409, "L'accès d'urgence n'est pas ouvert", "The emergency access is not opened"),
    "not_found": (404, "Rien à cette adresse pour vous", "Nothing at this address for you"),
    "method_not_allowed": (405, "Méthode non prévue à cette adresse", "Method not allowed here"),
    "too_slow": (408, "Le corps arrive trop lentement", "The body comes too slowly"),
    "ambiguous_subject": (409, "Plusieurs personnes correspondent", "Several people match"),
    "stale_status": (409, "Un suivi plus récent a déjà été envoyé", "A newer status was already sent"),
    "cursor_outdated": (410, "Ce curseur ne vaut plus", "This cursor is void"),
    "conflict": (409, "L'état actuel ne le permet pas", "The current state does not allow it"),
    "body_too_large": (413, "Le corps est trop volumineux", "The body is too large"),
    "unsupported_media_type": (415, "Type de contenu non accepté ici", "Media type not accepted here"),
    "document_invalid": (422, "Le document ne respecte pas le schéma", "The document does not follow its schema"),
    "agreement_incomplete": (
        422,
        "L'accord ne peut pas être enregistré tel quel",
        "The agreement cannot be recorded as it is",
    ),
    "file_refused": (422, "Le fichier est refusé en entier", "The whole file is refused"),
    "convention_invalid": (422, "La convention n'est pas valable", "The convention is not valid"),
    "attachment_refused": (422, "La pièce jointe n'est pas acceptée", "The attachment is not accepted"),
    "endpoint_invalid": (422, "La remise ne peut pas être réglée ainsi", "Delivery cannot be set up so"),
    "source_invalid": (422, "Les envois ne peuvent pas être pris ainsi", "What is sent cannot be taken so"),
    "signature_invalid": (422, "La signature n'est pas valable", "The signature is not valid"),
    "volume_exceeded": (
        429,
        "La convention ne permet pas autant de documents",
        "The convention does not allow so many documents",
    ),
    "idempotency_key_reused": (
        422,
        "Clé d'idempotence déjà employée pour une autre requête",
        "Idempotency key already used for another request",
    ),
    "unknown_subject": (422, "La personne ne peut pas être reconnue", "The person cannot be recognised"),
    "service_unknown": (422, "Ce service n'est pas dans l'annuaire", "This service is not in the directory"),
    "too_many_requests": (429, "Trop de demandes", "Too many requests"),
    "unavailable": (503, "La passerelle ne peut pas enregistrer l'échange", "The gateway cannot record the exchange"),
    "internal_error": (500, "Erreur interne", "Internal error"),
}


class Problem(Exception):
    """A request that is refused, and why; mapped to `application/problem+json` in one place (`gateway.http.problems`)."""

    def __init__(
        self,
        code: str,
        detail_fr: str,
        detail_en: str,
        *,
        issues: Sequence[Issue] = (),
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(code)
        self.code = code
        self.status, self.title_fr, self.title_en = TITLES[code]
        self.detail_fr = detail_fr
        self.detail_en = detail_en
        self.issues = tuple(issues)
        self.headers = dict(headers or {})
        self.extra = dict(extra or {})


def not_found() -> Problem:
    """Give the one answer for what does not exist and for what belongs to another partner."""
    return Problem(
        "not_found",
        "Cet identifiant n'existe pas, ou ne concerne pas votre organisation.",
        "This identifier does not exist, or does not concern your organisation.",
    )


def busy() -> Problem:
    """Ask to come back: other requests keep bringing the same documents at the same instant."""
    return Problem(
        "conflict",
        "D'autres requêtes apportent les mêmes documents au même instant : renvoyez celle-ci, ils seront reconnus.",
        "Other requests bring the same documents at the same instant: send this one again, they will be recognised.",
        headers={"Retry-After": "1"},
    )


def issue_body(issue: Issue) -> dict[str, Any]:
    """Write one fault as JSON: French `message`, `message_en`, and its place; nothing that is not known."""
    shown = asdict(issue)
    shown["message"] = shown.pop("message_fr")
    return {key: value for key, value in shown.items() if value is not None}
