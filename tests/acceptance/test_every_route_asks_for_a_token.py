"""No address answers without a token that opens it, except those that are public on purpose; the list is the API's own."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import time
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from gateway.auth.profile import Security
from ops.demo.partner import Partner

pytestmark = pytest.mark.parametrize("desk", ["embedded"], indirect=True)

ELSEWHERE = ("none", "empty", "another scheme", "as a bearer", "twice", "in the address", "in the body")
"""Where a good token is not, or not as it should be."""

PUBLIC = {
    "GET /healthz": "asked by the machine that restarts the process; says nothing else than that it lives",
    "GET /readyz": "asked by the machine that routes to it; names what does not answer, never why",
    "GET /metrics": "asked by the supervision; counts, no identifier; to be closed by the reverse proxy",
    "GET /asyncapi.json": "how to be called: names no partner, no broker",
    "POST /oauth2/": "the client proves who it is in the body (private_key_jwt)",
    "GET /oauth2/jwks": "public keys",
    "GET /oauth2/register/": "its own token, given at the registration (RFC 7592)",
    "PUT /oauth2/register/": "its own token, given at the registration (RFC 7592)",
    "DELETE /oauth2/register/": "its own token, given at the registration (RFC 7592)",
    "POST /v1/hooks/": "a system that knows no token signs each call with its own secret",
    "GET /.well-known/": "how to get a token",
    "GET /fhir/R4/.well-known/": "the same for FHIR clients, where they look for it",
    "GET /schemas/": "the shared language belongs to everybody",
    "GET /ledger/": "the public log: its entries are keyed commitments",
    "GET /v1/texts": "what people are shown before they answer",
    "GET /v1/consents/{consent_id}/proof": "what a printed receipt leads to: without a token, the same page for every number",
    "GET /fhir/R4/metadata": "what the façade can do (FHIR asks that anybody may read it)",
}
"""Beginnings of the routes without a token, each with its reason: a route that is neither here nor protected fails these tests."""


def routes(desk: Any) -> dict[str, list[str]]:
    """Every operation of the description, `METHOD /path`, with the scopes that it says it asks for."""
    described = desk.http.get("/openapi.json").json()["paths"]
    return {
        f"{method.upper()} {path}": [
            scope for need in operation.get("security", []) for scope in need.get("oauth2", [])
        ]
        for path, operations in described.items()
        for method, operation in operations.items()
    }


def concrete(route: str) -> tuple[str, str]:
    """The method and the path of a route, with an identifier that names nothing."""
    method, path = route.split(" ")
    names = {"kind": "referral", "adapter_name": "shared-json"}
    return method, re.sub(r"{(\w+)}", lambda found: names.get(found[1], str(uuid.UUID(int=1, version=4))), path)


def knock(desk: Any, route: str, headers: dict[str, str] | None = None) -> Any:
    """Send a request to a route, with an identifier that names nothing."""
    method, path = concrete(route)
    json_body = {"json": {}} if method == "POST" else {}
    return desk.http.request(method, path, headers=headers or {}, **json_body)


def test_every_route_is_protected_or_public_with_a_reason(desk: Any, refused: Any) -> None:
    """Without a token, every route that is not on the public list answers 401 and says where to get one."""
    asked = routes(desk)
    assert len(asked) > 25
    for route, scopes in asked.items():
        answer = knock(desk, route)
        if route.startswith(tuple(PUBLIC)):
            assert not scopes and answer.status_code != 403, route
        else:
            assert scopes, f"{route} says no scope and is not on the public list"
            refused(answer, 401, "unauthorized")
            assert answer.headers["www-authenticate"].startswith("Bearer realm=")


def test_the_public_list_names_only_routes_that_exist(desk: Any) -> None:
    """A reason that outlives its route would let the next one of that name in."""
    assert not [public for public in PUBLIC if not any(route.startswith(public) for route in routes(desk))]


def test_every_route_refuses_a_token_without_its_scope(desk: Any, refused: Any) -> None:
    """A token opens what it names and nothing else; the refusal names the scope to ask for."""
    for route, scopes in routes(desk).items():
        if not scopes:
            continue
        other = "mailbox:read" if "mailbox:read" not in scopes else "validate"
        answer = knock(desk, route, desk.proven("caf", *concrete(route), scope=other))
        refused(answer, 403, "forbidden")
        assert f'error="insufficient_scope", scope="{" ".join(sorted(scopes))}"' in answer.headers["www-authenticate"]


@pytest.mark.parametrize("role", ["partner", "auditor", "administrator"])
def test_every_route_refuses_a_role_that_it_is_not_for(desk: Any, refused: Any, role: str) -> None:
    """A system of each role, with a token of everything that it may have: no other address opens, and no other scope is given."""
    system = asyncio.run(_of_role(desk, role))
    key, form = system.dpop, {}
    desk.partners[role] = system
    answer = desk.http.post("/oauth2/token", data=desk.form(role), auth=key)
    granted, token = set(answer.json()["scope"].split()), answer.json()["access_token"]
    asked, closed = routes(desk), 0
    for route, scopes in asked.items():
        if not scopes or granted & set(scopes):
            continue
        closed += 1
        refused(knock(desk, route, desk.proven(role, *concrete(route), token=token)), 403, "forbidden")
        form = desk.form(role) | {"scope": " ".join(scopes)}
        told = desk.http.post("/oauth2/token", data=form, auth=key)
        assert (400, "invalid_scope") == (told.status_code, told.json()["error"]), route
    assert closed >= 10, f"{role}: {sorted(granted)}"


async def _of_role(desk: Any, role: str) -> Partner:
    """A system of the operator that has one role only, registered as `tdu system add --role` does; its organisation has no convention."""
    siret = {"partner": "99900005200012", "auditor": "99900006000015", "administrator": "99900007800017"}[role]
    async with httpx.AsyncClient() as http:
        return await Partner.registered(
            desk.gateway, http, siret, f"Organisation {role}", f"seul-{role}", "shared-json", Security(), roles=(role,)
        )


def test_a_document_kind_needs_its_own_scope_whatever_the_door(desk: Any, new_referral: Any, refused: Any) -> None:
    """The scope of the inbound address alone does not let a referral in."""
    answer = desk.call("caf", "POST", "/v1/inbound/shared-json", json=new_referral(), scope="inbound:send bilan:send")
    body = refused(answer, 422, "document_invalid")
    assert ["scope"] == [error["code"] for error in body["errors"]]


@pytest.mark.parametrize(
    "case",
    [
        *ELSEWHERE,
        "one word",
        "garbled",
        "accents",
        "very long",
        "without signature",
        "altered",
        "expired",
        "another issuer",
        "another audience",
        "several audiences",
        "another type",
        "another key",
        "a client assertion",
    ],
)
def test_a_token_that_is_not_ours_or_not_now_is_refused(desk: Any, refused: Any, case: str) -> None:
    """Only this gateway's own token, whole, in time and in the header, identifies anybody."""
    good, address, data = desk.token("caf"), "/v1/exchanges", None
    # With a proof that is right for the token: what is refused is the token, or its place.
    text = _token(desk, case, good) if case not in ELSEWHERE else good
    proof = ("DPoP", desk.proven("caf", "GET", address, token=text)["DPoP"])
    headers = [proof]
    if case == "in the address":
        address += f"?access_token={good}"
    elif case == "in the body":
        data = {"access_token": good}
    elif case == "another scheme":
        headers = [proof, ("Authorization", f"Basic {good}")]
    elif case == "as a bearer":
        headers = [proof, ("Authorization", f"Bearer {good}")]
    elif case == "twice":
        headers = [proof, ("Authorization", f"DPoP {good}"), ("Authorization", f"DPoP {good}")]
    elif case == "empty":
        headers = [proof, ("Authorization", "DPoP")]
    elif case == "none":
        headers = []
    else:
        headers = [proof, ("Authorization", b"DPoP " + text.encode("latin-1"))]
    refused(desk.http.request("GET", address, headers=headers, data=data), 401, "unauthorized")
    assert 200 == desk.http.get("/v1/exchanges", headers=desk.proven("caf", "GET", "/v1/exchanges")).status_code


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"", "application/x-www-form-urlencoded", 400),
        (b"{}", "application/json", 415),
        (b"grant_type=client_credentials&grant_type=password", "application/x-www-form-urlencoded", 400),
        (b"grant_type=password&username=a&password=b", "application/x-www-form-urlencoded", 400),
        (b"grant_type=client_credentials&client_id=%00", "application/x-www-form-urlencoded", 400),
        (b"%FF=%FF", "application/x-www-form-urlencoded", 400),
        (b"a=" + b"b" * 40_000, "application/x-www-form-urlencoded", 413),
        (b"&".join(b"a%d=1" % n for n in range(200)), "application/x-www-form-urlencoded", 400),
        (b"grant_type=client_credentials&client_assertion=" + b"." * 9_000, "application/x-www-form-urlencoded", 400),
    ],
    ids=["empty", "JSON", "twice", "password", "NUL", "not UTF-8", "40 kB", "200 fields", "dots"],
)
def test_a_token_request_that_is_none_is_refused(
    desk: Any, refused: Any, content: bytes, kind: str, status: int
) -> None:
    """The OAuth addresses refuse in the form of RFC 6749, in French too, and never with an error of ours."""
    for path in ("/oauth2/token", "/oauth2/introspect", "/oauth2/revoke"):
        answer = desk.http.post(path, content=content, headers={"Content-Type": kind})
        refused(answer, answer.status_code if answer.status_code == 401 else status)


