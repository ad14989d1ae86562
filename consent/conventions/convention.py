"""
The convention: the machine-readable, co-signed sharing agreement, and what it lets leave.

A `Convention` is built once from a checked document and never changes. Its flows carry, already computed from the
labels of the schemas, the patterns that may leave, so that a decision only puts sets together. Changing the file
changes what leaves; no code does.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any

import rfc8785

from consent.break_glass import Emergency
from consent.clock import midnight
from consent.conventions.checks import ConventionRefused, check
from consent.conventions.mask import Mask, Rule, mask_of
from schemas import Document, Kind


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

    `special` is the point of RGPD art. 9(2) that allows special categories, if there is one.
    """

    id: str
    rgpd: str
    special: str | None
    text: str
    article: str

    @property
    def covers_special(self) -> bool:
        """
        Whether the basis allows special categories by itself; explicit consent (9.2.a) is for the person to give.
        """
        return self.special is not None and self.special != "9.2.a"

    @property
    def citation(self) -> str:
        """
        The basis in one line, as it is written in the decision and in the ledger.
        """
        points = f"{self.rgpd} et {self.special}" if self.special else self.rgpd
        return f"RGPD art. {points} ; {self.text}, {self.article}"


@dataclass(frozen=True, slots=True, eq=False)
class Flow:
    """
    One authorised path: this kind of document, from one party to another, for these purposes, on this ground.

    `agreement_types` and `evidence_level` say which agreements will do, where one is needed (empty and None: any);
    `emergency` what may leave without one, when somebody breaks the glass (None: nothing).
    """

    id: str
    kind: Kind
    sender: str
    recipient: str
    purposes: frozenset[str]
    basis: LegalBasis | None
    agreement_required: bool
    agreement_types: frozenset[str]
    evidence_level: str | None
    emergency: Emergency | None
    mask: Mask = field(repr=False)


@dataclass(frozen=True, slots=True)
class Route:
    """
    Where a kind of document of a sender may go, and for what.
    """

    kind: Kind
    sender: str
    recipient: str
    purposes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Limits:
    """
    How many documents each sender may pass under the convention, by day (in France) and by minute; None: no limit.
    """

    per_day: int | None = None
    per_minute: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Convention:
    """
    A sharing agreement as the gate reads it.

    `state` is computed elsewhere (`lifecycle.state_at`) and given: a convention read from a file is `proposed` and lets
    nothing leave. `channels` are the ways in and out that it allows; `signed_requests` says that what its parties send and collect
    under it is asked for by signed requests (RFC 9421). `starts` is included and `ends` is not, both in UTC. `hash` is the
    lowercase hexadecimal SHA-256 of the RFC 8785 form of `document`: what the parties sign and what tokens carry.
    """

    id: str
    version: int
    state: ConventionState
    starts: datetime
    ends: datetime
    parties: Mapping[str, Party]
    flows: tuple[Flow, ...] = field(repr=False)
    channels: frozenset[str]
    signed_requests: bool
    limits: Limits
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
        parties, bases = _parties(document), _bases(document)
        return cls(
            id=document["id"],
            version=document["version"],
            state=ConventionState(state),
            starts=midnight(document["validity"]["from"]),
            ends=midnight(document["validity"]["until"], days=1),
            parties=MappingProxyType(parties),
            flows=tuple(_flow(flow, parties, bases) for flow in document["flows"]),
            channels=frozenset(document["channels"]),
            signed_requests=document.get("signed_requests", False),
            limits=Limits(**document.get("limits", {})),
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


def _parties(document: Document) -> dict[str, Party]:
    # Entitled only when the list `nir` gives a ground as well: the flag of a party alone is not a right.
    grounds = {entry["party"] for entry in document.get("nir", [])}
    return {
        party["siret"]: Party(
            siret=party["siret"],
            name=party["name"],
            role=party["role"],
            nir_entitled=party["nir_entitled"] and party["siret"] in grounds,
            acts_for=party.get("acts_for"),
        )
        for party in document["parties"]
    }


def _bases(document: Document) -> dict[str, LegalBasis]:
    return {
        basis["id"]: LegalBasis(basis["id"], basis["rgpd"], basis.get("special"), basis["text"], basis["article"])
        for basis in document["legal_bases"]
    }


def _flow(flow: Document, parties: Mapping[str, Party], bases: Mapping[str, LegalBasis]) -> Flow:
    basis = bases.get(flow["legal_basis"])
    rule = Rule.of_flow(
        flow,
        nir_entitled=parties[flow["to"]].nir_entitled,
        basis_covers_special=basis is not None and basis.covers_special,
    )
    return Flow(
        id=flow["id"],
        kind=Kind(flow["kind"]),
        sender=flow["from"],
        recipient=flow["to"],
        purposes=frozenset(flow["purposes"]),
        basis=basis,
        agreement_required=flow["agreement"] == "required",
        agreement_types=frozenset(flow.get("agreement_types", ())),
        evidence_level=flow.get("evidence_level"),
        emergency=_emergency(flow["break_glass"]) if "break_glass" in flow else None,
        mask=mask_of(rule),
    )


def _emergency(said: Document) -> Emergency:
    return Emergency(said["hours"], said["review_days"], frozenset(said["categories"]), said["ground"])
