"""
`tdu bench through`: whole exchanges a second, from the POST to the other partner's acknowledgement over RabbitMQ.

Every role in its own process, as in production: two API workers, relay, courier, sequencer, on PostgreSQL. The recipient takes
its mailbox by long polls and acknowledges lease by lease while the sender sends. In the same run, beside it, a gateway of the API
role alone takes the same referrals in: that is what a whole exchange is compared with.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
import uuid
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from gateway.store.database import Database, moment
from gateway.store.tables import deliveries
from ops.bench.load import Answered
from ops.bench.measured import Goal, Measured, Say
from ops.bench.postgres import empty_database
from ops.bench.servers import demanded
from ops.bench.territory import UNLIMITED, Sender, sent, territory
from ops.demo.gateway_process import GatewayProcess, started

WORKERS: Final = 2
CONNECTIONS: Final = 32
ROUNDS: Final = 3
REQUESTS: Final = 3_000
"""Of one round: a few seconds of taking in, and what it takes to carry them through."""

_PACED_SECONDS: Final = 8
_TAKERS: Final = 2
"""Requests of the recipient's system at a time."""

_AGAIN: Final = 0.05
_PATIENCE: Final = timedelta(seconds=120)
_ROLES: Final = ("api", "relay", "courier", "sequencer")


def run(say: Say) -> Measured:
    """Measure whole exchanges and taking in by turns, then the delays of whole exchanges at half of what was sustained."""
    bus = {"TDU_BUS_URL": demanded("TDU_TEST_AMQP_URL"), "TDU_BUS_PREFIX": f"bench-{uuid.uuid4().hex[:8]}"}
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tdu-bench-")))
        urls = [{"TDU_DATABASE_URL": stack.enter_context(empty_database())} for _ in range(2)]

        def gateway(name: str, settings: dict[str, str], roles: Sequence[str]) -> GatewayProcess:
            (directory / name).mkdir()
            settings = {**UNLIMITED, **settings}
            return stack.enter_context(started(directory / name, settings, roles=roles, workers=WORKERS))

        whole, alone = gateway("whole", urls[0] | bus, _ROLES), gateway("alone", urls[1], ("api",))
        return asyncio.run(_measure(whole, alone, say))


async def _measure(whole: GatewayProcess, alone: GatewayProcess, say: Say) -> Measured:
    through: list[float] = []
    ingest: list[float] = []
    async with territory(whole) as sender, territory(alone) as taking:
        for number in range(ROUNDS + 1):
            rate = (await _carried(sender, REQUESTS)).per_s
            taken = (await sent(taking, REQUESTS, CONNECTIONS)).per_s(202)
            say(f"tour {number}/{ROUNDS} : {rate:.0f}/s de bout en bout, {taken:.0f}/s prises en charge")
            if number:  # the first round fills caches, pools and prepared statements
                through.append(rate)
                ingest.append(taken)
        half = statistics.median(through) / 2
        say(f"à mi-charge, {half:.0f}/s")
        paced = await _carried(sender, int(half * _PACED_SECONDS), rate=half)
        available = await _available(whole.database, paced)
    figures = {
        "through_per_s": statistics.median(through),
        "ingest_per_s": statistics.median(ingest),
        "through_ratio": statistics.median(through) / statistics.median(ingest),
        **_delays("half_load", paced.acknowledged_after()),
        **_delays("mailbox_after_202", available),
        **_delays("receipt_after_202", paced.receipt_after()),
    }
    return Measured(
        figures,
        {
            "through_ratio": Goal(figures["through_ratio"], 0.35),
            "mailbox_after_202_p99_ms": Goal(figures["mailbox_after_202_p99_ms"], 250.0, at_most=True),
            "receipt_after_202_p99_ms": Goal(figures["receipt_after_202_p99_ms"], 1_000.0, at_most=True),
        },
    )


