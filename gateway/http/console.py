"""
The console's door: people sign in, are recognised from page to page, and sign out. No software's token opens anything here, and no
cookie opens anything of the API.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final
from urllib.parse import parse_qsl

import orjson
from fastapi import APIRouter, Depends, FastAPI, Request
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.responses import HTMLResponse, RedirectResponse, Response

from gateway.auth.caller import Caller
from gateway.auth.people import accounts, sessions
from gateway.auth.people.accounts import Person
from gateway.auth.people.openid import Begun, OpenID, Provider, SignInRefused
from gateway.auth.people.roles import PersonRole
from gateway.auth.people.sessions import Session
from gateway.auth.scopes import Scopes
from gateway.console.pages import page
from gateway.http.bodies import media_type, read_body
from gateway.http.state import services_of
from gateway.services import Services
from gateway.settings import Settings
from gateway.store import wall
from gateway.store.crypto import Unreadable
from schemas.identity import siret_is_valid

router = APIRouter(prefix="/console", include_in_schema=False)

LARGEST_FORM: Final = 20_000
AWAY: Final = 600
"""Seconds that a browser may spend at the OpenID provider."""

_log = logging.getLogger(__name__)

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


def openid_of(settings: Settings) -> OpenID | None:
    """The OpenID provider of the settings, or None: local accounts only. Raises `OSError` when its secret cannot be read."""
    if not settings.openid_issuer:
        return None
    secret = settings.openid_client_secret_file
    provider = Provider(
        issuer=settings.openid_issuer,
        client_id=settings.openid_client_id,
        client_secret=secret.read_text(encoding="utf-8").strip() if secret else "",
        redirect_uri=f"{settings.public_address}/console/openid/return",
        scopes=settings.openid_scopes,
        pkce=settings.openid_pkce,
        required_amr=settings.openid_amr,
    )
    return OpenID(provider)


def install(app: FastAPI) -> None:
    """Register what answers when a page is asked for without the right to it."""

    @app.exception_handler(SignInNeeded)
    async def _sign_in(_request: Request, _error: SignInNeeded) -> Response:
        return _led("/console/sign-in")

    @app.exception_handler(NotForYou)
    async def _not_yours(_request: Request, _error: NotForYou) -> Response:
        return HTMLResponse(page("refused", reason="role"), 403, HEADERS)

    @app.exception_handler(FormRefused)
    async def _not_ours(_request: Request, _error: FormRefused) -> Response:
        return HTMLResponse(page("refused", reason="form"), 403, HEADERS)


async def signed_in(request: Request) -> SignedIn:
    """Recognise who is signed in; raises `SignInNeeded`."""
    services = services_of(request)
    token = request.cookies.get(_cookie(services.settings), "")
    async with services.database.read() as tx:
        session = await sessions.find(tx, token, _browser(request), services.clock()) if token else None
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


@router.get("/sign-in")
async def door(request: Request) -> Response:
    """Ask who is there."""
    return HTMLResponse(page("sign_in", openid=request.app.state.openid is not None, failed=False), headers=HEADERS)


@router.post("/sign-in")
async def enter(request: Request) -> Response:
    """Sign in with a local account; whatever is wrong, the answer is the same."""
    fields, services = await read_form(request), services_of(request)
    now = services.clock()
    async with services.database.write() as tx:
        login, password, code = (fields.get(name, "") for name in ("login", "password", "code"))
        person = await accounts.sign_in(tx, login, password, code, services.vault.own, now)
    if person is None:
        _log.warning("person.sign_in_refused")
        shown = page("sign_in", openid=request.app.state.openid is not None, failed=True)
        return HTMLResponse(shown, 401, HEADERS)
    return await _entered(request, person, services)


@router.get("/openid")
async def leave_for_provider(request: Request) -> Response:
    """Send the browser to the OpenID provider, with what to bring back sealed in a cookie of some minutes."""
    openid, services = request.app.state.openid, services_of(request)
    if openid is None:
        return _led("/console/sign-in")
    try:
        address, begun = await openid.begin()
    except SignInRefused as error:
        return _refused(error)
    sealed = services.vault.own.seal(orjson.dumps(begun.as_dict()), "openid").hex()
    answer = _led(address)
    _set(answer, services.settings, f"{_cookie(services.settings)}_openid", sealed, AWAY)
    return answer


@router.get("/openid/return")
async def come_back(request: Request) -> Response:
    """Take in who comes back from the OpenID provider."""
    openid, services = request.app.state.openid, services_of(request)
    if openid is None:
        return _led("/console/sign-in")
    try:
        begun = _begun(request, services)
        identified = await openid.finish(begun, request.query_params)
        async with services.database.read() as tx:
            person = await accounts.by_openid_subject(tx, identified.subject)
        person = person or _by_claims(identified.subject, identified.claims, services.settings)
        if person is None:
            raise SignInRefused("no_role")
    except SignInRefused as error:
        return _refused(error)
    answer = await _entered(request, person, services, identified.id_token)
    answer.delete_cookie(f"{_cookie(services.settings)}_openid")
    return answer


@router.post("/sign-out")
async def leave(who: Annotated[SignedIn, Depends(signed_in)]) -> Response:
    """End this session, and the provider's own when there is one."""
    await who.form()
    services, openid = services_of(who.request), who.request.app.state.openid
    session = who.session
    async with services.database.write() as tx:
        id_token = await sessions.end(tx, session.id, session.person.id, services.vault.own, services.clock())
    provider = None
    if id_token and openid is not None:
        try:
            provider = await openid.sign_out(id_token, f"{services.settings.public_address}/console/sign-in")
        except SignInRefused as error:
            _log.warning("person.provider_sign_out_failed", extra={"reason": error.code})
    # The provider is told by a page and not by a redirection: a form of ours may lead to ours only (form-action).
    answer = HTMLResponse(page("signed_out", provider=provider), headers=HEADERS)
    answer.delete_cookie(_cookie(services.settings))
    return answer


