"""
How long the gateway keeps what went under conventions, class by class, as their files say.

Content (documents, attachments) goes at the shortest time that anybody asked for, never after the gateway's own: it passes
things on and is nobody's case file. Proofs (traces, agreements, objections) stay for the longest that one of the conventions
concerned asks for, and for the gateway's own time where none says: a convention cannot destroy the proof of another.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Final

from consent.conventions.convention import Convention, ConventionState

CONTENT: Final = ("proactive", "referral", "attachments")
PROOFS: Final = ("exchange_trace", "agreement_proof", "objection")


@dataclass(frozen=True, slots=True)
class Durations:
    """
    The gateway's own times, in months: the most for each class of content, and the proofs that no convention speaks of.
    """

    proactive: int = 12
    referral: int = 12
    attachments: int = 6
    exchange_trace: int = 36
    agreement_proof: int = 36
    objection: int = 24


GATEWAY: Final = Durations()
"""The times of a gateway that was not set otherwise."""


@dataclass(frozen=True, slots=True)
class Terms:
    """
    The times of one class, in months: the gateway's `own`, and the ids of the conventions that ask for another, by time.
    """

    own: int
    others: Mapping[int, frozenset[str]]

    def shorter(self) -> Mapping[int, frozenset[str]]:
        """The conventions that ask for less than the gateway's own time."""
        return {months: ids for months, ids in self.others.items() if months < self.own}

    def within(self, months: int) -> frozenset[str]:
        """The conventions that ask for that time or less, and speak for themselves."""
        return frozenset[str]().union(*(ids for asked, ids in self.others.items() if asked <= months))

    def beyond(self, months: int) -> frozenset[str]:
        """The conventions that ask for more than that time, and speak for themselves."""
        return frozenset[str]().union(*(ids for asked, ids in self.others.items() if asked > months))


def purges(convention: Convention, own: Durations) -> dict[str, int]:
    """
    After how many months the gateway destroys each class under one convention: every class, said in the file or not.
    """
    times = asdict(own)
    said = {rule["class"]: int(rule["months"]) for rule in convention.document["retention"]}
    content = {name: min(said.get(name, times[name]), times[name]) for name in CONTENT}
    return content | {name: said.get(name, times[name]) for name in PROOFS}


def terms(conventions: Iterable[Convention], name: str, own: Durations) -> Terms:
    """
    The times of a class under all the conventions that were ever in force, whatever their versions.

    What was sent under one version is not kept longer because a later one says so, and no proof goes sooner.
    """
    of: dict[str, list[int]] = defaultdict(list)
    for convention in conventions:
        if convention.state not in (ConventionState.PROPOSED, ConventionState.REJECTED):
            of[convention.id].append(purges(convention, own)[name])
    default, choose = asdict(own)[name], min if name in CONTENT else max
    others: dict[int, set[str]] = defaultdict(set)
    for convention_id, asked in of.items():
        if (months := choose(asked)) != default:
            others[months].add(convention_id)
    return Terms(default, {months: frozenset(ids) for months, ids in others.items()})
