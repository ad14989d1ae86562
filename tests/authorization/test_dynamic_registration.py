"""An invited partner registers its own systems (RFC 7591), manages them (RFC 7592), and never more than that."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from joserfc.jwk import ECKey

from consent.tables import ledger_events
from gateway.auth.client import TokenRefused, fetch_token
from gateway.auth.client_dpop import DpopKey
from gateway.auth.invitations import invite
from gateway.auth.profile import TRIAL, Profile, Security
from gateway.auth.registry import get_system
from gateway.auth.replay import forget_expired
from gateway.records import place

pytestmark = pytest.mark.anyio

CAF = "99900001100018"
KEY = ECKey.generate_key("P-256", {"kid": "a"})
PEM = KEY.as_pem(private=True)


def described(**changes: Any) -> dict[str, Any]:
    """What a client sends; a member given as `...` is left out."""
    good = {"client_name": "Logiciel RSA", "jwks": {"keys": [KEY.as_dict(private=False)]}}
    return {name: value for name, value in (good | changes).items() if value is not ...}


async def invited(desk: Any, security: Security | None = None, uses: int = 1, days: int = 1) -> str:
    """An initial access token for the CAF."""
    now = datetime.now(UTC)
    async with desk.running.runtime.services.database.write() as tx:
        return await invite(tx, CAF, security or Security(), uses=uses, now=now, expires_at=now + timedelta(days=days))


async def send(desk: Any, method: str, token: str, body: Any = None, path: str = "") -> httpx.Response:
    """One request of the registration protocol."""
    address = f"{desk.running.gateway.address}/oauth2/register{path}"
    options = {} if body is None else {"json": body}
    answer: httpx.Response = await desk.http.request(
        method, address, headers={"Authorization": f"Bearer {token}"}, **options
    )
    return answer


async def works(desk: Any, client_id: str, pem: bytes = PEM, kid: str = "a") -> bool:
    """Whether a system gets a bound token and is let in with it."""
    bound, issuer = DpopKey.generate(), desk.running.gateway.address
    try:
        token = await fetch_token(
            desk.http, issuer=issuer, client_id=client_id, private_key_pem=pem, kid=kid, dpop=bound
        )
    except TokenRefused:
        return False
    answer = await desk.http.get(f"{issuer}/v1/exchanges", auth=bound.with_token(token.access_token))
    return bool(answer.status_code == 200)


async def test_a_system_registers_and_works(desk: Any) -> None:
    """From the invitation to a first call, without the operator; its tokens are bound, its rights its partner's."""
    answer = await send(desk, "POST", await invited(desk), described())
    assert 201 == answer.status_code, answer.text
    given = answer.json()
    assert ("private_key_jwt", True, "shared-json", []) == (
        given["token_endpoint_auth_method"],
        given["dpop_bound_access_tokens"],
        given["adapter"],
        given["response_types"],
    )
    assert "client_secret" not in given and "no-store" == answer.headers["cache-control"]
    assert given["registration_client_uri"].endswith(given["client_id"])
    assert await works(desk, given["client_id"])
    metadata = (await desk.http.get(f"{desk.running.gateway.address}/.well-known/oauth-authorization-server")).json()
    assert metadata["registration_endpoint"].endswith("/oauth2/register")


async def test_a_registration_is_read_changed_and_removed(desk: Any) -> None:
    """With its own token: a new key replaces the old one at once; once removed, nothing works any more."""
    given = (await send(desk, "POST", await invited(desk), described())).json()
    path, token = f"/{given['client_id']}", given["registration_access_token"]
    read = (await send(desk, "GET", token, path=path)).json()
    assert {"registration_access_token", "client_id_issued_at"} == given.keys() - read.keys()
    other = ECKey.generate_key("P-256", {"kid": "b"})
    changed = described(
        client_id=given["client_id"], jwks={"keys": [other.as_dict(private=False)]}, client_name="Autre nom"
    )
    update = await send(desk, "PUT", token, changed, path)
    assert (200, "Autre nom") == (update.status_code, update.json()["client_name"])
    assert [False, True] == [
        await works(desk, given["client_id"]),
        await works(desk, given["client_id"], other.as_pem(private=True), "b"),
    ]
    assert 204 == (await send(desk, "DELETE", token, path=path)).status_code
    assert not await works(desk, given["client_id"], other.as_pem(private=True), "b")
    assert [401, 401] == [
        (await send(desk, "GET", token, path=path)).status_code,
        (await send(desk, "PUT", token, changed, path)).status_code,
    ]


