"""
Real gateways with their fictitious partners, for the tests that knock at every door: one embedded, one in production mode.
"""

from __future__ import annotations

import asyncio
import base64
import json
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine

from gateway.auth.client import client_assertion
from ops.demo.gateway_process import GatewayProcess, started
from ops.demo.partner import KID, Partner

CAF, DEPARTEMENT, ASSOCIATION = "99900001100018", "99900002900010", "99900003700013"
CCAS, OPERATOR = "99900004500016", "99900009400014"
_PARTNERS = {
    "caf": (CAF, "CAF de Valombre", "shared-json"),
    "departement": (DEPARTEMENT, "Département de Valombre", "webrsa-orientation"),
    "association": (ASSOCIATION, "Association Le Relais de Valombre", "shared-json"),
    "ccas": (CCAS, "CCAS de Valombre-Ville", "cnaf-rsa"),
    "operator": (OPERATOR, "Opérateur de la passerelle", "shared-json"),
}
_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@dataclass(slots=True)
class Desk:
    """A gateway in processes of its own, and the partners' means to write anything at all to it."""

    gateway: GatewayProcess
    partners: dict[str, Partner]
    http: httpx.Client = field(repr=False)
    queues: str
    _tokens: dict[tuple[str, str], tuple[float, str]] = field(default_factory=dict, repr=False)

    def token(self, who: str, scope: str = "") -> str:
        """A live token of a partner, with all its scopes or those asked for."""
        until, token = self._tokens.get((who, scope), (0.0, ""))
        if until < time.monotonic():
            answer = self.http.post("/oauth2/token", data=self.form(who) | ({"scope": scope} if scope else {}))
            assert 200 == answer.status_code, answer.text
            until, token = time.monotonic() + 200, answer.json()["access_token"]
            self._tokens[who, scope] = until, token
        return token

    def form(self, who: str) -> dict[str, str]:
        """What a partner posts to get a token."""
        partner = self.partners[who]
        return {
            "grant_type": "client_credentials",
            "client_assertion_type": _ASSERTION_TYPE,
            "client_assertion": client_assertion(partner.client_id, self.gateway.address, partner.pem, KID),
        }

    def call(self, who: str, method: str, path: str, *, scope: str = "", **options: Any) -> httpx.Response:
        """Send one request as a partner; `options` are those of httpx."""
        headers = {"Authorization": f"Bearer {self.token(who, scope)}"} | dict(options.pop("headers", {}))
        return self.http.request(method, path, headers=headers, **options)

    def done(self, who: str, method: str, path: str, **options: Any) -> dict[str, Any]:
        """Send one request that must succeed; gives the body of its answer."""
        answer = self.call(who, method, path, **options)
        assert answer.status_code < 300, f"{method} {path}: {answer.text}"
        body: dict[str, Any] = answer.json()
        return body

    def counts(self) -> dict[str, int]:
        """How many rows what must not change holds: an accepted document, its deliveries, its proof."""

        async def count() -> dict[str, int]:
            engine = create_async_engine(self.gateway.database)
            async with engine.connect() as connection:
                names = ("documents", "exchanges", "deliveries", "agreements", "objections", "conventions", "ledger_events")
                found = {
                    name: (await connection.execute(sa.select(sa.func.count()).select_from(sa.table(name)))).scalar_one()
                    for name in names
                }
            await engine.dispose()
            return found

        return asyncio.run(count())


@dataclass(frozen=True, slots=True)
class Story:
    """What a short story left behind: the ids that belong to some partners and to nobody else."""

    referral: str
    exchange: str
    delivery: str
    lease: str
    consent: str
    convention: str
    document: dict[str, Any]


def convention_text(first: str, second: str, name: str) -> bytes:
    """The model convention of a CAF and a département, between two other parties."""
    model = (files("consent") / "models" / "tznr-caf-departement.yaml").read_text()
    renamed = model.replace(CAF, first).replace(DEPARTEMENT, second)
    return renamed.replace("tznr-valombre-caf-departement", name).encode()


def referral_document(**changes: Any) -> dict[str, Any]:
    """A referral as the CAF may send it to the département; a property given as `...` is left out."""
    document = {
        "kind": "referral",
        "schema_version": "1.0",
        "id": str(uuid.uuid4()),
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "sender": {"siret": CAF},
        "purpose": "inform_about_rights",
        "subject": {
            "birth_name": f"Personne{uuid.uuid4().hex[:8]}",
            "given_names": ["Camille"],
            "birth_date": "1980-05-17",
            "sex": "female",
        },
        "rights": [{"right": "rsa", "state": "to_request"}],
    }
    return {name: value for name, value in (document | changes).items() if value is not ...}


