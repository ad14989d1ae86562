"""
What the person said: their agreements, how they take them back, and their objections.

An agreement is read from a `consent` document. Where it stands is computed from its dates when it is asked for, so that
a withdrawal or the last day counts at once, whatever runs in between. Everything here is pure: what changes an
agreement returns the new document. Telling the recipients, which a withdrawal requires, belongs to the caller.
"""

import copy
from calendar import monthrange
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import product
from types import MappingProxyType
from typing import Final, TypeAlias

from consent.clock import in_utc, instant
from schemas import Document

DURATIONS: Final[Mapping[str, timedelta]] = MappingProxyType(
    {
        "one_day": timedelta(days=1),
        "one_month": timedelta(days=31),
        "six_months": timedelta(days=182),
        "one_year": timedelta(days=365),
    }
)
"""How long an agreement given for a usual duration lasts, from `valid_from`."""

OBJECTION_MONTHS: Final = range(12, 25)
"""How long an objection may be remembered (CRPA R114-9-7), in months."""


Way: TypeAlias = tuple[str, str, str]
"""A recipient (SIRET), a purpose and a kind of document."""

_DECISIVE: Final = ("id", "agreement_type", "state", "collected_at", "valid_from", "valid_until", "duration", "scopes")


class UnknownScope(LookupError):
    """
    The agreement has no line of that name.
    """


