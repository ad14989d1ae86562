"""
The metrics of one process, as Prometheus reads them.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Final

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.metrics import CallbackOptions, Meter, Observation
from opentelemetry.sdk.metrics import AlwaysOffExemplarFilter, MeterProvider
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder
from sqlalchemy.exc import SQLAlchemyError

from consent.ledger.sequencer import Sequencer
from gateway.loops import Loops
from gateway.metrics.measures import METER, Measures
from gateway.metrics.readings import Readings, read
from gateway.quorum import Quorum
from gateway.store.database import Database

_log = logging.getLogger(__name__)

_KEPT: Final = 5.0
"""Seconds during which a reading of the database serves whoever asks: asking more often costs it nothing."""

_PATIENCE: Final = 3.0
"""Seconds given to the database: Prometheus gives up after ten, and must learn the rest of what there is to know."""


class Publication:
    """
    The registry of one process: its counters, its loops, and what the database tells.

    When the database does not answer its gauges are left out, rather than published as they were, and `tdu_database_readable` is 0.
    """

    def __init__(
        self, database: Database, sequencer: Sequencer, clock: Callable[[], datetime], quorum: Quorum | None = None
    ) -> None:
        """Make the registry and its instruments; nothing is read before `text`."""
        self._quorum = quorum
        self._away = 0.0
        self.loops = Loops()
        self._database = database
        self._sequencer = sequencer
        self._clock = clock
        self._readings: Readings | None = None
        self._fresh_until = 0.0
        self._reading = asyncio.Lock()
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        reader = PrometheusMetricReader(disable_target_info=True, scope_info_enabled=False, registry=self._registry)
        provider = MeterProvider([reader], exemplar_filter=AlwaysOffExemplarFilter(), shutdown_on_exit=False)
        meter = provider.get_meter(METER)
        self.measures = Measures(meter)
        self._observe_process(meter)
        self._observe_database(meter)

    async def text(self, accept: str) -> tuple[bytes, str]:
        """Everything as text, and its media type: Prometheus' format, or OpenMetrics for a client whose `accept` asks for it."""
        async with self._reading:
            if time.monotonic() >= self._fresh_until:
                self._readings = await self._read()
                self._fresh_until = time.monotonic() + _KEPT
        write, media_type = choose_encoder(accept)
        return write(self._registry), media_type

    async def _read(self) -> Readings | None:
        try:
            async with asyncio.timeout(_PATIENCE):
                if self._quorum is not None:
                    self._away = (await self._quorum.away()).total_seconds()
                async with self._database.read(beyond="counts of everything, and nothing else") as tx:
                    return await read(tx, self._clock())
        except (SQLAlchemyError, OSError) as error:  # a timeout is an OSError
            _log.warning("metrics.database_unreadable", extra={"error": type(error).__name__})
            return None

    def _observe_process(self, meter: Meter) -> None:
        def loops() -> Iterable[Observation]:
            return [Observation(int(runs), {"loop": name}) for name, runs in self.loops.alive().items()]

        def failures() -> Iterable[Observation]:
            return [Observation(self._sequencer.failures)] if "sequencer" in self.loops.alive() else []

        _gauge(meter, "tdu.loop.alive", "1 while a loop of this process runs, 0 once it died.", loops)
        _gauge(
            meter, "tdu.ledger.sequencer.failures", "Failures of the sequencer in a row; 0 after a success.", failures
        )

    def _observe_database(self, meter: Meter) -> None:
        def of(value: Callable[[Readings], float]) -> Callable[[], Iterable[Observation]]:
            return lambda: [] if self._readings is None else [Observation(value(self._readings))]

        def open_deliveries() -> Iterable[Observation]:
            states = self._readings.open_deliveries if self._readings else {}
            return [Observation(number, {"state": state}) for state, number in states.items()]

        def endpoints() -> Iterable[Observation]:
            states = self._readings.endpoints if self._readings else {}
            return [Observation(number, {"state": state}) for state, number in states.items()]

        def emergencies() -> Iterable[Observation]:
            states = self._readings.emergencies if self._readings else {}
            return [Observation(number, {"state": state}) for state, number in states.items()]

        def readable() -> Iterable[Observation]:
            return [Observation(int(self._readings is not None))]

        _gauge(
            meter, "tdu.database.readable", "1 when the database answered this process, 0 when it did not.", readable
        )
        _gauge(
            meter,
            "tdu.outbox.oldest.age",
            "For how long the oldest unsent row of the outbox has waited.",
            of(lambda now: now.outbox_age),
            "s",
        )
        _gauge(
            meter, "tdu.deliveries.open", "Deliveries that something is still to happen to, by state.", open_deliveries
        )
        _gauge(meter, "tdu.endpoints", "Systems served by webhook, SFTP or AMQP, by how that goes.", endpoints)
        _gauge(
            meter,
            "tdu.break_glass.accesses",
            "Emergency accesses that are open, wait for their review, or whose review is late, by state.",
            emergencies,
        )
        _gauge(meter, "tdu.ledger.size", "Entries under the last signed checkpoint.", of(lambda now: now.ledger_size))
        _gauge(
            meter,
            "tdu.ledger.unsequenced.events",
            "Events that wait for their place in the log.",
            of(lambda now: now.unsequenced),
        )
        _gauge(
            meter,
            "tdu.ledger.unsequenced.age",
            "For how long the first of the events without a place has waited.",
            of(lambda now: now.unsequenced_age),
            "s",
        )
        _gauge(
            meter,
            "tdu.ledger.quorum.away",
            "For how long the quorum of witnesses has cosigned nothing new; exchanges are refused after TDU_LEDGER_QUORUM_HOURS.",
            of(lambda _now: self._away),
            "s",
        )


def _gauge(
    meter: Meter, name: str, description: str, observed: Callable[[], Iterable[Observation]], unit: str = ""
) -> None:
    def callback(_options: CallbackOptions) -> Iterable[Observation]:
        return observed()

    meter.create_observable_gauge(name, [callback], unit, description)
