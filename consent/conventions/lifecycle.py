"""
Where a convention stands at an instant, from the signatures and the marks that were recorded.

    proposed --every party has signed--> valid <--resumed / suspended--> suspended
    proposed --rejected--> rejected      valid, suspended --revoked--> revoked, --its last day is over--> expired
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from consent.clock import in_utc
from consent.conventions.convention import Convention, ConventionState


class MarkKind(StrEnum):
    """
    What can be done to a convention besides signing it.
    """

    SUSPENDED = "suspended"
    RESUMED = "resumed"
    REVOKED = "revoked"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Mark:
    """
    Something done to a convention at an instant, by a party (SIRET); who may do it is the caller's question.
    """

    kind: MarkKind
    at: datetime
    by: str = ""


@dataclass(frozen=True, slots=True)
class Signed:
    """
    A signature that was verified: whose, with which key, over which hash, and when the gateway received it.
    """

    siret: str
    kid: str
    hash: str
    at: datetime


def state_at(
    convention: Convention, signatures: Iterable[Signed], marks: Sequence[Mark], at: datetime
) -> ConventionState:
    """
    The state of a convention at an instant.

    Only signatures over this very hash count, and one is needed from each party. A refusal or a revocation is final;
    before the last signature it makes the convention `rejected`, after it `revoked`. `valid` says that all have
    signed and nothing stopped it: its first day may still be to come, which the gate checks by itself. A party
    lifts its own suspension only: the convention is `suspended` while one stands.
    """
    at = in_utc(at)
    signed_at = _fully_signed_at(convention, signatures)
    done = sorted((in_utc(mark.at), mark.kind, mark.by) for mark in marks if in_utc(mark.at) <= at)
    for moment, kind, _ in done:
        if kind in (MarkKind.REVOKED, MarkKind.REJECTED):
            was_valid = signed_at is not None and signed_at <= moment
            return ConventionState.REVOKED if was_valid else ConventionState.REJECTED
    if signed_at is None or signed_at > at:
        return ConventionState.PROPOSED
    if at >= convention.ends:
        return ConventionState.EXPIRED
    return ConventionState.SUSPENDED if suspended_by(marks, at) else ConventionState.VALID


def suspended_by(marks: Iterable[Mark], at: datetime) -> frozenset[str]:
    """
    The parties whose suspension stands at an instant: they suspended, and did not resume since.
    """
    last = {mark.by: mark.kind for mark in sorted(marks, key=lambda mark: (mark.at, mark.kind)) if mark.at <= at}
    return frozenset(party for party, kind in last.items() if kind is MarkKind.SUSPENDED)


def _fully_signed_at(convention: Convention, signatures: Iterable[Signed]) -> datetime | None:
    """
    When the last party signed; None while one has not.
    """
    first: dict[str, datetime] = {}
    for signature in signatures:
        if signature.hash == convention.hash and signature.siret in convention.parties:
            moment = in_utc(signature.at)
            first[signature.siret] = min(moment, first.get(signature.siret, moment))
    return max(first.values()) if first.keys() == convention.parties.keys() else None
