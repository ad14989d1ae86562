"""
All the conventions a gateway knows, indexed so that a decision looks only at those that could apply.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from consent import reasons
from consent.conventions.convention import Convention, ConventionState, Flow
from consent.reasons import Reason
from schemas import Kind

_STOPPED: Final = {
    ConventionState.PROPOSED: reasons.CONVENTION_NOT_SIGNED,
    ConventionState.REJECTED: reasons.CONVENTION_REJECTED,
    ConventionState.SUSPENDED: reasons.CONVENTION_SUSPENDED,
    ConventionState.REVOKED: reasons.CONVENTION_REVOKED,
    ConventionState.EXPIRED: reasons.CONVENTION_EXPIRED,
}
_ONCE_SIGNED: Final = frozenset(ConventionState) - {ConventionState.PROPOSED, ConventionState.REJECTED}


@dataclass(frozen=True, slots=True)
class ConventionRef:
    """
    The convention that decided: its id and version, the hash that was signed, and the flow that was used.
    """

    id: str
    version: int
    hash: str
    flow: str


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """
    A flow that goes the right way, its convention, and the newer versions of that convention.
    """

    convention: Convention
    flow: Flow
    newer: tuple[Convention, ...]

    @property
    def reference(self) -> ConventionRef:
        """
        What a decision keeps of this candidate.
        """
        return ConventionRef(self.convention.id, self.convention.version, self.convention.hash, self.flow.id)

    def obstacle(self, purpose: str, at: datetime, channel: str | None = None) -> Reason | None:
        """
        Why this flow cannot be used for a purpose at an instant (in UTC), through a channel when one is known; None when
        nothing stands in the way.
        """
        convention = self.convention
        if convention.state is not ConventionState.VALID:
            return _STOPPED[convention.state]
        if at < convention.starts:
            return reasons.CONVENTION_NOT_STARTED
        if at >= convention.ends:
            return reasons.CONVENTION_EXPIRED
        # A newer version replaces this one for good once it was signed and has begun, even if it was stopped since.
        if any(newer.state in _ONCE_SIGNED and at >= newer.starts for newer in self.newer):
            return reasons.CONVENTION_SUPERSEDED
        if purpose not in self.flow.purposes:
            return reasons.PURPOSE_NOT_IN_CONVENTION
        barred = channel is not None and channel not in convention.channels
        return reasons.CHANNEL_NOT_ALLOWED if barred else None


class Conventions:
    """
    An immutable collection of conventions, built once and passed to every decision.

    When a convention is added or changes state, build another: indexing a thousand takes some milliseconds.
    """

    def __init__(self, conventions: Iterable[Convention] = ()) -> None:
        """
        Index the conventions. Raises ValueError when two of them have the same id and version.
        """
        self._all = sorted(conventions, key=lambda convention: (convention.id, -convention.version))
        self._by_path: dict[tuple[Kind, str, str], tuple[Candidate, ...]] = {}
        self._by_sender: dict[tuple[Kind, str], tuple[Candidate, ...]] = {}
        self._by_party: dict[str, list[Convention]] = {}
        self._by_hash = {convention.hash: convention for convention in self._all}
        newer: list[Convention] = []
        for convention in self._all:
            newer = [version for version in newer if version.id == convention.id]
            if any(version.version == convention.version for version in newer):
                raise ValueError(f"convention {convention.id} version {convention.version} is given twice")
            for siret in convention.parties:
                self._by_party.setdefault(siret, []).append(convention)
            for flow in convention.flows:
                self._index(Candidate(convention, flow, tuple(newer)))
            newer.append(convention)

    def _index(self, candidate: Candidate) -> None:
        flow = candidate.flow
        path, sender = (flow.kind, flow.sender, flow.recipient), (flow.kind, flow.sender)
        self._by_path[path] = (*self._by_path.get(path, ()), candidate)
        self._by_sender[sender] = (*self._by_sender.get(sender, ()), candidate)

    def __iter__(self) -> Iterator[Convention]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    def candidates(self, kind: Kind, sender: str, recipient: str) -> tuple[Candidate, ...]:
        """
        The flows that go that way, whatever their state: by convention id, newest version first, then as in the file.
        """
        return self._by_path.get((kind, sender, recipient), ())

    def of_hash(self, convention_hash: str) -> Convention | None:
        """
        The convention of a hash, in its present state; None when it is not known.
        """
        return self._by_hash.get(convention_hash)

    def in_force(self, party: str, at: datetime) -> Iterator[Convention]:
        """
        The conventions of a party (SIRET) that let something leave at an instant, by id; of each the version in force only.
        """
        replaced = ""
        for convention in self._by_party.get(party, ()):  # by id, newest version first
            if convention.id == replaced or convention.state not in _ONCE_SIGNED or at < convention.starts:
                continue
            replaced = convention.id
            if convention.state is ConventionState.VALID and at < convention.ends:
                yield convention

    def closed(self, party: str, channel: str, at: datetime, *, signed: bool = True) -> tuple[Convention, ...]:
        """
        The conventions in force of a party that do not allow a channel, or not a request that is not `signed`.
        """
        return tuple(
            each
            for each in self.in_force(party, at)
            if channel not in each.channels or (each.signed_requests and not signed)
        )

    def routes(self, kind: Kind, sender: str, purpose: str, at: datetime) -> tuple[str, ...]:
        """
        The SIRETs, sorted, to which conventions in force route a document that names no recipient.
        """
        found = self._by_sender.get((kind, sender), ())
        return tuple(sorted({each.flow.recipient for each in found if each.obstacle(purpose, at) is None}))
