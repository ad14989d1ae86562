"""
The contract of a transport: how documents are handed over to a partner's system that does not come for them.

Whatever the transport, the steps are those of `gateway.exchange.deliver`: what is due is taken under a lease, the gate is
asked again, the disclosure is recorded, and only then is anything handed over; what came of it is recorded after
(`gateway.delivery.settlement`). A transport only carries: it decides nothing, keeps nothing, and may be called twice for one
delivery, whose id tells the partner so.

    pull      the partner's system comes to its mailbox (`gateway.http.mailbox`): no transport of ours
    webhook   we call it, and its answer is the acknowledgement
    sftp      we drop a file, and its acknowledgement is a file beside it
    amqp      we put a message in its own queue of our broker, and it answers by a message
    hubee     we file a folder, or write an event, in the State's hub (`gateway.hubee`)
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, Protocol

from gateway.auth.caller import Caller
from gateway.errors import Problem
from gateway.handover import Handover
from gateway.outgoing_addresses import PUBLIC, Allowance
from schemas import Kind

CHANNELS: Final[Mapping[str, str]] = {"webhook": "webhook", "sftp": "sftp", "amqp": "mailbox", "hubee": "api"}
"""The channel of each transport, as conventions allow them: a queue of its own is a mailbox by another protocol."""

REPLY_KEPT: Final = 2000
"""Bytes of a partner's reply that are kept, sealed, for it to see why it refused."""


class Result(StrEnum):
    """What came of handing over one delivery."""

    TAKEN = "taken"
    """The partner has it, and said so."""
    WAITS = "waits"
    """It is where the partner takes it; the partner says later that it did."""
    REFUSED = "refused"
    """The partner could not take this one."""
    FAILED = "failed"
    """The partner could not be reached, or was in no state to answer: nothing is said of this one."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """
    What came of one delivery: `code` is a word for programs (`http_503`, `unreachable`), `reply` what the partner said.

    `retry_after` is what the partner asked for; `gone` says that it wants no call any more; `final` that it will never take it.
    """

    result: Result
    code: str | None = None
    reply: bytes = field(default=b"", repr=False)
    milliseconds: int = 0
    retry_after: timedelta | None = None
    gone: bool = False
    final: bool = False

    @property
    def went_through(self) -> bool:
        """Whether the partner's system works."""
        return self.result in (Result.TAKEN, Result.WAITS)


@dataclass(frozen=True, slots=True)
class Answer:
    """
    What a partner says later of a delivery or of a whole lease (`about`): it has it (`refusal` None), or why it could not.

    `forget` removes the answer where it lies, once it is recorded; recording it twice is harmless.
    """

    about: str
    refusal: str | None
    forget: Callable[[], Awaitable[None]] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Policy:
    """
    How long a system is tried, set by its partner within bounds.

    After a failure the wait doubles from `first_seconds` to `longest_seconds`, and is drawn between its half and its whole.
    A delivery that fails alone `refusals` times, or is not taken within `give_up_hours`, is set aside. A system that fails
    `suspend_failures` times in a row over `suspend_minutes` is suspended: its deliveries wait in the mailbox.
    """

    first_seconds: int = 5
    longest_seconds: int = 300
    refusals: int = 10
    give_up_hours: int = 72
    suspend_failures: int = 15
    suspend_minutes: int = 60

    @classmethod
    def of(cls, asked: Mapping[str, Any]) -> Policy:
        """Read a policy, the defaults for what is not said; raises `Problem` endpoint_invalid."""
        for name, value in asked.items():
            low, high = BOUNDS.get(name, (0, -1))
            if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
                known = ", ".join(f"{each} ({low} à {high})" for each, (low, high) in BOUNDS.items())
                raise invalid(f"Politique de reprise : {known}", f"Retry policy: {known.replace(' à ', ' to ')}")
        return cls(**asked)

    def kept(self) -> dict[str, int]:
        """Write the policy as it is kept and shown."""
        return asdict(self)

    def wait(self, failures: int) -> timedelta:
        """Draw the wait after a number of failures in a row."""
        longest = min(self.first_seconds * 2 ** min(max(failures, 1) - 1, 16), self.longest_seconds)
        return timedelta(seconds=longest * random.uniform(0.5, 1))  # noqa: S311 (spreads load; keeps no secret)


