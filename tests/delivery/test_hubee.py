"""
HubEE as its client, in both roles, against the interface v1 over HTTPS: nothing twice, nothing lost, nothing of another's touched.
"""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from adapters.cnaf_rsa.fictitious import fictitious_flow
from gateway.hubee.elsewhere import reference, remember
from gateway.leftovers import answers
from gateway.store.tables import attachments, exchanges, flows, quarantine
from ops.services.authority import Authority
from ops.services.hub import Account, HubServer
from ops.services.hub_sender import FORM, SENDER, file_case
from ops.services.receiver import Call, receiving

pytestmark = pytest.mark.anyio

NAME = "hubee.valombre.example"
FLOW = "RSABEI-RSABAI"


@pytest.fixture
async def hub(authority: Authority) -> AsyncIterator[HubServer]:
    """The hub, empty."""
    hub = HubServer(NAME)
    async with receiving(hub.receiver, authority.context(NAME)):
        yield hub


def account(hub: HubServer, role: str, *organisations: str) -> dict[str, Any]:
    """An account of the hub, as the settings of a system name it."""
    made = Account(uuid.uuid4().hex[:12], uuid.uuid4().hex, role, organisations)
    hub.accounts.append(made)
    settings = {"api_url": hub.url, "token_url": f"{hub.url}/token", "role": role, "processes": [FORM]}
    return settings | {"client_id": made.client_id, "client_secret": made.secret}


async def receiving_system(world: Any, hub: HubServer, **changes: Any) -> Any:
    """A system whose cases are in the hub, and which is not asked by itself."""
    partner = await world.recipient("hubee")
    await world.convene(partner, world.caf, f"{partner.client_id}-retour")
    await world.allow(partner, hub.receiver.port)
    settings = account(hub, "SI", partner.siret) | {"every_seconds": 86_400} | changes
    path = f"/v1/sources/{partner.client_id}"
    partner.source = await partner.done("PUT", path, json={"way": "hubee", "settings": settings})
    assert settings["client_secret"] not in json.dumps(partner.source)
    return partner


async def ask(world: Any, partner: Any) -> None:
    """Ask the hub once, to the end."""
    await world.runtime.collector.ask(partner.client_id)


async def sent_by(world: Any, partner: Any, kind: str = "referral") -> list[Any]:
    """What a partner's system brought, in order."""
    query = sa.select(exchanges).where(exchanges.c.sender == partner.siret, exchanges.c.kind == kind)
    async with world.runtime.services.database.read() as tx:
        return list((await tx.execute(query.order_by(exchanges.c.received_at))).all())


def waiting(hub: HubServer, process: str) -> int:
    """The notifications of a process that the hub still holds."""
    return sum(1 for each in hub.notifications if each["processCode"] == process)


async def test_a_case_is_taken_its_files_checked_then_the_hub_is_told(sleeping_world: Any, hub: HubServer) -> None:
    """A form becomes a referral with its file; the case is then SI_RECEIVED, and its notification gone; another process's stays."""
    world = sleeping_world
    partner = await receiving_system(world, hub)
    case = file_case(hub, partner.siret, world.person())
    other = file_case(hub, partner.siret, world.person(), FLOW, **{"RSABEI.xml": b"<Racine/>"})
    await ask(world, partner)

    [exchange] = await sent_by(world, partner)
    assert ("SI_RECEIVED", 0, 1) == (hub.cases[case]["status"], waiting(hub, FORM), waiting(hub, FLOW))
    assert "HUBEE_NOTIFIED" == hub.cases[other]["status"]
    async with world.runtime.services.database.read() as tx:
        rows = (await tx.execute(sa.select(attachments).where(attachments.c.exchange_id == exchange.id))).all()
    assert 1 == len(rows)  # the PDF; the JSON was read
    await ask(world, partner)
    assert 1 == len(await sent_by(world, partner))


@pytest.mark.parametrize("moment", ["receive.committed", "collect.taken", "collect.remembered"])
async def test_a_crash_brings_the_same_case_again_and_it_is_recognised(
    sleeping_world: Any, hub: HubServer, moment: str
) -> None:
    """Whatever the moment of the crash, the notification is still there, and the document is not taken twice."""
    world = sleeping_world
    partner = await receiving_system(world, hub)
    file_case(hub, partner.siret, world.person())

    class Crash(Exception):
        pass

    def crash(name: str) -> None:
        if name == moment:
            raise Crash

    services = world.runtime.services
    object.__setattr__(services, "fault_point", crash)
    with pytest.raises(Crash):
        await ask(world, partner)
    assert 1 == waiting(hub, FORM)
    object.__setattr__(services, "fault_point", lambda _name: None)
    await ask(world, partner)
    assert (1, 0) == (len(await sent_by(world, partner)), waiting(hub, FORM))


