"""
A gateway reduced to its access side, on both databases, with fictitious partners and every kind of key.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from uuid import uuid4

import httpx
import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import Depends, FastAPI, Request
from joserfc import jws
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine
from starlette.responses import JSONResponse

from consent.tables import metadata as consent_metadata
from gateway.auth.authority import Auth
from gateway.auth.caller import Caller
from gateway.auth.certificates import Certificates
from gateway.auth.details import ExchangeDetail
from gateway.auth.errors import AuthError
from gateway.auth.profile import TRIAL, Binding, Profile, Security
from gateway.auth.registry import System, add_partner, add_system, disable_system
from gateway.auth.resource import requires
from gateway.auth.rights import NOTHING, Granted
from gateway.auth.router import create_auth_router
from gateway.auth.scopes import Scopes
from gateway.auth.token_keys import HeldKey, HeldKeys
from gateway.store.database import Database, Transaction
from gateway.store.tables import metadata

ISSUER = "https://passerelle.example.org"
CAF, ASSOCIATION = "99900001100018", "99900003700013"
PROXY = "192.0.2.7"
"""The reverse proxy's address: the only one whose word on certificates is believed."""
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
GRANTED = frozenset({Scopes.REFERRAL_SEND, Scopes.STATUS_SEND, Scopes.MAILBOX_READ})


def b64(raw: bytes) -> str:
    """Encode as base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@dataclass
class Keys:
    """One private key of each kind, made once."""

    es256: ECKey = field(default_factory=lambda: ECKey.generate_key("P-256", {"kid": "es256"}))
    es384: ECKey = field(default_factory=lambda: ECKey.generate_key("P-384", {"kid": "es384"}))
    ps256: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "ps256"}))
    ed25519: OKPKey = field(default_factory=lambda: OKPKey.import_key(Ed25519PrivateKey.generate(), {"kid": "ed25519"}))
    other: ECKey = field(default_factory=lambda: ECKey.generate_key("P-256", {"kid": "other"}))
    gateway: ECKey = field(default_factory=lambda: ECKey.generate_key("P-256", {"kid": "gateway-2"}))
    gateway_before: ECKey = field(default_factory=lambda: ECKey.generate_key("P-256", {"kid": "gateway-1"}))

    def public(self, *names: str) -> dict[str, Any]:
        """The JWK set of some of them, as a partner registers it."""
        return {"keys": [getattr(self, name).as_dict(private=False) for name in names]}


@dataclass
class Clock:
    """The gateway's clock, which a test may move."""

    late_by: timedelta = timedelta()

    def __call__(self) -> datetime:
        """Give the time."""
        return datetime.now(UTC) + self.late_by


@dataclass
class Desk:
    """The gateway under test and what a partner needs to speak to it."""

    http: httpx.AsyncClient
    auth: Auth
    app: FastAPI
    keys: Keys
    database: Database
    clock: Clock
    issuer: str = ISSUER
    granted: frozenset[str] = GRANTED

    @staticmethod
    def sign(header: Mapping[str, Any], payload: object, key: Key) -> str:
        """Sign any payload under any header, honest or not."""
        raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        algorithm = jws.JWSRegistry.algorithms[{"EdDSA": "Ed25519"}.get(header["alg"], header["alg"])]
        signed = f"{b64(json.dumps(header).encode())}.{b64(raw)}"
        return f"{signed}.{b64(algorithm.sign(signed.encode(), key))}"

    def elsewhere(self) -> FastAPI:
        """The same gateway in another process: same database, same keys, nothing else in common."""
        return make_app(make_auth(self.database, self.keys, self.clock))

    def assertion(
        self, *, client: str = "caf-rsa", key: Key | None = None, header: Mapping[str, Any] | None = None, **claims: Any
    ) -> str:
        """Sign a good assertion, or one changed as asked; a claim or a header given as `...` is left out."""
        signing = key or self.keys.es256
        now = int(time.time())
        good = {"iss": client, "sub": client, "aud": ISSUER, "iat": now, "exp": now + 60, "jti": str(uuid4())}
        return self.sign(
            _without({"alg": "ES256", "kid": signing.kid, **(header or {})}), _without({**good, **claims}), signing
        )

    def form(self, assertion: str | None = None, **changes: Any) -> dict[str, str]:
        """A good token request, or one changed as asked; a parameter given as `...` is left out."""
        good = {
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": assertion if assertion is not None else self.assertion(),
        }
        return _without({**good, **changes})

    async def ask(self, form: Mapping[str, str]) -> httpx.Response:
        """Ask for a token."""
        return await self.http.post("/oauth2/token", data=dict(form))

    def behind_proxy(self, peer: str = PROXY) -> httpx.AsyncClient:
        """A connection that comes from the reverse proxy, or from another address."""
        return httpx.AsyncClient(transport=httpx.ASGITransport(app=self.app, client=(peer, 4321)), base_url=ISSUER)

    async def token(self, client: str = "caf-rsa", scope: str = "") -> str:
        """Get a token."""
        response = await self.ask(self.form(self.assertion(client=client), scope=scope))
        assert 200 == response.status_code, response.text
        return str(response.json()["access_token"])

    async def about(self, endpoint: str, token: str, client: str = "caf-rsa") -> httpx.Response:
        """Introspect or revoke a token."""
        form = self.form(self.assertion(client=client), grant_type=..., token=token)
        return await self.http.post(f"/oauth2/{endpoint}", data=form)

    async def call(self, token: str, path: str = "/mailbox") -> httpx.Response:
        """Call a protected resource."""
        return await self.http.get(path, headers={"Authorization": f"Bearer {token}"})


