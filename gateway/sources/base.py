"""
The contracts of a source: a system that calls us in its own way (`Hook`), or that we go and ask (`Connector`).

Whatever the way, what was found passes `gateway.exchange.receive` as if its system had sent it: gate, ledger, outbox. A way
only carries: it decides nothing. Nothing is told to the system as done before it is durable here, so that a crash brings the
same message again, which is recognised.

    api             the system sends by itself, with a token: no source of ours
    rdv-insertion   it calls `/v1/hooks/{client_id}` with a signature of its own
    hubee           we look at its notifications in the State's hub
    dora            we ask what changed since the last time
    i-milo          we read its events, and the files that they name
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

import orjson

from gateway.delivery.base import Configuration
from gateway.errors import Problem
from gateway.outgoing_addresses import PUBLIC, Allowance
from gateway.store.database import instant

API: Final = "api"
"""The system sends by itself."""


@dataclass(frozen=True, slots=True)
class Source:
    """How one system's documents are got: its way, what its partner set, where it was left, and how it fares."""

    client_id: str
    partner: str
    way: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    secrets: Mapping[str, Any] = field(default_factory=dict, repr=False)
    cursor: Mapping[str, Any] = field(default_factory=dict)
    allowance: Allowance = PUBLIC
    failures: int = 0
    last_success_at: datetime | None = None
    last_error: str | None = None
    paused: bool = False

    @property
    def shown(self) -> dict[str, Any]:
        """How it is set and how it fares, for its partner and the operator: never a secret."""
        return {
            "client_id": self.client_id,
            "way": self.way,
            "state": "paused" if self.paused else "active",
            "settings": dict(self.settings),
            "failures_in_a_row": self.failures,
            "last_success_at": instant(self.last_success_at) if self.last_success_at else None,
            "last_error": self.last_error,
        }


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of a message: whether it was taken in (else it is in quarantine), and the ids of its documents."""

    taken: bool
    documents: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """
    One message, as `adapter` reads it, and what is to do once it is durable: remember `cursor`, then `settle` with its system.

    Settling twice is harmless. `files` are the attachments that its document announces.
    """

    raw: bytes = field(repr=False)
    adapter: str
    cursor: Mapping[str, Any] | None = None
    settle: Callable[[Settled], Awaitable[None]] | None = field(default=None, repr=False)
    files: tuple[bytes, ...] = field(default=(), repr=False)


class PullFailed(Exception):
    """A system could not be asked, or answered what cannot be used; `code` is a word for programs (`http_503`, `unreachable`)."""

    def __init__(self, code: str, retry_after: timedelta | None = None) -> None:
        super().__init__(code)
        self.code, self.retry_after = code, retry_after


class Connector(Protocol):
    """Asks a partner's system; one instance a process, safe to use concurrently for several sources."""

    def configure(self, asked: Mapping[str, Any], current: Source) -> Configuration:
        """Check what a partner asks for; raises `Problem` source_invalid."""

    def pull(self, source: Source) -> AsyncIterator[Found]:
        """
        Give what there is since `source.cursor`, oldest first; the next one is asked for once the last is durable and settled.

        Raises `PullFailed`. Ends when there is nothing more.
        """

    async def look(self, source: Source) -> int:
        """Ask once and take nothing, nor tell the system anything; gives how many messages the answer holds. Raises `PullFailed`."""


class Hook(Protocol):
    """Knows the messages that a kind of system sends by itself."""

    adapter: str

    def configure(self, asked: Mapping[str, Any], current: Source) -> Configuration:
        """Check what a partner asks for, and make the secret, once; raises `Problem` source_invalid."""

    def rotate(self, asked: Mapping[str, Any], current: Source, overlap: timedelta) -> Configuration:
        """Replace the secret; the one in force is accepted beside it until `overlap` has passed."""

    def read(self, raw: bytes, headers: Mapping[str, str], secrets: Mapping[str, Any]) -> bytes | None:
        """
        Give the message of an authenticated call, None when it is about nobody. Raises `Problem` unauthorized, whatever is
        wrong with the signature, before anything of the body is read; and conflict for a message too old to be true.
        """


def told(way: str, made: Configuration) -> dict[str, str]:
    """What the ledger's event says of what was set: a digest of the settings, which shows that two are the same."""
    return {"way": way, "settings": hashlib.sha256(orjson.dumps(dict(made.settings))).hexdigest()}


def every(asked: Mapping[str, Any], *, usual: int) -> dict[str, int]:
    """Read `every_seconds`, how often a system is asked; raises `Problem` source_invalid."""
    seconds = asked.get("every_seconds", usual)
    if not isinstance(seconds, int) or isinstance(seconds, bool) or not 1 <= seconds <= 86_400:
        raise invalid("every_seconds va de 1 à 86400", "every_seconds goes from 1 to 86400")
    return {"every_seconds": seconds}


def invalid(message_fr: str, message_en: str) -> Problem:
    """Say why a source cannot be set so; the texts are without their full stop."""
    return Problem("source_invalid", message_fr + ".", message_en + ".")
