"""
Who is signed in to the console, from page to page, and the forms of its pages: read only if one of ours made them.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final
from urllib.parse import parse_qsl

from fastapi import Depends, Request
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.responses import HTMLResponse, RedirectResponse, Response

from gateway.auth.caller import Caller
from gateway.auth.people import sessions
from gateway.auth.people.roles import PersonRole
from gateway.auth.people.sessions import Session
from gateway.auth.scopes import Scopes
from gateway.console.pages import page
from gateway.http.bodies import media_type, read_body
from gateway.http.state import services_of
from gateway.settings import Settings
from gateway.store import wall

LARGEST_FORM: Final = 20_000

HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not no-referrer: browsers then send forms with a null Origin, and ours could not be told from another site's.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class SignInNeeded(Exception):
    """Nobody is signed in, or no more: the person is led to the door."""


class NotForYou(Exception):
    """The page is not among those of the person's roles."""


class FormRefused(Exception):
    """A form that none of our pages made for this session: sent by another site, or too late."""


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A request of somebody who is signed in."""

    session: Session
    request: Request

    def has(self, role: PersonRole) -> bool:
        """Whether a page of `role` is theirs."""
        return role in self.session.person.roles

    async def form(self) -> dict[str, str]:
        """Read the form sent from one of our pages. Raises `FormRefused`."""
        fields = await read_form(self.request)
        if not sessions.form_is_genuine(self.session, fields.pop("csrf", "")):
            raise FormRefused
        return fields

    async def upload(self, largest: int) -> tuple[dict[str, str], bytes]:
        """
        Read the form of one of our pages that holds a file, in memory: its fields, and the bytes of the file.

        Raises `FormRefused`, and `Problem` body_too_large (413) beyond `largest` bytes.
        """
        fields, raw = await read_upload(self.request, largest)
        if not sessions.form_is_genuine(self.session, fields.pop("csrf", "")):
            raise FormRefused
        return fields, raw

    def show(self, name: str, status: int = 200, **told: Any) -> Response:
        """Answer with a page of the console."""
        return HTMLResponse(page(name, signed_in=self.session, **told), status, HEADERS)


async def signed_in(request: Request) -> SignedIn:
    """Recognise who is signed in; raises `SignInNeeded`."""
    services = services_of(request)
    token = request.cookies.get(cookie_of(services.settings), "")
    async with services.database.read() as tx:
        session = await sessions.find(tx, token, browser_of(request), services.clock()) if token else None
    if session is None:
        raise SignInNeeded
    async with services.database.write() as tx:
        await sessions.seen(tx, session, services.clock())
    return SignedIn(session, request)


def of_role(*roles: PersonRole) -> Callable[..., Awaitable[SignedIn]]:
    """Make the dependency that lets in whoever has one of `roles`, as the first that they have; it raises `SignInNeeded` or `NotForYou`."""

    async def allowed(who: Annotated[SignedIn, Depends(signed_in)]) -> SignedIn:
        theirs = next((role for role in roles if who.has(role)), None)
        if theirs is None:
            raise NotForYou
        mine = theirs is PersonRole.OPERATOR
        wall.stand(wall.Side(who.session.person.partner) if mine else wall.EVERYBODY)
        return who

    return allowed


def auditor_of(who: SignedIn) -> Caller:
    """Who the ledger says read it: the operator of the gateway, or the auditor's own organisation; and the person's id."""
    operator = services_of(who.request).settings.operator_siret
    return caller_of(who, who.session.person.partner or operator, Scopes.LEDGER_READ)


def operator_of(who: SignedIn) -> Caller:
    return caller_of(who, who.session.person.partner, Scopes.EXCHANGE_READ)


def caller_of(who: SignedIn, partner: str, scope: Scopes) -> Caller:
    """The person as the ledger says who acted, for an organisation, with one right."""
    person = who.session.person
    roles = frozenset(role.value for role in person.roles)
    return Caller(f"person:{person.id}", partner, "console", frozenset({scope.value}), roles, who.session.id[:36])


async def read_form(request: Request) -> dict[str, str]:
    """
    Read an HTML form sent by one of our own pages; a field given twice counts once. Raises `FormRefused`.

    Browsers say where a form comes from, in `Origin`: another site's is refused whatever it holds.
    """
    _from_one_of_our_pages(request, "application/x-www-form-urlencoded")
    raw = await read_body(request, LARGEST_FORM)
    try:
        return dict(parse_qsl(raw.decode(), keep_blank_values=True, max_num_fields=40, errors="strict"))
    except ValueError as error:
        raise FormRefused from error


async def read_upload(request: Request, largest: int) -> tuple[dict[str, str], bytes]:
    """
    Read a form with one file, sent by one of our own pages; nothing of it touches the disk. Raises `FormRefused`.
    """
    _from_one_of_our_pages(request, "multipart/form-data")
    body = await read_body(request, largest)

    async def whole() -> AsyncGenerator[bytes, None]:
        yield body

    parser = MultiPartParser(request.headers, whole(), max_files=1, max_fields=10, max_part_size=LARGEST_FORM)
    parser.spool_max_size = largest
    try:
        form = await parser.parse()
    except (MultiPartException, KeyError, ValueError) as error:
        raise FormRefused from error
    fields = {name: value for name, value in form.items() if isinstance(value, str)}
    files = [value for value in form.values() if not isinstance(value, str)]
    raw = await files[0].read() if files else b""
    await form.close()
    return fields, raw


def _from_one_of_our_pages(request: Request, expected: str) -> None:
    ours = services_of(request).settings.public_address
    origin = request.headers.get("origin", ours)
    if origin != ours or request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        raise FormRefused
    if media_type(request) != expected:
        raise FormRefused


def led(address: str) -> Response:
    """Lead the browser to another address."""
    return RedirectResponse(address, 303, {**HEADERS})


def browser_of(request: Request) -> str:
    """What the browser says it is: a session is of one browser."""
    return request.headers.get("user-agent", "")


def cookie_of(settings: Settings) -> str:
    """Under https the name itself makes browsers refuse a cookie set by another host, or without encryption."""
    return "__Host-tdu" if settings.public_address.startswith("https:") else "tdu"
