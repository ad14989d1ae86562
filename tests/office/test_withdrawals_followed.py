"""After a withdrawal or an objection: the clock of each notice, its reminders, who is late, and what is destroyed."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.store.tables import deliveries, documents, notices

CAF, DEPARTEMENT, ASSOCIATION = "99900001100018", "99900002900010", "99900003700013"

pytestmark = pytest.mark.anyio


async def told(office: Any) -> tuple[dict[str, Any], str]:
    """Somebody agreed, the association received a referral, then the person withdrew: the agreement and the notice."""
    document = office.consent()
    await office.done("association", "POST", "/v1/consents", json=document)
    sent = await office.send(document["subject"])
    await office.received("association", sent["delivery"])
    answer = await office.done("association", "POST", f"/v1/consents/{document['id']}/withdraw", json={})
    [notice] = answer["notices"]
    assert ASSOCIATION == notice["recipient"]
    assert "available" == await office.state(notice["delivery"])
    return document, notice["delivery"]


async def late(office: Any, who: str) -> dict[str, dict[str, Any]]:
    """The overdue notices that somebody sees, by delivery, over several pages."""
    found, address = {}, "/v1/withdrawals/overdue?limit=1"
    while address:
        page = await office.done(who, "GET", address)
        found |= {each["delivery"]: each for each in page["overdue"]}
        address = page["next"] and f"/v1/withdrawals/overdue?limit=1&cursor={page['next']}"
    return found


async def test_a_silent_recipient_is_reminded_then_shown_to_those_concerned(office: Any) -> None:
    """A reminder a day, late at the third: seen by itself, by who told it and by the auditor, until it acknowledges."""
    document, notice = await told(office)
    assert notice not in await late(office, "auditor")
    for _ in range(3):
        office.clock.advance(hours=24.1)
        await office.keep()
    seen = {who: await late(office, who) for who in ("association", "auditor", "departement", "caf")}
    assert [True, True, False, False] == [notice in each for each in seen.values()]
    shown = seen["auditor"][notice]
    assert (document["id"], ASSOCIATION, "withdrawal", 3) == tuple(
        shown[name] for name in ("about", "recipient", "cause", "reminders")
    )
    assert (await office.row(notices, delivery_id=notice)).due_at == shown["overdue_since"]
    events = await office.events(notice, "withdrawal_reminded", "withdrawal_overdue")
    assert ["withdrawal_overdue", *["withdrawal_reminded"] * 3] == sorted(event.type.value for event in events)
    await office.received("association", notice)
    assert notice not in await late(office, "auditor")
    office.clock.advance(hours=48)
    await office.keep()
    assert 4 == len(await office.events(notice, "withdrawal_reminded", "withdrawal_overdue"))


async def test_a_notice_is_late_at_its_hour_whatever_the_keeper_does(office: Any) -> None:
    """A keeper that does not run hides nobody."""
    _, notice = await told(office)
    office.clock.advance(hours=71)
    assert notice not in await late(office, "auditor")
    office.clock.advance(hours=2)
    assert notice in await late(office, "auditor")
    await office.received("association", notice)


async def test_a_rejected_or_forgotten_notice_comes_back(office: Any) -> None:
    """Who rejects a notice, or takes it and says nothing, finds it again in its mailbox at the next reminder."""
    _, notice = await told(office)
    await office.received("association", notice, acknowledge=False)
    await office.done("association", "POST", f"/v1/mailbox/{notice}/nack", json={"reason": "other"})
    assert "rejected" == await office.state(notice)
    office.clock.advance(hours=25)
    await office.keep()
    assert "available" == await office.state(notice)
    await office.received("association", notice, acknowledge=False)
    office.clock.advance(hours=25)
    await office.keep()
    assert "available" == await office.state(notice)
    await office.received("association", notice)
    assert "acknowledged" == await office.state(notice)


async def test_only_the_scopes_of_the_list_open_it(office: Any) -> None:
    """A token that opens neither one's own exchanges nor the ledger does not show who is late."""
    token = await office.narrowed("caf", "validate")
    answer = await office.http.get("/v1/withdrawals/overdue", headers=token.headers)
    assert 403 == answer.status_code


