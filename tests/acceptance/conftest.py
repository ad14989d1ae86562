"""
Real gateways with their fictitious partners, for the tests that knock at every door: one embedded, one in production mode.

The partners are registered as in production: private_key_jwt, and tokens bound to a key by DPoP with the server's nonces.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
import uuid
from collections.abc import Callable, Iterator
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
from gateway.auth.client_dpop import DpopKey
from gateway.auth.profile import Security
from gateway.store.database import Database
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
_TABLES = (
    "documents",
    "exchanges",
    "deliveries",
    "agreements",
    "objections",
    "conventions",
    "convention_signatures",
    "convention_marks",
)
_SECONDS = 10
"""No answer takes longer, on a machine that does eight other things; alone, the slowest case takes one."""

MARK = "Zorglubine"
"""Stands in everything hostile that the tests send: no answer repeats it."""


@dataclass(slots=True)
class Desk:
    """A gateway in processes of its own, and the partners' means to write anything at all to it."""

    gateway: GatewayProcess
    partners: dict[str, Partner]
    http: httpx.Client = field(repr=False)
    queues: str
    _tokens: dict[tuple[str, str], tuple[float, str]] = field(default_factory=dict, repr=False)

    def token(self, who: str, scope: str = "") -> str:
        """A live token of a partner, bound to its key (DPoP), with all its scopes or those asked for."""
        until, token = self._tokens.get((who, scope), (0.0, ""))
        if until < time.monotonic():
            form = self.form(who) | ({"scope": scope} if scope else {})
            answer = self.http.post("/oauth2/token", data=form, auth=self.key(who))
            assert 200 == answer.status_code, answer.text
            until, token = time.monotonic() + 200, answer.json()["access_token"]
            self._tokens[who, scope] = until, token
        return token

    def key(self, who: str) -> DpopKey:
        """The key that a partner's tokens are bound to: proves token requests, and with a token every other request."""
        key = self.partners[who].dpop
        assert key is not None
        return key

    def proven(self, who: str, method: str, path: str, *, scope: str = "", token: str = "") -> dict[str, str]:
        """The two headers by which a partner sends its token, or another text in its place, with a proof for this request."""
        request = httpx.Request(method, self.gateway.address + path)
        next(self.key(who).with_token(token or self.token(who, scope)).auth_flow(request))
        return {name: request.headers[name] for name in ("Authorization", "DPoP")}

    def form(self, who: str) -> dict[str, str]:
        """What a partner posts to get a token."""
        partner = self.partners[who]
        return {
            "grant_type": "client_credentials",
            "client_assertion_type": _ASSERTION_TYPE,
            "client_assertion": client_assertion(partner.client_id, self.gateway.address, partner.pem, KID),
        }

    def call(self, who: str, method: str, path: str, *, scope: str = "", **options: Any) -> httpx.Response:
        """Send one request as a partner, with its own words in place of its token if `options` (httpx) have an Authorization."""
        if "Authorization" in dict(options.get("headers", {})):
            return self.http.request(method, path, **options)
        return self.http.request(method, path, auth=self.key(who).with_token(self.token(who, scope)), **options)

    def done(self, who: str, method: str, path: str, **options: Any) -> dict[str, Any]:
        """Send one request that must succeed; gives the body of its answer."""
        answer = self.call(who, method, path, **options)
        assert answer.status_code < 300, f"{method} {path}: {answer.text}"
        body: dict[str, Any] = answer.json()
        return body

    def counts(self) -> dict[str, int]:
        """How many rows hold what was taken in."""

        async def count() -> dict[str, int]:
            database = Database(self.gateway.database)
            async with database.read() as tx:
                queries = {name: sa.select(sa.func.count()).select_from(sa.table(name)) for name in _TABLES}
                found = {name: int((await tx.execute(query)).scalar_one()) for name, query in queries.items()}
            await database.close()
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


def urgent_convention(name: str, *sirets: str) -> bytes:
    """A convention in which each party may send the next one a referral, with the person's agreement or in an emergency."""
    dpo = {"dpo": {"name": "Déléguée à la protection des données", "email": "dpo@valombre.example"}}
    party = {"name": "Partie", "role": "autre", "nir_entitled": False, "contacts": dpo}
    emergency = {"hours": 24, "review_days": 7, "categories": ["identity"], "ground": "RGPD art. 6(1)(d)"}
    flow = {
        "kind": "referral",
        "purposes": ["follow_up"],
        "legal_basis": "accord",
        "agreement": "required",
        "categories": ["identity"],
        "break_glass": emergency,
    }
    ways = zip(sirets, [*sirets[1:], sirets[0]], strict=True)
    document = {
        "kind": "convention",
        "schema_version": "1.1",
        "id": name,
        "version": 1,
        "title": "Urgences",
        "parties": [party | {"siret": siret} for siret in sirets],
        "legal_bases": [{"id": "accord", "rgpd": "6.1.a", "text": "RGPD", "article": "6"}],
        "purposes": ["follow_up"],
        "flows": [flow | {"id": f"vers-{to}", "from": sender, "to": to} for sender, to in ways],
        "retention": [{"class": "proactive", "months": 12}],
        "validity": {"from": "2026-01-01", "until": "2030-12-31"},
        "channels": ["api", "mailbox"],
    }
    return json.dumps(document).encode()


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


