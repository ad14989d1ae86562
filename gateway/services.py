"""
What the flow works with, put together once by `gateway.app` and passed down: nothing is imported as a global.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from consent.ledger.store import Ledger
from gateway.metrics import NOTHING, Measures
from gateway.settings import Settings
from gateway.store.conventions import ConventionBook
from gateway.store.crypto import Vault
from gateway.store.database import Database


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

    `wake` tells the relay and the sequencer of this process that rows wait for them; it is a hint, never needed.
    """

    settings: Settings
    database: Database
    vault: Vault
    ledger: Ledger
    conventions: ConventionBook
    clock: Callable[[], datetime] = _now
    fault_point: Callable[[str], None] = _no_fault
    wake: Callable[[], None] = _nobody
    measures: Measures = NOTHING
