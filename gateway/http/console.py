"""
The console's door: people sign in, are recognised from page to page, and sign out. No software's token opens anything here, and no
cookie opens anything of the API.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Depends, FastAPI, Request
from starlette.responses import HTMLResponse, Response

from gateway.auth.people import accounts, sessions
from gateway.auth.people.accounts import Person
from gateway.auth.people.openid import Begun, OpenID, Provider, SignInRefused
from gateway.auth.people.roles import PersonRole
from gateway.console.pages import page
from gateway.http.console_session import (
    HEADERS,
    FormRefused,
    NotForYou,
    SignedIn,
    SignInNeeded,
    browser_of,
    cookie_of,
    led,
    read_form,
    signed_in,
)
from gateway.http.state import services_of
from gateway.services import Services
from gateway.settings import Settings
from gateway.store.crypto import Unreadable
from schemas.identity import siret_is_valid

router = APIRouter(prefix="/console", include_in_schema=False)

AWAY: Final = 600
"""Seconds that a browser may spend at the OpenID provider."""

_log = logging.getLogger(__name__)


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
        return led("/console/sign-in")

    @app.exception_handler(NotForYou)
    async def _not_yours(_request: Request, _error: NotForYou) -> Response:
        return HTMLResponse(page("refused", reason="role"), 403, HEADERS)

    @app.exception_handler(FormRefused)
    async def _not_ours(_request: Request, _error: FormRefused) -> Response:
        return HTMLResponse(page("refused", reason="form"), 403, HEADERS)


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
        return led("/console/sign-in")
    try:
        address, begun = await openid.begin()
    except SignInRefused as error:
        return _refused(error)
    sealed = services.vault.own.seal(orjson.dumps(begun.as_dict()), "openid").hex()
    answer = led(address)
    _set(answer, services.settings, f"{cookie_of(services.settings)}_openid", sealed, AWAY)
    return answer


@router.get("/openid/return")
async def come_back(request: Request) -> Response:
    """Take in who comes back from the OpenID provider."""
    openid, services = request.app.state.openid, services_of(request)
    if openid is None:
        return led("/console/sign-in")
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
    answer.delete_cookie(f"{cookie_of(services.settings)}_openid")
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
    answer.delete_cookie(cookie_of(services.settings))
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
    return led("/console/sessions")


async def _entered(request: Request, person: Person, services: Services, id_token: str = "") -> Response:
    async with services.database.write() as tx:
        token = await sessions.open_session(
            tx, person, browser_of(request), services.vault.own, services.clock(), id_token=id_token
        )
    _log.info("person.signed_in", extra={"person": person.id})
    answer = led("/console")
    _set(answer, services.settings, cookie_of(services.settings), token, int(sessions.LONGEST.total_seconds()))
    return answer


def _begun(request: Request, services: Services) -> Begun:
    sealed = request.cookies.get(f"{cookie_of(services.settings)}_openid", "")
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


def _set(answer: Response, settings: Settings, name: str, value: str, seconds: int) -> None:
    secure = settings.public_address.startswith("https:")
    # Lax: the return from the provider is a navigation begun at another site.
    answer.set_cookie(name, value, max_age=seconds, path="/", secure=secure, httponly=True, samesite="lax")