def _without(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not ...}


@pytest.fixture(scope="session")
def keys() -> Keys:
    """The keys of the partners and of the gateway."""
    return Keys()


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
async def database(
    request: pytest.FixtureRequest, postgres_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Database]:
    """A fresh database of each kind; PostgreSQL must be there."""
    if request.param == "sqlite":
        url, drop = f"sqlite+aiosqlite:///{tmp_path_factory.mktemp('auth') / 'auth.sqlite'}", None
    else:
        drop = f"tdu_auth_{uuid4().hex[:12]}"
        await _administer(postgres_url, f'CREATE DATABASE "{drop}"')
        url = make_url(postgres_url).set(database=drop).render_as_string(hide_password=False)
    opened = Database(url)
    async with opened.engine.begin() as connection:
        await connection.run_sync(consent_metadata.create_all)
        await connection.run_sync(metadata.create_all)
    yield opened
    await opened.close()
    if drop:
        await _administer(postgres_url, f'DROP DATABASE "{drop}" WITH (FORCE)')


async def _administer(server: str, statement: str) -> None:
    engine = create_async_engine(server, isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        await connection.execute(sa.text(statement))
    await engine.dispose()


class PlainRights:
    """Every system but one may do the same things for its own partner; no convention delegates or routes anything."""

    async def own(self, tx: Transaction, system: System) -> Granted:
        """All but the new one have the same scopes."""
        return Granted(frozenset() if system.client_id == "relais-neuf" else GRANTED)

    async def delegated(self, tx: Transaction, system: System, principal: str) -> Granted:
        """Nobody acts for anybody."""
        return NOTHING

    async def principal(self, tx: Transaction, system: System, convention: str) -> str | None:
        """There is no convention."""
        return None

    async def routed(self, tx: Transaction, sender: str, detail: ExchangeDetail) -> bool:
        """There is no route."""
        return False


def make_auth(database: Database, keys: Keys, clock: Any) -> Auth:
    """An access side like the one of another process: same database, same keys."""
    return Auth(
        database,
        ISSUER,
        HeldKeys([HeldKey(keys.gateway_before), HeldKey(keys.gateway, datetime.now(UTC))]),
        rights=PlainRights(),
        secret=b"known to every process",
        clock=clock,
        certificates=Certificates([PROXY]),
    )


def make_app(auth: Auth) -> FastAPI:
    """The authorization server, and resources that ask for a scope."""
    app = FastAPI()
    app.state.auth = auth
    app.include_router(create_auth_router(auth))

    @app.get("/mailbox")
    async def mailbox(caller: Annotated[Caller, Depends(requires(Scopes.MAILBOX_READ))]) -> dict[str, Any]:
        return {
            "client_id": caller.client_id,
            "partner": caller.partner,
            "system": caller.system,
            "roles": sorted(caller.roles),
        }

    @app.get("/ledger")
    async def ledger(caller: Annotated[Caller, Depends(requires(Scopes.LEDGER_READ, Scopes.MAILBOX_READ))]) -> None: ...

    @app.exception_handler(AuthError)
    async def refuse(_request: Request, error: AuthError) -> JSONResponse:
        body = {"code": error.code, "title": error.title_fr, "detail": error.detail_fr, "detail_en": error.detail_en}
        return JSONResponse(body, error.status, error.headers)

    return app


@pytest.fixture(scope="module")
async def desk(database: Database, keys: Keys) -> AsyncIterator[Desk]:
    """The gateway with its partners: a CAF (every kind of key), an association, a disabled system, one without any right."""
    now = datetime.now(UTC)
    async with database.write() as tx:
        for siret, name in ((CAF, "CAF de Valombre"), (ASSOCIATION, "Association Le Relais de Valombre")):
            await add_partner(tx, siret=siret, name=name, signing_jwks=keys.public("ed25519"), now=now)
        for client, partner, names, security in (
            ("caf-rsa", CAF, ("es256", "ps256", "ed25519"), TRIAL),
            ("caf-smart", CAF, ("es384",), Security(profile=Profile.SMART, binding=Binding.BEARER, sandbox=True)),
            ("caf-dpop", CAF, ("es256",), Security()),
            ("caf-ancien", CAF, ("es256",), TRIAL),
            ("relais-suivi", ASSOCIATION, ("es256", "other"), TRIAL),
            ("relais-neuf", ASSOCIATION, ("es256",), TRIAL),
        ):
            await add_system(
                tx,
                client_id=client,
                partner=partner,
                name=f"Logiciel {client}",
                jwks=keys.public(*names),
                security=security,
                now=now,
            )
        await disable_system(tx, "caf-ancien", now)
    clock = Clock()
    auth = make_auth(database, keys, clock)
    app = make_app(auth)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=ISSUER) as http:
        yield Desk(http, auth, app, keys, database, clock)