class AgreementState(StrEnum):
    """
    Where an agreement stands at an instant.
    """

    GIVEN = "given"
    NOT_STARTED = "not_started"
    PARTLY_WITHDRAWN = "partly_withdrawn"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Scope:
    """
    One line that the person agreed to, and can take back by itself: these data, to these recipients, for these purposes.
    """

    id: str
    purposes: frozenset[str]
    kinds: frozenset[str]
    categories: frozenset[str]
    recipients: frozenset[str]
    withdrawn_at: datetime | None = None

    @property
    def ways(self) -> frozenset[Way]:
        """
        What the line is about, one by one.
        """
        return frozenset(product(self.recipients, self.purposes, self.kinds))

    def live(self, at: datetime) -> bool:
        """
        Whether the line had not been taken back at an instant.
        """
        return self.withdrawn_at is None or at < self.withdrawn_at


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Agreement:
    """
    The person's agreement as the gate reads it; instants are in UTC, `valid_until` is excluded.

    `state` is the one recorded in the document: given, refused, withdrawn or expired. The rest is computed once, since a
    decision may have to look through a hundred agreements: `starts`, when it is both collected and valid; `lines`, the
    scopes by what they are about; `ways`, the recipients and purposes of these lines; `said_no`, whether anything in it was
    refused, taken back or ended, and `noes`, when the person said no, by line; `rank`, by which a later agreement comes after
    an earlier one.
    """

    id: str
    agreement_type: str
    state: str
    collected_by: str
    collected_at: datetime
    valid_from: datetime
    valid_until: datetime
    evidence_level: str
    scopes: tuple[Scope, ...]
    starts: datetime = field(init=False, repr=False)
    lines: Mapping[Way, tuple[Scope, ...]] = field(init=False, repr=False)
    ways: Mapping[str, frozenset[str]] = field(init=False, repr=False)
    said_no: bool = field(init=False, repr=False)
    noes: Mapping[Way, tuple[datetime, ...]] = field(init=False, repr=False)
    rank: tuple[float, str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        for name in ("collected_at", "valid_from", "valid_until"):
            object.__setattr__(self, name, in_utc(getattr(self, name)))
        lines: dict[Way, list[Scope]] = {}
        ways: dict[str, set[str]] = {}
        for scope in self.scopes:
            for way in product(scope.recipients, scope.purposes, scope.kinds):
                lines.setdefault(way, []).append(scope)
            for recipient in scope.recipients:
                ways.setdefault(recipient, set()).update(scope.purposes)
        withdrawn = any(scope.withdrawn_at is not None for scope in self.scopes)
        computed = {
            "lines": {way: tuple(scopes) for way, scopes in lines.items()},
            "ways": {recipient: frozenset(purposes) for recipient, purposes in ways.items()},
            "starts": max(self.valid_from, self.collected_at),
            "said_no": withdrawn or self.state != AgreementState.GIVEN,
            "noes": {way: noes for way, scopes in lines.items() if (noes := self._noes(scopes))},
            "rank": (self.collected_at.timestamp(), self.id),
        }
        for name, value in computed.items():
            object.__setattr__(self, name, value)

    def _noes(self, scopes: Iterable[Scope]) -> tuple[datetime, ...]:
        if self.state == AgreementState.REFUSED:
            return (self.collected_at,)
        return tuple(scope.withdrawn_at for scope in scopes if scope.withdrawn_at is not None)

    @classmethod
    def from_document(cls, document: Document) -> "Agreement":
        """
        Read the agreement of a valid `consent` document, or of what `decisive` kept of it.
        """
        return cls(
            id=document["id"],
            agreement_type=document["agreement_type"],
            state=document["state"],
            collected_by=document["collected_by"]["siret"],
            collected_at=instant(document["collected_at"]),
            valid_from=instant(document["valid_from"]),
            valid_until=_until(document),
            evidence_level=document["evidence"]["level"],
            scopes=tuple(_scope(scope) for scope in document["scopes"]),
        )

    def state_at(self, at: datetime) -> AgreementState:
        """
        Where the agreement stands at an instant: what was refused or recorded as ended stays so, dates decide the rest.
        """
        at = in_utc(at)
        if self.state == AgreementState.REFUSED:
            return AgreementState.REFUSED
        gone = [scope for scope in self.scopes if not scope.live(at)]
        if len(gone) == len(self.scopes):
            return AgreementState.WITHDRAWN
        if self.state == AgreementState.WITHDRAWN and any(scope.withdrawn_at is None for scope in self.scopes):
            return AgreementState.WITHDRAWN
        if self.state == AgreementState.EXPIRED or at >= self.valid_until:
            return AgreementState.EXPIRED
        if at < self.starts:
            return AgreementState.NOT_STARTED
        return AgreementState.PARTLY_WITHDRAWN if gone else AgreementState.GIVEN


@dataclass(frozen=True, slots=True)
class Objection:
    """
    The person's opposition: to one recipient or to all (None), for one purpose or for all; `until` is excluded.
    """

    id: str
    recipient: str | None
    purpose: str | None
    since: datetime
    until: datetime

    @classmethod
    def remembered(
        cls,
        objection_id: str,
        *,
        since: datetime,
        months: int,
        recipient: str | None = None,
        purpose: str | None = None,
    ) -> "Objection":
        """
        An objection kept for 12 to 24 months from `since`. Raises ValueError for any other duration.
        """
        if months not in OBJECTION_MONTHS:
            raise ValueError("an objection is remembered from 12 to 24 months (CRPA R114-9-7)")
        return cls(objection_id, recipient, purpose, since, _months_later(since, months))

    def stops(self, recipient: str, purpose: str, at: datetime) -> bool:
        """
        Whether this objection forbids an exchange with a recipient, for a purpose, at an instant.
        """
        return self.recipient in (None, recipient) and self.purpose in (None, purpose) and self.since <= at < self.until


def withdraw(
    document: Document,
    at: datetime,
    scopes: Collection[str] | None = None,
    *,
    channel: str | None = None,
    collected_by: str | None = None,
) -> Document:
    """
    The agreement's document after the person took it back, whole (`scopes` None) or in some of its lines.

    A line already taken back keeps its first date, so that repeating a withdrawal changes nothing. When no line is left
    the agreement is withdrawn, at `at`, through `channel`, at the desk of the organisation `collected_by` (a SIRET).
    Raises UnknownScope when a line does not exist.
    """
    changed = copy.deepcopy(document)
    known = [scope["id"] for scope in changed["scopes"]]
    wanted = known if scopes is None else scopes
    if not set(wanted) <= set(known):
        raise UnknownScope("this agreement has no such line")
    moment = in_utc(at).isoformat()
    for scope in changed["scopes"]:
        if scope["id"] in wanted:
            scope.setdefault("withdrawn_at", moment)
    if changed["state"] == "given" and all("withdrawn_at" in scope for scope in changed["scopes"]):
        details = {"at": moment, "channel": channel, "collected_by": collected_by}
        changed["state"] = "withdrawn"
        changed["withdrawal"] = {name: value for name, value in details.items() if value is not None}
    return changed


def decisive(document: Document) -> Document:
    """
    What the gate reads of a `consent` document, and nothing else: no identity, no text, no evidence.
    """
    kept = {name: document[name] for name in _DECISIVE if name in document}
    return copy.deepcopy(
        kept
        | {
            "collected_by": {"siret": document["collected_by"]["siret"]},
            "evidence": {"level": document["evidence"]["level"]},
        }
    )


def _scope(scope: Document) -> Scope:
    return Scope(
        id=scope["id"],
        purposes=frozenset(scope["purposes"]),
        kinds=frozenset(scope["kinds"]),
        categories=frozenset(scope["categories"]),
        recipients=frozenset(scope["recipients"]),
        withdrawn_at=instant(scope["withdrawn_at"]) if "withdrawn_at" in scope else None,
    )


def _until(document: Document) -> datetime:
    """
    When the agreement ends: the date written, the usual duration, or the earlier of the two; at once when neither is there.
    """
    start = instant(document["valid_from"])
    ends = [instant(document["valid_until"])] if "valid_until" in document else []
    if document.get("duration") in DURATIONS:
        ends.append(start + DURATIONS[document["duration"]])
    return min(ends, default=start)


def _months_later(moment: datetime, months: int) -> datetime:
    year, month = divmod(moment.month - 1 + months, 12)
    year, month = moment.year + year, month + 1
    return moment.replace(year=year, month=month, day=min(moment.day, monthrange(year, month)[1]))
