"""A no said on one agreement at an organisation's desk: what else it stops is taken back too, told, and said in the answer."""

from __future__ import annotations

from typing import Any

import pytest

ASSOCIATION, CAF, CCAS = "99900003700013", "99900001100018", "99900004500016"
AGAIN = {"channel": "paper", "evidence": {"level": "document_kept", "sha256": "ab" * 32}, "duration": "one_year"}

pytestmark = pytest.mark.anyio


async def states(office: Any, who: str = "association") -> dict[str, str]:
    """The state of each agreement that an organisation collected, by its list."""
    listed = await office.done(who, "GET", "/v1/consents?limit=500")
    return {each["id"]: each["state"] for each in listed["consents"]}


async def recorded(office: Any, *lines: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Record an agreement at the association's desk, with more lines than the usual one."""
    document = office.consent(**changes)
    document["scopes"] += [document["scopes"][0] | line for line in lines]
    await office.done("association", "POST", "/v1/consents", json=document)
    return dict(document)


async def withdrawn(office: Any, agreement: str, **body: Any) -> dict[str, Any]:
    """Take an agreement back at the association's desk."""
    return dict(await office.done("association", "POST", f"/v1/consents/{agreement}/withdraw", json=body))


async def test_withdrawing_the_agreement_that_was_renewed_withdraws_the_renewal_and_says_so(office: Any) -> None:
    """Who received on the ground of the renewal is told, it is withdrawn in the list and the ledger, nothing passes any more."""
    document = await recorded(office)
    renewed = await office.done("association", "POST", f"/v1/consents/{document['id']}/renew", json=AGAIN)
    sent = await office.send(document["subject"])
    assert "permitted" == sent["state"]
    await office.received("association", sent["delivery"])
    answer = await withdrawn(office, document["id"])
    [fell] = answer["also_stopped"]
    assert (renewed["id"], "withdrawn", ["faire-le-point"], []) == tuple(
        fell[name] for name in ("id", "state", "withdrawn", "narrowed")
    )
    assert [ASSOCIATION] == [notice["recipient"] for notice in fell["notices"]]
    told = await office.received("association", fell["notices"][0]["delivery"])
    assert renewed["id"] == told["document"]["id"]
    found = await states(office)
    assert ("withdrawn", "withdrawn") == (found[document["id"]], found[renewed["id"]])
    assert 1 == len(await office.events(renewed["id"], "agreement_withdrawn"))
    assert ["agreement_withdrawn"] == [each["code"] for each in (await office.send(document["subject"]))["reasons"]]
    await office.refused("association", "POST", f"/v1/consents/{renewed['id']}/withdraw", 409, json={})


async def test_only_what_the_no_is_about_falls(office: Any) -> None:
    """Another line, another organisation's agreement and a later agreement stay; a line that goes further is only cut."""
    document = await recorded(office, {"id": "suivi", "purposes": ["follow_up"]})
    subject = document["subject"]
    same = await recorded(office, subject=subject)
    wider = await recorded(office, subject=subject, scopes=[same["scopes"][0] | {"recipients": [ASSOCIATION, CAF]}])
    elsewhere = office.consent(CCAS, subject=subject)
    await office.done("ccas", "POST", "/v1/consents", json=elsewhere)
    other = await recorded(office)
    answer = await withdrawn(office, document["id"], scopes=["faire-le-point"])
    assert "partly_withdrawn" == answer["state"]
    fell = {each["id"]: (each["state"], each["withdrawn"], each["narrowed"]) for each in answer["also_stopped"]}
    assert ("given", [], ["faire-le-point"]) == fell.pop(wider["id"])
    assert {same["id"]: ("withdrawn", ["faire-le-point"], [])} == fell
    found = await states(office)
    assert ("partly_withdrawn", "given", "given") == tuple(found[each["id"]] for each in (document, wider, other))
    assert "given" == (await states(office, "ccas"))[elsewhere["id"]]
    office.clock.advance(seconds=2)
    later = await recorded(office, subject=subject, collected_at=office.clock.text(), valid_from=office.clock.text())
    assert "given" == (await states(office))[later["id"]]
    assert "permitted" == (await office.send(subject))["state"]


async def test_a_refusal_recorded_later_stops_earlier_agreements_and_says_so(office: Any) -> None:
    """The person was asked again and said no: what the same organisation had collected before is withdrawn."""
    document = await recorded(office)
    office.clock.advance(seconds=2)
    refusal = office.consent(
        subject=document["subject"], state="refused", collected_at=office.clock.text(), valid_from=office.clock.text()
    )
    answer = await office.done("association", "POST", "/v1/consents", json=refusal)
    assert [(document["id"], "withdrawn")] == [(each["id"], each["state"]) for each in answer["also_stopped"]]
    assert ("refused", "withdrawn") == (answer["state"], (await states(office))[document["id"]])


async def test_every_answer_says_the_state_with_the_word_of_the_list(office: Any) -> None:
    """Recorded for later, given, taken back in part, then wholly: the answer and the list agree each time."""
    later = office.consent(valid_from=office.clock.text(days=2))
    document = office.consent()
    document["scopes"].append(document["scopes"][0] | {"id": "suivi", "purposes": ["follow_up"]})
    address, said = f"/v1/consents/{document['id']}/withdraw", []
    for identity, path, body in (
        (later["id"], "/v1/consents", later),
        (document["id"], "/v1/consents", document),
        (document["id"], address, {"scopes": ["suivi"]}),
        (document["id"], address, {}),
    ):
        answer = await office.done("association", "POST", path, json=body)
        assert answer["state"] == (await states(office))[identity]
        said.append(answer["state"])
    assert ["not_started", "given", "partly_withdrawn", "withdrawn"] == said