BOUNDS: Final[Mapping[str, tuple[int, int]]] = {
    "first_seconds": (1, 600),
    "longest_seconds": (1, 86_400),
    "refusals": (1, 100),
    "give_up_hours": (1, 720),
    "suspend_failures": (2, 1000),
    "suspend_minutes": (0, 10_080),
}
assert BOUNDS.keys() == {each.name for each in fields(Policy)}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """How one system receives: its transport, what it set, what the operator opened for it, and how it fares."""

    client_id: str
    partner: str
    adapter: str
    transport: str
    kinds: frozenset[Kind] | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    secrets: Mapping[str, Any] = field(default_factory=dict, repr=False)
    policy: Policy = Policy()
    allowance: Allowance = PUBLIC
    suspended: bool = False
    failures: int = 0
    failing_since: datetime | None = None
    last_success_at: datetime | None = None
    last_error: str | None = None


@dataclass(frozen=True, slots=True)
class Configuration:
    """What configuring gives: what is kept in clear, what is sealed, and what the partner is shown this once."""

    settings: Mapping[str, Any]
    secrets: Mapping[str, Any] = field(repr=False)
    shown: Mapping[str, Any] = field(repr=False)


class Transport(Protocol):
    """Carries what `exchange.deliver` gave; one instance a process, safe to use concurrently."""

    @property
    def batch(self) -> int:
        """How many deliveries one handing over may have: all must be carried within a lease."""

    @property
    def patience(self) -> timedelta:
        """How long the partner has to answer for what `WAITS`."""

    @property
    def look_every(self) -> timedelta | None:
        """How often later answers are looked for; None when there are none."""

    def configure(self, asked: Mapping[str, Any], current: Endpoint) -> Configuration:
        """Check what a partner asks for, and make what is missing, keys first; raises `Problem` endpoint_invalid."""

    def rotate(self, current: Endpoint, overlap: timedelta) -> Configuration:
        """Replace the secret or key of an endpoint; the one in force serves beside it until `overlap` has passed."""

    async def hand_over(self, endpoint: Endpoint, handed: Handover) -> Mapping[str, Outcome]:
        """Carry each parcel; gives what came of each delivery by its id. Raises nothing that a partner can cause."""

    async def collect(self, endpoint: Endpoint) -> Sequence[Answer]:
        """Look at what the partner answered since; raises nothing that a partner can cause."""

    async def test(self, endpoint: Endpoint) -> Outcome:
        """Try the way with something that is about nobody."""

    async def tell_suspended(self, endpoint: Endpoint) -> Outcome | None:
        """Tell the partner elsewhere, if it gave where, that this endpoint is not tried any more; None when it did not."""

    async def close(self) -> None:
        """Close what is open."""


def caller_of(endpoint: Endpoint) -> Caller:
    """The system to which something is handed over, as the flow knows those that come for it."""
    return Caller(
        client_id=endpoint.client_id,
        partner=endpoint.partner,
        system=endpoint.client_id,
        scopes=frozenset(),
        roles=frozenset({"partner"}),
        token_id=endpoint.transport,
        channel=CHANNELS[endpoint.transport],
    )


def invalid(message_fr: str, message_en: str) -> Problem:
    """Say why an endpoint cannot be set so; the texts are without their full stop."""
    return Problem("endpoint_invalid", message_fr + ".", message_en + ".")


def only(asked: Mapping[str, Any], *known: str) -> None:
    """Demand that settings name nothing else than what exists; raises `Problem` endpoint_invalid."""
    if not asked.keys() <= set(known):
        names = ", ".join(known)
        raise invalid(f"Réglages possibles ici : {names}", f"Possible settings here: {names}")


def previous_in_force(kept: Mapping[str, Any], now: datetime) -> str | None:
    """The secret or key that another replaced, as long as its time lasts."""
    if "previous" in kept and datetime.fromisoformat(kept["previous_until"]) > now:
        return str(kept["previous"])
    return None
