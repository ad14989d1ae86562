"""
The authorization server as its clients see it: token, introspection, revocation, keys, metadata.
"""

import asyncio
import logging
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from joserfc import jwt
from joserfc.jwk import KeySet

from gateway.auth.authority import Auth
from gateway.auth.client import TokenRefused, client_assertion, fetch_token
from gateway.auth.registry import disable_system
from gateway.auth.replay import forget_expired
from gateway.auth.scopes import Scopes
from gateway.auth.token_keys import HeldKey, HeldKeys
from gateway.store.tables import assertion_jtis, revoked_tokens, systems

pytestmark = pytest.mark.anyio


async def test_the_token_is_an_rfc_9068_jwt_that_the_published_keys_verify(desk: Any) -> None:
    """A program that knows only the metadata verifies the token and finds partner, system and scopes in it."""
    metadata = (await desk.http.get("/.well-known/oauth-authorization-server")).json()
    published = KeySet.import_key_set((await desk.http.get(metadata["jwks_uri"])).json())
    before = int(time.time())
    response = await desk.http.post(metadata["token_endpoint"], data=desk.form())
    answer = response.json()
    token = jwt.decode(answer["access_token"], published, algorithms=["ES256"])
    claims = token.claims
    assert {"alg": "ES256", "typ": "at+jwt", "kid": "gateway-2"} == token.header
    assert 300 == claims["exp"] - claims["iat"] == answer["expires_in"]
    assert before <= claims["iat"] <= time.time()
    assert 36 == len(claims["jti"])
    assert {
        "iss": desk.issuer,
        "aud": desk.issuer,
        "sub": "caf-rsa",
        "client_id": "caf-rsa",
        "scope": "mailbox:read referral:send status:send",
        "partner": "99900001100018",
        "system": "Logiciel caf-rsa",
        "roles": ["partner"],
    } == {name: value for name, value in claims.items() if name not in {"iat", "exp", "jti"}}
    assert ("Bearer", claims["scope"]) == (answer["token_type"], answer["scope"])
    assert "refresh_token" not in answer
    assert "no-store" == response.headers["cache-control"]


async def test_the_token_has_exactly_the_scopes_asked_for(desk: Any) -> None:
    """Asking for less than what is granted gives less, in any order and with any number of spaces."""
    answer = (await desk.ask(desk.form(scope="status:send  mailbox:read"))).json()
    assert "mailbox:read status:send" == answer["scope"]


async def test_no_private_key_is_published(desk: Any) -> None:
    """The key set holds the current and the previous public keys, for signatures, and nothing secret."""
    keys = (await desk.http.get("/oauth2/jwks")).json()["keys"]
    assert {"gateway-1", "gateway-2"} == {key["kid"] for key in keys}
    assert all({"kty", "crv", "x", "y", "kid", "use", "alg"} == set(key) for key in keys)


async def test_the_metadata_describe_what_the_server_does(desk: Any) -> None:
    """The RFC 8414 document names the endpoints, one authentication method and the closed list of scopes."""
    metadata = (await desk.http.get("/.well-known/oauth-authorization-server")).json()
    assert desk.issuer == metadata["issuer"]
    methods = ["private_key_jwt", "tls_client_auth", "self_signed_tls_client_auth"]
    assert methods == metadata["token_endpoint_auth_methods_supported"]
    grants = ["client_credentials", "urn:ietf:params:oauth:grant-type:token-exchange"]
    assert grants == metadata["grant_types_supported"]
    assert ["exchange"] == metadata["authorization_details_types_supported"]
    assert [scope.value for scope in Scopes] == metadata["scopes_supported"]
    assert {"ES256", "ES384", "PS256", "Ed25519", "EdDSA"} == set(
        metadata["token_endpoint_auth_signing_alg_values_supported"]
    )
    for endpoint in ("token", "introspection", "revocation"):
        response = await desk.http.post(metadata[f"{endpoint}_endpoint"], data={"token": "x"})
        assert "error" in response.json()


async def test_an_assertion_serves_once(desk: Any) -> None:
    """The same assertion sent again is refused, at every endpoint."""
    assertion = desk.assertion()
    statuses = [(await desk.ask(desk.form(assertion))).status_code for _ in range(2)]
    elsewhere = await desk.http.post("/oauth2/introspect", data=desk.form(assertion, token="x"))
    assert [200, 400] == statuses
    assert (401, "invalid_client") == (elsewhere.status_code, elsewhere.json()["error"])


async def test_sixteen_copies_at_once_give_one_token(desk: Any) -> None:
    """Of 16 simultaneous copies, spread over two processes, the database lets exactly one through."""
    form = desk.form()
    transport = httpx.ASGITransport(app=desk.elsewhere())
    async with httpx.AsyncClient(transport=transport, base_url=desk.issuer) as other:
        answers = await asyncio.gather(
            *((desk.http if n % 2 else other).post("/oauth2/token", data=form) for n in range(16))
        )
    assert [200] + [400] * 15 == sorted(answer.status_code for answer in answers)
    assert {"invalid_client"} == {answer.json()["error"] for answer in answers if answer.status_code == 400}