async def test_registrations_are_in_the_ledger(desk: Any) -> None:
    """Who registered, changed and removed what: three events of the partner's."""
    given = (await send(desk, "POST", await invited(desk), described())).json()
    path, token = f"/{given['client_id']}", given["registration_access_token"]
    await send(desk, "PUT", token, described(client_id=given["client_id"]), path)
    await send(desk, "DELETE", token, path=path)
    async with desk.running.runtime.services.database.read() as tx:
        query = sa.select(ledger_events).where(ledger_events.c.type == "configuration_changed")
        events = (await tx.execute(query.order_by(ledger_events.c.seq))).all()
    texts = [desk.running.runtime.services.vault.own.open(event.sealed, place(event.id)).decode() for event in events]
    for word, text in zip(("system_registered", "system_updated", "system_disabled"), texts[-3:], strict=True):
        assert word in text and given["client_id"] in text and CAF in text
        assert token not in text


async def test_an_invitation_lets_in_as_many_as_it_says(desk: Any) -> None:
    """Ten at once on an invitation for two: two are registered; a refused registration uses nothing up."""
    token = await invited(desk, uses=2)
    assert 400 == (await send(desk, "POST", token, described(jwks=...))).status_code
    answers = await asyncio.gather(*(send(desk, "POST", token, described()) for _ in range(10)))
    assert [201] * 2 + [401] * 8 == sorted(answer.status_code for answer in answers)


async def test_a_trial_may_register_a_secret(desk: Any) -> None:
    """Only under an invitation for the sandbox; the secret is given once."""
    wanted = described(jwks=..., token_endpoint_auth_method="client_secret_basic")
    given = (await send(desk, "POST", await invited(desk, TRIAL), wanted)).json()
    basic = base64.b64encode(f"{given['client_id']}:{given['client_secret']}".encode()).decode()
    answer = await desk.http.post(
        f"{desk.running.gateway.address}/oauth2/token",
        data={"grant_type": "client_credentials"},
        headers={"Authorization": f"Basic {basic}"},
    )
    assert 200 == answer.status_code, answer.text
    path, token = f"/{given['client_id']}", given["registration_access_token"]
    assert "client_secret" not in (await send(desk, "GET", token, path=path)).json()
    renamed = wanted | {"client_id": given["client_id"], "client_name": "Renommé"}
    assert 200 == (await send(desk, "PUT", token, renamed, path)).status_code
    to_key = await send(desk, "PUT", token, described(client_id=given["client_id"]), path)
    assert (400, "invalid_client_metadata") == (to_key.status_code, to_key.json()["error"])


async def test_the_profile_is_the_operator_s_choice(desk: Any) -> None:
    """Under SMART, a P-384 key enters; under FAPI, it does not."""
    smart = ECKey.generate_key("P-384", {"kid": "s"})
    wanted = described(jwks={"keys": [smart.as_dict(private=False)]})
    under_smart = await send(desk, "POST", await invited(desk, replace(Security(), profile=Profile.SMART)), wanted)
    under_fapi = await send(desk, "POST", await invited(desk), wanted)
    assert [201, 400] == [under_smart.status_code, under_fapi.status_code]


