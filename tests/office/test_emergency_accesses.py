"""Break-glass from outside: opened by somebody named, told to every officer, ended, reviewed; and what an unjustified one undoes."""

from __future__ import annotations

import asyncio
import email
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from consent.tables import break_glass, break_glass_mails
from gateway.break_glass import telling
from gateway.metrics import readings
from gateway.replay import replay
from gateway.store import subjects
from gateway.store.subjects import Identity

pytestmark = pytest.mark.anyio

CAF, ASSOCIATION, CCAS = "99900001100018", "99900003700013", "99900004500016"
NAME = "urgence-caf-ccas"
_LINES = """    # break_glass:
    #   hours: 24
    #   review_days: 7
    #   categories: [identity, contact]
    #   ground: RGPD art. 6(1)(d), sauvegarde des intérêts vitaux
"""
_STATEMENT = "Sortie d'hôpital ce soir, sans logement, injoignable."


@pytest.fixture(scope="module")
async def urgent(office: Any) -> AsyncIterator[Any]:
    """The office with a convention between the CAF and the CCAS that provides for emergencies."""
    text = office.model("tznr-caf-association", _LINES, _LINES.replace("    # ", "    "))
    text = text.replace(ASSOCIATION, CCAS).replace('schema_version: "1.0"', 'schema_version: "1.1"')
    await office.in_force("caf", "ccas", text.replace("tznr-valombre-caf-association", NAME))
    yield office


