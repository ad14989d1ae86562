"""What a system registered is demanded: tokens bound to a key, and a shared secret for trials only."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from gateway.auth.client import TokenRefused, fetch_token
from gateway.auth.client_dpop import DpopKey
from gateway.auth.profile import TRIAL, Method
from gateway.auth.registry import add_system
from gateway.store.tables import systems

pytestmark = pytest.mark.anyio

SECRET = "un-secret-de-bac-a-sable"


@pytest.fixture(scope="module")
async def desk(desk: Any) -> AsyncIterator[Any]:
    """The gateway with a system of the sandbox that has a secret."""
    async with desk.database.write() as tx:
        await add_system(
            tx,
            client_id="caf-essai",
            partner="99900001100018",
            name="Essai",
            security=replace(TRIAL, method=Method.SECRET),
            secret=SECRET,
            now=datetime.now(UTC),
        )
    yield desk


async def test_a_system_registered_for_bound_tokens_gets_no_other(desk: Any) -> None:
    """Without a proof: refused, told why in French, and given the nonce for the next attempt."""
    answer = await desk.ask(desk.form(desk.assertion(client="caf-dpop")))
    assert (400, "invalid_dpop_proof") == (answer.status_code, answer.json()["error"])
    assert "DPoP" in answer.json()["message_fr"] and answer.headers["dpop-nonce"]


async def test_a_system_registered_for_bound_tokens_gets_one_with_a_proof(desk: Any) -> None:
    """The example given to partners does it, and says in French what is missing when it is not told to."""
    pem, key = desk.keys.es256.as_pem(private=True), DpopKey.generate()
    words = {"issuer": desk.issuer, "client_id": "caf-dpop", "private_key_pem": pem, "kid": "es256"}
    token = await fetch_token(desk.http, **words, dpop=key)
    assert 200 == (await desk.http.get("/mailbox", auth=key.with_token(token.access_token))).status_code
    with pytest.raises(TokenRefused, match="enregistré pour des jetons liés"):
        await fetch_token(desk.http, **words)


def basic(client: str, secret: str) -> dict[str, str]:
    """The header of client_secret_basic."""
    return {"Authorization": "Basic " + base64.b64encode(f"{client}:{secret}".encode()).decode()}


async def ask(desk: Any, headers: dict[str, str], **form: str) -> httpx.Response:
    """Ask for a token by secret."""
    answer: httpx.Response = await desk.http.post(
        "/oauth2/token", data={"grant_type": "client_credentials", **form}, headers=headers
    )
    return answer


async def test_a_trial_may_use_a_secret(desk: Any) -> None:
    """What `curl -u` sends gets a bearer token that opens what the system may open."""
    answer = await ask(desk, basic("caf-essai", SECRET))
    assert (200, "Bearer") == (answer.status_code, answer.json()["token_type"])
    assert 200 == (await desk.call(answer.json()["access_token"])).status_code
    introspected = await desk.http.post(
        "/oauth2/introspect", data={"token": answer.json()["access_token"]}, headers=basic("caf-essai", SECRET)
    )
    assert introspected.json()["active"]


REFUSED: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "wrong secret": (basic("caf-essai", "autre"), {}),
    "empty secret": (basic("caf-essai", ""), {}),
    "a system with a key": (basic("caf-rsa", SECRET), {}),
    "an unknown system": (basic("personne", SECRET), {}),
    "a disabled system": (basic("caf-ancien", SECRET), {}),
    "no colon": ({"Authorization": "Basic " + base64.b64encode(b"caf-essai").decode()}, {}),
    "not base64": ({"Authorization": "Basic ,!"}, {}),
    "not UTF-8": ({"Authorization": "Basic " + base64.b64encode(b"caf-essai:\xff\xfe").decode()}, {}),
    "another scheme": ({"Authorization": basic("caf-essai", SECRET)["Authorization"].replace("Basic", "Bearer")}, {}),
    "the client_id of another in the form": (basic("caf-essai", SECRET), {"client_id": "caf-rsa"}),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_a_secret_that_is_not_the_registered_one_is_refused_alike(desk: Any, case: str) -> None:
    """401 for what came in the header; the same words whether the system exists, has a secret, or not."""
    headers, form = REFUSED[case]
    answer = await ask(desk, headers, **form)
    expected = (400 if form else 401, "invalid_client")
    assert expected == (answer.status_code, answer.json()["error"]), answer.text


async def test_the_refusals_of_a_secret_are_one_text(desk: Any) -> None:
    """Nobody learns which systems have a secret."""
    answers = {
        (await ask(desk, basic(client, "x"))).text for client in ("caf-essai", "caf-rsa", "personne", "caf-ancien")
    }
    assert 1 == len(answers)


async def test_a_secret_in_the_form_is_refused(desk: Any) -> None:
    """client_secret_post ends up in logs of forms; it is not among the methods."""
    answer = await ask(desk, {}, client_id="caf-essai", client_secret=SECRET)
    assert (400, "invalid_client") == (answer.status_code, answer.json()["error"])


async def test_a_system_taken_out_of_the_sandbox_keeps_no_secret(desk: Any) -> None:
    """A row that would still hold a secret without being a trial's is not believed."""
    async with desk.database.write() as tx:
        kept = await tx.scalar(sa.select(systems.c.security).where(systems.c.client_id == "caf-essai"))
        change = sa.update(systems).where(systems.c.client_id == "caf-essai")
        await tx.execute(change.values(security={"method": "client_secret_basic"}))
    answer = await ask(desk, basic("caf-essai", SECRET))
    async with desk.database.write() as tx:
        await tx.execute(change.values(security=kept))
    assert (401, "invalid_client") == (answer.status_code, answer.json()["error"])


async def test_only_a_digest_of_the_secret_is_kept(desk: Any) -> None:
    """The database holds nothing that authenticates anybody."""
    async with desk.database.read() as tx:
        row = (await tx.execute(sa.select(systems).where(systems.c.client_id == "caf-essai"))).first()
    assert SECRET.encode() not in bytes(row.secret) and 32 == len(row.secret)
