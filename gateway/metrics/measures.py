"""
What one process counts, through the OpenTelemetry API.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from opentelemetry.metrics import Meter, NoOpMeterProvider

from consent.reasons import CATALOGUE
from schemas import Kind

if TYPE_CHECKING:
    from gateway.crossing import Crossing
    from gateway.taken import Taken

METER: Final = "trait-dunion"

DURATIONS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""
Bounds in seconds: those of the semantic conventions for HTTP, thinned, and longer ones for large files and a mailbox that
waits (25 s). The SDK's own default is for milliseconds.
"""

_SENT: Final = (Kind.REFERRAL, Kind.BILAN, Kind.STATUS)
_HANDED_OVER: Final = (*_SENT, Kind.CONSENT)
"""What partners send, and what they are handed over: notices of withdrawals and objections too."""

_OUTCOMES: Final = ("accepted", "refused", "invalid", "already_received")
_NO_RECIPIENT: Final = "no_recipient"
_REASONS: Final = (*CATALOGUE, _NO_RECIPIENT)


class Measures:
    """
    The counters of the flow, each counted once what it tells of is durable.

    Kinds and outcomes that never happened are published as 0, so that the first occurrence shows as an increase.
    """

    def __init__(self, meter: Meter) -> None:
        """Make the instruments with the meter of an SDK, or one that keeps nothing."""
        self._requests = meter.create_histogram(
            "http.server.request.duration",
            unit="s",
            description="How long HTTP requests took, by method, route pattern and class of status.",
            explicit_bucket_boundaries_advisory=DURATIONS,
        )
        self._received = meter.create_counter(
            "tdu.exchanges.received",
            description="Documents that partners sent: accepted for somebody, refused for all, invalid, already received, or recorded (agreements).",
        )
        self._refused = meter.create_counter(
            "tdu.exchanges.refused", description="Recipients to whom the gate refused a document, by its first reason."
        )
        self._disclosed = meter.create_counter(
            "tdu.disclosures", description="Documents handed over to a recipient; each handing over counts."
        )
        self._stopped = meter.create_counter(
            "tdu.deliveries.stopped", description="Deliveries that the gate stopped after they had been accepted."
        )
        self._closed = meter.create_counter(
            "tdu.acknowledgements",
            description="Answers of recipients: acknowledged, or the code of why they could not take it.",
        )
        self._start_at_zero()

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count an HTTP request; `method` is a known one or `_OTHER`, `route` a pattern."""
        labels = {"http.request.method": method, "http.route": route, "status_class": f"{status // 100}xx"}
        self._requests.record(seconds, labels)

    def received(self, crossings: Iterable[Crossing]) -> None:
        """Count the documents of one message, and the recipients refused to them."""
        outcomes, refusals = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
        for crossing in crossings:
            kind = crossing.kind.value
            outcomes[kind, _outcome(crossing)] += 1
            if not crossing.open:
                continue
            for ruling in crossing.rulings:
                if not ruling.decision.permit:
                    refusals[kind, ruling.decision.reasons[0].code] += 1
            if not crossing.rulings:
                refusals[kind, _NO_RECIPIENT] += 1
        for (kind, outcome), number in outcomes.items():
            self._received.add(number, {"kind": kind, "outcome": outcome})
        for (kind, reason), number in refusals.items():
            self._refused.add(number, {"kind": kind, "reason": reason})

    def disclosed(self, taken: Iterable[Taken]) -> None:
        """Count what was handed over."""
        for kind, number in Counter(item.kind.value for item in taken).items():
            self._disclosed.add(number, {"kind": kind})

    def stopped(self, taken: Iterable[Taken]) -> None:
        """Count what was accepted and may no longer leave."""
        reasons = Counter(
            (item.kind.value, item.decision.reasons[0].code if item.decision else "subject_erased") for item in taken
        )
        for (kind, reason), number in reasons.items():
            self._stopped.add(number, {"kind": kind, "reason": reason})

    def closed(self, taken: Iterable[Taken], refusal: str | None) -> None:
        """Count the answers of a recipient; `refusal` is one of the mailbox's codes."""
        for kind, number in Counter(item.kind.value for item in taken).items():
            self._closed.add(number, {"kind": kind, "outcome": refusal or "acknowledged"})

    def _start_at_zero(self) -> None:
        for kind in _SENT:
            for outcome in _OUTCOMES:
                self._received.add(0, {"kind": kind.value, "outcome": outcome})
            for reason in _REASONS:
                self._refused.add(0, {"kind": kind.value, "reason": reason})
        for outcome in ("recorded", "invalid"):
            self._received.add(0, {"kind": Kind.CONSENT.value, "outcome": outcome})
        for kind in _HANDED_OVER:
            self._disclosed.add(0, {"kind": kind.value})
            self._closed.add(0, {"kind": kind.value, "outcome": "acknowledged"})


def _outcome(crossing: Crossing) -> str:
    if crossing.issues:
        return "invalid"
    if crossing.agreement:
        return "recorded"
    if crossing.earlier:
        return "already_received"
    return "accepted" if crossing.permitted else "refused"


NOTHING: Final = Measures(NoOpMeterProvider().get_meter(METER))
"""Counts nothing: for what works outside a gateway's process."""
