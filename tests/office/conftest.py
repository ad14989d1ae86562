"""
A gateway in this process with four partners and an auditor, and a calendar that the tests turn.

One gateway a database serves all these tests: each has its own people, and time only goes on.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc.jwk import ECKey
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine

from consent.conventions.files import read
from consent.conventions.signature import sign, verify_signature
from consent.ledger.event import Event
from consent.ledger.note import Cosigner
from consent.tables import ledger_events
from gateway.app import create_app
from gateway.auth.client import Token, fetch_token
from gateway.auth.profile import TRIAL
from gateway.auth.registry import add_partner, add_system, get_partner
from gateway.composition import Role, assemble
from gateway.keys import Keys, generate
from gateway.records import place
from gateway.runtime import Runtime
from gateway.settings import Settings
from gateway.store import conventions, subjects
from gateway.store.tables import deliveries
from ops.migrations import METADATA

CAF, DEPARTEMENT, ASSOCIATION, CCAS, OPERATOR = (
    "99900001100018",
    "99900002900010",
    "99900003700013",
    "99900004500016",
    "99900009400014",
)
PARTNERS = {
    "caf": (CAF, "CAF de Valombre", ["partner"]),
    "departement": (DEPARTEMENT, "Département de Valombre", ["partner"]),
    "association": (ASSOCIATION, "Association Le Relais de Valombre", ["partner"]),
    "ccas": (CCAS, "CCAS de Valombre-Ville", ["partner"]),
    "auditor": (OPERATOR, "Opérateur de la passerelle", ["auditor"]),
    "administrator": (OPERATOR, "Opérateur de la passerelle", ["administrator"]),
}
ISSUER = "http://127.0.0.1:8080"
KID = "1"


@dataclass
class Clock:
    """The time of the gateway: the machine's, some years late, so that the tests may move it on and stay in the past."""

    late: timedelta = timedelta(days=8000)

    def __call__(self) -> datetime:
        return datetime.now(UTC) - self.late

    def advance(self, **amount: float) -> None:
        """Move on, never beyond the machine's own time."""
        self.late -= timedelta(**amount)
        assert self.late >= timedelta(0)

    def text(self, **later: float) -> str:
        """The time as documents write it, moved by an amount."""
        return (self() + timedelta(**later)).isoformat(timespec="seconds")