METADATA: dict[str, dict[str, Any]] = {
    "no name": {"client_name": ...},
    "name a number": {"client_name": 7},
    "name on two lines": {"client_name": "a\nb"},
    "no key": {"jwks": ...},
    "a private key": {"jwks": {"keys": [KEY.as_dict(private=True)]}},
    "keys and their address": {"jwks_uri": "https://caf.example/jwks"},
    "an address inside": {"jwks": ..., "jwks_uri": "https://127.0.0.1/jwks"},
    "an address that is a number": {"jwks": ..., "jwks_uri": 7},
    "a secret outside the sandbox": {"jwks": ..., "token_endpoint_auth_method": "client_secret_basic"},
    "no authentication": {"token_endpoint_auth_method": "none"},
    "an unknown method": {"token_endpoint_auth_method": ["private_key_jwt"]},
    "a redirection": {"redirect_uris": ["https://caf.example/"]},
    "a response type": {"response_types": ["code"]},
    "another grant": {"grant_types": ["password"]},
    "grants a text": {"grant_types": "client_credentials"},
    "two bindings": {"dpop_bound_access_tokens": True, "tls_client_certificate_bound_access_tokens": True},
    "a binding that is a text": {"dpop_bound_access_tokens": "true"},
    "an unknown format": {"adapter": "fax"},
    "a format that is a list": {"adapter": []},
    "a certificate without name": {"jwks": ..., "token_endpoint_auth_method": "tls_client_auth"},
    "a certificate's name that is a list": {
        "jwks": ...,
        "token_endpoint_auth_method": "tls_client_auth",
        "tls_client_auth_san_dns": ["a.example"],
    },
}


async def test_what_cannot_be_registered_is_refused_with_the_standard_s_code(desk: Any) -> None:
    """Each with a French sentence; none uses the invitation up, and the sandbox cannot be asked for."""
    token = await invited(desk)
    for case, changes in METADATA.items():
        answer = await send(desk, "POST", token, described(**changes))
        assert (400, "invalid_client_metadata") == (answer.status_code, answer.json()["error"]), (
            f"{case}: {answer.text}"
        )
        assert answer.json()["message_fr"]
    for body in ([], "texte", 7, None):
        assert (await send(desk, "POST", token, body)).status_code in (400, 415)
    address = f"{desk.running.gateway.address}/oauth2/register"
    malformed = await desk.http.post(
        address, content=b"{", headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    )
    assert (400, "invalid_client_metadata") == (malformed.status_code, malformed.json()["error"])
    sneaky = described(
        sandbox=True, security={"sandbox": True}, profile="smart", binding="bearer", partner="99900002900010"
    )
    given = await send(desk, "POST", token, sneaky)
    assert 201 == given.status_code
    async with desk.running.runtime.services.database.read() as tx:
        system = await get_system(tx, given.json()["client_id"])
    assert (CAF, Security()) == (system.partner, system.security)


async def test_only_the_right_token_manages_a_registration(desk: Any) -> None:
    """None, a wrong one, an expired or spent invitation, another system's, an access token: one answer, 401."""
    first, second = [(await send(desk, "POST", await invited(desk), described())).json() for _ in range(2)]
    spent, expired = await invited(desk), await invited(desk, days=-1)
    await send(desk, "POST", spent, described())
    path = f"/{first['client_id']}"
    answers = [
        await send(desk, "POST", spent, described()),
        await send(desk, "POST", expired, described()),
        await send(desk, "POST", "x" * 43, described()),
        await send(desk, "POST", first["registration_access_token"], described()),
        await send(desk, "GET", second["registration_access_token"], path=path),
        await send(desk, "GET", spent, path=path),
        await send(desk, "DELETE", second["registration_access_token"], path=path),
        await send(desk, "PUT", second["registration_access_token"], described(client_id=first["client_id"]), path),
        await send(desk, "GET", first["registration_access_token"], path="/sys-0000000000000000"),
        await send(desk, "GET", first["registration_access_token"], path="/caf-logiciel"),
        await send(desk, "GET", await desk.token("caf"), path=path),
        await send(desk, "GET", "", path=path),
    ]
    assert {(401, "invalid_token")} == {(answer.status_code, answer.json()["error"]) for answer in answers}
    assert 1 == len({answer.text for answer in answers})
    for wrong in (
        described(),
        described(client_id=second["client_id"]),
        described(client_id=first["client_id"], registration_access_token="x"),
        described(client_id=first["client_id"], client_secret="x"),
    ):
        answer = await send(desk, "PUT", first["registration_access_token"], wrong, path)
        assert (400, "invalid_request") == (answer.status_code, answer.json()["error"])
    assert await works(desk, first["client_id"])


async def test_invitations_are_forgotten_when_they_are_over(desk: Any) -> None:
    """The keeper deletes what can let nobody in any more."""
    await invited(desk, days=-1)
    async with desk.running.runtime.services.database.write() as tx:
        assert await forget_expired(tx, datetime.now(UTC)) >= 1