async def test_an_editor_leaves_alone_what_is_for_others(sleeping_world: Any, hub: HubServer) -> None:
    """An account that serves two organisations takes what is for the one whose system it is set for."""
    world = sleeping_world
    partner, neighbour = await receiving_system(world, hub), await world.recipient()
    settings = account(hub, "SI", partner.siret, neighbour.siret) | {"every_seconds": 86_400}
    path = f"/v1/sources/{partner.client_id}"
    await partner.done("PUT", path, json={"way": "hubee", "settings": settings})
    mine = file_case(hub, partner.siret, world.person())
    theirs = file_case(hub, neighbour.siret, world.person())
    await ask(world, partner)
    assert ("SI_RECEIVED", "HUBEE_NOTIFIED") == (hub.cases[mine]["status"], hub.cases[theirs]["status"])
    assert (1, theirs) == (waiting(hub, FORM), hub.notifications[0]["caseId"])


async def test_what_is_for_others_does_not_hide_what_comes_after(sleeping_world: Any, hub: HubServer) -> None:
    """A page of the queue that is wholly for another organisation of the same editor is left, and what is behind it is taken."""
    world = sleeping_world
    partner, neighbour = await receiving_system(world, hub), await world.recipient()
    settings = account(hub, "SI", partner.siret, neighbour.siret) | {"every_seconds": 86_400}
    await partner.done("PUT", f"/v1/sources/{partner.client_id}", json={"way": "hubee", "settings": settings})
    for _ in range(26):
        file_case(hub, neighbour.siret, world.person())
    mine = file_case(hub, partner.siret, world.person())
    await ask(world, partner)
    assert ("SI_RECEIVED", 26) == (hub.cases[mine]["status"], waiting(hub, FORM))


async def test_what_cannot_be_read_is_told_to_the_hub_and_set_aside(sleeping_world: Any, hub: HubServer) -> None:
    """A flow that is no flow: the case is in SI_INTG_ERROR, the file in quarantine, and the next one is taken."""
    world = sleeping_world
    partner = await receiving_system(world, hub, processes=[FLOW, FORM])
    bad = file_case(hub, partner.siret, world.person(), FLOW, **{"RSABEI.xml": b"<Racine><Coupe"})
    empty = file_case(hub, partner.siret, world.person(), FLOW, **{"RSABEI.xml": b"<Racine/>"})
    hub.cases[empty]["attachments"][0]["status"] = "CORRUPTED"  # the hub's antivirus set it aside
    good = file_case(hub, partner.siret, world.person())
    await ask(world, partner)
    assert "SI_INTG_ERROR" == hub.cases[empty]["status"]
    assert ("SI_INTG_ERROR", "SI_RECEIVED", []) == (
        hub.cases[bad]["status"],
        hub.cases[good]["status"],
        hub.notifications,
    )
    async with world.runtime.services.database.read() as tx:
        rows = (await tx.execute(sa.select(quarantine).where(quarantine.c.sender == partner.siret))).all()
    assert ["cnaf-rsa", "cnaf-rsa"] == [row.adapter for row in rows]


async def test_a_file_that_was_altered_on_the_way_is_not_taken(sleeping_world: Any, hub: HubServer) -> None:
    """The digest of the hub is checked: nothing is taken, nothing deleted, the partner sees why; an outage waits the same way."""
    world = sleeping_world
    partner = await receiving_system(world, hub)
    file_case(hub, partner.siret, world.person())
    hub.altered = True
    await ask(world, partner)
    path = f"/v1/sources/{partner.client_id}"
    shown = await partner.done("GET", path)
    assert ("attachment_altered", 1, 1) == (shown["last_error"], shown["failures_in_a_row"], waiting(hub, FORM))
    hub.altered, hub.faults = False, [503]
    await ask(world, partner)
    assert "http_503" == (await partner.done("GET", path))["last_error"]
    hub.tokens.clear()  # a token that the hub forgot is asked for again
    await ask(world, partner)
    shown = await partner.done("GET", path)
    assert (None, 0, 1) == (shown["last_error"], waiting(hub, FORM), len(await sent_by(world, partner)))