async def test_two_clients_may_choose_the_same_jti(desk: Any) -> None:
    """A jti is unique per client: one partner cannot use up another's."""
    jti = f"shared-{time.time_ns()}"
    statuses = [
        (await desk.ask(desk.form(desk.assertion(client=client, jti=jti)))).status_code
        for client in ("caf-rsa", "relais-suivi")
    ]
    assert [200, 200] == statuses


async def test_a_system_sees_its_own_live_token(desk: Any) -> None:
    """Introspection describes the token to the system that holds it."""
    answer = (await desk.about("introspect", await desk.token())).json()
    assert answer["active"] is True
    assert ("caf-rsa", "99900001100018", "Bearer") == (answer["client_id"], answer["partner"], answer["token_type"])
    assert "mailbox:read referral:send status:send" == answer["scope"]


async def test_another_partner_learns_nothing_of_a_token(desk: Any) -> None:
    """To any other system a live token looks like garbage."""
    token = await desk.token()
    answers = [(await desk.about("introspect", asked, client="relais-suivi")).json() for asked in (token, "garbage")]
    assert [{"active": False}, {"active": False}] == answers


@pytest.mark.parametrize("asked", ["garbage", "..", "a.b.c", "é", "x" * 9_000, "[" * 3_000, '"', "\x00"])
async def test_what_is_not_a_token_is_inactive_and_revoked_without_error(desk: Any, asked: str) -> None:
    """Junk is `{"active": false}` to introspection, and 200 to revocation, as RFC 7662 and RFC 7009 ask."""
    introspected = await desk.about("introspect", asked)
    revoked = await desk.about("revoke", asked)
    assert (200, {"active": False}) == (introspected.status_code, introspected.json())
    assert (200, {}) == (revoked.status_code, revoked.json())


@pytest.mark.parametrize(("endpoint", "status"), [("introspect", 401), ("revoke", 400)])
async def test_nobody_asks_about_tokens_without_proving_who_it_is(desk: Any, endpoint: str, status: int) -> None:
    """A token is no credential here: introspection and revocation want an assertion too."""
    response = await desk.http.post(f"/oauth2/{endpoint}", data={"token": await desk.token()})
    assert (status, "invalid_client") == (response.status_code, response.json()["error"])


@pytest.mark.parametrize("endpoint", ["introspect", "revoke"])
async def test_the_token_parameter_is_required(desk: Any, endpoint: str) -> None:
    """Without `token` the request is `invalid_request`."""
    response = await desk.about(endpoint, "")
    assert (400, "invalid_request") == (response.status_code, response.json()["error"])


@pytest.mark.parametrize("hint", ["access_token", "refresh_token", "nonsense"])
async def test_a_revoked_token_is_inactive_and_opens_nothing(desk: Any, hint: str) -> None:
    """After revocation the next request is refused, whatever hint came with it and although the token was already seen."""
    token = await desk.token()
    assert 200 == (await desk.call(token)).status_code
    form = desk.form(grant_type=..., token=token, token_type_hint=hint)
    assert 200 == (await desk.http.post("/oauth2/revoke", data=form)).status_code
    assert 401 == (await desk.call(token)).status_code
    assert {"active": False} == (await desk.about("introspect", token)).json()
    assert 200 == (await desk.about("revoke", token)).status_code


async def test_another_partner_does_not_revoke(desk: Any) -> None:
    """A token is taken back by the system it was issued to, and by no other."""
    token = await desk.token()
    response = await desk.about("revoke", token, client="relais-suivi")
    assert (400, "invalid_grant") == (response.status_code, response.json()["error"])
    assert 200 == (await desk.call(token)).status_code


async def test_no_token_and_no_assertion_is_ever_logged(desk: Any, caplog: pytest.LogCaptureFixture) -> None:
    """With every logger at DEBUG, neither tokens nor assertions are written, good or refused."""
    caplog.set_level(logging.DEBUG)
    for name in list(logging.root.manager.loggerDict):
        caplog.set_level(logging.DEBUG, logger=name)
    good, bad = desk.assertion(), desk.assertion(exp=1)
    token = (await desk.ask(desk.form(good))).json()["access_token"]
    await desk.ask(desk.form(bad))
    await desk.call(token)
    await desk.call(token[:-6])
    await desk.about("introspect", token)
    await desk.about("revoke", token)
    written = "\n".join(f"{record.getMessage()} {record.__dict__}" for record in caplog.records)
    assert "oauth.token_issued" in written
    assert "oauth.refused" in written
    for secret in (good, bad, token):
        assert [] == [part for part in secret.split(".")[1:] if part in written]


