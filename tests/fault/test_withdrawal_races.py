"""
A withdrawal against sends that race with it: once it has answered, nothing more is accepted on that ground.
"""

from __future__ import annotations

import asyncio
import json
import random
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc.jwk import OKPKey

from adapters import registry as adapters
from consent.conventions.files import read
from consent.conventions.signature import sign, verify_signature
from gateway import agreements
from gateway.app import Runtime, assemble
from gateway.auth.caller import Caller
from gateway.exchange import receive
from gateway.keys import Keys, generate
from gateway.settings import Settings
from gateway.store import conventions
from gateway.store.idempotency import Attempt
from gateway.store.tables import deliveries
from ops.migrations import migrate

CAF, ASSOCIATION = "99900001100018", "99900003700013"
ROUNDS = 12
SENDS = 12
NO_KEY = Attempt("client", None, b"")


def _caller(partner: str) -> Caller:
    scopes = frozenset({"referral:send", "consent:send"})
    return Caller(f"client-{partner}", partner, "logiciel", scopes, frozenset({"partner"}), "token")


def _subject(number: int) -> dict[str, Any]:
    return {"birth_name": f"Personne{number}", "given_names": ["Camille"], "birth_date": "1980-05-17", "sex": "female"}


def _referral(number: int) -> dict[str, Any]:
    return {
        "kind": "referral",
        "schema_version": "1.0",
        "id": str(uuid.uuid4()),
        "created_at": "2026-11-23T09:00:00+01:00",
        "sender": {"siret": CAF},
        "recipients": [{"siret": ASSOCIATION}],
        "purpose": "inform_about_rights",
        "subject": _subject(number),
        "rights": [{"right": "rsa", "state": "to_request"}],
    }


def _consent(number: int) -> dict[str, Any]:
    return {
        "kind": "consent",
        "schema_version": "1.0",
        "id": str(uuid.uuid4()),
        "created_at": "2026-06-01T09:00:00+02:00",
        "purpose": "inform_about_rights",
        "subject": _subject(number),
        "agreement_type": "consent",
        "state": "given",
        "collected_at": "2026-06-01T09:00:00+02:00",
        "channel": "in_person",
        "evidence": {"level": "document_kept"},
        "text": {"version": "accord-1", "sha256": "0" * 64, "language": "fr"},
        "scopes": [
            {
                "id": "tout",
                "purposes": ["inform_about_rights"],
                "kinds": ["referral"],
                "categories": ["identity", "rights"],
                "recipients": [ASSOCIATION],
            }
        ],
        "valid_from": "2026-06-01T09:00:00+02:00",
        "valid_until": "2036-06-01T09:00:00+02:00",
    }


async def _put_in_force(runtime: Runtime) -> None:
    convention = read((Path(__file__).parents[2] / "consent" / "models" / "tznr-caf-association.yaml").read_bytes())
    now = datetime(2026, 6, 1, tzinfo=UTC)
    async with runtime.services.database.write() as tx:
        await conventions.add(tx, convention, CAF, now)
        for party in (CAF, ASSOCIATION):
            key = Ed25519PrivateKey.generate()
            pem = key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            jws = sign(dict(convention.document), pem, party, "1")
            jwks = {"keys": [OKPKey.import_key(pem, {"kid": "1"}).as_dict(private=False)]}
            await conventions.sign(
                tx, convention, party, verify_signature(jws, dict(convention.document), jwks).kid, jws, now
            )


async def _accepted(runtime: Runtime) -> int:
    async with runtime.services.database.read() as tx:
        query = sa.select(sa.func.count()).where(deliveries.c.state != "refused", deliveries.c.kind == "referral")
        return int((await tx.execute(query)).scalar_one())


async def _race(runtime: Runtime, number: int, chance: random.Random) -> tuple[int, int]:
    """One person: sends at random moments, a withdrawal among them; gives what was accepted when it answered, and at the end."""
    services = runtime.services
    sender = {"siret": ASSOCIATION, "name": "Association"}
    given = await agreements.record_agreement(_consent(number), sender, _caller(ASSOCIATION), NO_KEY, services)

    async def send() -> None:
        await asyncio.sleep(chance.uniform(0, 0.05))
        raw = json.dumps(_referral(number)).encode()
        caf = {"siret": CAF, "name": "CAF"}
        await receive(
            raw, adapter=adapters.get("shared-json"), sender=caf, caller=_caller(CAF), attempt=NO_KEY, services=services
        )

    async def withdraw() -> int:
        await asyncio.sleep(chance.uniform(0, 0.05))
        await agreements.withdraw(given["id"], None, "in_person", _caller(ASSOCIATION), NO_KEY, services)
        return await _accepted(runtime)

    at_answer, *_ = await asyncio.gather(withdraw(), *(send() for _ in range(SENDS)))
    return at_answer, await _accepted(runtime)


def test_nothing_is_accepted_after_the_withdrawal_answered(database_url: str, tmp_path: Path) -> None:
    """Sends and a withdrawal of the same person run together, many times: what was accepted at its answer is all there will be."""

    async def run() -> list[tuple[int, int]]:
        settings = Settings(data_dir=tmp_path, database_url=database_url, issuer="http://127.0.0.1:8080")
        generate(settings)
        runtime = assemble(settings, Keys.load(settings))
        await migrate(runtime.services.database)
        await _put_in_force(runtime)
        chance = random.Random(2026)
        rounds = [await _race(runtime, number, chance) for number in range(ROUNDS)]
        await runtime.services.database.close()
        return rounds

    rounds = asyncio.run(run())
    assert [at_answer for at_answer, _ in rounds] == [at_end for _, at_end in rounds]
    assert 0 < rounds[-1][1] < ROUNDS * SENDS


@pytest.mark.parametrize("clock_is_late", [True, False])
def test_a_late_clock_does_not_hide_a_withdrawal(clock_is_late: bool, database_url: str, tmp_path: Path) -> None:
    """A machine whose clock is an hour behind refuses too: what is committed has happened."""

    async def run() -> str:
        settings = Settings(data_dir=tmp_path, database_url=database_url, issuer="http://127.0.0.1:8080")
        generate(settings)
        keys = Keys.load(settings)
        ahead = assemble(settings, keys, clock=lambda: datetime(2026, 11, 23, 10, tzinfo=UTC))
        await migrate(ahead.services.database)
        await _put_in_force(ahead)
        sender = {"siret": ASSOCIATION, "name": "Association"}
        given = await agreements.record_agreement(_consent(1), sender, _caller(ASSOCIATION), NO_KEY, ahead.services)
        await agreements.withdraw(given["id"], None, "in_person", _caller(ASSOCIATION), NO_KEY, ahead.services)
        late = assemble(settings, keys, clock=lambda: datetime(2026, 11, 23, 9 if clock_is_late else 11, tzinfo=UTC))
        raw = json.dumps(_referral(1)).encode()
        caf = {"siret": CAF, "name": "CAF"}
        taken = await receive(
            raw,
            adapter=adapters.get("shared-json"),
            sender=caf,
            caller=_caller(CAF),
            attempt=NO_KEY,
            services=late.services,
        )
        for runtime in (ahead, late):
            await runtime.services.database.close()
        return str(taken.body["exchanges"][0]["recipients"][0]["reasons"][0]["code"])

    assert asyncio.run(run()) == "agreement_withdrawn"
