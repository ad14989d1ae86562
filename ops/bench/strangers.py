"""
Whether the time of a 404 tells that an identifier exists: another partner's beside one that nobody has, at a running gateway.

A partner who is party to nothing asks for both over one connection kept open, by turns in random order, as somebody would who
looks for the difference. The rank-sum statistic says whether there is one, whatever the shape of the delays.
"""

from __future__ import annotations

import asyncio
import http.client
import math
import random
import statistics
import tempfile
import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import httpx

from ops.bench.measured import Goal, Measured, Say
from ops.bench.postgres import empty_database
from ops.bench.territory import UNLIMITED, sent, territory
from ops.demo.gateway_process import GatewayProcess, started
from ops.demo.partner import Partner

_KNOWN: Final = 20
"""Identifiers that are another's, and as many identifiers that are nobody's."""

_PAIRS: Final = 1_000
"""Of requests, for each address."""

_WARM: Final = 50
"""Pairs sent before those that count: pools, caches and prepared statements are filled."""

_LARGEST_Z: Final = 4.0
"""Two equal delays give more once in 16,000 runs."""

_STRANGER: Final = "99900004500016"
_ADDRESSES: Final = {
    "exchange": "/v1/exchanges/{}",
    "receipt": "/v1/exchanges/{}/receipt",
    "delivery": "/v1/deliveries/{}",
    "agreement": "/v1/consents/{}",
    "agreement_receipt": "/v1/consents/{}/receipt",
    "convention": "/v1/conventions/{}",
    "endpoint": "/v1/endpoints/{}",
    "source": "/v1/sources/{}",
}


def run(say: Say, *, postgresql: bool) -> Measured:
    """Ask an embedded gateway, or one on PostgreSQL; `_ms` are medians, `rank_sum_z` is without its sign."""
    kind = "postgresql" if postgresql else "sqlite"
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tdu-bench-")))
        settings = dict(UNLIMITED)
        if postgresql:
            settings["TDU_DATABASE_URL"] = stack.enter_context(empty_database())
        gateway = stack.enter_context(started(directory, settings))
        known, token = asyncio.run(_known(gateway))
        figures: dict[str, float] = {}
        goals: dict[str, Goal] = {}
        for name, address in _ADDRESSES.items():
            theirs, missing = _timed(gateway, address, known[name], token)
            figure, z = f"{name}_404_{kind}", abs(rank_sum_z(theirs, missing))
            medians = statistics.median(theirs), statistics.median(missing)
            figures |= {f"{figure}_other_ms": medians[0] * 1e3, f"{figure}_missing_ms": medians[1] * 1e3}
            figures |= {f"{figure}_ratio": medians[0] / medians[1], f"{figure}_rank_sum_z": z}
            goals[f"{figure}_rank_sum_z"] = Goal(z, _LARGEST_Z, at_most=True)
            say(f"{figure} : {medians[0] / medians[1]:.3f}, z = {z:.1f}")
    return Measured(figures, goals)


def rank_sum_z(first: Sequence[float], second: Sequence[float]) -> float:
    """
    The rank-sum statistic of Wilcoxon, Mann and Whitney as a standard normal deviate: above zero when `first` is larger.

    Its normal approximation, for samples of twenty and more; equal values share their ranks, without correction of the variance.
    """
    values = sorted([(value, 0) for value in first] + [(value, 1) for value in second])
    total, start = 0.0, 0
    while start < len(values):
        end = start
        while end < len(values) and values[end][0] == values[start][0]:
            end += 1
        total += (start + 1 + end) / 2 * sum(1 - side for _, side in values[start:end])
        start = end
    n, m = len(first), len(second)
    return (total - n * (n + m + 1) / 2) / math.sqrt(n * m * (n + m + 1) / 12)


async def _known(gateway: GatewayProcess) -> tuple[Mapping[str, Sequence[str]], str]:
    """Have exchanges go between two partners; gives their identifiers by address, and the token of a third partner."""
    async with territory(gateway) as sender, httpx.AsyncClient(timeout=60) as http:
        exchanges = [exchange for exchange, _, _ in (await sent(sender, _KNOWN, connections=2)).taken]
        shown = [(await sender.partner.call("GET", f"/v1/exchanges/{exchange}")).json() for exchange in exchanges]
        deliveries = [part["id"] for each in shown for part in each["deliveries"]]
        listed = (await sender.recipient.call("GET", f"/v1/consents?limit={_KNOWN}")).json()["consents"]
        stranger = await Partner.registered(gateway, http, _STRANGER, "Un CCAS", "bench-ccas", "shared-json")
        token = (await stranger.signed_in()).access_token
    agreements = [each["id"] for each in listed]
    system, convention = [sender.partner.client_id], ["tznr-valombre-caf-association"]
    known = {"exchange": exchanges, "receipt": exchanges, "delivery": deliveries, "agreement": agreements}
    return known | {
        "agreement_receipt": agreements,
        "convention": convention,
        "endpoint": system,
        "source": system,
    }, token


def _timed(
    gateway: GatewayProcess, address: str, known: Sequence[str], token: str
) -> tuple[Sequence[float], Sequence[float]]:
    """Seconds of each answer: to what is another's, and to what is nobody's; raises `RuntimeError` unless all are 404."""
    connection = http.client.HTTPConnection(gateway.address.removeprefix("http://"), timeout=30)
    missing = [str(uuid.uuid4()) for _ in known]
    taken: tuple[list[float], list[float]] = [], []
    for rank in range(_WARM + _PAIRS):
        for side in random.sample((0, 1), 2):
            path = address.format((known, missing)[side][rank % len(known)])
            begun = time.perf_counter()
            connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
            answer = connection.getresponse()
            answer.read()
            taken[side].append(time.perf_counter() - begun)
            if answer.status != 404:
                raise RuntimeError(f"{address}: {answer.status} instead of 404")
    connection.close()
    return taken[0][_WARM:], taken[1][_WARM:]
