"""
The convention: the machine-readable, co-signed sharing agreement, and what it lets leave.

A `Convention` is built once from a checked document and never changes. Its flows carry, already computed from the
labels of the schemas, the patterns that may leave, so that a decision only puts sets together. Changing the file
changes what leaves; no code does.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final
from zoneinfo import ZoneInfo

import rfc8785

from consent.conventions.checks import ConventionRefused, check
from schemas import Document, Kind, fields

ENVELOPE: Final = "exchange"
"""The category of the technical envelope, without which there is no message: every flow and every agreement has it."""
NIR: Final = "nir"
SECRET: Final = "secret"
SPECIAL: Final = "special"

PARIS: Final = ZoneInfo("Europe/Paris")
"""The dates of a convention are days in France: its last day ends at midnight there."""


class ConventionState(StrEnum):
    """
    Where a convention stands: `proposed` until all its parties have signed; only `valid` lets anything leave.
    """

    PROPOSED = "proposed"
    VALID = "valid"
    SUSPENDED = "suspended"
    REVOKED = "revoked"
    EXPIRED = "expired"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Party:
    """
    An organisation bound by the convention; `acts_for` is the SIRET of the one it acts in the name of.
    """

    siret: str
    name: str
    role: str
    nir_entitled: bool
    acts_for: str | None


@dataclass(frozen=True, slots=True)
class LegalBasis:
    """
    The ground in law of a flow: the RGPD point, the text and its article. Never the person's agreement.
    """

    id: str
    rgpd: str
    text: str
    article: str

    @property
    def citation(self) -> str:
        """
        The basis in one line, as it is written in the decision and in the ledger.
        """
        return f"RGPD art. {self.rgpd} ; {self.text}, {self.article}"


@dataclass(frozen=True, slots=True)
class Mask:
    """
    The leaf patterns that a flow may let leave, computed once from the labels of the schema.

    `envelope` always leaves; `free` leaves when no agreement is needed (the envelope included); `by_category` is what
    an agreement that names the category lets leave; `special_by_category` is the part of it that is of a special
    category (RGPD art. 9) and that the legal basis does not cover by itself.
    """

    envelope: frozenset[str]
    free: frozenset[str]
    by_category: Mapping[str, frozenset[str]]
    special_by_category: Mapping[str, frozenset[str]]

    def agreed(self, categories: Iterable[str]) -> frozenset[str]:
        """
        What leaves on a flow that needs an agreement, when the agreement names these categories.
        """
        known = self.by_category
        return self.envelope.union(*[known[category] for category in categories if category in known])

    def unasked(self, categories: Iterable[str]) -> frozenset[str]:
        """
        What leaves on a flow that needs no agreement; `categories` are those of an agreement, if there happens to be one.
        """
        known = self.special_by_category
        extra = [known[category] for category in categories if category in known] if known else []
        return self.free.union(*extra) if extra else self.free

    @property
    def widest(self) -> frozenset[str]:
        """
        The most that this flow can ever let leave, with the widest agreement.
        """
        return self.envelope.union(self.free, *self.by_category.values())


@dataclass(frozen=True, slots=True, eq=False)
class Flow:
    """
    One authorised path: this kind of document, from one party to another, for these purposes, on this ground.
    """

    id: str
    kind: Kind
    sender: str
    recipient: str
    purposes: frozenset[str]
    basis: LegalBasis | None
    agreement_required: bool
    mask: Mask


@dataclass(frozen=True, slots=True)
class Route:
    """
    Where a kind of document of a sender may go, and for what.
    """

    kind: Kind
    sender: str
    recipient: str
    purposes: frozenset[str]


@dataclass(frozen=True, slots=True, eq=False)
class Convention:
    """
    A sharing agreement as the gate reads it.

    `state` is computed elsewhere (`lifecycle.state_at`) and given: a convention read from a file is `proposed` and lets
    nothing leave. `starts` is included and `ends` is not, both in UTC. `hash` is the lowercase hexadecimal SHA-256
    of the RFC 8785 form of `document`: what the parties sign and what tokens carry.
    """

    id: str
    version: int
    state: ConventionState
    starts: datetime
    ends: datetime
    parties: Mapping[str, Party]
    flows: tuple[Flow, ...]
    hash: str = field(repr=False)
    document: Mapping[str, Any] = field(repr=False)

    @classmethod
    def from_document(cls, document: Document, state: str = ConventionState.PROPOSED) -> "Convention":
        """
        Build a convention from its document, in the state that was computed from its signatures.

        Raises `ConventionRefused`, with every problem, when the document is not a sound convention.
        """
        issues = check(document)
        if issues:
            raise ConventionRefused(issues)
        parties = _parties(document)
        return cls(
            id=document["id"],
            version=document["version"],
            state=ConventionState(state),
            starts=_midnight(document["validity"]["from"]),
            ends=_midnight(document["validity"]["until"], days=1),
            parties=MappingProxyType(parties),
            flows=tuple(_flow(flow, document, parties) for flow in document["flows"]),
            hash=canonical_hash(document),
            document=document,
        )

    def in_state(self, state: str) -> "Convention":
        """
        The same convention, in another state.
        """
        return replace(self, state=ConventionState(state))

    def routes(self, kind: Kind, sender: str) -> tuple[Route, ...]:
        """
        Where this convention lets this sender's documents of this kind go, in the order of the file.
        """
        return tuple(
            Route(flow.kind, flow.sender, flow.recipient, flow.purposes)
            for flow in self.flows
            if flow.kind == kind and flow.sender == sender
        )


def canonical_bytes(document: Document) -> bytes:
    """
    The RFC 8785 form of a convention: the same bytes whatever the order, the spaces or the comments of the file.
    """
    return rfc8785.dumps(document)


def canonical_hash(document: Document) -> str:
    """
    The lowercase hexadecimal SHA-256 of the canonical form.
    """
    return hashlib.sha256(canonical_bytes(document)).hexdigest()


def names(pattern: str, leaf: str) -> bool:
    """
    Whether a pointer pattern of a convention names this leaf, itself or through a container that holds it.
    """
    return leaf == pattern or leaf.startswith(pattern + "/")


def _midnight(day: str, days: int = 0) -> datetime:
    return datetime.combine(date.fromisoformat(day) + timedelta(days=days), time(), PARIS).astimezone(UTC)


def _parties(document: Document) -> dict[str, Party]:
    # Entitled only when the list `nir` gives a ground: the flag of a party is a reminder for the reader, not a right.
    entitled = {entry["party"] for entry in document.get("nir", [])}
    return {
        party["siret"]: Party(
            siret=party["siret"],
            name=party["name"],
            role=party["role"],
            nir_entitled=party["siret"] in entitled and party.get("nir_entitled", True),
            acts_for=party.get("acts_for"),
        )
        for party in document["parties"]
    }


def _flow(flow: Document, document: Document, parties: Mapping[str, Party]) -> Flow:
    kind = Kind(flow["kind"])
    basis = next((_basis(entry) for entry in document["legal_bases"] if entry["id"] == flow["legal_basis"]), None)
    required = flow["agreement"] == "required"
    return Flow(
        id=flow["id"],
        kind=kind,
        sender=flow["from"],
        recipient=flow["to"],
        purposes=frozenset(flow["purposes"]) & frozenset(document["purposes"]),
        basis=basis,
        agreement_required=required,
        mask=_mask(kind, flow, basis, parties[flow["to"]].nir_entitled),
    )
