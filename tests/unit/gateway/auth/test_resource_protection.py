"""
What a protected resource lets in, and what it refuses: the other half of the negative matrix.
"""

import asyncio
import base64
import hmac
import json
import time
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import anyio
import httpx
import pytest
from joserfc.jwk import ECKey

from gateway.auth import authority
from gateway.auth.scopes import Scopes

pytestmark = pytest.mark.anyio

Case = Callable[[Any], str]


def _made(desk: Any, key: ECKey | None = None, header: dict[str, Any] | None = None, **claims: Any) -> str:
    """An access token signed by hand: good, or changed as asked; what is given as `...` is left out."""
    signing = key or desk.keys.gateway
    now = int(time.time())
    good = {
        "iss": desk.issuer,
        "aud": desk.issuer,
        "sub": "caf-rsa",
        "client_id": "caf-rsa",
        "iat": now,
        "exp": now + 300,
        "jti": str(uuid4()),
        "scope": "mailbox:read",
        "partner": "99900001100018",
        "system": "Logiciel caf-rsa",
        "roles": ["partner"],
    }
    headers = {"alg": "ES256", "typ": "at+jwt", "kid": signing.kid, **(header or {})}
    kept = [{name: value for name, value in part.items() if value is not ...} for part in (headers, {**good, **claims})]
    return str(desk.sign(*kept, signing))


def _hmac(desk: Any) -> str:
    header, payload, _ = _made(desk, header={"alg": "ES256"}).split(".")
    header = _b64(json.dumps({"alg": "HS256", "typ": "at+jwt", "kid": "gateway-2"}).encode())
    signed = f"{header}.{payload}"
    return f"{signed}.{_b64(hmac.digest(desk.keys.gateway.as_pem(private=False), signed.encode(), 'sha256'))}"


def _unsigned(desk: Any) -> str:
    header = _b64(json.dumps({"alg": "none", "typ": "at+jwt", "kid": "gateway-2"}).encode())
    return f"{header}.{_made(desk).split('.')[1]}."


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


REFUSED: dict[str, Case] = {
    "no typ": lambda d: _made(d, header={"typ": ...}),
    "typ JWT": lambda d: _made(d, header={"typ": "JWT"}),
    "typ of a DPoP proof": lambda d: _made(d, header={"typ": "dpop+jwt"}),
    "no kid": lambda d: _made(d, header={"kid": ...}),
    "kid unknown": lambda d: _made(d, header={"kid": "gateway-3"}),
    "jku": lambda d: _made(d, header={"jku": "https://autre.example.org/jwks"}),
    "jwk": lambda d: _made(d, d.keys.other, header={"jwk": d.keys.other.as_dict(private=False), "kid": "gateway-2"}),
    "crit": lambda d: _made(d, header={"crit": ["b64"], "b64": True}),
    "another key under our kid": lambda d: _made(d, d.keys.other, header={"kid": "gateway-2"}),
    "another key": lambda d: _made(d, d.keys.other),
    "a partner's key": lambda d: _made(d, d.keys.es256),
    "HS256 with our public key as secret": _hmac,
    "none": _unsigned,
    "signature empty": lambda d: _made(d).rpartition(".")[0] + ".",
    "payload changed": lambda d: ".".join(
        _made(d, jti=text).split(".")[part] for text, part in (("a", 0), ("b", 1), ("a", 2))
    ),
    "other aud": lambda d: _made(d, aud="https://autre.example.org"),
    "aud list": lambda d: _made(d, aud=[d.issuer]),
    "no aud": lambda d: _made(d, aud=...),
    "other iss": lambda d: _made(d, iss="https://autre.example.org"),
    "no iss": lambda d: _made(d, iss=...),
    "expired": lambda d: _made(d, iat=time.time() - 400, exp=time.time() - 100),
    "expired a second ago": lambda d: _made(d, exp=time.time() - 1),
    "no exp": lambda d: _made(d, exp=...),
    "exp text": lambda d: _made(d, exp="2030"),
    "iat in a minute": lambda d: _made(d, iat=time.time() + 60),
    "no iat": lambda d: _made(d, iat=...),
    "nbf in a minute": lambda d: _made(d, nbf=time.time() + 60),
    "no jti": lambda d: _made(d, jti=...),
    "no sub": lambda d: _made(d, sub=...),
    "sub not client_id": lambda d: _made(d, sub="relais-suivi"),
    "no client_id": lambda d: _made(d, client_id=...),
    "client_id a list": lambda d: _made(d, client_id=["caf-rsa"], sub=["caf-rsa"]),
    "no partner": lambda d: _made(d, partner=...),
    "no scope": lambda d: _made(d, scope=...),
    "scope a list": lambda d: _made(d, scope=["mailbox:read"]),
    "roles missing": lambda d: _made(d, roles=...),
    "roles numbers": lambda d: _made(d, roles=[1]),
    "cnf without thumbprint": lambda d: _made(d, cnf={}),
    "cnf a text": lambda d: _made(d, cnf="x"),
    "client assertion": lambda d: d.assertion(),
    "client assertion dressed as a token": lambda d: d.assertion(header={"typ": "at+jwt"}),
    "garbage": lambda d: "garbage",
    "two dots": lambda d: "..",
    "nested arrays": lambda d: ".".join([_b64(b"[" * 2_000)] * 2 + ["AA"]),
    "10 kB": lambda d: _made(d, filler="x" * 10_000),
    "token twice": lambda d: f"{_made(d)} {_made(d)}",
    "token and comma": lambda d: f"{_made(d)},",
}


