"""
Whether the agreement that a record gives covers the referral that it gives too: told while a mapping is written, since an
agreement too narrow is found out only when the gate keeps data back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache

from adapters.base import Translated
from adapters.mapping.places import target
from schemas import Document, Issue, Kind, fields

_PLACES_NAMED = 3
_NEVER_SENT = "secret"


def uncovered(found: Sequence[Translated]) -> list[Issue]:
    """
    What the agreements of a file leave out of the referrals of the same records, each remark once, at its first line.
    """
    by_record: dict[tuple[int | None, str | None], list[Document]] = {}
    for each in found:
        by_record.setdefault((each.source.line, each.source.reference), []).append(each.document)
    told: dict[Issue, list[int | None]] = {}
    for (line, _), documents in by_record.items():
        for issue in uncovered_by(documents):
            told.setdefault(issue, []).append(line)
    return [replace(_counted(issue, len(lines)), line=lines[0]) for issue, lines in told.items()]


def uncovered_by(documents: Iterable[Document]) -> Iterator[Issue]:
    """
    What the agreements given by one record leave out of its referrals: their purpose, or categories of data that are there.
    """
    made = list(documents)
    for consent in made:
        if consent["kind"] == Kind.CONSENT and consent["state"] == "given":
            for referral in made:
                if referral["kind"] == Kind.REFERRAL:
                    yield from _missing(consent, referral)


def _missing(consent: Document, referral: Document) -> Iterator[Issue]:
    purpose = referral["purpose"]
    scopes = [each for each in consent["scopes"] if "referral" in each["kinds"] and purpose in each["purposes"]]
    if not scopes:
        yield Issue(
            "agreement_does_not_cover",
            "/scopes",
            "Cet accord ne couvre pas l'orientation du même enregistrement : aucune portée (scopes) n'a à la fois le genre "
            f"referral (kinds) et la finalité {purpose} (purposes).",
            f"This agreement does not cover the referral of the same record: no scope has both referral and {purpose}.",
        )
        return
    agreed = {category for each in scopes for category in each["categories"]}
    left = {category: named for category, named in _held(referral).items() if category not in agreed}
    if left:
        listed = " ; ".join(f"{category} ({', '.join(named[:_PLACES_NAMED])})" for category, named in left.items())
        yield Issue(
            "agreement_does_not_cover",
            "/scopes/*/categories",
            f"Cet accord ne couvre pas toute l'orientation du même enregistrement. Il y manque (scopes[].categories) : {listed}. "
            "Là où une convention exige un accord, ces données ne partent pas.",
            f"This agreement does not cover the whole referral of the same record. Missing categories: {listed}. "
            "Where a convention requires an agreement, these data stay.",
        )


def _held(document: Document) -> dict[str, list[str]]:
    """
    The categories of data that a referral holds, each with the places that hold them, as a mapping names them.
    """
    found: dict[str, list[str]] = {}
    labels = fields(Kind.REFERRAL)
    for pattern in dict.fromkeys(_leaves(document, "")):
        label = labels.get(pattern)
        if label is not None and label.category != _NEVER_SENT:
            found.setdefault(label.category, []).append(target(pattern))
    return found


def _leaves(value: object, pattern: str) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inside in value.items():
            named = f"{pattern}/{name}"
            yield from _leaves(inside, named if named in _known() else f"{pattern}/*")
    elif isinstance(value, list):
        for inside in value:
            yield from _leaves(inside, f"{pattern}/*")
    else:
        yield pattern


@cache
def _known() -> frozenset[str]:
    """
    Every place of a referral, containers too.
    """
    parts = [pattern.split("/") for pattern in fields(Kind.REFERRAL)]
    return frozenset("/".join(each[: depth + 1]) for each in parts for depth in range(len(each)))


def _counted(issue: Issue, records: int) -> Issue:
    if records == 1:
        return issue
    return replace(
        issue,
        message_fr=f"{issue.message_fr} ({records} enregistrements, dont celui-ci)",
        message_en=f"{issue.message_en} ({records} records, this one among them)",
    )