def check_refusal(answer: httpx.Response, status: int, code: str = "") -> dict[str, Any]:
    """
    Check that an answer is a problem of RFC 9457 that helps: French, English, a code, an address, and nothing that was sent.

    Gives its body. At the FHIR addresses the problem is an OperationOutcome, at the OAuth ones an error of RFC 6749.
    """
    assert status == answer.status_code, answer.text
    assert MARK not in answer.text and MARK not in str(answer.headers)
    assert not re.search(r'Traceback|File "|sqlalchemy|asyncpg|lxml|pydantic', answer.text)
    body: dict[str, Any] = answer.json()
    if "error" in body:
        assert answer.request.url.path.startswith("/oauth2/")
        french, english, said = body["message_fr"], body["error_description"], body["error"]
    elif answer.request.url.path.startswith("/fhir/R4/"):
        assert "application/fhir+json" == answer.headers["content-type"] and "OperationOutcome" == body["resourceType"]
        first = body["issue"][0]
        french, english, said = first["details"]["text"], first["diagnostics"], first["details"]["coding"][0]["code"]
    else:
        assert "application/problem+json" == answer.headers["content-type"]
        french, english, said = body["detail"], body["detail_en"], body["code"]
        assert status == body["status"]
        assert f"/problems/{said}" == body["type"][-len(said) - 10 :]
        assert f"urn:uuid:{answer.headers['x-correlation-id']}" == body["instance"]
        assert body["title"] and body["title_en"]
    assert french.endswith(".") and english.endswith(".") and french != english
    assert code in ("", said), answer.text
    return body


@pytest.fixture(scope="session")
def refused() -> Callable[..., dict[str, Any]]:
    """Check a refusal: `refused(answer, status, code)`."""
    return check_refusal


@pytest.fixture(scope="module")
def nothing_taken_in(desk: Desk, story: Story) -> Iterator[None]:
    """Whatever the tests of the module send, no document, agreement or convention is added or lost."""
    before = desk.counts()
    yield
    assert before == desk.counts()
    assert desk.http.get("/readyz").json() == {"status": "ok", "faults": [], "warnings": []}
    assert story.referral == desk.done("caf", "GET", f"/v1/exchanges/{story.exchange}")["document_id"]


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
    """A gateway with five partners and their conventions in force, as talkative as it can be (debug log, traces)."""
    directory = tmp_path_factory.mktemp(request.param)
    settings = {
        "TDU_LOG_LEVEL": "debug",
        "TDU_OTEL_EXPORTER": "console",
        "TDU_LEASE_SECONDS": "3600",  # the story's lease lasts as long as the tests that look at it
        "TDU_BUS_PREFIX": f"doors-{uuid.uuid4().hex[:8]}",
    }
    server, database = None, f"tdu_doors_{uuid.uuid4().hex[:12]}"
    if request.param == "production":
        server = request.getfixturevalue("postgres_url")
        asyncio.run(_administer(server, f"CREATE DATABASE {database}"))
        url = make_url(server).set(database=database)
        settings["TDU_DATABASE_URL"] = url.render_as_string(hide_password=False)
        settings["TDU_BUS_URL"] = request.getfixturevalue("amqp_url")
    with started(directory, settings) as gateway, httpx.Client(base_url=gateway.address, timeout=_SECONDS) as http:
        partners = asyncio.run(_partners(gateway))
        desk = Desk(gateway, partners, http, settings["TDU_BUS_PREFIX"])
        model = (files("consent") / "models" / "tznr-caf-departement.yaml").read_bytes()
        # Attachments are among what may leave, for the tests that send some.
        _sign(desk, "caf", "departement", model.replace(b"[identity, nir,", b"[attachments, identity, nir,", 1))
        _sign(desk, "caf", "association", (files("consent") / "models" / "tznr-caf-association.yaml").read_bytes())
        _sign(desk, "ccas", "operator", convention_text(CCAS, OPERATOR, "tznr-valombre-ccas-operateur"))
        _sign(desk, "caf", "departement", urgent_convention("urgence-caf-departement", CAF, DEPARTEMENT))
        _sign(desk, "ccas", "operator", urgent_convention("urgence-ccas-operateur", CCAS, OPERATOR))
        _sign(desk, "association", "operator", urgent_convention("urgence-association", ASSOCIATION, OPERATOR))
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
        lease, deliveries = (
            mailbox["lease"],
            [item for item in mailbox["deliveries"] if item["exchange"] == taken["exchange"]],
        )
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
            word: await Partner.registered(gateway, http, siret, name, f"{word}-valombre", adapter, Security())
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
