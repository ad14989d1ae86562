"""
Whatever step fails, once: nothing accepted is lost, nothing has its effect twice, nothing is disclosed without its event.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections import Counter
from collections.abc import Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
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
from consent.ledger.export import export
from consent.tables import ledger_events
from consent.verify import verify_directory
from gateway.acknowledgement import acknowledge
from gateway.auth.caller import Caller
from gateway.composition import Role, assemble, running
from gateway.exchange import deliver, receive
from gateway.keys import Keys, generate
from gateway.runtime import Runtime
from gateway.settings import Settings
from gateway.store import conventions
from gateway.store.idempotency import Attempt
from gateway.store.tables import deliveries, documents, exchanges, outbox
from gateway.taken import waiting
from ops.migrations import migrate

CAF, DEPARTEMENT = "99900001100018", "99900002900010"
SCOPES = frozenset({"referral:send", "bilan:send", "mailbox:read"})
STEPS = [
    "receive.translated",
    "receive.validated",
    "receive.found",
    "receive.decided",
    "receive.recorded",
    "receive.answered",
    "receive.committed",
    "courier.taken",
    "courier.recorded",
    "deliver.taken",
    "deliver.decided",
    "deliver.translated",
    "deliver.recorded",
    "deliver.committed",
    "acknowledge.recorded",
]


class Crash(Exception):
    """What happens at the step under test."""


class FailsOnce:
    """A fault point that raises the first time its step is reached."""

    def __init__(self, step: str) -> None:
        self.step = step
        self.reached = False

    def __call__(self, name: str) -> None:
        if name == self.step and not self.reached:
            self.reached = True
            raise Crash(name)


def _caller(partner: str) -> Caller:
    return Caller(f"client-{partner}", partner, "logiciel", SCOPES, frozenset({"partner"}), "token")


def _referral(number: int) -> dict[str, Any]:
    return {
        "kind": "referral",
        "schema_version": "1.0",
        "id": str(uuid.UUID(int=number, version=4)),
        "created_at": "2026-11-23T09:00:00+01:00",
        "sender": {"siret": CAF},
        "purpose": "inform_about_rights",
        "subject": {
            "birth_name": f"Personne{number}",
            "given_names": ["Camille"],
            "birth_date": "1980-05-17",
            "sex": "female",
        },
        "rights": [{"right": "rsa", "state": "to_request"}],
    }


async def _put_in_force(runtime: Runtime) -> None:
    """Sign the model convention between the CAF and the département, each with a key made here."""
    text = (Path(__file__).parents[2] / "consent" / "models" / "tznr-caf-departement.yaml").read_bytes()
    convention = read(text)
    now = datetime(2026, 6, 1, tzinfo=UTC)
    async with runtime.services.database.write() as tx:
        await conventions.add(tx, convention, CAF, now)
        for party in (CAF, DEPARTEMENT):
            key = Ed25519PrivateKey.generate()
            pem = key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            jws = sign(dict(convention.document), pem, party, "1")
            jwks = {"keys": [OKPKey.import_key(pem, {"kid": "1"}).as_dict(private=False)]}
            verified = verify_signature(jws, dict(convention.document), jwks)
            await conventions.sign(tx, convention, party, verified.kid, jws, now)


async def _until(condition: Callable[[], Any], seconds: float = 30) -> None:
    """Wait until an asynchronous condition holds."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not await condition():
        assert asyncio.get_running_loop().time() < deadline, "it never came true"
        await asyncio.sleep(0.05)


async def _insisting(work: Callable[[], Any]) -> Any:
    """Do as a partner's system does: try again when the answer was lost."""
    try:
        return await work()
    except Crash:
        return await work()


@asynccontextmanager
async def _gateway(settings: Settings, fault: FailsOnce) -> Any:
    generate(settings)
    runtime = assemble(settings, Keys.load(settings), fault_point=fault)
    await migrate(runtime.services.database)
    await _put_in_force(runtime)
    async with running(runtime, Role.ALL):
        yield runtime


async def _journey(runtime: Runtime, count: int) -> None:
    """Send, receive and acknowledge some referrals, insisting whenever something fails."""
    services = runtime.services
    flow = b"\n".join(json.dumps(_referral(number)).encode() for number in range(1, count + 1))
    attempt = Attempt("client", "key-of-this-send", services.vault.request_digest(flow))
    shared = adapters.get("shared-json")
    sender = {"siret": CAF, "name": "CAF de Valombre"}

    async def send() -> Any:
        return await receive(
            flow, adapter=shared, sender=sender, caller=_caller(CAF), attempt=attempt, services=services
        )

    accepted = (await _insisting(send)).body
    assert accepted["accepted"] == count

    recipient = _caller(DEPARTEMENT)
    for _ in range(10):
        await _until(lambda: waiting(recipient, services, None))
        handed = await _insisting(
            lambda: deliver(caller=recipient, adapter=shared, limit=count, kinds=None, services=services)
        )
        if handed.parcels:
            await _insisting(partial(acknowledge, recipient, handed.lease, services))
        async with services.database.read() as tx:
            left = sa.select(sa.func.count()).where(deliveries.c.state != "acknowledged")
            if (await tx.execute(left)).scalar_one() == 0:
                return


async def _accounts(runtime: Runtime, directory: Path, count: int) -> None:
    """Count everything, and verify the log as an outsider does."""
    services = runtime.services

    async def sequenced() -> bool:
        async with services.database.read() as tx:
            waiting = sa.select(sa.func.count()).where(ledger_events.c.index.is_(None))
            return bool((await tx.execute(waiting)).scalar_one() == 0)

    async def relayed() -> bool:
        async with services.database.read() as tx:
            return bool((await tx.execute(sa.select(sa.func.count()).select_from(outbox))).scalar_one() == 0)

    await _until(sequenced)
    await _until(relayed)
    async with services.database.read() as tx:
        for table in (documents, exchanges, deliveries):
            assert (await tx.execute(sa.select(sa.func.count()).select_from(table))).scalar_one() == count
        rows = (await tx.execute(sa.select(deliveries))).all()
        events = Counter((row.type, row.delivery_id) for row in await tx.execute(sa.select(ledger_events)))
        accepted = sum(number for (kind, _), number in events.items() if kind == "exchange_accepted")
        await export(tx, directory, runtime.signer.vkey)
    assert {row.state for row in rows} == {"acknowledged"}
    assert accepted == count
    for row in rows:
        assert events[("disclosure_made", row.id)] == row.disclosures >= 1
        assert events[("disclosure_acknowledged", row.id)] == 1
    assert verify_directory(directory, runtime.signer.vkey).ok


@pytest.mark.parametrize("step", STEPS)
def test_a_failure_at_any_step_loses_nothing_and_doubles_nothing(step: str, database_url: str, tmp_path: Path) -> None:
    """Each step raises once, the partner insists, and all accounts are right at the end."""

    async def run() -> None:
        fault = FailsOnce(step)
        settings = Settings(
            data_dir=tmp_path, database_url=database_url, issuer="http://127.0.0.1:8080", lease_seconds=1
        )
        async with _gateway(settings, fault) as runtime:
            await _journey(runtime, 5)
            await _accounts(runtime, tmp_path / "journal", 5)
        assert fault.reached

    asyncio.run(run())