@dataclass(slots=True)
class _Carried:
    """Exchanges carried through: the load that sent them, and the times when each was acknowledged and when some had a receipt."""

    answered: Answered
    acknowledged: dict[str, float]
    receipts: dict[str, float]

    def receipt_after(self) -> list[float]:
        """Seconds from the 202 of some exchanges to their receipt."""
        return [
            self.receipts[exchange] - came for exchange, _, came in self.answered.taken if exchange in self.receipts
        ]

    @property
    def per_s(self) -> float:
        """Exchanges a second, from the first request to the last acknowledgement."""
        self.answered.per_s(202)
        begun = min(due for _, due, _ in self.answered.taken)
        return len(self.acknowledged) / (max(self.acknowledged.values()) - begun)

    def acknowledged_after(self) -> list[float]:
        """Seconds from the moment when each request was due to its acknowledgement."""
        return [self.acknowledged[exchange] - due for exchange, due, _ in self.answered.taken]


async def _carried(sender: Sender, count: int, rate: float | None = None) -> _Carried:
    """Send, take and acknowledge at the same time, until all went through; at a `rate`, receipts are asked for too."""
    acknowledged: dict[str, float] = {}
    receipts: dict[str, float] = {}
    takers = [asyncio.create_task(_take(sender, acknowledged, count)) for _ in range(_TAKERS)]
    asking = asyncio.create_task(_ask_receipts(sender, acknowledged, receipts)) if rate else None
    try:
        answered = await sent(sender, count, CONNECTIONS, rate=rate)
        answered.per_s(202)
        async with asyncio.timeout(_PATIENCE.total_seconds()):
            await asyncio.gather(*takers)
    finally:
        for task in (*takers, *filter(None, [asking])):
            task.cancel()
    if {exchange for exchange, _, _ in answered.taken} != acknowledged.keys():
        raise RuntimeError("what was acknowledged is not what was sent")
    return _Carried(answered, acknowledged, receipts)


async def _take(sender: Sender, acknowledged: dict[str, float], count: int) -> None:
    """Take and acknowledge until `count` exchanges are; several may run side by side."""
    partner = sender.recipient
    while len(acknowledged) < count:
        given = (await partner.call("GET", "/v1/mailbox?limit=500&wait=1")).json()
        if not given["deliveries"]:
            continue
        await partner.call("POST", f"/v1/mailbox/{given['lease']}/ack")
        now = time.time()
        acknowledged.update((delivery["exchange"], now) for delivery in given["deliveries"])


async def _ask_receipts(sender: Sender, acknowledged: dict[str, float], had: dict[str, float]) -> None:
    """Ask for the receipt of the exchange acknowledged last, again and again until it is there; `had` is told when."""
    while True:
        exchange = next(reversed(acknowledged), None)
        if exchange is not None and exchange not in had:
            answer = await sender.partner.call("GET", f"/v1/exchanges/{exchange}/receipt", expect=(200, 409))
            while answer.status_code != 200:
                await asyncio.sleep(_AGAIN)
                answer = await sender.partner.call("GET", f"/v1/exchanges/{exchange}/receipt", expect=(200, 409))
            had[exchange] = time.time()
        await asyncio.sleep(_AGAIN)


async def _available(url: str, carried: _Carried) -> list[float]:
    """Seconds from each 202 to the instant at which the courier recorded the delivery as available; never negative."""
    database = Database(url)
    came = {exchange: moment_ for exchange, _, moment_ in carried.answered.taken}
    query = sa.select(deliveries.c.exchange_id, deliveries.c.available_at)
    async with database.read() as tx:
        rows = [row for row in await tx.execute(query) if row.exchange_id in came]
    await database.close()
    return [max(0.0, moment(row.available_at).timestamp() - came[row.exchange_id]) for row in rows]


def _delays(name: str, seconds: list[float]) -> dict[str, float]:
    ordered = sorted(seconds)
    return {
        f"{name}_p{part}_ms": ordered[min(len(ordered) - 1, len(ordered) * part // 100)] * 1000 for part in (50, 99)
    }
