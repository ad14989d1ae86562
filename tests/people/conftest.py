"""
Somebody at the console's door: accounts made as `tdu user add` makes them, a browser's cookies, and a real OpenID provider.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pyotp
import pytest

from gateway.auth.people import accounts
from gateway.auth.people.openid import OpenID, Provider

PASSWORD = "une phrase que personne ne devine"
CSRF = re.compile(r'name="csrf" value="([0-9a-f]{64})"')


@dataclass
class Clock:
    """The time, moved by hand."""

    now: datetime = datetime(2026, 11, 30, 9, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **by: float) -> None:
        self.now += timedelta(**by)


@dataclass
class Visitor:
    """A browser: its cookies, its name, and the forms it sends from the pages that it was shown."""

    http: httpx.AsyncClient
    address: str
    browser: str = "Mozilla/5.0 (essai)"
    cookies: dict[str, str] = field(default_factory=dict)

    async def get(self, path: str) -> httpx.Response:
        return await self._sent("GET", path)

    async def post(self, path: str, fields: dict[str, str], **headers: str) -> httpx.Response:
        return await self._sent("POST", path, data=fields, headers={"Origin": self.address} | headers)

    async def form(self, page: str, path: str, fields: dict[str, str]) -> httpx.Response:
        """Send a form as its page does, with the page's own token."""
        found = CSRF.search((await self.get(page)).text)
        assert found, f"no form on {page}"
        return await self.post(path, fields | {"csrf": found[1]})

    async def upload(self, page: str, fields: dict[str, str], raw: bytes) -> httpx.Response:
        """Send a file by the form of a page, with the page's own token."""
        found = CSRF.search((await self.get(page)).text)
        assert found, f"no form on {page}"
        return await self._sent(
            "POST",
            page,
            data=fields | {"csrf": found[1]},
            files={"file": ("export.csv", raw, "text/csv")},
            headers={"Origin": self.address},
        )

    async def _sent(self, method: str, path: str, **options: Any) -> httpx.Response:
        headers = {"User-Agent": self.browser} | options.pop("headers", {})
        if self.cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        answer = await self.http.request(method, self.address + path, headers=headers, **options)
        for said in answer.headers.get_list("set-cookie"):
            name, _, value = said.partition(";")[0].partition("=")
            if value.strip('"'):
                self.cookies[name] = value
            else:
                self.cookies.pop(name, None)
        self.http.cookies.clear()
        return answer


@dataclass
class House:
    """A running gateway with people."""

    started: Any
    clock: Clock

    @property
    def address(self) -> str:
        return str(self.started.gateway.address)

    def visitor(self, browser: str = "Mozilla/5.0 (essai)") -> Visitor:
        return Visitor(self.started.http, self.address, browser)

    async def account(self, login: str, *roles: str, partner: str = "") -> pyotp.TOTP:
        """Open a local account and give what its authenticator computes codes with."""
        services = self.started.runtime.services
        async with services.database.write() as tx:
            made = await accounts.add(
                tx,
                login=login,
                password=PASSWORD,
                roles=roles,
                partner=partner,
                issuer="essai",
                key=services.vault.own,
                now=self.clock.now,
            )
        totp = pyotp.parse_uri(made.totp_uri)
        assert isinstance(totp, pyotp.TOTP)
        return totp

    async def signed_in(self, login: str, *roles: str, partner: str = "") -> Visitor:
        """Somebody who has just come in."""
        totp, visitor = await self.account(login, *roles, partner=partner), self.visitor()
        fields = {"login": login, "password": PASSWORD, "code": totp.at(self.clock.now)}
        answer = await visitor.post("/console/sign-in", fields)
        assert (answer.status_code, answer.headers["location"]) == (303, "/console")
        return visitor


@pytest.fixture
def house(in_process: Callable[..., Any]) -> Callable[..., AbstractAsyncContextManager[House]]:
    """Start a gateway, on both databases, with a clock of its own: `async with house() as at_home`."""

    @asynccontextmanager
    async def start(provider: str = "", **settings: Any) -> AsyncIterator[House]:
        clock = Clock(datetime.now(UTC)) if provider else Clock()
        async with in_process(clock=clock) as started:
            if provider:
                redirect = f"{started.gateway.address}/console/openid/return"
                known = Provider(provider, "console", "secret-du-client", redirect, **settings)
                started.app.state.openid = OpenID(known)
            yield House(started, clock)

    return start
