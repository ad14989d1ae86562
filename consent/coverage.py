"""
Which of a person's agreements covers an exchange, if one does; if none, why.
"""

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from operator import attrgetter, itemgetter
from typing import Final

from consent import reasons
from consent.agreement import Agreement, AgreementState, Way
from consent.reasons import Reason
from schemas import code_list

_IN_FORCE: Final = (AgreementState.GIVEN, AgreementState.PARTLY_WITHDRAWN)

_NEAREST_FIRST: Final = (
    reasons.AGREEMENT_WITHDRAWN,
    reasons.AGREEMENT_REFUSED,
    reasons.AGREEMENT_EXPIRED,
    reasons.AGREEMENT_NOT_STARTED,
    reasons.AGREEMENT_EVIDENCE_TOO_WEAK,
    reasons.AGREEMENT_OTHER_TYPE,
    reasons.AGREEMENT_OTHER_KIND,
    reasons.AGREEMENT_OTHER_PURPOSE,
    reasons.AGREEMENT_MISSING,
)
_NEARNESS: Final = {reason.code: rank for rank, reason in enumerate(_NEAREST_FIRST)}
_RANK: Final = attrgetter("rank")
_MOMENT: Final = itemgetter(0)
_STATE_REASONS: Final = {
    AgreementState.REFUSED: reasons.AGREEMENT_REFUSED,
    AgreementState.WITHDRAWN: reasons.AGREEMENT_WITHDRAWN,
    AgreementState.EXPIRED: reasons.AGREEMENT_EXPIRED,
    AgreementState.NOT_STARTED: reasons.AGREEMENT_NOT_STARTED,
}


@dataclass(frozen=True, slots=True)
class Need:
    """
    What the person must have agreed to, at an instant (in UTC); no `types` and no `evidence_level` mean that any will do.
    """

    way: Way
    at: datetime
    types: frozenset[str] = frozenset()
    evidence_level: str | None = None


@dataclass(frozen=True, slots=True)
class Covered:
    """
    The agreement that covers a need, and the data categories it names for it.
    """

    agreement: Agreement
    categories: frozenset[str]


@dataclass(frozen=True, slots=True)
class Stopped:
    """
    The lines of an agreement that a no said about it elsewhere leaves nothing of, and those that it only cuts, by their ids.
    """

    whole: tuple[str, ...]
    cut: tuple[str, ...]


def stopped(agreement: Agreement, ways: Set[Way], at: datetime) -> Stopped:
    """
    What is left of an agreement once the organisation that collected it records, at an instant, a no to these ways: as `cover`
    decides, so that whoever agreed and whoever received can be told.
    """
    if agreement.state != AgreementState.GIVEN or not agreement.collected_at <= at < agreement.valid_until:
        return Stopped((), ())
    live = [scope for scope in agreement.scopes if scope.live(at) and scope.ways & ways]
    whole = tuple(scope.id for scope in live if scope.ways <= ways)
    return Stopped(whole, tuple(scope.id for scope in live if scope.id not in whole))


class Coverage:
    """
    What `cover` answers about one person on one way, each answer computed once, whatever the number of flows that need it.
    """

    def __init__(self, way: Way, at: datetime, agreements: Sequence[Agreement]) -> None:
        """
        The agreements of the person, looked at at an instant (in UTC) for a recipient, a purpose and a kind.
        """
        self._way, self._at, self._agreements = way, at, agreements
        self._found: dict[tuple[frozenset[str], str | None], Covered | Reason] = {}

    def of(self, types: frozenset[str], evidence_level: str | None) -> Covered | Reason:
        """
        The agreement of one of these types, proven at this level at least, or why there is none.
        """
        asked = (types, evidence_level)
        if asked not in self._found:
            self._found[asked] = cover(Need(self._way, self._at, types, evidence_level), self._agreements)
        return self._found[asked]


