"""What goes when its time has come, and only that; each purge of something about a person leaves its event."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from consent.tables import objections
from gateway.keeper import DUTIES, Keeper
from gateway.quarantine import set_aside
from gateway.store.database import instant
from gateway.store.tables import assertion_jtis, documents, idempotency_keys, inbox, quarantine

DEPARTEMENT = "99900002900010"

pytestmark = pytest.mark.anyio


async def test_a_delivered_document_goes_after_twelve_months(office: Any) -> None:
    """Its sealed content is deleted at its term and not before, with an event; what is still under way stays."""
    target = {"recipients": [{"siret": DEPARTEMENT}]}
    delivered = await office.send(office.person(), **target)
    await office.received("departement", delivered["delivery"])
    waiting = await office.send(office.person(), **target)
    assert "available" == await office.state(waiting["delivery"])
    office.clock.advance(days=360)
    await office.keep()
    assert None is not await office.row(documents, id=delivered["document"])
    office.clock.advance(days=7)
    assert 1 <= (await office.keep())["delivered"]
    assert None is await office.row(documents, id=delivered["document"])
    assert None is not await office.row(documents, id=waiting["document"])
    [event] = await office.events(delivered["document"], "retention_purged")
    assert "delivered" == event.body["class"]


@pytest.mark.parametrize(
    ("retention_class", "usually", "asked", "days"), [("proactive", 12, 6, 185), ("referral", 24, 3, 95)]
)
async def test_a_convention_may_ask_for_less(
    office: Any, retention_class: str, usually: int, asked: int, days: int
) -> None:
    """Fewer months for a class in the convention's own file are fewer here, with no other change, and for it only."""
    written, instead = (f"{{ class: {retention_class}, months: {months} }}" for months in (usually, asked))
    text = office.model("tznr-caf-departement", written, instead)
    name = f"tznr-{days:03}-ccas-"  # of two conventions that permit, the first by name is the one it leaves under
    text = text.replace("99900001100018", "99900004500016").replace("tznr-valombre-caf-", name)
    await office.in_force("ccas", "departement", text)
    sirets = {"sender": {"siret": "99900004500016"}, "recipients": [{"siret": DEPARTEMENT}]}
    short = await office.send(office.person(), "ccas", **sirets)
    await office.received("departement", short["delivery"])
    usual = await office.send(office.person(), recipients=[{"siret": DEPARTEMENT}])
    await office.received("departement", usual["delivery"])
    office.clock.advance(days=days)
    await office.keep()
    assert None is await office.row(documents, id=short["document"])
    assert None is not await office.row(documents, id=usual["document"])


async def test_an_objection_is_forgotten_at_its_term(office: Any) -> None:
    """After the configured months its row goes, with an event, and exchanges are possible again."""
    subject, target = office.person(), {"recipients": [{"siret": DEPARTEMENT}]}
    objection = await office.done("caf", "POST", "/v1/objections", json={"subject": subject})
    office.clock.advance(days=725)
    await office.keep()
    assert "objection" == (await office.send(subject, **target))["reasons"][0]["code"]
    office.clock.advance(days=10)
    assert 1 <= (await office.keep())["objections"]
    assert None is await office.row(objections, id=objection["id"])
    assert 1 == len(await office.events(objection["id"], "objection_lifted"))
    assert "permitted" == (await office.send(subject, **target))["state"]


async def test_files_answers_and_identifiers_go_in_their_time(office: Any) -> None:
    """Quarantined files, idempotency answers, old messages and expired identifiers are deleted, the recent ones kept."""
    services, now = office.runtime.services, office.clock()
    caller = type("Caller", (), {"client_id": "caf", "partner": "99900001100018"})
    rows = {}
    for name, days in (("old", 40), ("new", 0)):
        ident, at = str(uuid.uuid4()), instant(now - timedelta(days=days))
        rows[name] = ident
        key = {"client_id": "caf", "key": ident, "request": b"0" * 32, "status": 201, "response": {}, "created_at": at}
        expires_at = instant(now - timedelta(days=days) + timedelta(minutes=1))
        async with services.database.write() as tx:
            await tx.execute(sa.insert(idempotency_keys).values(key))
            await tx.execute(sa.insert(inbox).values(consumer="courier", message_id=ident, received_at=at))
            await tx.execute(sa.insert(assertion_jtis).values(client_id="caf", jti=ident, expires_at=expires_at))
    file = await set_aside(b"<faux/>", "cnaf-rsa", "not_a_cnaf_flow", caller, services)  # type: ignore[arg-type]
    done = await office.keep()
    assert {"answers", "tokens"} <= done.keys()
    for table, column in ((idempotency_keys, "key"), (inbox, "message_id"), (assertion_jtis, "jti")):
        kept = [await office.row(table, **{column: rows[name]}) is not None for name in ("old", "new")]
        assert [False, True] == kept
    assert None is not await office.row(quarantine, id=file)
    office.clock.advance(days=31)
    assert 1 <= (await office.keep())["quarantine"]
    assert None is await office.row(quarantine, id=file)
    assert 1 == len(await office.events(file, "retention_purged"))


async def test_a_duty_that_fails_does_not_keep_the_others_from_being_done(office: Any) -> None:
    """The keeper tells the failure by its kind and goes on with what comes after."""

    async def failing(*_: Any) -> int:
        raise RuntimeError("une valeur qui ne doit pas sortir")

    document = office.consent(duration="one_day")
    await office.done("association", "POST", "/v1/consents", json=document)
    office.clock.advance(days=2)
    keeper = Keeper(office.runtime.services, {"failing": failing, "agreements": DUTIES["agreements"]})
    assert {"failing": 0, "agreements": 1} == await keeper.once()