def consent_document(collector: str, recipients: list[str], **changes: Any) -> dict[str, Any]:
    """An agreement collected in person; a property given as `...` is left out."""
    now = datetime.now(UTC) - timedelta(minutes=5)
    at = now.isoformat(timespec="seconds")
    document = {
        "kind": "consent",
        "schema_version": "1.0",
        "id": str(uuid.uuid4()),
        "created_at": at,
        "purpose": "inform_about_rights",
        "subject": referral_document()["subject"],
        "agreement_type": "consent",
        "state": "given",
        "collected_by": {"siret": collector},
        "collected_at": at,
        "channel": "in_person",
        "evidence": {"level": "document_kept", "kind": "paper_scan", "sha256": "ab" * 32},
        "text": {"version": "accord-2026", "sha256": "ab" * 32, "language": "fr"},
        "scopes": [
            {
                "id": "faire-le-point",
                "purposes": ["inform_about_rights", "follow_up"],
                "kinds": ["referral", "bilan"],
                "categories": ["exchange", "identity", "contact", "needs", "rights", "situation"],
                "recipients": recipients,
            }
        ],
        "valid_from": at,
        "duration": "one_year",
    }
    return {name: value for name, value in (document | changes).items() if value is not ...}


@pytest.fixture(scope="session")
def new_referral() -> Any:
    """Make referrals that the CAF may send: `new_referral(**changes)`."""
    return referral_document


@pytest.fixture(scope="session")
def new_consent() -> Any:
    """Make agreements: `new_consent(collector, recipients, **changes)`."""
    return consent_document


@pytest.fixture(scope="session")
def new_convention() -> Any:
    """Write conventions between two parties: `new_convention(first, second, name)`."""
    return convention_text


@pytest.fixture(scope="session", params=["embedded", "production"])
def desk(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A gateway with five partners and two conventions in force, as talkative as it can be (debug log, traces)."""
    directory = tmp_path_factory.mktemp(request.param)
    settings = {"TDU_LOG_LEVEL": "debug", "TDU_OTEL_EXPORTER": "console", "TDU_BUS_PREFIX": f"doors-{uuid.uuid4().hex[:8]}"}
    server, database = None, f"tdu_doors_{uuid.uuid4().hex[:12]}"
    if request.param == "production":
        server = request.getfixturevalue("postgres_url")
        asyncio.run(_administer(server, f"CREATE DATABASE {database}"))
        url = make_url(server).set(database=database)
        settings["TDU_DATABASE_URL"] = url.render_as_string(hide_password=False)
        settings["TDU_BUS_URL"] = request.getfixturevalue("amqp_url")
    with started(directory, settings) as gateway, httpx.Client(base_url=gateway.address, timeout=30) as http:
        partners = asyncio.run(_partners(gateway))
        desk = Desk(gateway, partners, http, settings["TDU_BUS_PREFIX"])
        _sign(desk, "caf", "departement", (files("consent") / "models" / "tznr-caf-departement.yaml").read_bytes())
        _sign(desk, "caf", "association", (files("consent") / "models" / "tznr-caf-association.yaml").read_bytes())
        _sign(desk, "ccas", "operator", convention_text(CCAS, OPERATOR, "tznr-valombre-ccas-operateur"))
        yield desk
    if server:
        asyncio.run(_administer(server, f"DROP DATABASE {database} WITH (FORCE)"))


@pytest.fixture(scope="session")
def story(desk: Desk) -> Story:
    """A referral goes from the CAF to the département, which answers; the CAF records an agreement."""
    document = referral_document(recipients=[{"siret": DEPARTEMENT}])
    taken = desk.done("caf", "POST", "/v1/referrals", json=document)["exchanges"][0]
    lease, deliveries = "", []
    while not deliveries:
        mailbox = desk.done("departement", "GET", "/v1/mailbox?limit=200&wait=10")
        lease, deliveries = mailbox["lease"], [item for item in mailbox["deliveries"] if item["exchange"] == taken["exchange"]]
    desk.done("departement", "POST", f"/v1/referrals/{taken['document']}/status", json={"status": "accepted"})
    consent = consent_document(CAF, [ASSOCIATION, CAF], subject=document["subject"])
    desk.done("caf", "POST", "/v1/consents", json=consent)
    return Story(
        referral=taken["document"],
        exchange=taken["exchange"],
        delivery=deliveries[0]["id"],
        lease=lease,
        consent=consent["id"],
        convention="tznr-valombre-caf-departement",
        document=document,
    )


async def _partners(gateway: GatewayProcess) -> dict[str, Partner]:
    async with httpx.AsyncClient() as http:
        return {
            word: await Partner.registered(gateway, http, siret, name, f"{word}-valombre", adapter)
            for word, (siret, name, adapter) in _PARTNERS.items()
        }


def _sign(desk: Desk, first: str, second: str, text: bytes) -> None:
    async def sign() -> None:
        async with httpx.AsyncClient() as http:
            for rank, word in enumerate((first, second)):
                partner = desk.partners[word]
                partner.http = http
                if rank == 0:
                    await partner.propose(text)
                state = await partner.sign(text)
            assert "valid" == state

    asyncio.run(sign())


async def _administer(url: str, statement: str) -> None:
    engine = create_async_engine(url, isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        await connection.execute(sa.text(statement))
    await engine.dispose()