async def test_an_objection_destroys_what_waits_and_what_was_delivered(office: Any) -> None:
    """The département has one referral and another waits for it: both contents go at once, and the second never leaves."""
    subject = office.person()
    target = {"recipients": [{"siret": DEPARTEMENT}]}
    first = await office.send(subject, **target)
    await office.received("departement", first["delivery"])
    second = await office.send(subject, **target)
    assert "available" == await office.state(second["delivery"])
    answer = await office.done("caf", "POST", "/v1/objections", json={"subject": subject})
    assert 2 == answer["destroyed"]
    assert [DEPARTEMENT] == [notice["recipient"] for notice in answer["notices"]]
    assert ["acknowledged", "stopped"] == [await office.state(each["delivery"]) for each in (first, second)]
    for each in (first, second):
        assert None is await office.row(documents, id=each["document"])
        assert 1 == len(await office.events(each["document"], "proactive_data_destroyed"))
    assert ["objection"] == (await office.events(second["delivery"], "disclosure_stopped"))[0].body["reasons"]
    assert "objection" == (await office.send(subject, **target))["reasons"][0]["code"]


async def test_an_objection_leaves_what_it_does_not_cover(office: Any) -> None:
    """Opposed to one recipient only: what another still waits for is kept and delivered; what is not proactive is kept too."""
    document = office.consent()
    await office.done("association", "POST", "/v1/consents", json=document)
    both = {"recipients": [{"siret": ASSOCIATION}, {"siret": DEPARTEMENT}]}
    told = (await office.done("caf", "POST", "/v1/referrals", json=office.referral(document["subject"], **both)))[
        "exchanges"
    ]
    to = {each["siret"]: each["delivery"] for each in told[0]["recipients"]}
    assert ["available"] * 2 == [await office.state(delivery) for delivery in to.values()]
    body = {"subject": document["subject"], "recipient": ASSOCIATION}
    answer = await office.done("association", "POST", "/v1/objections", json=body)
    assert 0 == answer["destroyed"]
    assert "stopped" == await office.state(to[ASSOCIATION])
    await office.received("departement", to[DEPARTEMENT])
    assert 1 <= (await office.keep())["destruction"]
    assert None is await office.row(documents, id=told[0]["document"])


async def test_what_a_recipient_held_is_destroyed_when_its_lease_ends(office: Any) -> None:
    """A referral under a lease when the person objects is not torn away; once the lease is over, the keeper destroys it."""
    subject = office.person()
    sent = await office.send(subject, recipients=[{"siret": DEPARTEMENT}])
    await office.received("departement", sent["delivery"], acknowledge=False)
    answer = await office.done("caf", "POST", "/v1/objections", json={"subject": subject})
    assert 0 == answer["destroyed"]
    assert None is not await office.row(documents, id=sent["document"])
    office.clock.advance(minutes=5)
    assert 1 <= (await office.keep())["destruction"]
    assert None is await office.row(documents, id=sent["document"])
    assert "stopped" == (await office.row(deliveries, id=sent["delivery"])).state


async def test_an_acknowledgement_may_say_what_was_done(office: Any) -> None:
    """Stopped or erased goes in the ledger with the acknowledgement of a notice; any other word is refused."""
    for done in ("stopped", "erased"):
        _, notice = await told(office)
        await office.received("association", notice, acknowledge=False)
        address = f"/v1/mailbox/{notice}/ack"
        await office.refused("association", "POST", address, 400, json={"done": "read"})
        assert "leased" == await office.state(notice)
        await office.done("association", "POST", address, json={"done": done})
        [event] = await office.events(notice, "withdrawal_acknowledged")
        assert done == event.body["done"]
