"""
The figures of the demonstration, each counted while it runs.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(slots=True)
class Figures:
    """What was counted; `refusals` by reason, everything else as the keys of `tdu demo --json` name it."""

    households: int = 0
    people: int = 0
    referrals: int = 0
    bilans: int = 0
    refused: int = 0
    refusals: Counter[str] = field(default_factory=Counter)
    delivered: int = 0
    acknowledged: int = 0
    rights_opened: int = 0
    withdrawals_acknowledged: int = 0
    ledger_size: int = 0
    ledger_verified: bool = False
    tampering_detected: bool = False
    seconds: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """The figures as the command prints them."""
        return asdict(self) | {"refusals": dict(self.refusals), "seconds": round(self.seconds, 1)}
