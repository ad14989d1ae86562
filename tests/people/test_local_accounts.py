"""
Local accounts: a password and a code that serves once, doors that close, sessions that end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from gateway.auth.errors import RegistrationRefused
from gateway.auth.people import accounts, sessions
from gateway.store.tables import people, person_sessions

PASSWORD = "une phrase que personne ne devine"

pytestmark = pytest.mark.anyio


async def test_somebody_signs_in_sees_their_pages_and_signs_out(house: Callable[..., Any]) -> None:
    """The first page names the role's pages; after signing out the same cookie opens nothing."""
    async with house() as home:
        audrey = await home.signed_in("audrey", "auditor")
        page = await audrey.get("/console")
        assert page.status_code == 200
        assert "/console/ledger" in page.text
        assert "/console/partners" not in page.text
        kept = dict(audrey.cookies)
        assert (await audrey.form("/console", "/console/sign-out", {})).status_code == 200
        assert audrey.cookies == {}
        audrey.cookies = kept
        assert (await audrey.get("/console")).headers["location"] == "/console/sign-in"


@pytest.mark.parametrize("wrong", ["login", "password", "code"])
async def test_whatever_is_wrong_the_answer_is_the_same(house: Callable[..., Any], wrong: str) -> None:
    """A stranger does not learn which accounts exist."""
    async with house() as home:
        totp, visitor = await home.account("audrey", "auditor"), home.visitor()
        right = {"login": "audrey", "password": PASSWORD, "code": totp.at(home.clock.now)}
        answer = await visitor.post("/console/sign-in", right | {wrong: "000000"})
        assert answer.status_code == 401
        assert "Identifiant, mot de passe ou code incorrect" in answer.text
        assert "audrey" not in answer.text
        assert visitor.cookies == {}


async def test_a_code_serves_once(house: Callable[..., Any]) -> None:
    """Somebody who looked over a shoulder comes too late, and so does an older code."""
    async with house() as home:
        totp = await home.account("audrey", "auditor")
        fields = {"login": "audrey", "password": PASSWORD, "code": totp.at(home.clock.now)}
        assert (await home.visitor().post("/console/sign-in", fields)).status_code == 303
        assert (await home.visitor().post("/console/sign-in", fields)).status_code == 401
        home.clock.advance(seconds=30)
        fields["code"] = totp.at(home.clock.now)
        assert (await home.visitor().post("/console/sign-in", fields)).status_code == 303


async def test_five_failures_close_the_door_for_a_quarter_of_an_hour(house: Callable[..., Any]) -> None:
    """Then even the right password does not open, until the time is over."""
    async with house() as home:
        totp, visitor = await home.account("audrey", "auditor"), home.visitor()

        async def knock(password: str) -> int:
            fields = {"login": "audrey", "password": password, "code": totp.at(home.clock.now)}
            return int((await visitor.post("/console/sign-in", fields)).status_code)

        assert [await knock("faux faux faux faux") for _ in range(5)] == [401] * 5
        assert await knock(PASSWORD) == 401
        home.clock.advance(minutes=16)
        assert await knock(PASSWORD) == 303


async def test_a_session_ends_by_itself_and_belongs_to_one_browser(house: Callable[..., Any]) -> None:
    """After twenty idle minutes, after four hours whatever is done, and at once in another browser."""
    async with house() as home:
        audrey = await home.signed_in("audrey", "auditor")
        thief = home.visitor("curl/8")
        thief.cookies = dict(audrey.cookies)
        assert (await thief.get("/console")).status_code == 303
        for _ in range(12):
            home.clock.advance(minutes=19)
            assert (await audrey.get("/console")).status_code == 200
        home.clock.advance(minutes=13)
        assert (await audrey.get("/console")).status_code == 303
        again = await home.signed_in("alice", "auditor")
        home.clock.advance(minutes=21)
        assert (await again.get("/console")).status_code == 303


async def test_somebody_ends_another_session_of_theirs_and_nobody_else_s(house: Callable[..., Any]) -> None:
    """The list of sessions is one's own; another person's session is not found."""
    async with house() as home:
        audrey, marc = await home.signed_in("audrey", "auditor"), await home.signed_in("marc", "coordinator")
        async with home.started.runtime.services.database.read() as tx:
            rows = {row.login: row.id for row in await tx.execute(sa.select(person_sessions))}
        await marc.form("/console/sessions", "/console/sessions/end", {"session": rows["audrey"]})
        assert (await audrey.get("/console")).status_code == 200
        await audrey.form("/console/sessions", "/console/sessions/end", {"session": rows["audrey"]})
        assert (await audrey.get("/console")).status_code == 303


async def test_shutting_somebody_out_ends_their_sessions(house: Callable[..., Any]) -> None:
    """The next click is refused, and so is the next sign-in."""
    async with house() as home:
        audrey = await home.signed_in("audrey", "auditor")
        async with home.started.runtime.services.database.write() as tx:
            person = await accounts.disable(tx, "audrey", home.clock.now)
            assert person is not None
            assert await sessions.end_all(tx, person, home.clock.now) == 1
        assert (await audrey.get("/console")).status_code == 303


async def test_nothing_kept_opens_anything(house: Callable[..., Any]) -> None:
    """Neither the cookie, nor the password, nor the authenticator's secret can be read in the database."""
    async with house() as home:
        totp = await home.account("marc", "coordinator")
        audrey = await home.signed_in("audrey", "auditor")
        async with home.started.runtime.services.database.read() as tx:
            rows = [*(await tx.execute(sa.select(people))), *(await tx.execute(sa.select(person_sessions)))]
        kept = " ".join(str(value) for row in rows for value in row)
        assert "argon2id" in kept
        assert [secret for secret in (PASSWORD, totp.secret, *audrey.cookies.values()) if secret in kept] == []


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"login": "É"}, "login_malformed"),
        ({"password": "court"}, "password_too_short"),
        ({"roles": ["roi"]}, "role_unknown"),
        ({"roles": []}, "role_unknown"),
        ({"roles": ["operator"]}, "partner_of_operator"),
        ({"roles": ["auditor"], "partner": "99900001100018"}, "partner_of_operator"),
        ({"login": "audrey"}, "login_taken"),
    ],
)
async def test_an_account_that_makes_no_sense_is_refused(
    house: Callable[..., Any], said: dict[str, Any], code: str
) -> None:
    """Each with the word that says why."""
    async with house() as home:
        await home.account("audrey", "auditor")
        services = home.started.runtime.services
        made = {"login": "marc", "password": PASSWORD, "roles": ["auditor"], "partner": "", "issuer": "essai"} | said
        with pytest.raises(RegistrationRefused) as refused:
            async with services.database.write() as tx:
                await accounts.add(tx, key=services.vault.own, now=home.clock.now, **made)
        assert refused.value.code == code