def cover(need: Need, agreements: Sequence[Agreement]) -> Covered | Reason:
    """
    Find the agreement that covers a need, or say why none does.

    Its categories come from one agreement, never from several put together: the one collected last (then the greatest
    id), since it is the person's last word. For the same reason an agreement no longer counts once the organisation that
    collected it recorded, later, a refusal or a withdrawal for the same recipient, purpose and kind.
    """
    way, at = need.way, need.at
    found, noes = [], []
    for agreement in agreements:
        if way not in agreement.lines:
            continue
        # Two comparisons for the agreements that nothing was taken back from: a person may have a hundred of them.
        if agreement.starts <= at < agreement.valid_until if not agreement.said_no else _live(agreement, need):
            found.append(agreement)
        if agreement.said_no:
            noes.append(agreement)
    if need.types or need.evidence_level:
        found = [agreement for agreement in found if _shortfall(agreement, need) is None]
    if noes and found:
        # Only who collected one of these can have taken it back.
        asked = {agreement.collected_by for agreement in found}
        last_noes = _last_noes((each for each in noes if each.collected_by in asked), need)
        found = [agreement for agreement in found if not _taken_back(agreement, last_noes)]
    if not found:
        return _why_not(need, agreements)
    last = max(found, key=_RANK)
    return Covered(last, frozenset().union(*[scope.categories for scope in last.lines[way] if scope.live(at)]))


def _live(agreement: Agreement, need: Need) -> bool:
    for scope in agreement.lines[need.way]:
        if scope.withdrawn_at is None or need.at < scope.withdrawn_at:
            return agreement.state_at(need.at) in _IN_FORCE
    return False


def _last_noes(noes: Iterable[Agreement], need: Need) -> Mapping[str, list[tuple[datetime, Agreement]]]:
    """
    For each collecting organisation, the two agreements in which it last recorded a no, with the moment, latest first.
    """
    found: dict[str, list[tuple[datetime, Agreement]]] = {}
    for agreement in noes:
        # Few lines of an agreement are about one way: the last of its moments is found by going through them.
        last = None
        for moment in agreement.noes.get(need.way, ()):
            if moment <= need.at and (last is None or moment > last):
                last = moment
        if last is not None:
            found.setdefault(agreement.collected_by, []).append((last, agreement))
    return {siret: sorted(said, key=_MOMENT, reverse=True)[:2] for siret, said in found.items()}


def _taken_back(agreement: Agreement, last_noes: Mapping[str, list[tuple[datetime, Agreement]]]) -> bool:
    """
    Whether the organisation that collected an agreement recorded, in another one, that the person changed their mind since.
    """
    for moment, other in last_noes.get(agreement.collected_by, ()):  # a loop, being three times as fast as any()
        if moment >= agreement.collected_at and other is not agreement:
            return True
    return False


def _shortfall(agreement: Agreement, need: Need) -> Reason | None:
    """
    What the agreement lacks to be of the type, and proven at the level, that the convention asks for.
    """
    if need.types and agreement.agreement_type not in need.types:
        return reasons.AGREEMENT_OTHER_TYPE
    if need.evidence_level and _rank(agreement.evidence_level) < _rank(need.evidence_level):
        return reasons.AGREEMENT_EVIDENCE_TOO_WEAK
    return None


@cache
def _rank(evidence_level: str) -> int:
    """
    How much an evidence level proves: its position in its code list, which goes from the weakest to the strongest.
    """
    return list(code_list("evidence_level")).index(evidence_level)


def _why_not(need: Need, agreements: Iterable[Agreement]) -> Reason:
    """
    The reason of the agreement that came nearest.

    An agreement for other recipients is passed over in silence: the sender must not learn that it exists.
    """
    nearest = len(_NEAREST_FIRST) - 1
    for agreement in agreements:
        purposes = agreement.ways.get(need.way[0])
        if purposes is None:
            continue
        nearest = min(nearest, _NEARNESS[_obstacle(agreement, need, purposes).code])
        if nearest == 0:
            break
    return _NEAREST_FIRST[nearest]


def _obstacle(agreement: Agreement, need: Need, purposes: frozenset[str]) -> Reason:
    """
    Why an agreement about this recipient, for some purposes, does not cover the need.
    """
    lines = agreement.lines.get(need.way)
    if lines is None:
        return reasons.AGREEMENT_OTHER_KIND if need.way[1] in purposes else reasons.AGREEMENT_OTHER_PURPOSE
    state = agreement.state_at(need.at)
    if state not in _IN_FORCE:
        return _STATE_REASONS[state]
    if not any(scope.live(need.at) for scope in lines):
        return reasons.AGREEMENT_WITHDRAWN
    # In force and suitable, and yet not found: the same organisation recorded a later refusal or withdrawal.
    return _shortfall(agreement, need) or reasons.AGREEMENT_WITHDRAWN