@dataclass
class Office:
    """A gateway and its partners."""

    runtime: Runtime
    http: httpx.AsyncClient = field(repr=False)
    clock: Clock
    pems: dict[str, bytes] = field(repr=False)
    tokens: dict[str, Token] = field(default_factory=dict, repr=False)

    async def call(self, who: str, method: str, path: str, **options: Any) -> httpx.Response:
        """Send one request as a partner."""
        if who not in self.tokens:
            self.tokens[who] = await fetch_token(
                self.http, issuer=ISSUER, client_id=who, private_key_pem=self.pems[who], kid=KID
            )
        return await self.http.request(method, path, headers=self.tokens[who].headers, **options)

    async def narrowed(self, who: str, scope: str) -> Token:
        """A token that opens less than the partner may have."""
        return await fetch_token(
            self.http, issuer=ISSUER, client_id=who, private_key_pem=self.pems[who], kid=KID, scope=scope
        )

    async def done(self, who: str, method: str, path: str, **options: Any) -> dict[str, Any]:
        """Send one request that must succeed."""
        answer = await self.call(who, method, path, **options)
        assert answer.status_code < 300, f"{method} {path}: {answer.text}"
        return dict(answer.json())

    async def refused(self, who: str, method: str, path: str, status: int, **options: Any) -> dict[str, Any]:
        """Send one request that must be refused with a status; gives the problem."""
        answer = await self.call(who, method, path, **options)
        assert status == answer.status_code, answer.text
        return dict(answer.json())

    async def faults(self, who: str, document: dict[str, Any]) -> list[tuple[str, str]]:
        """What is wrong with an agreement: code and pointer of each fault."""
        body = await self.refused(who, "POST", "/v1/consents", 422, json=document)
        assert body["code"] in ("document_invalid", "agreement_incomplete")
        return [(error["code"], error["pointer"]) for error in body["errors"]]

    async def received(self, who: str, delivery: str, *, acknowledge: bool = True) -> dict[str, Any]:
        """Take a delivery from a partner's mailbox once it is there; everything else that was there is acknowledged."""
        for _ in range(100):
            mailbox = await self.done(who, "GET", "/v1/mailbox?limit=200")
            found = None
            for each in mailbox["deliveries"]:
                if each["id"] == delivery:
                    found = each
                if each["id"] != delivery or acknowledge:
                    await self.done(who, "POST", f"/v1/mailbox/{each['id']}/ack")
            if found:
                return dict(found)
            await asyncio.sleep(0.05)
        raise AssertionError(f"the delivery never came to {who}")

    async def state(self, delivery: str) -> str:
        """The state of a delivery, once the bus has brought it."""
        query = sa.select(deliveries.c.state).where(deliveries.c.id == delivery)
        for _ in range(200):
            async with self.runtime.services.database.read() as tx:
                state = str((await tx.execute(query)).scalar_one())
            if state != "queued":
                return state
            await asyncio.sleep(0.05)
        raise AssertionError("the bus never brought the delivery")

    async def events(self, about: str, *types: str) -> list[Event]:
        """The events of some types that name an agreement, a delivery, a document or a subject's own word, in order, opened."""
        services = self.runtime.services
        query = sa.select(ledger_events).where(ledger_events.c.type.in_(types)).order_by(ledger_events.c.seq)
        async with services.database.read() as tx:
            rows = (await tx.execute(query)).all()
            keys = await subjects.data_keys(tx, {row.subject_id for row in rows if row.subject_id}, services.vault)
        rows = [row for row in rows if row.sealed]  # what was erased, or is older than the trace, says nothing any more
        raw = [keys.get(row.subject_id, services.vault.own).open(row.sealed, place(row.id)) for row in rows]
        return [Event.from_canonical(each) for each in raw if about.encode() in each]

    async def row(self, table: sa.Table, **wanted: str) -> Any:
        """The only row of a table with some values, or None."""
        query = sa.select(table).where(*(table.c[name] == value for name, value in wanted.items()))
        async with self.runtime.services.database.read() as tx:
            return (await tx.execute(query)).one_or_none()

    async def keep(self) -> dict[str, int]:
        """Let the keeper do what is due; gives what it did."""
        done = await self.runtime.keeper.once()
        return {name: count for name, count in done.items() if count}

    def person(self, **traits: Any) -> dict[str, Any]:
        """Somebody nobody knows yet."""
        name = f"Personne{uuid.uuid4().hex[:8]}"
        return {"birth_name": name, "given_names": ["Camille"], "birth_date": "1980-05-17", "sex": "female"} | traits

    def consent(self, siret: str = ASSOCIATION, /, **changes: Any) -> dict[str, Any]:
        """An agreement on paper to let the association know; a property given as `...` is left out."""
        at = self.clock.text(minutes=-5)
        document = {
            "kind": "consent",
            "schema_version": "1.0",
            "id": str(uuid.uuid4()),
            "created_at": at,
            "purpose": "inform_about_rights",
            "subject": self.person(),
            "agreement_type": "consent",
            "state": "given",
            "collected_by": {"siret": siret},
            "collected_at": at,
            "channel": "paper",
            "evidence": {"level": "document_kept", "kind": "paper_scan", "sha256": "ab" * 32},
            "text": {"version": "accord-relais-1", "sha256": "cd" * 32, "language": "fr"},
            "scopes": [
                {
                    "id": "faire-le-point",
                    "purposes": ["inform_about_rights"],
                    "kinds": ["referral", "bilan"],
                    "categories": ["exchange", "identity", "needs", "rights"],
                    "recipients": [ASSOCIATION],
                }
            ],
            "valid_from": at,
            "duration": "one_year",
        }
        return {name: value for name, value in (document | changes).items() if value is not ...}

    def referral(self, subject: dict[str, Any], **changes: Any) -> dict[str, Any]:
        """A referral that the CAF may send to the association for somebody who agreed, to the département for anybody."""
        document = {
            "kind": "referral",
            "schema_version": "1.0",
            "id": str(uuid.uuid4()),
            "created_at": self.clock.text(),
            "sender": {"siret": CAF},
            "recipients": [{"siret": ASSOCIATION}],
            "purpose": "inform_about_rights",
            "subject": subject,
            "rights": [{"right": "rsa", "state": "to_request"}],
        }
        return document | changes

    async def send(self, subject: dict[str, Any], who: str = "caf", **changes: Any) -> dict[str, Any]:
        """Send a referral; gives what was said of its first recipient, and the document's id."""
        [told] = (await self.done(who, "POST", "/v1/referrals", json=self.referral(subject, **changes)))["exchanges"]
        return told["recipients"][0] | {"document": told["document"], "exchange": told["exchange"]}

    @staticmethod
    def model(name: str, text: str = "", instead: str = "") -> str:
        """A model convention in force since long ago, with one passage changed."""
        written = (files("consent") / "models" / f"{name}.yaml").read_text(encoding="utf-8")
        assert text in written and "from: 2026-01-01" in written
        return written.replace("from: 2026-01-01", "from: 2000-01-01").replace(text or "\0", instead)

    async def in_force(self, first: str, second: str, text: str) -> None:
        """Put a convention in force between two partners, as long ago as the tests go back."""
        convention, now = read(text.encode()), self.clock() - timedelta(days=1)
        async with self.runtime.services.database.write() as tx:
            await conventions.add(tx, convention, PARTNERS[first][0], now)
            for who in (first, second):
                siret, pem = PARTNERS[who][0], self.pems[who]
                jws = sign(dict(convention.document), pem, siret, KID)
                verified = verify_signature(jws, dict(convention.document), _jwks(pem))
                await conventions.sign(tx, convention, siret, verified.kid, jws, now)
        self.tokens.clear()


