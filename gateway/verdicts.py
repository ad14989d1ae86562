"""
What a sender is told of its message: why a file or a document is refused, and the answer with what became of each document.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from adapters.base import FileRefused, Translation
from gateway.crossing import Crossing
from gateway.errors import Problem, issue_body
from gateway.store.subjects import AmbiguousSubject, UnknownSubject
from schemas import Issue

_PLACES_TOLD = 200


def refused(refusal: FileRefused) -> Problem:
    """Tell that a whole file is refused, and where it went wrong."""
    issue = Issue(refusal.code, "", refusal.message_fr, refusal.message_en, line=refusal.line, column=refusal.column)
    return Problem("file_refused", refusal.message_fr, refusal.message_en, issues=[issue])


def answer_of(crossings: Sequence[Crossing], translation: Translation) -> dict[str, Any]:
    """The body of the 202: counts, then each document with what was decided for each recipient."""
    rulings = [ruling for crossing in crossings for ruling in crossing.rulings]
    refusals = Counter(ruling.decision.reasons[0].code for ruling in rulings if not ruling.decision.permit)
    return {
        "documents": len(crossings),
        "accepted": sum(1 for crossing in crossings if crossing.permitted),
        "refused": sum(1 for crossing in crossings if crossing.open and not crossing.permitted),
        "invalid": sum(1 for crossing in crossings if crossing.issues),
        "already_received": sum(1 for crossing in crossings if crossing.earlier),
        "recorded": sum(1 for crossing in crossings if crossing.agreement),
        "refusals": dict(refusals),
        "exchanges": [_told(crossing) for crossing in crossings],
        "warnings": [issue_body(issue) for issue in translation.issues[:200]],
        "warning_count": len(translation.issues),
        "records": records_told(translation),
    }


def records_told(translation: Translation) -> dict[str, object] | None:
    """
    Say what became of the records of a file, those that no rule takes by their place; None when its format does not count.
    """
    return translation.records.as_document(_PLACES_TOLD) if translation.records else None


def demand_some(crossings: Sequence[Crossing], translation: Translation) -> None:
    """Raise `Problem` document_invalid, with all that is wrong, when no document of a message is taken or may be."""
    if any(crossing.open or crossing.agreement for crossing in crossings):
        return
    issues = [issue for crossing in crossings for issue in crossing.issues] or list(translation.issues)
    counted = records_told(translation)
    french, english = translation.records.sentences if translation.records else ("", "")
    raise Problem(
        "document_invalid",
        f"Rien n'a été pris : corrigez les points listés et renvoyez. {french}".rstrip(),
        f"Nothing was taken in: correct the points listed and send again. {english}".rstrip(),
        issues=issues,
        extra={"records": counted} if counted else None,
    )


def repeated(line: int | None) -> Issue:
    """A second document of one message under one identifier."""
    return Issue(
        "repeated_id",
        "/id",
        "Un autre document de cet envoi porte le même identifiant : donnez à chacun le sien.",
        "Another document of this sending has the same identifier: give each its own.",
        line=line,
    )


def unfound(error: AmbiguousSubject | UnknownSubject, line: int | None) -> Issue:
    """A document whose person is several people, or nobody."""
    if isinstance(error, AmbiguousSubject):
        return Issue(
            "ambiguous_subject",
            "/subject",
            "Plusieurs personnes portent ces traits : ajoutez le NIR, ou le pseudonyme que la passerelle vous en a donné, ou vérifiez l'état civil.",
            "Several people have these traits: add the NIR, or the pseudonym that the gateway gave you, or check the civil status.",
            line=line,
        )
    return Issue(
        "unknown_subject",
        "/subject",
        "La personne ne peut pas être reconnue : donnez son NIR, ou son nom de naissance, son prénom et sa date de naissance complète.",
        "The person cannot be recognised: give the NIR, or the birth name, a given name and the full birth date.",
        line=line,
    )


def _told(crossing: Crossing) -> dict[str, Any]:
    told: dict[str, Any] = {
        "document": crossing.document["id"],
        "kind": crossing.document.get("kind"),
        "line": crossing.line,
    }
    if crossing.earlier:
        return told | {"exchange": crossing.earlier, "state": "already_received"}
    if crossing.agreement:
        return told | {"state": "recorded", "agreement": crossing.agreement}
    if crossing.issues:
        return told | {"state": "invalid", "errors": [issue_body(issue) for issue in crossing.issues]}
    return told | {
        "exchange": crossing.exchange_id,
        "state": "accepted" if crossing.permitted else "refused",
        "receipt": f"/v1/exchanges/{crossing.exchange_id}/receipt",
        "recipients": [
            {
                "siret": ruling.recipient,
                "state": "permitted" if ruling.decision.permit else "refused",
                **({"break_glass": ruling.decision.break_glass} if ruling.decision.break_glass else {}),
                "delivery": ruling.delivery_id,
                "reasons": [
                    {"code": reason.code, "message": reason.message_fr, "message_en": reason.message_en}
                    for reason in ruling.decision.reasons
                ],
            }
            for ruling in crossing.rulings
        ],
    }