@router.get("/sessions")
async def own_sessions(who: Annotated[SignedIn, Depends(signed_in)]) -> Response:
    """Show where the person is signed in."""
    services = services_of(who.request)
    async with services.database.read() as tx:
        live = await sessions.live_of(tx, who.session.person.id, services.clock())
    return who.show("sessions", live=live)


@router.post("/sessions/end")
async def end_session(who: Annotated[SignedIn, Depends(signed_in)]) -> Response:
    """End one of one's own sessions; another's is not found."""
    fields, services = await who.form(), services_of(who.request)
    async with services.database.write() as tx:
        await sessions.end(tx, fields.get("session", ""), who.session.person.id, services.vault.own, services.clock())
    return _led("/console/sessions")


async def _entered(request: Request, person: Person, services: Services, id_token: str = "") -> Response:
    async with services.database.write() as tx:
        token = await sessions.open_session(
            tx, person, _browser(request), services.vault.own, services.clock(), id_token=id_token
        )
    _log.info("person.signed_in", extra={"person": person.id})
    answer = _led("/console")
    _set(answer, services.settings, _cookie(services.settings), token, int(sessions.LONGEST.total_seconds()))
    return answer


def _begun(request: Request, services: Services) -> Begun:
    sealed = request.cookies.get(f"{_cookie(services.settings)}_openid", "")
    try:
        begun = Begun(**orjson.loads(services.vault.own.open(bytes.fromhex(sealed), "openid")))
    except (Unreadable, ValueError, TypeError) as error:
        raise SignInRefused("not_begun_here") from error
    if services.clock().timestamp() - begun.at > AWAY:
        raise SignInRefused("too_late")
    return begun


def _by_claims(subject: str, claims: Mapping[str, Any], settings: Settings) -> Person | None:
    """Somebody whose roles the provider states, when the operator says in which claim; unknown roles are left out."""
    said = claims.get(settings.openid_roles_claim) if settings.openid_roles_claim else None
    roles = {PersonRole(role) for role in (said if isinstance(said, list) else []) if role in set(PersonRole)}
    siret = str(claims.get(settings.openid_partner_claim, ""))
    if not siret_is_valid(siret):
        siret = ""
        roles -= {PersonRole.OPERATOR}
    login = f"openid-{subject}"[:64]
    return Person(f"openid:{subject}"[:36], login, frozenset(roles), siret) if roles else None


def _refused(error: SignInRefused) -> Response:
    _log.warning("person.openid_refused", extra={"reason": error.code})
    return HTMLResponse(page("refused", reason=error.code), 403, HEADERS)


def _led(address: str) -> Response:
    return RedirectResponse(address, 303, {**HEADERS})


def _browser(request: Request) -> str:
    return request.headers.get("user-agent", "")


def _cookie(settings: Settings) -> str:
    """Under https the name itself makes browsers refuse a cookie set by another host, or without encryption."""
    return "__Host-tdu" if settings.public_address.startswith("https:") else "tdu"


def _set(answer: Response, settings: Settings, name: str, value: str, seconds: int) -> None:
    secure = settings.public_address.startswith("https:")
    # Lax: the return from the provider is a navigation begun at another site.
    answer.set_cookie(name, value, max_age=seconds, path="/", secure=secure, httponly=True, samesite="lax")