async def test_settings_are_checked_and_health_flows_refused(sleeping_world: Any, hub: HubServer) -> None:
    """No address that is not https, no health data, no debts, nothing misspelt; the secret stays when it is not given again."""
    world = sleeping_world
    partner = await receiving_system(world, hub)
    path, right = f"/v1/sources/{partner.client_id}", account(hub, "SI", partner.siret)
    wrong = [{"api_url": "http://hubee.example"}, {"processes": ["DSG"]}, {"processes": ["RSAFIM"]}, {"rol": "SI"}]
    wrong += [{"role": "EDT"}, {"every_seconds": 0}, {"branch": "a b"}, {"client_id": ""}]
    for change in wrong:
        await partner.refused("PUT", path, 422, json={"way": "hubee", "settings": right | change})
    again = {name: value for name, value in right.items() if name != "client_secret"}
    await partner.done("PUT", path, json={"way": "hubee", "settings": again})


async def sending_system(world: Any, hub: HubServer) -> Any:
    """A recipient to whom referrals go by the hub, and whose events are looked at there."""
    partner = await world.recipient("hubee")
    await world.allow(partner, hub.receiver.port)
    osl = account(hub, "OSL", SENDER)
    settings = osl | {"branch": "39990"}
    endpoint = {"transport": "hubee", "settings": settings, "kinds": ["referral"]}
    await partner.done("PUT", f"/v1/endpoints/{partner.client_id}", json=endpoint | {"policy": {"first_seconds": 1}})
    source = {"way": "hubee", "settings": osl | {"every_seconds": 1}}
    await partner.done("PUT", f"/v1/sources/{partner.client_id}", json=source)
    return partner


async def test_a_referral_leaves_as_a_folder_and_its_events_come_back(
    world: Any, hub: HubServer, eventually: Any
) -> None:
    """The folder is described, its file sent, then completed; what the recipient does there reaches who sent the referral."""
    partner = await sending_system(world, hub)
    delivery = await world.send(partner)
    await world.becomes(delivery, "acknowledged")
    [folder] = hub.folders.values()
    [case] = [hub.cases[each["id"]] for each in folder["cases"]]
    [file] = folder["attachments"]
    assert ("HUBEE_COMPLETED", partner.siret) == (folder["globalStatus"], case["recipient"]["companyRegister"])
    assert "rsa" == json.loads(hub.contents[file["id"]])["rights"][0]["right"]
    assert len(folder["externalId"]) <= 30 and partner.siret not in folder["externalId"]

    hub.tokens["si"] = Account("si", "si", "SI", (partner.siret,))
    told = {"actionType": "STATUS_UPDATE", "notification": True, "caseNewStatus": "IN_PROGRESS", "message": "Pris."}
    headers = {"authorization": "Bearer si", "editorname": "Autre"}
    hub.answer(Call("POST", f"/teledossiers/v1/cases/{case['id']}/events", headers, json.dumps(told).encode()))

    async def all_taken() -> bool:
        return not waiting_for(hub, "OSL")

    await eventually(all_taken)
    [found] = await sent_by(world, partner, "status")
    async with world.runtime.services.database.read() as tx:
        query = sa.select(exchanges.c.document_id).where(exchanges.c.id == (await world.row(delivery)).exchange_id)
        assert (await tx.execute(query)).scalar_one() == found.about
    assert "RECEIVED" == case["events"][0]["status"]


async def test_the_files_of_a_referral_leave_with_it(world: Any, hub: HubServer, eventually: Any) -> None:
    """The folder waits for the file that was announced, has it whole under a name of its own, and each disclosure is recorded."""
    partner = await sending_system(world, hub)
    content = b"%PDF-1.7\n" + os.urandom(1_500_000)
    said = {"name": "piece.pdf", "media_type": "application/pdf", "size": len(content)}
    announced = [said | {"sha256": hashlib.sha256(content).hexdigest()}]
    body = await world.caf.done("POST", "/v1/referrals", json=world.referral(partner, attachments=announced))
    exchange, delivery = body["exchanges"][0]["exchange"], body["exchanges"][0]["recipients"][0]["delivery"]

    async def is_told() -> bool:
        return bool((await world.row(delivery)).last_error == "attachment_awaited")

    await eventually(is_told)
    assert {} == hub.folders
    told = await world.caf.done("POST", f"/v1/exchanges/{exchange}/attachments", content=content)
    await world.becomes(delivery, "acknowledged", 30)
    [folder] = hub.folders.values()
    files = {each["fileName"]: hub.contents[each["id"]] for each in folder["attachments"]}
    assert ({"orientation.json", "1-piece.pdf"}, content) == (files.keys(), files["1-piece.pdf"])
    disclosed = [each.body.get("attachment_id") for each in await world.events(delivery)]
    assert 1 == disclosed.count(told["id"])