@asynccontextmanager
async def opened(directory: Path, database_url: str, **more: Any) -> AsyncIterator[Office]:
    """An office whose keeper only comes when it is asked."""
    clock = Clock()
    settings = Settings(data_dir=directory, database_url=database_url, issuer=ISSUER, keeper_seconds=86_400, **more)
    generate(settings)
    runtime = assemble(settings, Keys.load(settings), clock=clock)
    async with runtime.services.database.engine.begin() as connection:
        for metadata in METADATA:
            await connection.run_sync(metadata.create_all)
    pems = {who: _pem() for who in PARTNERS}
    async with runtime.services.database.write() as tx:
        for who, (siret, name, roles) in PARTNERS.items():
            jwks = _jwks(pems[who])
            if await get_partner(tx, siret) is None:
                await add_partner(tx, siret=siret, name=name, signing_jwks=jwks, now=clock())
            await add_system(
                tx, client_id=who, partner=siret, name="Logiciel", jwks=jwks, roles=roles, security=TRIAL, now=clock()
            )
    app = create_app(runtime, Role.ALL)
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url=ISSUER, timeout=30) as http,
    ):
        office = Office(runtime, http, clock, pems)
        await office.in_force("caf", "association", office.model("tznr-caf-association"))
        await office.in_force("caf", "departement", office.model("tznr-caf-departement"))
        yield office


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def one_database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One empty database of each kind for all these tests."""
    if request.param == "sqlite":
        yield f"sqlite+aiosqlite:///{tmp_path_factory.mktemp('office') / 'gateway.sqlite'}"
        return
    server, name = request.getfixturevalue("postgres_url"), f"tdu_office_{uuid.uuid4().hex[:12]}"
    asyncio.run(_administer(server, f"CREATE DATABASE {name}"))
    yield make_url(server).set(database=name).render_as_string(hide_password=False)
    asyncio.run(_administer(server, f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture
async def unwitnessed_office(database_url: str, tmp_path: Path) -> AsyncIterator[Office]:
    """A gateway whose only witness never answers."""
    key = Cosigner("temoin.example/w1", Ed25519PrivateKey.generate()).verifier
    policy = tmp_path / "policy"
    policy.write_text(f"witness w1 {key.vkey} http://127.0.0.1:1\nquorum w1\n")
    async with opened(tmp_path, database_url, ledger_policy=policy) as office:
        yield office


@pytest.fixture(scope="session")
async def office(
    one_database: str, tmp_path_factory: pytest.TempPathFactory, events_follow_their_schemas: Any
) -> AsyncIterator[Office]:
    """A gateway on each kind of database."""
    async with opened(tmp_path_factory.mktemp("office"), one_database) as office:
        yield office
        await events_follow_their_schemas(office.runtime.services)


async def _administer(url: str, statement: str) -> None:
    engine = create_async_engine(url, isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        await connection.execute(sa.text(statement))
    await engine.dispose()


def _pem() -> bytes:
    key = generate_private_key(SECP256R1())
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _jwks(pem: bytes) -> dict[str, Any]:
    return {"keys": [ECKey.import_key(pem, {"kid": KID, "use": "sig"}).as_dict(private=False)]}
