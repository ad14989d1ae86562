"""
What it costs to know who is speaking: an access token and a DPoP proof verified as the gateway does, beside joserfc alone
verifying the same signatures with the same keys, in the same run. And whether the time of a 404 tells that an identifier is
another partner's, at a running gateway: on SQLite, and on PostgreSQL too where `TDU_TEST_POSTGRES_URL` says one.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import tempfile
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from joserfc import jwt
from joserfc.jwk import ECKey
from joserfc.util import urlsafe_b64encode

from gateway.auth.access_token import AccessTokens
from gateway.auth.dpop import Proofs, Target
from gateway.auth.profile import TRIAL
from gateway.auth.registry import System
from gateway.auth.token_grant import Mandate
from gateway.auth.token_keys import HeldKey, HeldKeys
from gateway.store.database import Database
from ops.bench import strangers
from ops.bench.measured import Goal, Measured, Say, microseconds
from ops.migrations import migrate

_ISSUER: Final = "https://passerelle.example.org"
_ADDRESS: Final = _ISSUER + "/v1/exchanges"
_USES: Final = 500
"""Proofs recorded as used, in the embedded mode's database."""


def run(say: Say) -> Measured:
    """What verifying costs, then what the times of the refusals tell."""
    parts = [_verification(say), strangers.run(say, postgresql=False)]
    if os.environ.get("TDU_TEST_POSTGRES_URL"):
        parts.append(strangers.run(say, postgresql=True))
    figures = {name: value for part in parts for name, value in part.figures.items()}
    return Measured(figures, {name: goal for part in parts for name, goal in part.goals.items()})


def _verification(say: Say) -> Measured:
    """Microseconds of processor time a verification; then the milliseconds in which a proof is recorded as used."""
    now = datetime.now(UTC)
    key, holder = ECKey.generate_key("P-256", {"kid": "bench"}), ECKey.generate_key("P-256")
    system = System("caf", "99900001100018", "Logiciel", {"keys": []}, frozenset({"partner"}), "a", TRIAL)
    tokens = AccessTokens(_ISSUER, HeldKeys([HeldKey(key)]), lambda: now)
    mandate = Mandate("99900001100018", "exchange:read", _ISSUER, confirmation={"jkt": holder.thumbprint()})
    token, shown = tokens.issue(system, mandate), holder.as_dict(private=False)
    with tempfile.TemporaryDirectory(prefix="tdu-bench-") as directory:
        database = Database(f"sqlite+aiosqlite:///{Path(directory) / 'auth.sqlite'}")
        proofs = Proofs(database, b"secret", lambda: now)
        proof = _proof(holder, token, proofs.nonces.current(), int(now.timestamp()))
        target = Target("GET", _ADDRESS, token)
        say("verification")
        ours, alone, proven, bare, signed = microseconds(
            partial(tokens.read, token),
            partial(jwt.decode, token, key, algorithms=["ES256"]),
            partial(proofs.read, [proof], target),
            # A proof brings its key: whoever verifies it has to read that key first.
            lambda: jwt.decode(proof, ECKey.import_key(shown), algorithms=["ES256"]),
            partial(tokens.issue, system, mandate),
        )
        say("single use")
        alone_ms, together_ms = asyncio.run(_uses(database, proofs, holder, token, int(now.timestamp())))
    figures = {
        "token_us": ours,
        "token_joserfc_us": alone,
        "token_ratio": ours / alone,
        "proof_us": proven,
        "proof_joserfc_us": bare,
        "proof_ratio": proven / bare,
        "issue_us": signed,
        "proof_used_alone_ms": alone_ms,
        "proof_used_together_ms": together_ms,
    }
    goals = {
        "token_ratio": Goal(figures["token_ratio"], 2.0, at_most=True),
        "proof_ratio": Goal(figures["proof_ratio"], 2.0, at_most=True),
    }
    return Measured(figures, goals)


async def _uses(database: Database, proofs: Proofs, holder: ECKey, token: str, now: int) -> tuple[float, float]:
    """Record proofs one after the other, then all at once: what one costs, in milliseconds, disk included."""
    await migrate(database)
    target, nonce = Target("GET", _ADDRESS, token), proofs.nonces.current()
    read = [proofs.read([_proof(holder, token, nonce, now)], target) for _ in range(2 * _USES)]
    begun = time.perf_counter()
    for proof in read[:_USES]:
        await proofs.spend(proof.use())
    between = time.perf_counter()
    await asyncio.gather(*(proofs.spend(proof.use()) for proof in read[_USES:]))
    ended = time.perf_counter()
    await database.close()
    return (between - begun) / _USES * 1e3, (ended - between) / _USES * 1e3


def _proof(holder: ECKey, token: str, nonce: str, now: int) -> str:
    claims: dict[str, Any] = {
        "htm": "GET",
        "htu": _ADDRESS,
        "iat": now,
        "jti": str(uuid4()),
        "nonce": nonce,
        "ath": urlsafe_b64encode(hashlib.sha256(token.encode()).digest()).decode(),
    }
    header = {"typ": "dpop+jwt", "alg": "ES256", "jwk": holder.as_dict(private=False)}
    return jwt.encode(header, claims, holder, algorithms=["ES256"])
