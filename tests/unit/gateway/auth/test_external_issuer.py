"""Tokens of another authorization server are accepted for systems registered here, and give them nothing more than ours would."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from gateway.auth.external import ExternalIssuer, ExternalTokens
from gateway.auth.partner_keys import PartnerKeys
from gateway.outgoing import SafeClient
from ops.services.authority import Authority

pytestmark = pytest.mark.anyio

NAME = "keycloak.valombre.example"
THEIRS = f"https://{NAME}/realms/partenaires"
KEY, OTHER = (ECKey.generate_key("P-256", {"kid": kid}) for kid in ("k1", "k1"))


@pytest.fixture
async def desk(desk: Any, tmp_path: Path) -> AsyncIterator[Any]:
    """The gateway, told to accept the tokens of a server that publishes its keys over TLS."""
    authority, body = Authority(tmp_path), json.dumps({"keys": [KEY.as_dict(private=False)]}).encode()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        await writer.drain()
        writer.close()

    async def here(_host: str, _port: int) -> Sequence[str]:
        return ["127.0.0.1"]

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=authority.context(NAME))
    port = server.sockets[0].getsockname()[1]
    issuer = ExternalIssuer(
        issuer=THEIRS,
        jwks_uri=f"https://{NAME}:{port}/certs",
        audience="passerelle",
        client_claim="azp",
        networks=("127.0.0.0/8",),
        ports=(port,),
    )
    client, before = SafeClient(authority.file, here), desk.auth.external
    desk.auth.external = ExternalTokens(
        [issuer], PartnerKeys(client), desk.database, desk.auth.rights, desk.issuer, desk.clock
    )
    yield desk
    desk.auth.external = before
    await client.close()
    server.close()


def made(key: ECKey = KEY, typ: str = "at+jwt", **claims: Any) -> str:
    """A token of the other server, or one changed as asked; a claim given as `...` is left out."""
    now = int(time.time())
    good = {
        "iss": THEIRS,
        "aud": "passerelle",
        "azp": "caf-rsa",
        "iat": now,
        "exp": now + 300,
        "jti": str(now),
    } | claims
    good = {name: value for name, value in good.items() if value is not ...}
    return jwt.encode({"alg": "ES256", "typ": typ, "kid": "k1"}, good, key, algorithms=["ES256"])


async def test_a_registered_system_is_let_in_as_with_our_own_token(desk: Any) -> None:
    """Its partner, its roles and its scopes are those registered here, whatever the token says of them."""
    answer = await desk.call(made(partner="99900003700013", scope="ledger:read", roles=["administrator"]))
    assert (200, "99900001100018", ["partner"]) == (
        answer.status_code,
        answer.json()["partner"],
        answer.json()["roles"],
    )
    assert 200 == (await desk.call(made(aud=["passerelle", "autre"]))).status_code
    assert 200 == (await desk.call(await desk.token())).status_code


REFUSED: dict[str, dict[str, Any]] = {
    "another key": {"key": OTHER},
    "typ JWT": {"typ": "JWT"},
    "another audience": {"aud": "autre"},
    "no audience": {"aud": ...},
    "another issuer": {"iss": "https://ailleurs.example.org"},
    "our own name": {"iss": "https://passerelle.example.org"},
    "expired": {"iat": 1, "exp": 2},
    "no end": {"exp": ...},
    "no jti": {"jti": ...},
    "no client": {"azp": ...},
    "an unknown client": {"azp": "personne"},
    "a disabled client": {"azp": "caf-ancien"},
    "a client that is a list": {"azp": ["caf-rsa"]},
    "a client registered for bound tokens": {"azp": "caf-dpop"},
    "a binding that is none": {"cnf": {}},
}


@pytest.mark.parametrize("case", REFUSED)
async def test_a_token_of_another_server_that_is_not_good_is_refused(desk: Any, case: str) -> None:
    """The same answer as for our own: 401, invalid_token."""
    answer = await desk.call(made(**REFUSED[case]))
    assert (401, "invalid_token") == (answer.status_code, answer.json()["code"])
