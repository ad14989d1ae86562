"""Every retention class that a convention may name is applied by the keeper: what is past its time goes, what is not stays."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from consent.conventions.retention import CONTENT, PROOFS
from consent.tables import agreements, ledger_events, objections
from gateway.replay import Outcome, replay
from gateway.store.database import moment
from gateway.store.tables import attachment_chunks, attachments
from schemas import code_list

CAF, ASSOCIATION, CCAS = "99900001100018", "99900003700013", "99900004500016"
_RETENTION = """  - { class: proactive, months: 12 }
  - { class: exchange_trace, months: 36 }
  - { class: objection, months: 24 }
  - { class: referral, months: 24 }
  - { class: agreement_proof, months: 60, justification: "Durée de l'accord, puis délai de preuve (à confirmer)" }
"""
_SHORT = """  - { class: proactive, months: 12 }
  - { class: exchange_trace, months: 12 }
  - { class: objection, months: 13 }
  - { class: attachments, months: 2 }
  - { class: agreement_proof, months: 13 }
"""
_FILE = b"%PDF-1.7 piece"

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
async def short(office: Any) -> Any:
    """The office, with a convention from the CCAS to the association that keeps everything for less; only it has social evaluation."""
    text = office.model("tznr-caf-association", _RETENTION, _SHORT).replace(CAF, CCAS)
    text = text.replace(
        "[inform_about_rights, follow_up]\n\nflows", "[inform_about_rights, follow_up, social_evaluation]\n\nflows"
    )
    text = text.replace("purposes: [inform_about_rights]", "purposes: [inform_about_rights, social_evaluation]", 1)
    await office.in_force("ccas", "association", text.replace("tznr-valombre-caf", "tznr-bref-ccas"))
    return office


async def exchanged(office: Any, who: str, siret: str) -> dict[str, Any]:
    """Somebody agrees for a day, something leaves with a file, and it is received: the ids of it all."""
    subject, piece = office.person(), {"name": "piece.pdf", "media_type": "application/pdf", "size": len(_FILE)}
    agreed = office.consent(subject=subject, duration="one_day")
    await office.done("association", "POST", "/v1/consents", json=agreed)
    files = [piece | {"sha256": hashlib.sha256(_FILE).hexdigest()}]
    sent = await office.send(subject, who, sender={"siret": siret}, attachments=files)
    assert "permitted" == sent["state"]
    file = await office.done(who, "POST", f"/v1/exchanges/{sent['exchange']}/attachments", content=_FILE)
    await office.received("association", sent["delivery"])
    [made] = await office.events(sent["delivery"], "disclosure_made")
    return {"agreement": agreed["id"], "file": file["id"], "delivery": sent["delivery"], "event": made.id}


async def kept(office: Any, ids: dict[str, Any]) -> set[str]:
    """What is still there of an exchange."""
    there = set()
    if await office.row(attachments, id=ids["file"]):
        there.add("attachments")
        assert await office.row(attachment_chunks, attachment_id=ids["file"])
    if await office.row(agreements, id=ids["agreement"]):
        there.add("agreement_proof")
        assert await office.events(ids["agreement"], "agreement_given")
    if (await office.row(ledger_events, id=ids["event"])).sealed:
        there.add("exchange_trace")
    return there


async def test_each_class_goes_at_the_time_of_its_convention(short: Any) -> None:
    """Files at 2 and 6 months, traces at 12 and 36, agreements at 13, 36 and 60; each purge is in the ledger."""
    brief, usual = await exchanged(short, "ccas", CCAS), await exchanged(short, "caf", CAF)
    alone = short.consent(duration="one_day")
    await short.done("association", "POST", "/v1/consents", json=alone)
    everything = {"attachments", "agreement_proof", "exchange_trace"}
    for days, of_brief, of_usual in (
        (50, everything, everything),
        (15, everything - {"attachments"}, everything),
        (130, everything - {"attachments"}, everything - {"attachments"}),
        (180, {"agreement_proof"}, {"agreement_proof", "exchange_trace"}),
        (40, set(), {"agreement_proof", "exchange_trace"}),
    ):
        short.clock.advance(days=days)
        await short.keep()
        assert of_brief == await kept(short, brief)
        assert of_usual == await kept(short, usual)
    for retention_class, ident in (("attachments", brief["file"]), ("agreement_proof", brief["agreement"])):
        [event] = await short.events(ident, "retention_purged")
        assert retention_class == event.body["class"]
    assert [] == await short.events(brief["agreement"], "agreement_given", "agreement_expired")
    assert await short.row(agreements, id=alone["id"])
    short.clock.advance(days=720)
    await short.keep()
    assert {"agreement_proof"} == await kept(short, usual)
    assert None is await short.row(agreements, id=alone["id"])
    short.clock.advance(days=740)
    await short.keep()
    assert set() == await kept(short, usual)


async def test_a_decision_whose_agreement_was_forgotten_is_not_said_to_be_different(short: Any) -> None:
    """The trace of an exchange outlives the proof here: replaying it says so."""
    brief = await exchanged(short, "ccas", CCAS)
    services = short.runtime.services
    async with services.database.write() as tx:
        row = agreements.c.id == brief["agreement"]
        await tx.execute(agreements.update().where(row).values(over_at="2012-01-01T00:00:00.000000Z"))
    assert 1 <= (await short.keep())["past agreements"]
    async with services.database.read() as tx:
        [found] = await replay(tx, brief["event"], services.vault)
    assert Outcome.FORGOTTEN is found.outcome


async def test_an_objection_lasts_as_long_as_the_conventions_it_stops_say(short: Any) -> None:
    """13 months for what only the short convention does, the longest of them for the rest."""
    for purpose, months in (("social_evaluation", 13), ("inform_about_rights", 24)):
        body = {"subject": short.person(), "recipient": ASSOCIATION, "purpose": purpose}
        made = await short.done("caf", "POST", "/v1/objections", json=body)
        row = await short.row(objections, id=made["id"])
        since, until = moment(row.since), moment(row.until)
        assert months == (until.year - since.year) * 12 + until.month - since.month


def test_no_class_is_left_without_its_duty() -> None:
    """What a convention may name is what the keeper destroys."""
    assert set(code_list("retention_class")) == {*CONTENT, *PROOFS}
