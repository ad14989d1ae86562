"""
The console's pages, each for one role: the auditor's ledger, the administrator's partners, the operator's exchanges, the indicators.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Final, Literal

from anyio import to_thread
from fastapi import APIRouter, Depends, Path, Query
from starlette.responses import Response

from adapters.registry import UnknownAdapter
from consent.ledger.event import EventType
from gateway.audit import reading
from gateway.audit.criteria import Criteria, View, cursor_of
from gateway.audit.indexing import settled
from gateway.audit.search import search_on
from gateway.auth.people.roles import PersonRole
from gateway.console import event_view, overview, trying
from gateway.delivery import replays
from gateway.delivery.lookup import SET_ASIDE, Filters
from gateway.errors import Problem
from gateway.following import changes, one
from gateway.http.console_session import HEADERS, SignedIn, auditor_of, of_role, operator_of, signed_in
from gateway.http.convention_pages import printed, registered
from gateway.http.exchanges import Id
from gateway.http.state import services_of
from gateway.log_cursor import LogCursor
from gateway.records import record_of
from gateway.services import Services
from gateway.store import conventions as stored
from schemas import code_list

router = APIRouter(prefix="/console", include_in_schema=False)

Anybody = Annotated[SignedIn, Depends(signed_in)]
Auditor = Annotated[SignedIn, Depends(of_role(PersonRole.AUDITOR))]
Administrator = Annotated[SignedIn, Depends(of_role(PersonRole.ADMINISTRATOR))]
Operator = Annotated[SignedIn, Depends(of_role(PersonRole.OPERATOR))]
Coordinator = Annotated[SignedIn, Depends(of_role(PersonRole.COORDINATOR))]

_PAGE: Final = 50
_PERSON: Final = ("birth_name", "birth_date", "sex", "nir")
_TEXTS: Final = ("partner", "convention", "purpose", "cursor")


@router.get("")
async def home(who: Anybody) -> Response:
    """Show what the person's roles open."""
    return who.show("home")


@router.get("/ledger")
async def ledger(who: Auditor) -> Response:
    """Ask what to look for; nothing of a person is ever in an address."""
    return who.show("ledger", asked={}, found=None, fault=None, reasons=code_list("audit_reason"))


@router.post("/ledger")
async def search_ledger(who: Auditor) -> Response:
    """Search the ledger, masked; the search is an event of it."""
    fields, services = await who.form(), services_of(who.request)
    caller = auditor_of(who)
    told: dict[str, Any] = {"asked": fields, "found": None, "fault": None, "reasons": code_list("audit_reason")}
    try:
        sender = {"siret": caller.partner, "name": "console"}
        criteria = Criteria.read(_asked(fields), sender, services)
        if criteria.cursor is None:
            await settled(services)
        found, looked = await search_on(criteria, caller, services, "console")
    except Problem as problem:
        return who.show("ledger", problem.status, **told | {"fault": problem})
    upto = None if found.page is None else cursor_of(found.page.next)
    rows = [row for row in found.rows if row["matches"]]
    names = await _names(event_view.sirets_of([row["summary"] for row in rows]), services)
    answer = {"known": found.header is not None, "rows": rows, "looked": looked, "next": upto, "names": names}
    return who.show("ledger", **told | {"found": answer})


@router.post("/ledger/event")
async def read_event(who: Auditor) -> Response:
    """Show one event, masked, or opened for a stated reason; each reading is an event of the ledger."""
    fields, services = await who.form(), services_of(who.request)
    told: dict[str, Any] = {"event": None, "fault": None, "id": fields.get("id", "")[:36]}
    told["reasons"] = code_list("audit_reason")
    try:
        view = View.read(None, fields.get("reason") or None, fields.get("case") or None)
        event = await reading.event(told["id"], view, auditor_of(who), services)
    except Problem as problem:
        return who.show("event", problem.status, **told | {"fault": problem})
    body = event_view.opened(event)
    names = await _names(event_view.sirets_of([event["summary"], body]), services)
    told |= {
        "event": event,
        "summary": event_view.summary_of(event, names),
        "body": None if body is None else event_view.lines_of(body, names),
        "asked": {"reason": view.reason, "case": view.case},
    }
    return who.show("event", **told)


@router.post("/ledger/proof")
async def download_proof(who: Auditor) -> Response:
    """Give the proof file of one event, which shows it when it was opened for a stated reason; it is a reading like another."""
    fields, services = await who.form(), services_of(who.request)
    ident = fields.get("id", "")[:36]
    try:
        view = View.read(None, fields.get("reason") or None, fields.get("case") or None)
        proof = await reading.proof(ident, view, auditor_of(who), services)
    except Problem as problem:
        told = {"event": None, "fault": problem, "id": ident, "reasons": code_list("audit_reason")}
        return who.show("event", problem.status, **told)
    headers = HEADERS | {"Content-Disposition": 'attachment; filename="evenement.tlog-proof"'}
    return Response(proof, media_type="text/plain; charset=utf-8", headers=headers)


@router.get("/partners")
async def partners(who: Administrator) -> Response:
    """Show the organisations and their software."""
    services = services_of(who.request)
    async with services.database.read() as tx:
        return who.show("partners", partners=await overview.partners_of(tx))


@router.get("/conventions")
async def conventions(who: Administrator) -> Response:
    """Show every convention, in its state now."""
    services = services_of(who.request)
    async with services.database.read() as tx:
        return who.show("conventions", conventions=await overview.conventions_at(tx, services.clock()))


