"""
Signing in at an OpenID provider nobody here wrote, and everything that a provider's answer may not be.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from gateway.auth.people import accounts

pytestmark = pytest.mark.anyio


async def consent_at(address: str, person: str) -> str:
    """Choose who one is on the provider's page, and give the path it sends the browser back to."""
    async with httpx.AsyncClient() as http:
        assert (await http.get(address)).status_code == 200
        answer = await http.post(address, data={"sub": person})
    back = urlsplit(answer.headers["location"])
    return f"{back.path}?{back.query}"


async def assigned(home: Any, login: str, subject: str, *roles: str) -> None:
    async with home.started.runtime.services.database.write() as tx:
        await accounts.invite(tx, login=login, subject=subject, roles=roles, partner="", now=home.clock.now)


async def test_somebody_known_here_signs_in_at_the_provider(house: Callable[..., Any], openid_provider: str) -> None:
    """PKCE, a state and a nonce of 32 characters at least; the roles are those given here."""
    async with house(openid_provider) as home:
        await assigned(home, "alix", "alix", "coordinator")
        visitor = home.visitor()
        leaving = (await visitor.get("/console/openid")).headers["location"]
        asked = parse_qs(urlsplit(leaving).query)
        assert asked["code_challenge_method"] == ["S256"]
        assert min(len(asked["state"][0]), len(asked["nonce"][0])) >= 32
        answer = await visitor.get(await consent_at(leaving, "alix"))
        assert (answer.status_code, answer.headers["location"]) == (303, "/console")
        assert (await visitor.get("/console/indicators")).status_code == 200
        assert (await visitor.get("/console/ledger")).status_code == 403
        out = await visitor.form("/console", "/console/sign-out", {})
        assert f"{openid_provider}/oauth2/end_session" in out.text


async def test_without_pkce_only_the_parameters_that_proconnect_allows_are_sent(
    house: Callable[..., Any], openid_provider: str
) -> None:
    """ProConnect refuses the others (Y000400), and the sign-in works without them."""
    async with house(openid_provider, pkce=False) as home:
        await assigned(home, "alix", "alix", "auditor")
        visitor = home.visitor()
        leaving = (await visitor.get("/console/openid")).headers["location"]
        allowed = {"response_type", "client_id", "redirect_uri", "scope", "claims", "state", "nonce", "prompt"}
        assert parse_qs(urlsplit(leaving).query).keys() <= allowed
        assert (await visitor.get(await consent_at(leaving, "alix"))).headers["location"] == "/console"


async def test_somebody_without_a_role_stays_at_the_door(house: Callable[..., Any], openid_provider: str) -> None:
    """Being recognised is not being allowed."""
    async with house(openid_provider) as home:
        visitor = home.visitor()
        leaving = (await visitor.get("/console/openid")).headers["location"]
        answer = await visitor.get(await consent_at(leaving, "nobody"))
        assert answer.status_code == 403
        assert "aucun rôle" in answer.text
        assert not any(name == "tdu" for name in visitor.cookies)


async def test_a_second_factor_that_was_asked_for_must_be_stated(
    house: Callable[..., Any], openid_provider: str
) -> None:
    """A provider that says nothing of it is not believed to have asked."""
    async with house(openid_provider, required_amr="mfa") as home:
        await assigned(home, "alix", "alix", "auditor")
        visitor = home.visitor()
        leaving = (await visitor.get("/console/openid")).headers["location"]
        assert "amr" in leaving
        answer = await visitor.get(await consent_at(leaving, "alix"))
        assert answer.status_code == 403
        assert "second facteur" in answer.text


@pytest.mark.parametrize("forgery", ["state", "code", "issuer", "error", "no cookie", "another sign-in", "too late"])
async def test_a_return_that_was_not_begun_here_is_refused(
    house: Callable[..., Any], openid_provider: str, forgery: str
) -> None:
    """A forged or replayed answer signs nobody in, and tells nothing of what was received."""
    async with house(openid_provider) as home:
        await assigned(home, "alix", "alix", "auditor")
        visitor, other = home.visitor(), home.visitor()
        leaving = (await visitor.get("/console/openid")).headers["location"]
        back = await consent_at(leaving, "alix")
        if forgery == "state":
            back = back.replace("state=", "state=x")
        elif forgery == "code":
            back = back.replace("code=", "code=x")
        elif forgery == "issuer":
            back += "&iss=https://ailleurs.example"
        elif forgery == "error":
            back += "&error=access_denied"
        elif forgery == "no cookie":
            visitor.cookies.clear()
        elif forgery == "another sign-in":
            await other.get("/console/openid")
            visitor.cookies = other.cookies
        else:
            home.clock.advance(minutes=11)
        answer = await visitor.get(back)
        assert answer.status_code == 403
        assert "tdu" not in visitor.cookies
        assert back.partition("code=")[2][:20] not in answer.text


async def test_a_provider_that_is_away_is_told(house: Callable[..., Any]) -> None:
    """The page says to try again later; local accounts still work."""
    async with house("http://127.0.0.1:9") as home:
        answer = await home.visitor().get("/console/openid")
        assert answer.status_code == 403
        assert "ne répond pas" in answer.text
        assert (await (await home.signed_in("audrey", "auditor")).get("/console")).status_code == 200
