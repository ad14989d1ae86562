"""
Erasing a person: unreadable in the database and in every copy of its data, proofs kept, recipients told.
"""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import orjson
import pytest
import sqlalchemy as sa

from consent.completeness import verify_answer
from consent.ledger.event import EventType
from consent.ledger.export import export
from consent.tables import agreements, ledger_events, objections
from consent.verify import verify_directory, verify_receipt
from gateway.auth.caller import Caller
from gateway.person.erasure import Asked, erase_all
from gateway.person.forgetting import sweep
from gateway.person.traces import ERASED
from gateway.records import place, record_of
from gateway.store import subjects as people
from gateway.store.crypto import Unreadable
from gateway.store.database import instant
from gateway.store.subjects import Identity
from gateway.store.tables import deliveries, documents, exchanges, subject_data_keys, subject_keys, subjects

pytestmark = pytest.mark.anyio

CAF, ASSOCIATION, OPERATOR = "99900001100018", "99900003700013", "99900009400014"


async def story(office: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Somebody agrees and is referred to the association; gives the person and what the association received."""
    subject = office.person()
    await office.done("association", "POST", "/v1/consents", json=office.consent(subject=subject))
    sent = await office.send(subject)
    return subject, await office.received("association", sent["delivery"]) | {"exchange": sent["exchange"]}


async def erased(office: Any, subject: dict[str, Any], **more: Any) -> dict[str, Any]:
    body = {"subject": subject, "reason": "person_request", **more}
    return await office.done("administrator", "POST", "/v1/persons/erase", json=body)


async def subject_id(office: Any, subject: dict[str, Any]) -> str | None:
    async with office.runtime.services.database.read() as tx:
        return await people.find(tx, Identity.of(subject, CAF, office.runtime.services.vault))


async def count(office: Any, table: sa.Table, **wanted: Any) -> int:
    query = (
        sa.select(sa.func.count()).select_from(table).where(*(table.c[name] == value for name, value in wanted.items()))
    )
    async with office.runtime.services.database.read() as tx:
        return int((await tx.execute(query)).scalar_one())


async def test_an_erased_person_is_nowhere_and_the_proofs_hold(office: Any, tmp_path: Path) -> None:
    """Nobody finds them, nothing about them opens, nothing is joined to them; the receipt taken before still verifies."""
    subject, received = await story(office)
    ident = await subject_id(office, subject)
    assert ident is not None
    receipt = await office.call("caf", "GET", f"/v1/exchanges/{received['exchange']}/receipt")
    certificate = await erased(office, subject)
    counts = certificate["destroyed"]
    assert (1, 2, 1, 1) == tuple(
        counts[name] for name in ("subject_data_keys", "subject_keys", "documents", "agreements")
    )
    assert await subject_id(office, subject) is None
    for table in (documents, agreements, exchanges, deliveries, ledger_events, subject_keys, subject_data_keys):
        assert 0 == await count(office, table, subject_id=ident), table.name
    found = await office.done("auditor", "POST", "/v1/ledger/search", json={"subject": subject})
    assert not found["found"]
    assert (
        verify_receipt(receipt.content, office.runtime.signer.vkey).event is not None
    )  # who kept it may still show it
    again = await office.call("caf", "GET", f"/v1/exchanges/{received['exchange']}/receipt")
    report = verify_receipt(again.content, office.runtime.signer.vkey)
    assert report.ok
    assert report.event is None
    async with office.runtime.services.database.read() as tx:
        await export(tx, tmp_path, office.runtime.signer.vkey)
    assert verify_directory(tmp_path, office.runtime.signer.vkey).ok


async def test_an_organisation_s_answer_still_verifies_with_the_erased_events_in_it(office: Any) -> None:
    """The events keep their place and their summary, and say that they were erased; those of others still open."""
    since = office.clock().isoformat()
    first, _ = await story(office)
    await story(office)
    await erased(office, first)
    asked = {"partner": ASSOCIATION, "from": since, "reason": "control", "types": ["disclosure_made"], "limit": 1_000}
    answer = await office.done("auditor", "POST", "/v1/ledger/search", json=asked)
    lines = [{"answer": answer["answer"]}, {"page": answer["page"]}, *({"row": row} for row in answer["rows"])]
    report = verify_answer([json.dumps(line).encode() for line in lines], office.runtime.signer.vkey)
    assert report.ok, report.to_json()
    shown = [row.get("withheld", "opened") for row in answer["rows"] if row["matches"]]
    assert shown == ["erased", "opened"]
    erasures = {"from": since, "types": ["erasure"], "partner": ASSOCIATION, "reason": "control", "limit": 1_000}
    answer = await office.done("auditor", "POST", "/v1/ledger/search", json=erasures)
    [event] = [json.loads(row["event"]) for row in answer["rows"] if row["matches"]]
    assert ([ASSOCIATION], "person_request") == (event["body"]["notified"], event["body"]["reason"])
    assert first["birth_name"] not in json.dumps(answer)


async def test_recipients_are_told_by_the_last_message_that_holds_the_pseudonym(office: Any) -> None:
    """The notice names the person as the recipient knows them, then goes with its acknowledgement."""
    subject, received = await story(office)
    pseudonym = received["document"]["subject"]["pseudonym"]
    [notice] = (await erased(office, subject))["notices"]
    told = await office.received("association", notice["delivery"], acknowledge=False)
    assert ("erasure", pseudonym) == (told["notice"], told["document"]["subject"]["pseudonym"])
    assert "effacement-2026-11" == told["document"]["text"]["version"]
    held = await office.row(deliveries, id=notice["delivery"])
    assert 1 == await count(office, documents, subject_id=held.subject_id)
    await office.done("association", "POST", f"/v1/mailbox/{notice['delivery']}/ack")
    await office.keep()
    assert 0 == await count(office, documents, subject_id=held.subject_id)
    assert 0 == await count(office, subjects, id=held.subject_id)
    [made] = await office.events(notice["delivery"], EventType.WITHDRAWAL_NOTIFIED)
    assert (None, "erasure") == (made.body["pseudonym"], made.body["notice"])
    assert "subject_tag" not in made.body
    assert await office.events(notice["delivery"], EventType.WITHDRAWAL_ACKNOWLEDGED)


async def test_what_waits_for_a_recipient_is_stopped(office: Any) -> None:
    """A referral in the mailbox does not leave any more, and the erased person is a stranger when met again."""
    subject = office.person()
    await office.done("association", "POST", "/v1/consents", json=office.consent(subject=subject))
    sent = await office.send(subject)
    assert "available" == await office.state(sent["delivery"])
    certificate = await erased(office, subject)
    assert 1 == certificate["destroyed"]["deliveries_stopped"]
    assert "stopped" == await office.state(sent["delivery"])
    assert [] == certificate["notices"]  # nothing had been handed over
    assert "refused" == (await office.send(subject))["state"]


async def test_an_objection_outlives_the_erasure_alone(office: Any) -> None:
    """It is kept for its sole use, joined to nothing, until its term; or not at all when so asked."""
    for keep, state in ((True, "refused"), (False, "permitted")):
        subject = office.person()
        await office.done("association", "POST", "/v1/consents", json=office.consent(subject=subject))
        body = {"subject": subject, "recipient": ASSOCIATION}
        objection = (await office.done("caf", "POST", "/v1/objections", json=body))["id"]
        certificate = await erased(office, subject, keep_objections=keep)
        assert int(keep) == certificate["objections_kept"]
        assert 0 == await count(office, objections, id=objection)
        fresh = await subject_id(office, subject)
        assert (fresh is not None) == keep
        await office.done("association", "POST", "/v1/consents", json=office.consent(subject=subject))
        assert state == (await office.send(subject))["state"]


async def test_the_person_of_an_objection_is_forgotten_at_its_term(office: Any) -> None:
    """When the objection ends, nothing is left of who was recognised by it."""
    subject = office.person()
    await office.done("caf", "POST", "/v1/objections", json={"subject": subject})
    await erased(office, subject)
    assert await subject_id(office, subject) is not None
    office.clock.advance(days=750)
    await office.keep()
    assert await subject_id(office, subject) is None


async def test_an_erasure_sent_again_gives_the_same_certificate(office: Any) -> None:
    """With its idempotency key; without it, the person is unknown, as they must be. Nobody but the operator may."""
    subject, _ = await story(office)
    body = {"subject": subject, "reason": "person_request"}
    await office.refused("caf", "POST", "/v1/persons/erase", 403, json=body)
    await office.refused("auditor", "POST", "/v1/persons/export", 403, json={"subject": subject})
    token = (await office.call("administrator", "GET", "/v1/exchanges")).request.headers["authorization"]
    headers = {"authorization": token, "idempotency-key": str(uuid.uuid4())}
    first, second = [await office.http.post("/v1/persons/erase", json=body, headers=headers) for _ in range(2)]
    assert 200 == first.status_code
    assert first.json() == second.json()
    refused = await office.refused("administrator", "POST", "/v1/persons/erase", 422, json=body)
    assert "unknown_subject" == refused["code"]
    for wrong in (
        {"reason": "because"},
        {"reason": "unlawful", "keep_objections": "yes"},
        {"reason": "unlawful", "subject": None},
    ):
        await office.refused("administrator", "POST", "/v1/persons/erase", 400, json=body | wrong)


async def test_what_was_written_late_is_unjoined_by_the_keeper(office: Any) -> None:
    """A transaction that had read the key just before leaves an event that nobody can open; minutes later it names nobody."""
    services = office.runtime.services
    subject, _ = await story(office)
    ident = await subject_id(office, subject)
    async with services.database.read() as tx:
        key = (await people.data_keys(tx, [ident], services.vault))[ident]
    await erased(office, subject)
    async with services.database.write() as tx:
        late = record_of(EventType.CONTENT_READ, services.clock(), CAF, {"client_id": "caf"}, key)
        await services.ledger.append(tx, [late])
    assert 1 == await count(office, ledger_events, subject_id=ident)
    assert 0 == await sweep(services, services.clock(), 200)
    office.clock.advance(minutes=10)
    await office.keep()
    assert 0 == await count(office, ledger_events, subject_id=ident)
    assert 0 == await count(office, subjects, id=ident)


async def test_a_thousand_erased_people_are_unreadable_and_the_log_verifies(office: Any, tmp_path: Path) -> None:
    """
    With the whole database after, a copy of all its content from before, and every secret of the gateway: nothing opens.
    """
    services, amount = office.runtime.services, 1_000
    crowd = [office.person() for _ in range(amount)]
    identities = [Identity.of(each, CAF, services.vault) for each in crowd]
    async with services.database.write() as tx:
        idents = [str(each) for each in await people.resolve(tx, identities, services.vault, services.clock())]
        keys = await people.data_keys(tx, idents, services.vault)
        rows = [
            {
                "id": str(uuid.uuid4()),
                "kind": "referral",
                "schema_version": "1.0",
                "sender": CAF,
                "subject_id": ident,
                "received_at": instant(services.clock()),
            }
            for ident in idents
        ]
        for row, subject in zip(rows, crowd, strict=True):
            row["sealed"] = keys[row["subject_id"]].seal(orjson.dumps(subject), f"documents/{row['id']}")
        await tx.execute(sa.insert(documents), rows)
        records = [
            record_of(
                EventType.CONTENT_READ, services.clock(), CAF, {"document_id": row["id"]}, keys[row["subject_id"]]
            )
            for row in rows
        ]
        await services.ledger.append(tx, records)
    copies = [(row["sealed"], f"documents/{row['id']}") for row in rows]
    copies += [(record.sealed, place(record.event.id)) for record in records]
    assert orjson.loads(keys[idents[0]].open(*copies[0])) == crowd[0]

    operator = Caller("tdu", OPERATOR, "tdu", frozenset(), frozenset(), "")
    sender = {"siret": OPERATOR, "name": "Opérateur"}
    everybody = [Asked(subject, "", "person_request") for subject in [*crowd, office.person()]]
    certificates = await erase_all(everybody, sender, operator, services)
    assert [None] == certificates[amount:]  # nobody knows this one
    assert amount == len({each["id"] for each in certificates if each})

    async with services.database.read() as tx:
        assert await people.data_keys(tx, idents, services.vault) == {}
        wrapped = (await tx.execute(sa.select(subject_data_keys))).all()
        labels = [record.label for record in records]
        left = sa.select(sa.func.count()).select_from(ledger_events).where(ledger_events.c.label.in_(labels))
        assert 0 == (await tx.execute(left)).scalar_one()
        await export(tx, tmp_path, office.runtime.signer.vkey)
    remaining = [services.vault.own, *(services.vault.unwrap(row.subject_id, row.kek, row.wrapped) for row in wrapped)]
    for sealed, where in copies[::25]:
        for key in remaining:
            with pytest.raises(Unreadable):
                key.open(sealed, where)
    assert verify_directory(tmp_path, office.runtime.signer.vkey).ok
    exported = await office.call("auditor", "POST", "/v1/ledger/export", json={"types": ["erasure"]})
    report = verify_answer(exported.content.splitlines(), office.runtime.signer.vkey)
    assert report.ok, report.to_json()
    assert report.checked["matching"] >= amount
    assert amount <= await count(office, ledger_events, subject_id=ERASED)
