"""
The runbook of backups, run as it is written: an old backup is restored, nobody who was erased comes back, nothing that was
published is contradicted, and a new log goes on from there.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url

from consent.ledger.event import EventType
from consent.ledger.mark import Mark
from consent.ledger.note import Verifier
from consent.tables import ledger_events
from consent.verify import verify_receipt
from gateway.app import create_app
from gateway.auth.caller import Caller
from gateway.composition import Role, assemble, running
from gateway.keys import Keys, generate
from gateway.person.erasure import Asked, certificate_of, erase_all
from gateway.records import place
from gateway.runtime import Runtime
from gateway.settings import Settings
from gateway.store import subjects as people
from gateway.store.crypto import Vault
from gateway.store.database import Database
from gateway.store.subjects import Identity
from gateway.store.tables import documents, subject_data_keys
from ops.demo.gateway_process import GatewayProcess, free_port
from ops.demo.partner import Partner
from ops.migrations import migrate

RUNBOOK = Path(__file__).parents[2] / "ops" / "runbooks" / "backups.md"
BLOCKS = dict(re.findall(r"```sh ([a-z-]+)\n(.*?)```", RUNBOOK.read_text("utf-8"), re.DOTALL))
CAF, DEPARTEMENT, OPERATOR = "99900001100018", "99900002900010", "99900009400014"
ADDRESS = "http://127.0.0.1:8080"
OLD = "passerelle.exemple.fr/journal"


@dataclass
class Place:
    """Where a gateway lives: its directory, its database, its backups, and which of the runbook's blocks were run."""

    directory: Path
    kind: str
    urls: list[str]
    ran: set[str] = field(default_factory=set)

    @property
    def settings(self) -> dict[str, str]:
        """The settings of the gateway, on its present database."""
        own = {"TDU_LEDGER_ORIGIN": OLD, "TDU_LEDGER_MARKS": str(self.directory / "marks")}
        return own | ({"TDU_DATABASE_URL": self.urls[0]} if self.urls else {})

    @property
    def environment(self) -> dict[str, str]:
        """What the commands of the runbook are given."""
        own = {"TDU_DATA_DIR": str(self.directory / "data"), "TDU_ISSUER": ADDRESS, **self.settings}
        copies, keys, bin_ = (self.directory / name for name in ("copies", "cles", "bin"))
        for each in (copies, keys, bin_):
            each.mkdir(exist_ok=True)
        (bin_ / "tdu").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m ops.cli "$@"\n')
        (bin_ / "tdu").chmod(0o755)
        bases = {"BASE": str(self.directory / "data" / "trait-dunion.sqlite")}
        if self.urls:
            bases = {name: _libpq(url) for name, url in zip(("BASE", "NEUVE"), self.urls, strict=False)}
        outside = {name: value for name, value in os.environ.items() if not name.startswith("TDU_")}
        return (
            outside | own | bases | {"COPIES": str(copies), "CLES": str(keys), "PATH": f"{bin_}:{os.environ['PATH']}"}
        )

    def run(self, block: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run one block of the runbook, as it is written there."""
        self.ran.add(block)
        return subprocess.run(
            ["/bin/sh", "-ec", BLOCKS[block]],
            cwd=self.directory,
            env=self.environment | more,
            capture_output=True,
            text=True,
            check=False,
        )

    def read(self, query: Callable[[Any], Awaitable[Any]]) -> Any:
        """Read something in the database."""

        async def work() -> Any:
            database = Database(
                Settings(data_dir=self.directory / "data", database_url="".join(self.urls[:1])).database
            )
            try:
                async with database.read() as tx:
                    return await query(tx)
            finally:
                await database.close()

        return asyncio.run(work())


def _libpq(url: str) -> str:
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


@pytest.fixture(params=["sqlite", "postgresql"])
def restored(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """A gateway's place on each database."""
    make = request.getfixturevalue("new_postgres") if request.param == "postgresql" else None
    yield Place(tmp_path, request.param, [make(), make()] if make else [])


@asynccontextmanager
async def working(place_: Place, origin: str) -> AsyncIterator[tuple[Runtime, GatewayProcess, httpx.AsyncClient]]:
    """The gateway of a place, at work in this process."""
    settings = Settings(
        data_dir=place_.directory / "data",
        database_url="".join(place_.urls[:1]),
        issuer=ADDRESS,
        ledger_origin=origin,
        ledger_marks=place_.directory / "marks",
    )
    generate(settings)
    runtime = assemble(settings, Keys.load(settings))
    await migrate(runtime.services.database)
    app = create_app(runtime)
    gateway = GatewayProcess(ADDRESS, {}, settings.database, place_.directory / "gateway.log")
    async with running(runtime, Role.ALL), httpx.AsyncClient(transport=httpx.ASGITransport(app)) as http:
        yield runtime, gateway, http


async def registered(gateway: GatewayProcess, http: httpx.AsyncClient) -> list[Partner]:
    """The CAF and the département, with their convention in force."""
    names = ((CAF, "CAF de Valombre", "caf"), (DEPARTEMENT, "Département de Valombre", "departement"))
    partners = [
        await Partner.registered(gateway, http, siret, name, client_id, "shared-json")
        for siret, name, client_id in names
    ]
    text = (files("consent") / "models" / "tznr-caf-departement.yaml").read_bytes()
    await partners[0].propose(text)
    for partner in partners:
        await partner.sign(text)
    return partners


async def referred(partners: list[Partner], new_referral: Any) -> tuple[dict[str, Any], str]:
    """The CAF refers somebody to the département, which takes it; gives the person and the receipt."""
    document = new_referral(recipients=[{"siret": DEPARTEMENT}])
    sent = await partners[0].call("POST", "/v1/referrals", json=document)
    await partners[1].pull(1)
    return document["subject"], await partners[0].receipt(sent.json()["exchanges"][0]["exchange"])


async def erase(runtime: Runtime, subject: dict[str, Any]) -> None:
    """Erase somebody, and wait for the certificate under a published head."""
    caller = Caller("tdu", OPERATOR, "tdu", frozenset(), frozenset(), "")
    sender = {"siret": OPERATOR, "name": "Exploitant"}
    [done] = await erase_all([Asked(subject, "", "person_request")], sender, caller, runtime.services)
    assert done is not None
    await certificate_of(done["id"], runtime.services)


@dataclass
class Before:
    """What was there before the disaster: the log's key and size, the partners, who was erased, and two receipts."""

    vkey: str
    published: int
    partners: list[Partner]
    erased: dict[str, Any]
    kept_receipt: str
    lost_receipt: str


async def before(place_: Place, new_referral: Any) -> Before:
    """Two people are referred, the backup is taken, a third one is referred, and the first one is erased."""
    async with working(place_, OLD) as (runtime, gateway, http):
        partners = await registered(gateway, http)
        erased, _ = await referred(partners, new_referral)
        _, kept = await referred(partners, new_referral)
        done = await asyncio.to_thread(place_.run, f"{place_.kind}-backup")
        assert 0 == done.returncode, done.stderr
        _, lost = await referred(partners, new_referral)
        await erase(runtime, erased)
        vkey = runtime.signer.vkey
    signed = Mark(place_.directory / "marks", Verifier.parse(vkey)).read()
    assert signed is not None
    return Before(vkey, signed.size, partners, erased, kept, lost)


async def after(place_: Place, origin: str, known: Before, new_referral: Any) -> tuple[str, str]:
    """The same partners go on under the new log, where the erased person is a stranger; gives its key and a receipt."""
    async with working(place_, origin) as (runtime, gateway, http):
        for partner in known.partners:
            partner.http, partner.gateway, partner.token = http, gateway, None
        _, receipt = await referred(known.partners, new_referral)
        services = runtime.services
        async with services.database.read() as tx:
            assert None is await people.find(tx, Identity.of(known.erased, CAF, services.vault))
        return runtime.signer.vkey, receipt


def readable(place_: Place) -> int:
    """How many documents some data key opens."""

    async def query(tx: Any) -> int:
        vault = Vault(Keys.load(Settings(data_dir=place_.directory / "data")).ring)
        joined = sa.select(documents, subject_data_keys.c.kek, subject_data_keys.c.wrapped).join(
            subject_data_keys, documents.c.subject_id == subject_data_keys.c.subject_id
        )
        rows = (await tx.execute(joined)).all()
        for row in rows:
            vault.unwrap(row.subject_id, row.kek, row.wrapped)
        return len(rows)

    return int(place_.read(query))


def opening(place_: Place) -> dict[str, Any]:
    """The body of the event that opened the new log."""
    vault = Vault(Keys.load(Settings(data_dir=place_.directory / "data")).ring)
    query = sa.select(ledger_events).where(ledger_events.c.type == EventType.KEY_ROTATED)
    row = place_.read(lambda tx: tx.execute(query.order_by(ledger_events.c.seq.desc()).limit(1))).one()
    return dict(json.loads(vault.own.open(row.sealed, place(row.id)))["body"])


def refusal(place_: Place) -> tuple[str, int]:
    """Start the gateway on what was restored; gives what it logged once it refused to sign, and the status of /readyz."""
    port = free_port()
    words, log = [sys.executable, "-m", "ops.cli", "serve"], place_.directory / "refused.log"
    with (
        log.open("wb") as output,
        subprocess.Popen(
            words, env=place_.environment | {"TDU_PORT": str(port)}, stdout=output, stderr=output
        ) as process,
    ):
        try:
            deadline = time.monotonic() + 120
            while "sequencer_refused" not in (told := log.read_text()) and time.monotonic() < deadline:
                assert process.poll() is None, told
                time.sleep(0.1)
            return told, httpx.get(f"http://127.0.0.1:{port}/readyz").status_code
        finally:
            process.terminate()


def test_every_command_of_the_runbook_is_in_a_block_that_is_run_here() -> None:
    """No block has another name than those that the test below runs, and all of them are there."""
    kinds = [f"{kind}-{step}" for kind in ("postgresql", "sqlite") for step in ("backup", "restore")]
    assert {*kinds, "resume", "check"} == set(BLOCKS)
    assert RUNBOOK.read_text("utf-8").count("```") == 2 * len(BLOCKS)


def test_a_restored_backup_brings_nobody_back_and_contradicts_nothing(restored: Place, new_referral: Any) -> None:
    """Back up, go on, erase somebody, restore: they stay unreadable, nothing is signed until a new log is opened, and it goes on."""
    known = asyncio.run(before(restored, new_referral))
    assert 2 == readable(restored)  # the one kept, the one that will be lost
    done = restored.run(f"{restored.kind}-restore")
    assert 0 == done.returncode, done.stderr
    restored.urls.reverse()
    assert 2 == readable(restored)  # the keys are of the day of the backup: the erased person is back, until it starts
    told, status = refusal(restored)
    assert 503 == status
    assert f"{known.published} were signed already" in told
    assert "tdu ledger open-new" in told
    assert 1 == readable(restored)
    resumed = restored.run("resume")
    assert 0 == resumed.returncode, resumed.stderr
    opened = json.loads(resumed.stdout)
    previous = tuple(opened[f"previous_{name}"] for name in ("origin", "vkey", "size"))
    assert (OLD, known.vkey, known.published) == previous
    assert opened["kept"] < known.published
    vkey, fresh_receipt = asyncio.run(after(restored, opened["origin"], known, new_referral))
    assert vkey == opened["vkey"]
    told = opening(restored)
    assert (OLD, known.vkey, "log_succeeded") == (told["previous_origin"], told["previous_vkey"], told["change"])
    assert told["previous_checkpoint"].startswith(f"{OLD}\n{known.published}\n")
    checked = restored.run("check", TDU_LEDGER_ORIGIN=opened["origin"])
    assert 0 == checked.returncode, checked.stdout + checked.stderr
    for receipt in (known.kept_receipt, known.lost_receipt):
        assert verify_receipt(receipt.encode(), known.vkey).ok
        assert not verify_receipt(receipt.encode(), vkey).ok
    assert verify_receipt(fresh_receipt.encode(), vkey).ok