@router.get("/conventions/{convention_id}/{version}")
async def convention(
    convention_id: Id,
    version: Annotated[int, Path(ge=1, le=10_000)],
    who: Administrator,
    form: Annotated[Literal["html", "pdf", "register"], Query(alias="format")] = "html",
) -> Response:
    """Show one version of a convention as its parties read it, in PDF, or its entry of the register of processing."""
    services = services_of(who.request)
    async with services.database.read() as tx:
        found = [record.convention for record in await stored.versions(tx, convention_id)]
        everything = await overview.conventions_at(tx, services.clock())
    for each in found:
        if each.version == version:
            return await (registered(each, "html") if form == "register" else printed(each, form))
    return who.show("conventions", 404, conventions=everything)


@router.get("/deliveries")
async def deliveries(who: Administrator) -> Response:
    """Show what waits, what is stuck, and for how long: counts and codes, never a content."""
    services = services_of(who.request)
    async with services.database.read() as tx:
        return who.show("deliveries", **await overview.deliveries_now(tx))


@router.post("/deliveries/replay")
async def replay(who: Administrator) -> Response:
    """Count what would be replayed; once that number was confirmed, ask for it. Who asked is in the ledger; no content is shown."""
    fields, services = await who.form(), services_of(who.request)
    recipient, state = fields.get("recipient", ""), fields.get("state", "")
    try:
        filters = Filters.of({"states": [state] if state else list(SET_ASIDE), "recipient": recipient or None})
    except Problem as problem:
        return who.show("replay", problem.status, task=None, found={"count": 0}, filters=Filters())
    shown = replace(filters, states=(state,) if state else ())
    async with services.database.write() as tx:
        found = await replays.count(tx, None, filters)
        # What was confirmed is a number: if it is another now, it is shown again.
        if not found["count"] or fields.get("confirmed") != str(found["count"]):
            return who.show("replay", task=None, found=found, filters=shown)
        by = f"person:{who.session.person.id}"
        task = await replays.begin(tx, by, None, filters, services)
        body = {"change": "replay_asked", "client_id": by, "replay_id": task["id"], "deliveries": found["count"]}
        actor, now = services.settings.operator_siret, services.clock()
        await services.ledger.append(
            tx, [record_of(EventType.CONFIGURATION_CHANGED, now, actor, body, services.vault.own)]
        )
    services.wake()
    return who.show("replay", task=task, found=found, filters=shown)


@router.get("/exchanges")
async def exchanges(who: Operator, cursor: LogCursor = None) -> Response:
    """Show the exchanges of the operator's own organisation, in the order in which they changed."""
    return who.show("exchanges", **await changes(operator_of(who), services_of(who.request), cursor, None, _PAGE))


@router.get("/try")
async def ask_for_a_file(who: Operator) -> Response:
    """Ask for a file of the operator's software, and for its format."""
    return who.show("try", formats=trying.formats(), asked={}, tried=None, fault=None)


@router.post("/try")
async def try_a_file(who: Operator) -> Response:
    """Show what a record of the file becomes; nothing of it is kept, recorded or logged."""
    fields, raw = await who.upload(trying.LARGEST)
    told: dict[str, Any] = {"formats": trying.formats(), "asked": fields, "tried": None, "fault": None}
    rank = fields.get("record", "")
    if not (rank.isascii() and rank.isdigit() and len(rank) < 7 and int(rank)):
        fault = (
            "Le numéro d'un enregistrement est un entier, à partir de 1.",
            "A record number is an integer, from 1.",
        )
        return who.show("try", 400, **told | {"fault": fault})
    siret, now = who.session.person.partner, services_of(who.request).clock()
    try:
        found = await to_thread.run_sync(trying.attempt, fields.get("format", ""), raw, int(rank), siret, now)
    except UnknownAdapter as error:
        return who.show("try", 400, **told | {"fault": (error.message_fr, error.message_en)})
    if found.refused:
        line = f"Ligne {found.refused.line} : " if found.refused.line else ""
        fault = (f"{line}{found.refused.message_fr}", found.refused.message_en)
        return who.show("try", 422, **told | {"fault": fault})
    if found.absent:
        fault = (f"Il n'y a pas d'enregistrement n° {int(rank)}.", f"There is no record number {int(rank)}.")
        return who.show("try", 404, **told | {"fault": fault})
    return who.show("try", **told | {"tried": found})


@router.get("/exchanges/{exchange_id}")
async def exchange(exchange_id: Id, who: Operator) -> Response:
    """Show one exchange; another organisation's is not found, as one that does not exist."""
    try:
        found = await one(operator_of(who), services_of(who.request), exchange_id)
    except Problem as problem:
        return who.show("exchange", problem.status, exchange=None)
    return who.show("exchange", exchange=found)


@router.get("/indicators")
async def indicators(who: Coordinator) -> Response:
    """Show the counts of the territory."""
    services = services_of(who.request)
    async with services.database.read() as tx:
        return who.show("indicators", **await overview.indicators_of(tx))


async def _names(sirets: set[str], services: Services) -> dict[str, str]:
    """The names of organisations, by SIRET; an unregistered one has none."""
    found = {siret: await services.names.of(siret) for siret in sorted(sirets)}
    return {siret: name for siret, name in found.items() if name}


def _asked(fields: dict[str, str]) -> dict[str, Any]:
    """The body of a search, from the fields of its form; what is left empty is not asked."""
    asked: dict[str, Any] = {name: fields[name] for name in _TEXTS if fields.get(name)}
    if fields.get("type"):
        asked["types"] = [fields["type"]]
    for name in ("from", "until"):
        if fields.get(name):
            asked[name] = f"{fields[name]}T00:00:00+00:00"
    person: dict[str, Any] = {name: fields[name].strip() for name in _PERSON if fields.get(name, "").strip()}
    if fields.get("given_names", "").strip():
        person["given_names"] = fields["given_names"].split()
    if person:
        asked["subject"] = person
    return asked | {"limit": _PAGE}
