"""
The place of the shared language that the name of a partner's column makes one think of: a hint, for a person to check.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Final

from adapters.mapping.fillable import Fillable, fillable
from schemas import Kind
from schemas.identity import fold

_ENOUGH: Final = 0.5
_SMALL_WORDS: Final = frozenset(
    [
        "a",
        "au",
        "aux",
        "d",
        "de",
        "des",
        "du",
        "en",
        "et",
        "l",
        "la",
        "le",
        "les",
        "n",
        "no",
        "num",
        "numero",
        "ou",
        "par",
        "pour",
        "sur",
        "un",
        "une",
    ]
)
_SAYINGS: Final = {
    "special_rights[].right": "aah aeeh apa pch rqth cmi handicap invalidite",
    "rights[].right": "allocation allocations prestation prestations aide aides droit droits rsa",
    "reasons[scheme=reason].code": "motif motifs demande besoin besoins",
    "prescriber.name": "instructeur agent gestionnaire prescripteur conseiller",
    "local.status": "statut etat",
    "subject.sex": "genre",
    "situation.children_count": "enfants",
    "created_at": "creation",
}
_BY_WORD: Final = {word: target for target, words in _SAYINGS.items() for word in words.split()}
_AGREEMENT: Final = frozenset(["accord", "consentement", "opposition"])


def hint(column: str) -> str:
    """
    A comment of YAML for a column that a draft leaves to be decided: the nearest place, or "" when nothing looks like it.
    """
    words = _words(column)
    if words & _AGREEMENT:
        return " # un accord est un second document : « - kind: consent » ; places : tdu schema places consent"
    place = _nearest(words)
    if place is None:
        return ""
    codes = f" ; une table, codes : tdu schema codes {place.code_list}" if place.code_list else ""
    return f" # proche : {place.target} ({place.title_fr}){codes}"


def _nearest(words: frozenset[str]) -> Fillable | None:
    best = max(_titles(), key=lambda each: (_likeness(words, each[0]), -len(each[1].target)), default=None)
    likeness = _likeness(words, best[0]) if best else 0.0
    said = [_BY_WORD[word] for word in sorted(words) if word in _BY_WORD]
    if said and likeness < 1:
        return next(place for _, place in _titles() if place.target == said[0])
    return best[1] if best and likeness > _ENOUGH else None


def _likeness(one: frozenset[str], other: frozenset[str]) -> float:
    return 2 * len(one & other) / (len(one) + len(other)) if one and other else 0.0


@cache
def _titles() -> tuple[tuple[frozenset[str], Fillable], ...]:
    return tuple((_words(place.title_fr.rpartition(" › ")[2]), place) for place in fillable(Kind.REFERRAL))


def _words(text: str) -> frozenset[str]:
    return frozenset(fold(word) for word in re.findall(r"[^\W_]+", text)) - _SMALL_WORDS
