"""
What the flow works with, put together once by `gateway.composition` and passed down: nothing is imported as a global.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from consent.ledger.store import Ledger
from gateway.auth.registry import PartnerNames
from gateway.limits import Limits
from gateway.metrics import NOTHING, Measures
from gateway.quorum import Quorum
from gateway.settings import Settings
from gateway.store.conventions import ConventionBook
from gateway.store.crypto import Vault
from gateway.store.database import Database
from gateway.store.group_commit import GroupCommit

if TYPE_CHECKING:
    from gateway.crossing import Arrival


def _no_fault(_name: str) -> None:
    """Do nothing: a place where the fault tests raise or kill."""


def _now() -> datetime:
    return datetime.now(UTC)


def _nobody() -> None:
    """Wake nobody: the loops of another process find the rows by themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """
    The database, the sealing, the ledger and the conventions, with the clock.

    `together` is where requests of this process that arrive at the same moment share a transaction.
    `wake` tells the relay and the sequencer of this process that rows wait for them; it is a hint, never needed.
    """

    settings: Settings
    database: Database
    vault: Vault
    ledger: Ledger
    conventions: ConventionBook
    names: PartnerNames
    together: GroupCommit[Arrival] = field(default_factory=GroupCommit)
    clock: Callable[[], datetime] = _now
    fault_point: Callable[[str], None] = _no_fault
    wake: Callable[[], None] = _nobody
    measures: Measures = NOTHING
    limits: Limits = field(default_factory=Limits)
    quorum: Quorum
