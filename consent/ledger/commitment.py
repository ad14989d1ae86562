"""
What enters the log instead of an event: a keyed commitment that says nothing and binds to everything.

A plain hash of a NIR is reversed by trying every one; a commitment under 32 random or derived bytes is not. Whoever holds
the opening can show the event; when the opening is destroyed nobody can, and the tree still verifies.

The commitment is over the canonical bytes (RFC 8785) of the event *as written*, and a disclosure carries these bytes
verbatim: a verifier never canonicalises again, so no difference between two canonicalisers can hide a change.
"""

import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

OPENING_SIZE = 32
ENTRY_SIZE = 33
_VERSION = b"\x01"


class DisclosureInvalid(ValueError):
    """What is shown is not what was committed to, or is not an event at all: do not rely on it."""


@dataclass(frozen=True, slots=True)
class Disclosure:
    """An event shown in clear: its canonical bytes, verbatim, and the 32 bytes that open its commitment."""

    canonical: bytes
    opening: bytes

    def entry(self) -> bytes:
        """The log entry this disclosure opens; compare it with the entry in the log. Raises DisclosureInvalid."""
        return entry_of(self.canonical, self.opening)

    def read(self) -> Mapping[str, Any]:
        """The event as a JSON object. Raises DisclosureInvalid, also for what two readers could read differently."""
        try:
            return read_object(self.canonical)
        except ValueError:
            raise DisclosureInvalid("the disclosed event is not a strict JSON object") from None


def entry_of(canonical: bytes, opening: bytes) -> bytes:
    """
    The log entry of an event: 0x01, then HMAC-SHA-256 under the opening, 33 bytes.

    The version byte fixes both the construction and the shape of the event. Raises DisclosureInvalid unless the opening has
    exactly 32 bytes: HMAC pads its key with zeros, so that keys of several lengths would open the same commitment.
    """
    if len(opening) != OPENING_SIZE:
        raise DisclosureInvalid(f"an opening has {OPENING_SIZE} bytes")
    return _VERSION + hmac.digest(opening, canonical, "sha256")


def read_object(raw: bytes) -> dict[str, Any]:
    """A JSON object that no two readers can read differently: UTF-8, no name twice, no NaN. Raises ValueError."""
    try:
        value = json.loads(raw.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("duplicate name")
    return value


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")