def access(subject: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """What a professional of the CAF asks for."""
    asked = {
        "subject": subject,
        "kind": "referral",
        "purpose": "inform_about_rights",
        "recipient": CCAS,
        "reason": "shelter",
        "statement": _STATEMENT,
        "agent": {"name": "Dominique Vasseur", "role": "Assistante sociale"},
    }
    return asked | changes


async def opened(office: Any, subject: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Open an access as the CAF."""
    return dict(await office.done("caf", "POST", "/v1/break-glass", json=access(subject, **changes)))


async def sent(office: Any, subject: dict[str, Any]) -> dict[str, Any]:
    """Send a referral with a phone to the CCAS; what was said of it."""
    return dict(await office.send(subject | {"phones": ["+33199000042"]}, recipients=[{"siret": CCAS}]))


async def refusal(office: Any, subject: dict[str, Any], status: int = 409, **changes: Any) -> str:
    """Why an access is not opened: the gate's reason, or what the problem says."""
    problem = await office.refused("caf", "POST", "/v1/break-glass", status, json=access(subject, **changes))
    return str(problem.get("reason") or problem["detail"])


async def review(office: Any, ident: str, outcome: str, who: str = "ccas") -> dict[str, Any]:
    """Review an access."""
    body = {"outcome": outcome, "reviewer": {"name": "Claude Aubry", "role": "Référente protection des données"}}
    return dict(await office.done(who, "POST", f"/v1/break-glass/{ident}/review", json=body))


async def reviewed_all(office: Any) -> None:
    """Leave no review behind that would keep the next test from opening."""
    for state in ("to_review", "overdue"):
        for each in (await office.done("ccas", "GET", f"/v1/break-glass?state={state}"))["accesses"]:
            await review(office, each["id"], "justified")


async def test_an_access_lets_leave_what_the_convention_says_until_its_term(urgent: Any) -> None:
    """Refused, then permitted with identity and contact only, told as an emergency to both; refused again after the term."""
    subject = urgent.person()
    before = await sent(urgent, subject)
    access_given = await opened(urgent, subject, hours=2)
    during = await sent(urgent, subject)
    delivery = await urgent.received("ccas", during["delivery"])
    [disclosed] = await urgent.events(during["delivery"], "disclosure_made")
    urgent.clock.advance(hours=2)
    after = await sent(urgent, subject)
    assert ["agreement_missing"] == [reason["code"] for reason in before["reasons"]]
    assert ("permitted", access_given["id"]) == (during["state"], during["break_glass"])
    assert access_given["id"] == delivery["break_glass"]
    assert ["+33199000042"] == delivery["document"]["subject"]["phones"]
    assert "rights" not in delivery["document"]
    assert access_given["id"] == disclosed.body["decision"]["break_glass"]
    assert "5 agreement break_glass" in disclosed.body["decision"]["steps"]
    assert "accès d'urgence : RGPD art. 6(1)(d)" in disclosed.body["decision"]["basis"]
    assert ["agreement_missing"] == [reason["code"] for reason in after["reasons"]]
    await reviewed_all(urgent)


async def test_every_step_is_an_event_and_every_decision_replays_the_same(urgent: Any) -> None:
    """Opened, ended at its term, reviewed; the decisions before, during and after are taken again with the same outcome."""
    subject = urgent.person()
    decisions = [await sent(urgent, subject)]
    ident = (await opened(urgent, subject, hours=1))["id"]
    decisions.append(await sent(urgent, subject))
    urgent.clock.advance(hours=1, minutes=1)
    decisions.append(await sent(urgent, subject))
    assert (await urgent.keep())["accesses"] >= 1
    assert "accesses" not in await urgent.keep()
    await review(urgent, ident, "justified")
    types = ("break_glass", "break_glass_ended", "break_glass_reviewed")
    events = await urgent.events(ident, *types)
    assert list(types) == [event.type for event in events]
    assert ["expired"] == [event.body["cause"] for event in events if "cause" in event.body]
    assert not any(_STATEMENT in str(event.body) or "Vasseur" in str(event.body) for event in events)
    services = urgent.runtime.services
    for decision in decisions:
        [recorded] = await urgent.events(decision["exchange"], "exchange_accepted", "exchange_refused")
        async with services.database.read() as tx:
            assert ["same"] == [each.outcome.value for each in await replay(tx, recorded.id, services.vault)]


async def test_a_person_who_said_no_is_not_overridden(urgent: Any) -> None:
    """Refused, taken back, objected to: the access is not opened, for that reason; one opened before opens nothing any more."""
    lines = [{"id": "tout", "purposes": ["inform_about_rights"], "kinds": ["referral"], "categories": ["identity"],
              "recipients": [CCAS]}]  # fmt: skip
    refused, objecting, withdrawn = urgent.person(), urgent.person(), urgent.person()
    await urgent.done(
        "caf", "POST", "/v1/consents", json=urgent.consent(CAF, subject=refused, state="refused", scopes=lines)
    )
    given = await urgent.done("caf", "POST", "/v1/consents", json=urgent.consent(CAF, subject=withdrawn, scopes=lines))
    needless = await refusal(urgent, withdrawn)
    await urgent.done("caf", "POST", f"/v1/consents/{given['id']}/withdraw", json={"channel": "in_person"})
    await opened(urgent, objecting)
    waiting = await sent(urgent, objecting)
    await urgent.done("ccas", "POST", "/v1/objections", json={"subject": objecting})
    assert "déjà permis" in needless
    assert "agreement_refused" == await refusal(urgent, refused)
    assert "agreement_withdrawn" == await refusal(urgent, withdrawn)
    assert "objection" == await refusal(urgent, objecting)
    assert "stopped" == await urgent.state(waiting["delivery"])
    assert ["objection"] == [reason["code"] for reason in (await sent(urgent, objecting))["reasons"]]
    await reviewed_all(urgent)


async def test_an_access_is_opened_only_where_a_convention_says_so_and_for_no_longer(urgent: Any) -> None:
    """Another recipient, another kind, more hours than signed, an empty statement, a NIR in it, nobody named."""
    subject = urgent.person()
    assert "Aucune convention" in await refusal(urgent, subject, recipient=ASSOCIATION)
    assert "Aucune convention" in await refusal(urgent, subject, kind="bilan")
    assert "24 heures au plus" in await refusal(urgent, subject, hours=25)
    assert "caractères" in await refusal(urgent, subject, 400, statement="Urgent.")
    assert "name, role" in await refusal(urgent, subject, 400, agent={"name": "Dominique Vasseur"})
    assert "corrigez" in await refusal(urgent, subject, 422, statement="Son numéro est le 2 31 02 99 771 101, urgent.")
    problem = await urgent.refused("departement", "POST", "/v1/break-glass", 403, json=access(subject))
    assert "forbidden" == problem["code"]


async def test_an_unjustified_access_is_undone(urgent: Any) -> None:
    """Ended at once, what waits is stopped, who received is told to erase and acknowledges; a second review is refused."""
    subject = urgent.person()
    ident = (await opened(urgent, subject))["id"]
    received = await sent(urgent, subject)
    await urgent.received("ccas", received["delivery"])
    waiting = await sent(urgent, subject)
    seen = await urgent.done("ccas", "GET", f"/v1/break-glass/{ident}")
    answer = await review(urgent, ident, "unjustified", "auditor")
    [notice] = answer["notices"]
    told = await urgent.received("ccas", notice["delivery"])
    body = {"outcome": "justified", "reviewer": {"name": "Claude Aubry", "role": "Référente"}}
    again = await urgent.refused("ccas", "POST", f"/v1/break-glass/{ident}/review", 409, json=body)
    after = await sent(urgent, subject)
    assert {received["delivery"], waiting["delivery"]} == {each["delivery"] for each in seen["deliveries"]}
    assert (_STATEMENT, "Dominique Vasseur") == (seen["statement"], seen["agent"]["name"])
    assert "break_glass" == told["notice"]
    assert ("expired", "urgence-2026-11") == (told["document"]["state"], told["document"]["text"]["version"])
    assert "stopped" == (await _stopped(urgent, waiting["delivery"]))
    assert "déjà revu" in again["detail"]
    assert ["agreement_missing"] == [reason["code"] for reason in after["reasons"]]
    assert ["withdrawal_acknowledged"] == [
        event.type for event in await urgent.events(notice["delivery"], "withdrawal_acknowledged")
    ]


async def _stopped(office: Any, delivery: str) -> str:
    """Where a delivery stands once its recipient came for it and got nothing."""
    await office.done("ccas", "GET", "/v1/mailbox?limit=200")
    return str(await office.state(delivery))


async def test_who_opened_does_not_review_and_a_late_review_closes_the_door(urgent: Any) -> None:
    """The same organisation is refused; once late, the officers are told again and nothing more is opened until it is done."""
    ident = (await opened(urgent, urgent.person()))["id"]
    body = {"outcome": "justified", "reviewer": {"name": "Dominique Vasseur", "role": "Assistante sociale"}}
    own = await urgent.refused("caf", "POST", f"/v1/break-glass/{ident}/review", 403, json=body)
    urgent.clock.advance(days=7)
    assert 1 == (await urgent.keep())["reviews"]
    [late] = (await urgent.done("auditor", "GET", "/v1/break-glass?state=overdue"))["accesses"]
    assert "forbidden" == own["code"]
    assert (ident, "ended") == (late["id"], late["state"])
    assert ident in await refusal(urgent, urgent.person())
    assert 1 == len(await urgent.events(ident, "break_glass_overdue"))
    await review(urgent, ident, "justified")
    await opened(urgent, urgent.person())
    await reviewed_all(urgent)


async def test_strangers_see_nothing_of_it_and_a_list_names_nobody(urgent: Any) -> None:
    """The département is no party: the access does not exist for it. In the list of the parties, no person, no statement."""
    subject = urgent.person()
    ident = (await opened(urgent, subject))["id"]
    shown = (await urgent.call("ccas", "GET", "/v1/break-glass")).text
    assert ident in shown and _STATEMENT not in shown and subject["birth_name"] not in shown
    for method, path in (("GET", ""), ("POST", "/close"), ("POST", "/review")):
        assert (await urgent.call("departement", method, f"/v1/break-glass/{ident}{path}")).status_code in (403, 404)
    assert "not_found" == (await urgent.refused("caf", "GET", "/v1/break-glass/0", 404))["code"]
    await urgent.done("caf", "POST", f"/v1/break-glass/{ident}/close")
    assert ["agreement_missing"] == [reason["code"] for reason in (await sent(urgent, subject))["reasons"]]
    await reviewed_all(urgent)


async def test_the_officers_are_told_by_mail_and_the_sending_is_tried_until_it_passes(urgent: Any) -> None:
    """A server that refuses, then takes: each party's officer is told once, of no person; each message is an event."""
    await _flush(urgent)
    subject, services = urgent.person(), urgent.runtime.services
    ident = (await opened(urgent, subject))["id"]
    async with MailServer() as server:
        by_mail = replace(services, settings=services.settings.model_copy(update={"smtp_url": server.url}))
        server.broken = True
        assert 0 == await telling.send(by_mail, services.clock(), 200)
        server.broken = False
        assert 0 == await telling.send(by_mail, services.clock(), 200)  # not yet due again
        urgent.clock.advance(minutes=16)
        assert 2 == await telling.send(by_mail, services.clock(), 200)
        assert 0 == await telling.send(by_mail, services.clock(), 200)
    messages = [email.message_from_bytes(raw) for raw in server.taken]
    assert {"dpo@caf-valombre.example", "donnees@relais-valombre.example"} == {each["To"] for each in messages}
    text = messages[0].get_payload(decode=True).decode()
    assert NAME in text and ident in text and "Mise à l'abri" in text
    assert subject["birth_name"] not in text and "Vasseur" not in text
    assert {CAF, CCAS} == {event.body["party"] for event in await urgent.events(ident, "break_glass_told")}
    told = (await urgent.done("caf", "GET", f"/v1/break-glass/{ident}"))["told"]
    assert all(each["sent_at"] for each in told)
    await reviewed_all(urgent)


async def _flush(office: Any) -> None:
    """Send what earlier tests left."""
    async with MailServer() as server:
        services = office.runtime.services
        by_mail = replace(services, settings=services.settings.model_copy(update={"smtp_url": server.url}))
        office.clock.advance(minutes=16)
        await telling.send(by_mail, services.clock(), 1000)


class MailServer:
    """A mail server of the tests: SMTP as RFC 5321 has it, keeping what it takes."""

    def __init__(self) -> None:
        """Listens once entered."""
        self.taken: list[bytes] = []
        self.broken = False
        self.url = ""

    async def __aenter__(self) -> MailServer:
        """Listen."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"smtp://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_error: object) -> None:
        """Stop listening."""
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"421 not now\r\n" if self.broken else b"220 ready\r\n")
        while line := await reader.readline():
            word = line.split()[0].upper() if line.split() else b""
            if word == b"DATA":
                writer.write(b"354 go on\r\n")
                self.taken.append((await reader.readuntil(b"\r\n.\r\n"))[:-5])
            writer.write(b"221 bye\r\n" if word == b"QUIT" else b"250 ok\r\n")
            if word == b"QUIT":
                break
        writer.close()


async def test_an_access_about_somebody_the_gateway_never_met_finds_them_when_the_document_comes(urgent: Any) -> None:
    """The person of the access and of the referral are one, by their traits: no number was needed."""
    subject = urgent.person()
    ident = (await opened(urgent, subject))["id"]
    services = urgent.runtime.services
    async with services.database.read() as tx:
        assert await subjects.find(tx, Identity.of(subject, CAF, services.vault))
    assert ident == (await sent(urgent, subject))["break_glass"]
    await reviewed_all(urgent)


async def test_what_waits_for_a_review_is_counted(urgent: Any) -> None:
    """Open and to review, then late, then neither: what `/metrics` reads."""
    services = urgent.runtime.services

    async def counted() -> dict[str, int]:
        async with services.database.read() as tx:
            return dict((await readings.read(tx, services.clock())).emergencies)

    before = await counted()
    ident = (await opened(urgent, urgent.person(), hours=1))["id"]
    fresh = await counted()
    urgent.clock.advance(days=8)
    late = await counted()
    await review(urgent, ident, "justified")
    assert (before["open"] + 1, before["to_review"] + 1) == (fresh["open"], fresh["to_review"])
    assert {"open": 0, "to_review": 0, "overdue": 1} == late
    assert 0 == (await counted())["overdue"]


async def test_erasing_a_person_leaves_nothing_of_the_access_about_them(urgent: Any) -> None:
    """The row and the messages about it are gone, its events say nothing, its address is that of nothing."""
    subject, services = urgent.person(), urgent.runtime.services
    ident = (await opened(urgent, subject))["id"]
    await sent(urgent, subject)
    row = await urgent.row(break_glass, id=ident)
    assert 2 == await _mails(urgent, ident)
    body = {"subject": subject, "reason": "person_request"}
    certificate = await urgent.done("administrator", "POST", "/v1/persons/erase", json=body)
    assert 1 == certificate["destroyed"]["break_glass"]
    assert None is await urgent.row(break_glass, id=ident)
    assert 0 == await _mails(urgent, ident)
    assert [] == await urgent.events(ident, "break_glass")
    for who in ("ccas", "auditor"):
        await urgent.refused(who, "GET", f"/v1/break-glass/{ident}", 404)
    async with services.database.read() as tx:
        assert {} == await subjects.data_keys(tx, [row.subject_id], services.vault)
    assert ident not in (await urgent.call("ccas", "GET", "/v1/break-glass")).text


async def test_an_access_is_forgotten_with_the_trace_of_its_convention(urgent: Any) -> None:
    """At 36 months its row and messages go, with an event; not before."""
    ident = (await opened(urgent, urgent.person(), hours=1))["id"]
    await review(urgent, ident, "justified")
    urgent.clock.advance(days=1080)
    await urgent.keep()
    assert None is not await urgent.row(break_glass, id=ident)
    urgent.clock.advance(days=30)
    assert 1 <= (await urgent.keep())["past accesses"]
    assert None is await urgent.row(break_glass, id=ident)
    assert 0 == await _mails(urgent, ident)
    [event] = await urgent.events(ident, "retention_purged")
    assert "break_glass" == event.body["class"]


async def _mails(office: Any, ident: str) -> int:
    """How many messages there are about an access."""
    query = sa.select(sa.func.count()).where(break_glass_mails.c.opening_id == ident)
    async with office.runtime.services.database.read() as tx:
        return int((await tx.execute(query)).scalar_one())