def test_an_assertion_is_used_once(desk: Any, refused: Any) -> None:
    """Whoever overhears a token request cannot make it again."""
    form, key = desk.form("caf"), desk.key("caf")
    assert 200 == desk.http.post("/oauth2/token", data=form, auth=key).status_code
    again = desk.http.post("/oauth2/token", data=form, auth=key)
    refused(again, again.status_code if again.status_code == 401 else 400, "invalid_client")


def _token(desk: Any, case: str, good: str) -> str:
    header, payload, signature = good.split(".")
    simple = {
        "one word": "Zorglubine",
        "garbled": "a.b.c",
        "accents": "é.é.é",
        "very long": "a" * 20_000,
        "without signature": f"{_encoded({'alg': 'none', 'typ': 'at+jwt'})}.{payload}.",
        "altered": f"{header}.{_encoded(_decoded(payload) | {'partner': '99900002900010'})}.{signature}",
        "a client assertion": desk.form("caf")["client_assertion"],
    }
    return simple[case] if case in simple else _signed(desk, case, _decoded(header), _decoded(payload))


def _signed(desk: Any, case: str, header: dict[str, Any], claims: dict[str, Any]) -> str:
    """A token signed by the gateway's own key, as a thief of it or a fault of ours would."""
    pem = (Path(desk.gateway.environment["TDU_DATA_DIR"]) / "keys" / "token-signing.pem").read_bytes()
    key, now = ECKey.import_key(pem), int(time.time())
    changes: dict[str, dict[str, Any]] = {
        "expired": {"iat": now - 700, "exp": now - 400},
        "another issuer": {"iss": "https://ailleurs.example.org"},
        "another audience": {"aud": "https://ailleurs.example.org"},
        "several audiences": {"aud": [claims["aud"], "https://ailleurs.example.org"]},
    }
    if case == "another type":
        header = header | {"typ": "JWT"}
    if case == "another key":
        key = ECKey.generate_key("P-256")
    return str(jwt.encode(header, claims | changes.get(case, {}), key, algorithms=["ES256"]))


def _decoded(part: str) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return value


def _encoded(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()
