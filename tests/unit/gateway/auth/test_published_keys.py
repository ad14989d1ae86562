"""Keys that a partner publishes at an address of its own: read safely, kept a while, changed without asking anybody."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gateway.auth import partner_keys
from gateway.auth.keys import usable_jwks
from gateway.auth.partner_keys import PartnerKeys
from gateway.auth.profile import TRIAL, Profile, Security
from gateway.auth.registry import System
from gateway.outgoing import SafeClient
from ops.services.authority import Authority

pytestmark = pytest.mark.anyio

NAME = "cles.caf-valombre.example"


@dataclass
class Site:
    """A partner's server, over TLS, that publishes what the test says."""

    port: int = 0
    body: bytes = b""
    status: int = 200
    asked: int = 0
    systems: dict[str, System] = field(default_factory=dict)

    def publish(self, *keys: Any) -> None:
        """Publish these public keys."""
        self.body = json.dumps({"keys": [key.as_dict(private=False) for key in keys]}).encode()

    def system(self, profile: Profile = Profile.FAPI) -> System:
        """A system registered with this address."""
        network = {"networks": ["127.0.0.0/8"], "ports": [self.port]}
        security = Security(profile=profile, jwks_uri=f"https://{NAME}:{self.port}/jwks", network=network)
        return System("caf-publie", "99900001100018", "Logiciel", {"keys": []}, frozenset(), "a", security)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[tuple[Site, PartnerKeys]]:
    """The partner's server, and the gateway's view of it."""
    authority, found = Authority(tmp_path), Site()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        found.asked += 1
        head = f"HTTP/1.1 {found.status} X\r\nContent-Length: {len(found.body)}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + found.body)
        await writer.drain()
        writer.close()

    async def here(_host: str, _port: int) -> Sequence[str]:
        return ["127.0.0.1"]

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=authority.context(NAME))
    found.port = server.sockets[0].getsockname()[1]
    client = SafeClient(authority.file, here)
    yield found, PartnerKeys(client)
    await client.close()
    server.close()


@asynccontextmanager
async def later(monkeypatch: pytest.MonkeyPatch, seconds: float) -> AsyncIterator[None]:
    """Some time later."""
    with monkeypatch.context() as patch:
        real = partner_keys.monotonic
        patch.setattr(partner_keys, "monotonic", lambda: real() + seconds)
        yield


async def test_a_published_key_is_found_and_kept(site: Any, keys: Any) -> None:
    """Sixteen requests at once and then others: the partner's server is asked once."""
    server, known = site
    server.publish(keys.es256)
    system = server.system()
    found = await asyncio.gather(*(known.find(system, "es256") for _ in range(16)))
    assert {keys.es256.thumbprint()} == {key.thumbprint() for key in found}
    assert await known.find(system, "es256") and 1 == server.asked


async def test_a_new_key_is_seen_at_once_and_an_old_one_forgotten(
    site: Any, keys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rotation without a word to the operator: publish the new key, sign with it, withdraw the old one."""
    server, known = site
    system = server.system()
    server.publish(keys.es256)
    assert await known.find(system, "es256")
    server.publish(keys.es256, keys.other)
    async with later(monkeypatch, partner_keys.PAUSE + 1):
        assert await known.find(system, "other")
    server.publish(keys.other)
    async with later(monkeypatch, partner_keys.FRESH + partner_keys.PAUSE + 2):
        assert await known.find(system, "es256") is None
        assert await known.find(system, "other")


async def test_unknown_names_do_not_make_us_knock_at_will(site: Any, keys: Any) -> None:
    """A flood of assertions with invented key names costs the partner's server one request."""
    server, known = site
    server.publish(keys.es256)
    for number in range(50):
        assert await known.find(server.system(), f"inconnue-{number}") is None
    assert 1 == server.asked


async def test_a_server_that_fails_for_a_while_stops_nobody(
    site: Any, keys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was known serves for an hour, and no longer."""
    server, known = site
    server.publish(keys.es256)
    system = server.system()
    assert await known.find(system, "es256")
    server.status = 503
    async with later(monkeypatch, partner_keys.FRESH + 1):
        assert await known.find(system, "es256")
    async with later(monkeypatch, partner_keys.STALE + 1):
        assert await known.find(system, "es256") is None


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, b'{"keys": []}'),
        (302, b'{"keys": []}'),
        (200, b""),
        (200, b"<html>"),
        (200, b"[]"),
        (200, b"null"),
        (200, b'{"keys": {}}'),
        (200, b'{"keys": [1, null, [], {}]}'),
        (200, b'{"keys": [' + b'{"kty":"EC"},' * 9_000 + b"{}]}"),
        (200, b'{"keys": [' + b"[" * 5_000),
    ],
    ids=["404", "302", "empty", "HTML", "array", "null", "no list", "no keys", "too large", "deep"],
)
async def test_what_is_no_key_set_gives_no_key(site: Any, status: int, body: bytes) -> None:
    """Whatever the partner's server answers, the worst is that the signature is not accepted."""
    server, known = site
    server.status, server.body = status, body
    assert await known.find(server.system(), "es256") is None


async def test_a_private_address_is_knocked_at_only_when_the_operator_allowed_it(site: Any, keys: Any) -> None:
    """The partner's word on where its keys are does not open the inside of our network."""
    server, known = site
    server.publish(keys.es256)
    security = Security(jwks_uri=f"https://{NAME}/jwks")
    system = System("caf-ailleurs", "99900001100018", "Logiciel", {"keys": []}, frozenset(), "a", security)
    assert await known.find(system, "es256") is None
    assert 0 == server.asked


def test_of_a_published_set_only_what_could_be_registered_counts(keys: Any) -> None:
    """Keys for encryption, private, of another algorithm or with an ambiguous name are left aside; the others serve."""
    published = {
        "keys": [
            {**keys.es256.as_dict(private=False), "use": "enc", "kid": "enc"},
            keys.other.as_dict(private=True),
            keys.es384.as_dict(private=False),
            {**keys.ps256.as_dict(private=False), "kid": "deux"},
            {**keys.ed25519.as_dict(private=False), "kid": "deux"},
            keys.es256.as_dict(private=False),
        ]
    }
    assert ["es256"] == [key["kid"] for key in usable_jwks(published, Profile.FAPI.algorithms)["keys"]]
    assert ["es384", "deux", "es256"] == [
        key["kid"] for key in usable_jwks(published, Profile.SMART.algorithms)["keys"]
    ]


async def test_a_system_with_registered_keys_is_asked_nothing(keys: Any) -> None:
    """The ordinary case makes no request."""
    jwks = keys.public("es256")
    system = System("caf", "99900001100018", "Logiciel", jwks, frozenset(), "a", TRIAL)
    assert await PartnerKeys(SafeClient()).find(system, "es256")
    assert await PartnerKeys(SafeClient()).find(system, None) is None
