"""
A withdrawal against sends that race with it: once it has answered, nothing more is accepted on that ground.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
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
from consent.tables import agreements as agreement_rows
from gateway import agreements, withdrawal
from gateway.auth.caller import Caller
from gateway.composition import assemble
from gateway.exchange import receive
from gateway.keys import Keys, generate
from gateway.runtime import Runtime
from gateway.settings import Settings
from gateway.store import conventions
from gateway.store.idempotency import Attempt
from gateway.store.tables import deliveries
from ops.migrations import migrate

CAF, ASSOCIATION = "99900001100018", "99900003700013"
INTERLEAVINGS = 10_000 if os.environ.get("TDU_FAULTS") == "all" else 240
"""Sends that race with a withdrawal in one run; `make faults` makes ten thousand, on each database."""

SENDS = 6
"""Of these, how many about one person."""

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


@dataclass(frozen=True, slots=True)
class Raced:
    """One person's race: what was accepted when the withdrawal answered, and at the end; and what a later send was answered."""

    at_answer: int
    at_end: int
    later: str


async def _accepted(runtime: Runtime, agreement_id: str) -> int:
    """How many referrals were accepted about the person of an agreement."""
    of_person = sa.select(agreement_rows.c.subject_id).where(agreement_rows.c.id == agreement_id).scalar_subquery()
    async with runtime.services.database.read() as tx:
        query = sa.select(sa.func.count()).where(
            deliveries.c.state != "refused", deliveries.c.kind == "referral", deliveries.c.subject_id == of_person
        )
        return int((await tx.execute(query)).scalar_one())


async def _send(runtime: Runtime, number: int) -> str:
    """Send a referral about a person; gives what became of it."""
    taken = await receive(
        json.dumps(_referral(number)).encode(),
        adapter=adapters.get("shared-json"),
        sender={"siret": CAF, "name": "CAF"},
        caller=_caller(CAF),
        attempt=NO_KEY,
        services=runtime.services,
    )
    return str(taken.body["exchanges"][0]["state"])


async def _race(api: Sequence[Runtime], number: int, chance: random.Random) -> Raced:
    """One person: sends at random moments by every process, a withdrawal among them by one of them, one send after it."""
    sender, spread = {"siret": ASSOCIATION, "name": "Association"}, chance.choice([0.002, 0.01, 0.04])
    given = await agreements.record_agreement(_consent(number), sender, _caller(ASSOCIATION), NO_KEY, api[0].services)

    async def send(runtime: Runtime) -> None:
        await asyncio.sleep(chance.uniform(0, spread))
        await _send(runtime, number)

    async def withdraw(runtime: Runtime) -> int:
        await asyncio.sleep(chance.uniform(0, spread))
        await withdrawal.withdraw(given["id"], None, "in_person", _caller(ASSOCIATION), NO_KEY, runtime.services)
        return await _accepted(runtime, given["id"])

    sends = [send(api[rank % len(api)]) for rank in range(SENDS)]
    at_answer, *_ = await asyncio.gather(withdraw(chance.choice(api)), *sends)
    later = await _send(chance.choice(api), number)
    return Raced(at_answer, await _accepted(api[0], given["id"]), later)


def test_nothing_is_accepted_after_the_withdrawal_answered(database_url: str, tmp_path: Path) -> None:
    """
    Sends and a withdrawal of the same person run together in two processes' worth of gateway, many times: what was accepted
    when the withdrawal answered is all there will ever be, and what comes after is refused.
    """

    async def run() -> list[Raced]:
        settings = Settings(data_dir=tmp_path, database_url=database_url, issuer="http://127.0.0.1:8080")
        generate(settings)
        keys = Keys.load(settings)
        api = [assemble(settings, keys) for _ in range(2)]
        await migrate(api[0].services.database)
        await _put_in_force(api[0])
        chance, raced = random.Random(2026), list[Raced]()

        async def some(people: range) -> None:
            for number in people:
                raced.append(await _race(api, number, chance))

        # Several people at a time: groups of sends and withdrawals of different people share transactions.
        await asyncio.gather(*(some(range(rank, INTERLEAVINGS // SENDS, 4)) for rank in range(4)))
        for runtime in api:
            await runtime.services.database.close()
        return raced

    raced = asyncio.run(run())
    assert len(raced) * SENDS >= INTERLEAVINGS - SENDS
    assert [race for race in raced if race.at_end > race.at_answer] == []
    assert {"refused"} == {race.later for race in raced}
    # The races were races: sends came before and after withdrawals, sometimes both for one person.
    assert 0 < sum(race.at_end for race in raced) < len(raced) * SENDS
    assert any(0 < race.at_end < SENDS for race in raced)


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
        await withdrawal.withdraw(given["id"], None, "in_person", _caller(ASSOCIATION), NO_KEY, ahead.services)
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