@pytest.mark.parametrize("case", REFUSED)
async def test_a_wrong_token_is_refused_with_401(desk: Any, case: str) -> None:
    """Whatever is not a live token of this gateway gets 401 `invalid_token`, with the challenge that RFC 6750 asks for."""
    response = await desk.call(REFUSED[case](desk))
    assert (401, "invalid_token") == (response.status_code, response.json()["code"])
    assert response.headers["www-authenticate"].startswith(f'Bearer realm="{desk.issuer}", error="invalid_token"')


async def test_the_token_made_by_hand_is_good_when_nothing_is_changed(desk: Any) -> None:
    """The cases above are refused for what they change, not for how they are made."""
    assert 200 == (await desk.call(_made(desk))).status_code
    assert 200 == (await desk.call(_made(desk, header={"typ": "application/at+jwt"}))).status_code


HEADERS: dict[str, tuple[list[tuple[str, bytes]], str]] = {
    "none": ([], "token_missing"),
    "empty": ([("Authorization", b"")], "invalid_token"),
    "scheme alone": ([("Authorization", b"Bearer")], "invalid_token"),
    "scheme and space": ([("Authorization", b"Bearer ")], "invalid_token"),
    "Basic": ([("Authorization", b"Basic Y2FmOnNlY3JldA==")], "token_missing"),
    "unknown scheme": ([("Authorization", b"Token abc")], "token_missing"),
    "not ASCII": ([("Authorization", b"Bearer \xe9\xff")], "invalid_token"),
    "twice": ([("Authorization", b"Bearer a.b.c"), ("Authorization", b"Bearer a.b.c")], "invalid_token"),
    "9 kB": ([("Authorization", b"Bearer " + b"x" * 9_000)], "invalid_token"),
}


@pytest.mark.parametrize("case", HEADERS)
async def test_a_request_without_an_acceptable_header_is_refused_with_401(desk: Any, case: str) -> None:
    """No header, another scheme, a header that is malformed or repeated: 401, and how to get a token."""
    headers, code = HEADERS[case]
    response = await desk.http.get("/mailbox", headers=headers)
    assert (401, code) == (response.status_code, response.json()["code"])
    assert ('error="invalid_token"' in response.headers["www-authenticate"]) == (code == "invalid_token")


async def test_two_good_headers_are_refused_too(desk: Any) -> None:
    """Two tokens in one request leave in doubt who is speaking."""
    header = ("Authorization", f"Bearer {await desk.token()}")
    assert 401 == (await desk.http.get("/mailbox", headers=[header, header])).status_code


async def test_a_token_in_the_address_or_the_body_is_not_read(desk: Any) -> None:
    """Tokens travel in the header only (FAPI 2.0): addresses end up in logs."""
    token = await desk.token()
    in_address = await desk.http.get("/mailbox", params={"access_token": token})
    in_body = await desk.http.request("GET", "/mailbox", data={"access_token": token})
    assert [401, 401] == [in_address.status_code, in_body.status_code]


async def test_the_resource_learns_who_is_speaking(desk: Any) -> None:
    """The route receives the client, its partner, its system and its roles; the scheme's case does not matter."""
    token = await desk.token()
    answers = [
        (await desk.http.get("/mailbox", headers={"Authorization": f"{scheme} {token}"})).json()
        for scheme in ("Bearer", "bearer", "BEARER")
    ]
    caller = {"client_id": "caf-rsa", "partner": "99900001100018", "system": "Logiciel caf-rsa", "roles": ["partner"]}
    assert [caller] * 3 == answers