async def test_a_disabled_system_gets_no_token_and_its_tokens_die(desk: Any) -> None:
    """Shutting a system out stops new tokens at once and its live tokens as soon as the lists are read again."""
    token = await desk.token(client="relais-suivi")
    try:
        async with desk.database.write() as tx:
            await disable_system(tx, "relais-suivi", datetime.now(UTC))
        refused = await desk.ask(desk.form(desk.assertion(client="relais-suivi")))
        transport = httpx.ASGITransport(app=desk.elsewhere())
        async with httpx.AsyncClient(transport=transport, base_url=desk.issuer) as other:
            call = await other.get("/mailbox", headers={"Authorization": f"Bearer {token}"})
    finally:
        async with desk.database.write() as tx:
            await tx.execute(sa.update(systems).where(systems.c.client_id == "relais-suivi").values(disabled_at=None))
    assert (400, "invalid_client") == (refused.status_code, refused.json()["error"])
    assert 401 == call.status_code


async def test_identifiers_are_forgotten_when_their_bearer_has_expired(desk: Any) -> None:
    """The keeper deletes what can no longer be replayed, and not before."""
    async with desk.database.write() as tx:
        await forget_expired(tx, datetime.now(UTC) + timedelta(days=1))
    assertion = desk.assertion()
    token = (await desk.ask(desk.form(assertion))).json()["access_token"]
    await desk.about("revoke", token)
    left = []
    for moment in (timedelta(seconds=65), timedelta(seconds=75), timedelta(seconds=310)):
        async with desk.database.write() as tx:
            await forget_expired(tx, datetime.now(UTC) + moment)
            counts = [
                await tx.scalar(sa.select(sa.func.count()).select_from(table))
                for table in (assertion_jtis, revoked_tokens)
            ]
        left.append(tuple(counts))
    assert [(2, 1), (0, 1), (0, 0)] == left


@pytest.mark.parametrize("name", ["es256", "ps256", "ed25519"])
async def test_the_partner_s_own_code_gets_a_token(desk: Any, name: str) -> None:
    """The example given to partners works with every kind of key, and its token opens a resource."""
    pem = getattr(desk.keys, name).as_pem(private=True)
    token = await fetch_token(
        desk.http, issuer=desk.issuer, client_id="caf-rsa", private_key_pem=pem, kid=name, scope="mailbox:read"
    )
    assert {"mailbox:read"} == token.scopes
    assert 290 < token.expires_at - time.time() <= 300
    assert 200 == (await desk.http.get("/mailbox", headers=token.headers)).status_code
    assert token.access_token not in repr(token)


async def test_the_partner_s_own_code_says_in_french_why_it_was_refused(desk: Any) -> None:
    """A partner that registered another key reads what to check."""
    pem = desk.keys.other.as_pem(private=True).decode()
    with pytest.raises(TokenRefused, match="Système inconnu ou désactivé") as refused:
        await fetch_token(desk.http, issuer=desk.issuer, client_id="caf-rsa", private_key_pem=pem, kid="es256")
    assert "invalid_client" == refused.value.error


def test_the_partner_s_own_code_refuses_a_key_that_the_gateway_would_refuse() -> None:
    """A key of another kind is named before anything is sent."""
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    pem = X25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(ValueError, match="EC P-256"):
        client_assertion("caf-rsa", "https://passerelle.example.org", pem, "x25519")


@pytest.mark.parametrize(
    "issuer",
    [
        "http://passerelle.example.org",
        "https://passerelle.example.org/",
        "https://h.example.org?a=b",
        "https://h.example.org#a",
        "",
        "passerelle",
    ],
)
async def test_an_issuer_that_clients_could_not_compare_is_refused(desk: Any, issuer: str) -> None:
    """The issuer is https (http on the loopback only), without final slash, query or fragment (RFC 8414 section 2)."""
    with pytest.raises(ValueError, match="issuer"):
        Auth(
            desk.database,
            issuer,
            HeldKeys([HeldKey(desk.keys.gateway)]),
            rights=desk.auth.rights,
            secret=b"",
            clock=desk.clock,
        )


@pytest.mark.parametrize(
    "issuer", ["http://127.0.0.1:8080", "http://localhost:8080", "http://[::1]:80", "https://h.example.org/tdu"]
)
async def test_a_loopback_issuer_may_do_without_tls(desk: Any, issuer: str) -> None:
    """The embedded mode runs without certificate on its own machine."""
    keys = HeldKeys([HeldKey(desk.keys.gateway)])
    auth = Auth(desk.database, issuer, keys, rights=desk.auth.rights, secret=b"", clock=desk.clock)
    assert issuer == auth.issuer
