"""
Break-glass: what may leave without the person's agreement when a danger does not let it be asked for.

It exists only where a flow of a signed convention says so, stands in for a missing agreement and for nothing else, lets leave
what the flow names for it, ends by itself, and is reviewed by somebody else than who opened it. A person's no stands: what
was refused, taken back or objected to stays where it is.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from consent import reasons
from consent.reasons import Reason

SAID_NO: Final = frozenset({reasons.AGREEMENT_REFUSED.code, reasons.AGREEMENT_WITHDRAWN.code})
"""The reasons for which no danger counts: the person was asked, and answered."""


@dataclass(frozen=True, slots=True)
class Emergency:
    """
    What a flow says of it: for how many hours at most, reviewed within how many days, which categories, on what ground.
    """

    hours: int
    review_days: int
    categories: frozenset[str]
    ground: str


@dataclass(frozen=True, slots=True)
class Opening:
    """
    An access opened about a person, on one flow of one version of a convention (its hash); `until` is excluded.
    """

    id: str
    convention: str
    flow: str
    since: datetime
    until: datetime

    def opens(self, convention_hash: str, flow: str, at: datetime) -> bool:
        """
        Whether it stands for a flow at an instant.
        """
        return (self.convention, self.flow) == (convention_hash, flow) and self.since <= at < self.until


def replaces(missing: Reason) -> bool:
    """
    Whether an opening may stand in for an agreement that is missing for a reason.
    """
    return missing.code not in SAID_NO