async def test_a_token_without_the_scope_gets_403_and_the_scopes_to_ask_for(desk: Any) -> None:
    """All the scopes of a route are needed; the answer names them (RFC 6750 section 3.1)."""
    token = await desk.token()
    response = await desk.call(token, "/ledger")
    assert (403, "insufficient_scope") == (response.status_code, response.json()["code"])
    assert 'error="insufficient_scope", scope="ledger:read mailbox:read"' in response.headers["www-authenticate"]
    assert "ledger:read" in response.json()["detail"]


async def test_a_token_signed_before_the_key_changed_is_still_good(desk: Any) -> None:
    """The previous key verifies until its last token has expired."""
    assert 200 == (await desk.call(_made(desk, desk.keys.gateway_before))).status_code


@pytest.fixture
async def later(desk: Any) -> AsyncIterator[Callable[[float], None]]:
    """Move the gateway's clock for one test."""

    def move(seconds: float) -> None:
        desk.clock.late_by = timedelta(seconds=seconds)

    yield move
    desk.clock.late_by = timedelta()


async def test_a_token_already_seen_expires_on_time(desk: Any, later: Callable[[float], None]) -> None:
    """Remembering a verified token does not prolong its life."""
    token = await desk.token()
    assert 200 == (await desk.call(token)).status_code
    later(298)
    assert 200 == (await desk.call(token)).status_code
    later(301)
    response = await desk.call(token)
    assert 401 == response.status_code
    assert "expiré" in response.json()["detail"]
    assert {"active": False} == (await desk.http.post("/oauth2/introspect", data=_later_form(desk, token))).json()


def _later_form(desk: Any, token: str) -> dict[str, str]:
    now = time.time() + 301
    return dict(desk.form(desk.assertion(iat=now, exp=now + 60), token=token))


async def test_a_revocation_made_elsewhere_is_seen_within_the_promised_time(desk: Any) -> None:
    """A process that has already let the token in refuses it two seconds after another process revoked it, at the latest."""
    token = await desk.token()
    transport = httpx.ASGITransport(app=desk.elsewhere())
    async with httpx.AsyncClient(transport=transport, base_url=desk.issuer) as other:
        headers = {"Authorization": f"Bearer {token}"}
        assert 200 == (await other.get("/mailbox", headers=headers)).status_code
        assert 200 == (await desk.about("revoke", token)).status_code
        await anyio.sleep(2.05)
        assert 401 == (await other.get("/mailbox", headers=headers)).status_code


async def test_a_revocation_here_survives_a_reading_that_began_before_it(desk: Any) -> None:
    """Requests and a revocation that cross each other end with the token refused."""
    token = await desk.token()
    for _ in range(5):
        await asyncio.gather(
            *(desk.call(token) for _ in range(4)), desk.about("revoke", token), *(desk.call(token) for _ in range(4))
        )
        assert 401 == (await desk.call(token)).status_code
        token = await desk.token()


async def test_the_memory_of_verified_tokens_is_bounded(desk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many tokens pass, only the last ones are remembered, and all are still verified rightly."""
    monkeypatch.setattr(authority, "_REMEMBERED", 3)
    tokens = [_made(desk, jti=f"bounded-{n}") for n in range(8)]
    for token in tokens * 2:
        assert 200 == (await desk.call(token)).status_code
    assert 3 == len(desk.auth._known)


async def test_the_openapi_description_says_which_scopes_a_route_needs(desk: Any) -> None:
    """A program that reads the description knows how to get a token and with which scopes."""
    described = (await desk.http.get("/openapi.json")).json()
    assert [{"oauth2": ["ledger:read", "mailbox:read"]}] == described["paths"]["/ledger"]["get"]["security"]
    flow = described["components"]["securitySchemes"]["oauth2"]["flows"]["clientCredentials"]
    assert "/oauth2/token" == flow["tokenUrl"]
    assert {scope.value for scope in Scopes} == set(flow["scopes"])


def test_every_scope_says_in_two_languages_what_it_opens() -> None:
    """The closed list is what the design names, each with a French and an English label."""
    assert [
        "referral:send",
        "bilan:send",
        "consent:send",
        "status:send",
        "inbound:send",
        "mailbox:read",
        "delivery:manage",
        "exchange:read",
        "directory:read",
        "directory:write",
        "convention:write",
        "ledger:read",
        "person:manage",
        "break-glass:open",
        "break-glass:review",
        "validate",
        "system/ServiceRequest.rs",
        "system/Task.rs",
    ] == [str(scope) for scope in Scopes]
    assert all(scope.label_fr and scope.label_en and scope.label_fr != scope.label_en for scope in Scopes)
