"""Clients that nobody here wrote get tokens from a running gateway, use them, and take them back."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import requests
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from joserfc import jwt
from joserfc.jwk import ECKey, OKPKey, RSAKey
from requests_oauth2client import DPoPToken, OAuth2Client, OAuth2ClientCredentialsAuth, PrivateKeyJwt
from requests_oauth2client.exceptions import InvalidClient, InvalidScope

from gateway.auth.profile import TRIAL, Binding, Profile, Security
from gateway.auth.registry import add_partner, add_system
from gateway.store.database import Database
from ops.demo.gateway_process import GatewayProcess, started

CAF = "99900001100018"
PATH = "/v1/exchanges"


@dataclass(frozen=True, slots=True)
class Server:
    """A gateway in a process of its own, and the private keys of the systems registered at it."""

    gateway: GatewayProcess
    keys: dict[str, Any]

    @property
    def issuer(self) -> str:
        """The gateway's address."""
        return self.gateway.address

    @property
    def metadata(self) -> dict[str, Any]:
        """What the gateway says of itself (RFC 8414)."""
        found: dict[str, Any] = httpx.get(f"{self.issuer}/.well-known/oauth-authorization-server").json()
        return found


@pytest.fixture(scope="module", params=["embedded", "production"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A gateway with a system for each kind of client: alone with its file, then on PostgreSQL and RabbitMQ."""
    settings = {}
    if request.param == "production":
        settings["TDU_DATABASE_URL"] = request.getfixturevalue("new_module_postgres")()
        settings["TDU_BUS_URL"] = request.getfixturevalue("amqp_url")
        settings["TDU_BUS_PREFIX"] = f"oauth-{uuid.uuid4().hex[:8]}"
    keys = {
        "es256": ECKey.generate_key("P-256", {"kid": "1"}),
        "ed25519": OKPKey.generate_key("Ed25519", {"kid": "1"}),
        "ps256": RSAKey.generate_key(2048, {"kid": "1"}),
        "bearer": ECKey.generate_key("P-256", {"kid": "1"}),
        "smart": ECKey.generate_key("P-384", {"kid": "1"}),
    }
    smart = Security(profile=Profile.SMART, binding=Binding.BEARER, sandbox=True)
    security = {"bearer": TRIAL, "smart": smart}
    with started(tmp_path_factory.mktemp("oauth"), settings) as gateway:

        async def register() -> None:
            database, now = Database(gateway.database), datetime.now(UTC)
            async with database.write() as tx:
                own = {"keys": [keys["es256"].as_dict(private=False)]}
                await add_partner(tx, siret=CAF, name="CAF de Valombre", signing_jwks=own, now=now)
                for name, key in keys.items():
                    await add_system(
                        tx,
                        client_id=f"caf-{name}",
                        partner=CAF,
                        name=f"Logiciel {name}",
                        jwks={"keys": [key.as_dict(private=False)]},
                        security=security.get(name, Security()),
                        now=now,
                    )
            await database.close()

        asyncio.run(register())
        yield Server(gateway, keys)


def openid_client(node: Any, server: Server, name: str, **changes: Any) -> dict[str, Any]:
    """Run the Node program as one of the systems."""
    asked = {
        "issuer": server.issuer,
        "clientId": f"caf-{name}",
        "jwk": server.keys[name].as_dict(private=True),
        "kid": "1",
        "path": PATH,
        "dpop": True,
    }
    said: dict[str, Any] = json.loads(node(["openid_client.mjs"], json.dumps(asked | changes)))
    return said


@pytest.mark.parametrize("name", ["es256", "ed25519", "ps256"])
def test_openid_client_with_dpop(node: Any, server: Server, name: str) -> None:
    """npm openid-client: private_key_jwt with each algorithm of FAPI 2.0, and a bound token, nonces included."""
    said = openid_client(node, server, name)
    assert "private_key_jwt" in said.pop("methods")
    assert "exchange:read" in said.pop("scope").split()
    assert {
        "type": "dpop",
        "expires": 300,
        "first": 200,
        "second": 200,
        "active": True,
        "revoked": False,
        "after": 401,
        "stolen": 401,
    } == said


def test_openid_client_with_a_bearer_token_in_the_sandbox(node: Any, server: Server) -> None:
    """The same program without DPoP, for a system under trial."""
    said = openid_client(node, server, "bearer", dpop=False)
    assert ("bearer", 200, True, False, 401) == (
        said["type"],
        said["first"],
        said["active"],
        said["revoked"],
        said["after"],
    )


def test_openid_client_is_told_what_is_wrong(node: Any, server: Server) -> None:
    """No proof where one is demanded, a scope that is not granted, another's key: the standard codes."""
    unbound = openid_client(node, server, "es256", dpop=False)
    scope = openid_client(node, server, "es256", parameters={"scope": "ledger:read"})
    other = openid_client(node, server, "es256", jwk=server.keys["bearer"].as_dict(private=True))
    assert ["invalid_dpop_proof", "invalid_scope", "invalid_client"] == [
        said["error"] for said in (unbound, scope, other)
    ]


def requests_client(server: Server, name: str, **options: Any) -> OAuth2Client:
    """The Python package requests_oauth2client, from the metadata."""
    found = server.metadata
    auth = PrivateKeyJwt(
        f"caf-{name}",
        server.keys[name].as_dict(private=True),
        alg="ES384" if name == "smart" else "ES256",
        aud=found["token_endpoint"] if name == "smart" else found["issuer"],
    )
    return OAuth2Client(
        found["token_endpoint"],
        auth=auth,
        introspection_endpoint=found["introspection_endpoint"],
        revocation_endpoint=found["revocation_endpoint"],
        issuer=found["issuer"],
        testing=True,
        **options,
    )


def test_requests_oauth2client_with_dpop(server: Server) -> None:
    """PyPI requests_oauth2client: a bound token, calls that renew their proof, introspection, revocation."""
    client = requests_client(server, "es256", dpop_bound_access_tokens=True)
    token = client.client_credentials(scope="exchange:read")
    assert isinstance(token, DPoPToken)
    for _ in range(2):
        assert 200 == requests.get(server.issuer + PATH, auth=token, timeout=10).status_code
    introspected = client.introspect_token(token.access_token)
    assert introspected["active"] and "exchange:read" == introspected["scope"] and introspected["cnf"]["jkt"]
    assert client.revoke_access_token(token.access_token)
    assert 401 == requests.get(server.issuer + PATH, auth=token, timeout=10).status_code


def test_requests_oauth2client_in_the_sandbox(server: Server) -> None:
    """Its session asks for a token by itself; the errors are the library's own classes."""
    client = requests_client(server, "bearer")
    session = requests.Session()
    session.auth = OAuth2ClientCredentialsAuth(client, scope="exchange:read")
    assert 200 == session.get(server.issuer + PATH, timeout=10).status_code
    with pytest.raises(InvalidScope):
        client.client_credentials(scope="ledger:read")
    with pytest.raises(InvalidClient):
        OAuth2Client(
            server.metadata["token_endpoint"],
            auth=PrivateKeyJwt("personne", server.keys["bearer"].as_dict(private=True), alg="ES256", aud=server.issuer),
            testing=True,
        ).client_credentials()


def test_authlib_s_own_client(server: Server) -> None:
    """PyPI authlib: its session with private_key_jwt; its assertions live an hour by default, and must be told to live less."""
    found = server.metadata

    def session(lifetime: int) -> OAuth2Session:
        made = OAuth2Session("caf-bearer", server.keys["bearer"], token_endpoint_auth_method="private_key_jwt")
        claims = {"aud": found["issuer"], "exp": int(time.time()) + lifetime}
        made.register_client_auth_method(
            PrivateKeyJWT(found["token_endpoint"], claims=claims, headers={"kid": "1"}, alg="ES256")
        )
        return made

    signed_in = session(60)
    token = signed_in.fetch_token(found["token_endpoint"], grant_type="client_credentials")
    assert "Bearer" == token["token_type"]
    assert 200 == signed_in.get(server.issuer + PATH).status_code
    with pytest.raises(Exception, match="lives too long"):
        session(3_600).fetch_token(found["token_endpoint"], grant_type="client_credentials")


def test_smart_backend_services(server: Server) -> None:
    """The flow of SMART App Launch for systems without users, as its specification writes it: discovery to FHIR."""
    found = httpx.get(f"{server.issuer}/fhir/R4/.well-known/smart-configuration").json()
    assert "private_key_jwt" in found["token_endpoint_auth_methods_supported"]
    assert {"ES384", "RS384"} & set(found["token_endpoint_auth_signing_alg_values_supported"])
    assert "client-confidential-asymmetric" in found["capabilities"]
    assert "system/Task.rs" in found["scopes_supported"]
    now = int(time.time())
    claims = {
        "iss": "caf-smart",
        "sub": "caf-smart",
        "aud": found["token_endpoint"],
        "exp": now + 300,
        "jti": str(uuid.uuid4()),
    }
    header = {"alg": "ES384", "kid": "1", "typ": "JWT"}
    form = {
        "grant_type": "client_credentials",
        "scope": "system/Task.rs",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": jwt.encode(header, claims, server.keys["smart"], algorithms=["ES384"]),
    }
    answer = httpx.post(found["token_endpoint"], data=form)
    assert 200 == answer.status_code, answer.text
    token = answer.json()
    assert ("bearer", "system/Task.rs") == (token["token_type"].lower(), token["scope"])
    assert token["expires_in"] <= 300 and "refresh_token" not in token
    assert "no-store" in answer.headers["cache-control"]
    headers = {"Authorization": f"Bearer {token['access_token']}", "Accept": "application/fhir+json"}
    task = httpx.get(f"{server.issuer}/fhir/R4/Task/{uuid.uuid4()}", headers=headers)
    assert (404, "OperationOutcome") == (task.status_code, task.json()["resourceType"])
    again = httpx.post(found["token_endpoint"], data=form)
    assert (400, "invalid_client") == (again.status_code, again.json()["error"])


def test_smart_with_another_library(server: Server) -> None:
    """requests_oauth2client under the SMART rules: ES384, and the token address as audience."""
    client = requests_client(server, "smart")
    token = client.client_credentials(scope="system/ServiceRequest.rs")
    found = requests.get(f"{server.issuer}/fhir/R4/ServiceRequest/{uuid.uuid4()}", auth=token, timeout=10)
    assert 404 == found.status_code
