"""
`tdu bench ingest`: what a gateway takes in a second, with everything it must do, beside two applications that do far less.

Each request is a referral of 2 kB about a person who agreed, with its DPoP proof: proof and token checked, validated, gated against
the conventions and agreements stored, projected, encrypted, committed with its ledger event and outbox row, answered after the commit.
The three take turns on the same PostgreSQL, with as many workers and connections; the embedded mode is measured beside them.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from joserfc import jwt
from joserfc.jwk import ECKey

from adapters.cnaf_rsa.fictitious import FictitiousPerson, fictitious_people
from ops.bench import references
from ops.bench.load import Answered, load
from ops.bench.measured import Goal, Measured, Say
from ops.bench.postgres import empty_database
from ops.bench.territory import UNLIMITED, referral, request, sent, territory
from ops.demo.gateway_process import free_port, started

WORKERS: Final = 2
CONNECTIONS: Final = 32
ROUNDS: Final = 3
REQUESTS: Final = 4_000
"""Of one round of one application: a few seconds."""


def run(say: Say) -> Measured:
    """Measure, each application in its turn, round after round; the figures are the medians."""
    with tempfile.TemporaryDirectory(prefix="tdu-bench-") as directory, empty_database() as url:
        asyncio.run(references.prepare(url))
        return asyncio.run(_measure(Path(directory), url, say))


async def _measure(directory: Path, url: str, say: Say) -> Measured:
    (directory / "production").mkdir()
    (directory / "embedded").mkdir()
    settings = UNLIMITED | {"TDU_DATABASE_URL": url}
    with (
        started(directory / "production", settings, roles=("api",), workers=WORKERS) as production,
        started(directory / "embedded", UNLIMITED) as embedded,
        _application("bare", url) as bare,
        _application("usual", url) as usual,
    ):
        async with territory(production) as sender, territory(embedded) as alone:
            rates: dict[str, list[float]] = {"gateway": [], "bare": [], "usual": [], "embedded": []}
            for number in range(ROUNDS + 1):
                say(f"tour {number}/{ROUNDS}")
                for name, answered in {
                    "gateway": await sent(sender, REQUESTS, CONNECTIONS),
                    "bare": load(bare.port, bare.requests(REQUESTS), connections=CONNECTIONS),
                    "usual": load(usual.port, usual.requests(REQUESTS // 4), connections=CONNECTIONS),
                    "embedded": await sent(alone, REQUESTS // 2, CONNECTIONS),
                }.items():
                    if number:  # the first round fills caches, pools and prepared statements
                        rates[name].append(answered.per_s(202))
                    say(f"  {name} {answered.per_s(202):.0f}/s")
            half = statistics.median(rates["gateway"]) / 2
            say(f"à mi-charge, {half:.0f}/s")
            paced = await sent(sender, int(half * 8), CONNECTIONS, rate=half)
            paced.per_s(202)
    return _result({name: statistics.median(each) for name, each in rates.items()}, paced)


def _result(rates: dict[str, float], paced: Answered) -> Measured:
    figures = {f"{name}_per_s": rate for name, rate in rates.items()}
    figures |= {
        "bare_ratio": rates["gateway"] / rates["bare"],
        "usual_ratio": rates["gateway"] / rates["usual"],
        "embedded_ratio": rates["embedded"] / rates["gateway"],
        "half_load_p50_ms": paced.p50_ms,
        "half_load_p99_ms": paced.p99_ms,
    }
    bounds = {"bare_ratio": 0.6, "usual_ratio": 4.0, "embedded_ratio": 0.5}
    goals = {name: Goal(figures[name], bound) for name, bound in bounds.items()}
    goals["half_load_p99_ms"] = Goal(paced.p99_ms, 25.0, at_most=True)
    return Measured(figures, goals)


@dataclass(frozen=True, slots=True)
class _Reference:
    port: int
    token: str
    people: list[FictitiousPerson]

    def requests(self, count: int) -> list[bytes]:
        """The same body, with a bearer token; each with an id of its own."""
        return [
            request(
                self.port,
                json.dumps(referral(self.people[rank % len(self.people)], rank)).encode(),
                [f"Authorization: Bearer {self.token}"],
            )
            for rank in range(count)
        ]


@contextmanager
def _application(name: str, url: str) -> Iterator[_Reference]:
    pem = generate_private_key(SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    token = jwt.encode({"alg": "ES256"}, {"sub": "bench", "exp": int(time.time()) + 3600}, ECKey.import_key(pem))
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", f"ops.bench.references:{name}", "--factory", "--workers", str(WORKERS)]
    environment = os.environ | {references.DATABASE: url, references.KEY: pem.decode()}
    options = ["--port", str(port), "--log-level", "warning", "--loop", "uvloop", "--http", "httptools"]
    with subprocess.Popen([*command, *options], env=environment) as process:
        try:
            _wait(port)
            yield _Reference(port, token, fictitious_people(200, seed=7))
        finally:
            process.terminate()


def _wait(port: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.1)
    raise RuntimeError("a reference application did not start")
