"""
One-off exchanges (RFC 9396): a token that lets one document of one kind go, for one purpose, to the named recipients, once.

    authorization_details=[{"type": "exchange", "kind": "referral", "purpose": "award_right", "recipients": ["99900002900010"]}]

Scopes say which operations a system may use for five minutes; this says which exchange. The gate decides as always.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from gateway.auth.refusal import Refusal
from schemas import Kind, MalformedJson, parse_json
from schemas.identity import siret_is_valid

TYPE: Final = "exchange"
"""The only type, announced in the metadata."""

KINDS: Final = (Kind.REFERRAL, Kind.BILAN, Kind.STATUS)
MAX_BYTES: Final = 4_096
MAX_RECIPIENTS: Final = 20
_MEMBERS: Final = frozenset({"type", "kind", "purpose", "recipients"})


@dataclass(frozen=True, slots=True)
class ExchangeDetail:
    """One exchange that a token lets through: the kind of the document, its purpose and its recipients (SIRETs)."""

    kind: Kind
    purpose: str
    recipients: frozenset[str]

    def as_json(self) -> dict[str, Any]:
        """Write it as it stands in tokens and answers."""
        return {
            "type": TYPE,
            "kind": self.kind.value,
            "purpose": self.purpose,
            "recipients": sorted(self.recipients),
        }

    @classmethod
    def read(cls, written: Mapping[str, Any]) -> ExchangeDetail:
        """Read one, strictly: an unknown member might be a limit that we would ignore. Raises `ValueError`."""
        if written.keys() != _MEMBERS or written["type"] != TYPE:
            raise ValueError("members")
        kind, purpose, recipients = written["kind"], written["purpose"], written["recipients"]
        if kind not in KINDS or not isinstance(purpose, str) or not 0 < len(purpose) <= 40:
            raise ValueError("kind or purpose")
        if not isinstance(recipients, list) or not 0 < len(recipients) <= MAX_RECIPIENTS:
            raise ValueError("recipients")
        if not all(isinstance(siret, str) and siret_is_valid(siret) for siret in recipients):
            raise ValueError("recipient")
        return cls(Kind(kind), purpose, frozenset(recipients))


def requested(text: str | None) -> ExchangeDetail | None:
    """Read the parameter `authorization_details`; None when it is absent. Raises `Refusal`."""
    if text is None:
        return None
    try:
        written = parse_json(text.encode(), max_bytes=MAX_BYTES, max_depth=6)
        if not isinstance(written, list) or len(written) != 1 or not isinstance(written[0], dict):
            raise ValueError("not one object")
        return ExchangeDetail.read(written[0])
    except (MalformedJson, ValueError, TypeError) as error:
        raise refused(
            f'Une seule autorisation est attendue : [{{"type": "{TYPE}", "kind": …, "purpose": …, "recipients": [SIRET…]}}].',
            "One authorization is expected: an array of one object with type exchange, kind, purpose and recipients (SIRETs).",
        ) from error


def refused(message_fr: str, message_en: str) -> Refusal:
    """Make the refusal of RFC 9396 section 5."""
    return Refusal("invalid_authorization_details", message_fr, message_en)