def waiting_for(hub: HubServer, kind: str) -> int:
    """The notifications for the organisations of a kind."""
    return sum(1 for each in hub.notifications if each["recipient"]["type"] == kind)


async def test_a_handing_over_that_was_cut_goes_on_with_the_same_folder(world: Any, hub: HubServer) -> None:
    """The hub fails between the folder and its completion: one folder in the end, completed once."""
    partner = await sending_system(world, hub)
    answer, failed = hub.receiver.answer, []

    def fails_once(call: Any) -> Any:
        if call.method in {"PUT", "PATCH"} and call.method not in failed:
            failed.append(call.method)
            return 503, {}, b""
        return answer(call)

    hub.receiver.answer = fails_once
    await world.becomes(await world.send(partner), "acknowledged", 30)
    assert ["PUT", "PATCH"] == failed
    assert 1 == len(hub.folders) and 1 == waiting_for(hub, "SI")


async def test_a_follow_up_reaches_the_case_of_its_referral(world: Any, hub: HubServer, eventually: Any) -> None:
    """A referral that came by the hub is answered: its status is an event of the case, told once, and the case's new state."""
    ccas = await receiving_system(world, hub)

    async def asked_once() -> bool:
        return bool((await ccas.done("GET", f"/v1/sources/{ccas.client_id}"))["last_success_at"])

    await eventually(asked_once)  # by itself, as the gateway does at once: what follows is the test's doing
    source = await ccas.done("GET", f"/v1/sources/{ccas.client_id}")
    secret = next(each.secret for each in hub.accounts if each.client_id == source["settings"]["client_id"])
    settings = {name: value for name, value in source["settings"].items() if name != "every_seconds"}
    endpoint = {"transport": "hubee", "settings": settings | {"client_secret": secret}, "kinds": ["status"]}
    await ccas.done("PUT", f"/v1/endpoints/{ccas.client_id}", json=endpoint)
    case = hub.cases[file_case(hub, ccas.siret, world.person())]
    await ask(world, ccas)
    [brought] = await sent_by(world, ccas)

    async def has_come() -> bool:
        box = await world.caf.done("GET", "/v1/mailbox")
        return brought.document_id in [each["document"]["id"] for each in box["deliveries"]]

    await eventually(has_come)
    body = {
        "status": "rejected",
        "comment": "Déjà aidée.",
        "reasons": [{"scheme": "refusal_reason", "code": "duplicate"}],
    }
    answer = await world.caf.done("POST", f"/v1/referrals/{brought.document_id}/status", json=body)
    delivery = answer["exchanges"][0]["recipients"][0]["delivery"]
    await world.becomes(delivery, "acknowledged")
    [event] = [each for each in case["events"] if each["partnerAttributes"] == f"livraison={delivery}"]
    assert ("STATUS_UPDATE", "REFUSED", "REFUSED") == (event["actionType"], event["caseNewStatus"], case["status"])
    assert "" == event["message"]  # the convention does not let the comment out


async def test_names_elsewhere_are_forgotten_with_what_they_name(sleeping_world: Any, hub: HubServer) -> None:
    """A case's number is kept as long as its document, and no longer."""
    world = sleeping_world
    services, later = world.runtime.services, datetime.now(UTC) + timedelta(days=2)
    partner = await receiving_system(world, hub)
    case = file_case(hub, partner.siret, world.person())
    await ask(world, partner)
    [brought] = await sent_by(world, partner)
    stray = str(uuid.uuid4())
    await remember(services.database, stray, partner.siret, "dossier", services.clock())
    await answers(services, later, 100)
    found = [await reference(services.database, each) for each in (brought.document_id, stray)]
    assert [case, None] == found


async def test_a_large_flow_is_left_to_a_task(sleeping_world: Any, hub: HubServer) -> None:
    """The hub is told once the file is kept; its households are taken in as those of a large file that was sent."""
    world = sleeping_world
    services = world.runtime.services
    partner = await receiving_system(world, hub, processes=[FLOW])
    content = fictitious_flow(20, 5)
    services.settings.__dict__["sync_file_bytes"] = len(content) - 1
    case = file_case(hub, partner.siret, world.person(), FLOW, **{"RSABEI.xml": content})
    await ask(world, partner)
    assert ("SI_RECEIVED", []) == (hub.cases[case]["status"], hub.notifications)
    async with services.database.read() as tx:
        rows = (await tx.execute(sa.select(flows).where(flows.c.partner == partner.siret))).all()
    assert [("cnaf-rsa", len(content))] == [(row.adapter, row.size) for row in rows]
