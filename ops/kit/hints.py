"""
The place of the shared language that the name of a partner's column makes one think of: a hint, for a person to check.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
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
_SPECIAL_RIGHT: Final = "special_rights[].right"
_RIGHT: Final = "rights[].right"
_SAYINGS: Final = {
    "reasons[scheme=reason].code": "motif motifs besoin besoins",
    _SPECIAL_RIGHT: "aah aeeh apa pch rqth cmi handicap invalidite",
    _RIGHT: "allocation allocations prestation prestations aide aides droit droits rsa demande demandes",
    "prescriber.name": "instructeur agent gestionnaire prescripteur conseiller",
    "subject.sex": "genre",
    "situation.children_count": "enfants",
}
"""What a column's word makes one think of; of several, the first."""
_DATES: Final = {
    "deadline": "echeance limite",
    "orientation.end_date": "fin cloture",
    "orientation.start_date": "debut orientation",
    "orientation.decision.date": "decision",
    "created_at": "demande creation ouverture enregistrement saisie depot reception dossier",
}
_STATES: Final = frozenset(["statut", "etat"])
_AGREEMENT: Final = frozenset(["accord", "consentement", "opposition"])


Titles = tuple[tuple[frozenset[str], Fillable], ...]
"""Places, each with the words of its own title."""


def hint(column: str) -> str:
    """
    A comment of YAML for a column that a draft leaves to be decided: the nearest place, or "" when nothing looks like it.
    """
    words = _words(column)
    if words & _AGREEMENT:
        return " # un accord est un second document : « - kind: consent » ; places : tdu schema places consent"
    if "date" in words or re.search(r"\ble$", column.strip(), re.IGNORECASE):
        return _date(words)
    if words & _STATES and "civil" not in words:
        written = column if re.fullmatch(r"[^\W\d][\w ]*", column) else json.dumps(column, ensure_ascii=False)
        return f" # un état choisit souvent les lignes à prendre, when: {{from: {written}, is: …}} ; gardé tel quel : local.status"
    place = _nearest(words, _titles(), _SAYINGS)
    if place is None:
        return ""
    if place.target == _RIGHT:
        return f" # proche : {_RIGHT} et {_SPECIAL_RIGHT} (santé, handicap : AAH, APA…) ; deux tables, codes : tdu schema codes right, right_special"
    codes = f" ; une table, codes : tdu schema codes {place.code_list}" if place.code_list else ""
    return f" # proche : {place.target} ({place.title_fr}){codes}"


def _date(words: frozenset[str]) -> str:
    """
    The hint of a column of dates: a place that takes one, and the function that reads it.
    """
    dates = tuple(each for each in _titles() if "date" in each[1].type_fr)
    place = _nearest(words, dates, _DATES)
    if place is None:
        return " # une date ; places qui en prennent une : tdu schema places referral --search date"
    function = "minuit" if "heure" in place.type_fr else "date_fr"
    return f" # proche : {place.target} ({place.title_fr}), do: {function}"


def _nearest(words: frozenset[str], among: Titles, sayings: Mapping[str, str]) -> Fillable | None:
    best = max(among, key=lambda each: (_likeness(words, each[0]), -len(each[1].target)), default=None)
    likeness = _likeness(words, best[0]) if best else 0.0
    said = [target for target, of in sayings.items() if words & set(of.split())]
    if said and likeness < 1:
        return next(place for _, place in among if place.target == said[0])
    return best[1] if best and likeness > _ENOUGH else None


def _likeness(one: frozenset[str], other: frozenset[str]) -> float:
    return 2 * len(one & other) / (len(one) + len(other)) if one and other else 0.0


@cache
def _titles() -> Titles:
    return tuple((_words(place.title_fr.rpartition(" › ")[2]), place) for place in fillable(Kind.REFERRAL))


def _words(text: str) -> frozenset[str]:
    return frozenset(fold(word) for word in re.findall(r"[^\W_]+", text)) - _SMALL_WORDS
