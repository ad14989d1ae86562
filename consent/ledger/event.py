"""
An event: what the ledger proves, without anything that names a person.

The event stays with the gateway, sealed under its subject's key; the log only receives the commitment.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Self
from uuid import UUID

from consent.ledger.catalogue import CATALOGUE, Wording
from consent.ledger.commitment import Disclosure, DisclosureInvalid, entry_of
from consent.ledger.event_types import EventType
from consent.ledger.summary import canonical, summarize

__all__ = ["CATALOGUE", "Event", "EventInvalid", "EventType", "LedgerRecord", "Wording", "commit"]

_SIRET = re.compile("[0-9]{14}")
_IDENTIFYING = frozenset(
    {
        "address", "birth_date", "birth_name", "birth_place", "contact", "email", "emails", "first_name", "given_names",
        "identifiers", "last_name", "matricule", "name", "nia", "nir", "person", "phone", "phones", "subject_id", "used_name",
    }
)  # fmt: skip


class EventInvalid(ValueError):
    """An event cannot be recorded as given: a programming error of whoever builds it, never of a partner."""


@dataclass(frozen=True, slots=True)
class Event:
    """
    One thing that happened.

    `id` is a UUID in lower case, given once by the caller (a retry uses the same), `actor` the SIRET of the organisation that
    acted, `occurred_at` an aware instant. `body` holds texts, whole numbers, booleans, lists and objects of these, and
    nothing personal: identifiers of documents, exchanges and deliveries, the recipient, the convention and its hash, field
    pointers, reason codes, the pairwise pseudonym. Raises EventInvalid.
    """

    id: str
    type: EventType
    occurred_at: datetime
    actor: str
    body: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what would not read back the same."""
        try:
            canonical_id = str(UUID(self.id)) == self.id
        except ValueError:
            canonical_id = False
        if not canonical_id:
            raise EventInvalid("the id of an event is a UUID in lower case")
        if not _SIRET.fullmatch(self.actor):
            raise EventInvalid("the actor of an event is the SIRET of an organisation")
        if self.occurred_at.utcoffset() is None:
            raise EventInvalid("the time of an event carries its offset")
        _check(self.body, "/body")

    def summary(self) -> bytes:
        """What the event says of itself without being opened (`consent.ledger.summary`)."""
        return summarize(self.type.value, _written(self.occurred_at), self.actor, self.body)

    def canonical(self) -> bytes:
        """
        The bytes that are committed to: RFC 8785 (JSON canonicalization scheme), the time in UTC to the microsecond.

        What `_check` lets in (ASCII names, whole numbers, no lone surrogate) is written the same by the standard library,
        twenty times faster than by a general canonicalizer; a test compares the two.
        """
        return canonical(
            {
                "id": self.id,
                "type": self.type.value,
                "occurred_at": _written(self.occurred_at),
                "actor": self.actor,
                "body": dict(self.body),
            }
        )

    @classmethod
    def from_canonical(cls, raw: bytes) -> Self:
        """Read an event back from its canonical bytes. Raises EventInvalid when they are not exactly that."""
        try:
            fields = Disclosure(raw, b"").read()
            event = cls(
                id=fields["id"],
                type=EventType(fields["type"]),
                occurred_at=datetime.strptime(fields["occurred_at"], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC),
                actor=fields["actor"],
                body=fields["body"],
            )
        except (DisclosureInvalid, KeyError, TypeError, AttributeError, ValueError):
            raise EventInvalid("these bytes are not an event") from None
        if event.canonical() != raw:
            raise EventInvalid("these bytes are not the canonical form of an event")
        return event


@dataclass(frozen=True, slots=True)
class LedgerRecord:
    """
    An event ready for the log: with its commitment (`entry`), and itself `sealed` under its subject's key.

    `subject_id` is the gateway's own identifier of the subject, which never enters the log, and `label` the 32 bytes that name
    the subject's list in the index; None for an event about nobody.
    """

    event: Event
    entry: bytes
    sealed: bytes
    subject_id: str | None = None
    label: bytes | None = None


def commit(event: Event, opening: bytes) -> bytes:
    """
    The log entry of an event, 33 bytes: 0x01, then HMAC-SHA-256 of its canonical bytes under `opening`.

    `opening` is 32 bytes, one per event, derived from the subject's data key: destroying that key leaves nobody able to open
    the entry. Raises DisclosureInvalid for an opening of another length.
    """
    return entry_of(event.canonical(), opening)


def _written(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def _check(value: object, pointer: str) -> None:
    """Refuse what has no single canonical form (fractions, huge numbers, odd keys) and names that would hold a person."""
    if type(value) is str and value.isascii():
        return  # nearly everything
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str) or not key.isascii() or key in _IDENTIFYING:
                raise EventInvalid(f"a name under {pointer} may not stand in an event")
            _check(item, f"{pointer}/{key}")
    elif isinstance(value, list | tuple):
        for number, item in enumerate(value):
            _check(item, f"{pointer}/{number}")
    elif isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise EventInvalid(f"{pointer} is not valid Unicode") from None
    elif isinstance(value, int) and not isinstance(value, bool):
        if abs(value) > 2**53 - 1:
            raise EventInvalid(f"{pointer} is too large a number; write it as text")
    elif value is not None and not isinstance(value, bool):
        raise EventInvalid(f"{pointer} is neither text, whole number, boolean, list nor object")
