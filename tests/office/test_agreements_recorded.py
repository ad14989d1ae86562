"""Recording what people say: the evidence of each channel, mandates, the texts shown, renewals, and the list."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from consent.texts import texts

CAF, DEPARTEMENT, CCAS = "99900001100018", "99900002900010", "99900004500016"
SHA = "ab" * 32

CHANNELS: dict[str, dict[str, Any]] = {
    "in_person": {"evidence": {"level": "document_kept", "kind": "screen_signature", "sha256": SHA}},
    "paper": {"evidence": {"level": "document_kept", "kind": "paper_scan", "sha256": SHA}},
    "oral_with_professional": {
        "evidence": {"level": "declared_by_professional"},
        "collector": {"name": "Inès Tavernier"},
    },
    "online": {"evidence": {"level": "authenticated", "kind": "sign_in"}},
}
SHOWN = {
    "in_person": "Écrit signé conservé",
    "paper": "Écrit signé conservé",
    "oral_with_professional": "Déclaré par le professionnel",
    "online": "Confirmé après connexion sécurisée",
}

pytestmark = pytest.mark.anyio


async def test_each_channel_opens_the_exchange_and_shows_its_level(office: Any) -> None:
    """Whatever the way of saying yes, the referral goes, and the receipt and the proof tell how strong the evidence is."""
    for channel, said in CHANNELS.items():
        document = office.consent(channel=channel, **said)
        given = await office.done("association", "POST", "/v1/consents", json=document)
        assert {"id": document["id"], "state": "given"} == given
        assert "permitted" == (await office.send(document["subject"]))["state"]
        address = f"/v1/consents/{document['id']}/receipt"
        record = await office.done("association", "GET", address)
        page = await office.call("association", "GET", f"{address}?format=html")
        assert said["evidence"]["level"] == record["evidence"]["level"]
        assert SHOWN[channel] in page.text
        [event] = await office.events(document["id"], "agreement_given")
        assert said["evidence"]["level"] == event.body["level"]


async def test_a_policy_that_requires_a_level_refuses_a_weaker_one(office: Any) -> None:
    """The convention asks for a signed document: a professional's word is not enough, and the sender is told why."""
    types = "    agreement_types: [consent, accord]\n"
    text = office.model("tznr-caf-association", types, f"{types}    evidence_level: document_kept\n")
    strict = text.replace(CAF, CCAS).replace("tznr-valombre-caf-association", "tznr-valombre-ccas-association")
    await office.in_force("ccas", "association", strict)
    said = {}
    for channel in ("oral_with_professional", "paper"):
        document = office.consent(channel=channel, **CHANNELS[channel])
        await office.done("association", "POST", "/v1/consents", json=document)
        said[channel] = await office.send(document["subject"], "ccas", sender={"siret": CCAS})
        assert "permitted" == (await office.send(document["subject"]))["state"]
    weak = said["oral_with_professional"]
    assert ("refused", "agreement_evidence_too_weak") == (weak["state"], weak["reasons"][0]["code"])
    assert "permitted" == said["paper"]["state"]


async def test_what_the_channel_does_not_prove_is_refused_with_its_place(office: Any) -> None:
    """Nothing is recorded without its evidence, under another text's name, or of somebody else's agreement."""
    ours = texts()["accord-2026-11"]
    altered = {"version": ours.version, "sha256": SHA, "language": "fr"}
    assert [("evidence_missing", "/evidence/sha256")] == await office.faults(
        "association", office.consent(evidence={"level": "document_kept"})
    )
    assert [("text_altered", "/text/sha256")] == await office.faults("association", office.consent(text=altered))
    assert [("state_not_said", "/state")] == await office.faults(
        "association", office.consent(state="expired", duration=..., valid_until=office.clock.text())
    )
    other = office.consent()
    await office.done("association", "POST", "/v1/consents", json=other)
    replacing = office.consent(replaces=other["id"])
    assert [("unknown_agreement", "/replaces")] == await office.faults("association", replacing)
    assert [] == await office.events(replacing["id"], "agreement_given", "agreement_refused")
    exact = {"version": ours.version, "sha256": ours.sha256, "language": "fr"}
    await office.done("association", "POST", "/v1/consents", json=office.consent(text=exact))


async def test_evidence_that_is_missing_is_asked_for_by_its_name_and_way(office: Any) -> None:
    """Whatever is wrong with the evidence, the answer says in French what this channel asks for; sent so, it is recorded."""
    incomplete: dict[str, dict[str, Any]] = {
        "in_person": {"evidence": {"level": "confirmed_by_person"}},
        "paper": {"evidence": {"level": "declared_by_professional"}},
        "sms": {"evidence": {"level": "document_kept"}},
        "oral_with_professional": {"evidence": {"level": "declared_by_professional"}},
        "online": {"evidence": {"level": "authenticated"}},
    }
    named = {
        "in_person": "evidence.confirmed_at",
        "paper": "evidence.sha256",
        "sms": "subject.phones",
        "oral_with_professional": "collector",
        "online": "evidence.kind",
    }
    for channel, said in incomplete.items():
        for evidence, code in (
            (said, "agreement_incomplete"),
            ({"evidence": ...}, "document_invalid"),
            ({"evidence": {}}, "document_invalid"),
        ):
            document = office.consent(channel=channel, **evidence)
            problem = await office.refused("association", "POST", "/v1/consents", 422, json=document)
            assert code == problem["code"]
            assert f"({channel})" in problem["detail"] and named[channel] in problem["detail"]
            assert f"({channel})" in problem["detail_en"] and named[channel] in problem["detail_en"]
            assert ("schéma" in problem["title"]) == (code == "document_invalid")
    document = office.consent(evidence=incomplete["paper"]["evidence"] | {"sha256": SHA})
    await office.done("association", "POST", "/v1/consents", json=document)


async def test_a_refusal_needs_no_proof(office: Any) -> None:
    """A no is recorded as it was said, whatever is missing, and nothing leaves."""
    document = office.consent(state="refused", channel="oral_with_professional", duration=...)
    document["evidence"] = {"level": "declared_by_professional"}
    assert "refused" == (await office.done("association", "POST", "/v1/consents", json=document))["state"]
    sent = await office.send(document["subject"])
    assert ("refused", "agreement_refused") == (sent["state"], sent["reasons"][0]["code"])


async def test_a_mandate_lasts_a_usual_time_and_ends_by_itself(office: Any) -> None:
    """Six months are 182 days, the receipt says what may be done, and the next day nothing is left of it."""
    mandate = {"agent": CCAS, "topics": ["social", "housing"], "no_protection_measure": True}
    document = office.consent(CCAS, agreement_type="mandate", duration="six_months", mandate=mandate)
    await office.done("ccas", "POST", "/v1/consents", json=document)
    page = (await office.call("ccas", "GET", f"/v1/consents/{document['id']}/receipt?format=html")).text
    assert "Reçu de votre mandat" in page
    assert "Santé et prestations sociales, Logement" in page
    endless = document | {
        "id": office.consent()["id"],
        "duration": "custom",
        "valid_until": office.clock.text(days=900),
    }
    assert [("mandate_duration", "/duration")] == await office.faults("ccas", endless)
    states = []
    for days in (181.9, 0.2):
        office.clock.advance(days=days)
        listed = (await office.done("ccas", "GET", "/v1/consents"))["consents"]
        states += [each["state"] for each in listed if each["id"] == document["id"]]
    assert ["given", "expired"] == states


async def test_a_renewal_replaces_what_ended_without_reviving_what_was_taken_back(office: Any) -> None:
    """The person agrees again after the term: the new agreement opens the exchange, minus the line that was withdrawn."""
    document = office.consent(duration="one_month")
    taken_back = document["scopes"][0] | {"id": "autre", "purposes": ["follow_up"]}
    document["scopes"].append(taken_back)
    await office.done("association", "POST", "/v1/consents", json=document)
    address = f"/v1/consents/{document['id']}"
    await office.done("association", "POST", f"{address}/withdraw", json={"scopes": ["autre"]})
    office.clock.advance(days=40)
    ended = await office.send(document["subject"])
    assert ("refused", "agreement_expired") == (ended["state"], ended["reasons"][0]["code"])
    said = {"channel": "paper", "evidence": {"level": "document_kept", "sha256": SHA}, "duration": "one_year"}
    await office.refused("association", "POST", f"{address}/renew", 422, json={"channel": "paper"})
    await office.refused("association", "POST", f"{address}/renew", 409, json=said | {"scopes": ["autre"]})
    await office.refused("caf", "POST", f"{address}/renew", 404, json=said)
    renewed = await office.done("association", "POST", f"{address}/renew", json=said)
    again = await office.done("association", "GET", f"/v1/consents/{renewed['id']}")
    assert (document["id"], ["faire-le-point"]) == (again["replaces"], [scope["id"] for scope in again["scopes"]])
    assert "permitted" == (await office.send(document["subject"]))["state"]
    await office.done("association", "POST", f"/v1/consents/{renewed['id']}/withdraw", json={})
    await office.refused("association", "POST", f"/v1/consents/{renewed['id']}/renew", 409, json=said)


async def test_the_list_shows_one_s_own_agreements_page_by_page_without_identity(office: Any) -> None:
    """Every agreement once, the last recorded first, each in its state of this instant; nobody else's, and no name."""
    recorded = []
    for duration in ("one_day", "one_year", "one_year"):
        document = office.consent(DEPARTEMENT, duration=duration)
        recorded.append(document["id"])
        await office.done("departement", "POST", "/v1/consents", json=document)
    await office.done("association", "POST", "/v1/consents", json=office.consent())
    await office.done("association", "POST", f"/v1/consents/{recorded[1]}/withdraw", json={})
    office.clock.advance(days=2)
    shown, address = [], "/v1/consents?limit=2"
    while address:
        page = await office.done("departement", "GET", address)
        shown += page["consents"]
        address = page["next"] and f"/v1/consents?limit=2&cursor={page['next']}"
    assert recorded[::-1] == [each["id"] for each in shown]
    assert ["given", "withdrawn", "expired"] == [each["state"] for each in shown]
    assert {"document_kept"} == {each["evidence_level"] for each in shown}
    assert "Personne" not in str(shown)
    ended = await office.done("departement", "GET", "/v1/consents?state=expired")
    assert [recorded[0]] == [each["id"] for each in ended["consents"]]
    await office.refused("association", "GET", "/v1/consents?state=lost", 400)
    await office.refused("association", "GET", "/v1/consents?cursor=1", 400)


async def test_the_term_of_an_agreement_is_written_once(office: Any) -> None:
    """Two keepers at work write once that an agreement ended, when it did; what was taken back before does not end."""
    ending, taken_back = office.consent(duration="one_day"), office.consent(duration="one_day")
    for document in (ending, taken_back):
        await office.done("association", "POST", "/v1/consents", json=document)
    await office.done("association", "POST", f"/v1/consents/{taken_back['id']}/withdraw", json={})
    await office.keep()
    assert [] == await office.events(ending["id"], "agreement_expired")
    office.clock.advance(days=1)
    first, second = await asyncio.gather(office.keep(), office.keep())
    assert 1 <= first.get("agreements", 0) + second.get("agreements", 0)
    assert {} == await office.keep()
    assert 1 == len(await office.events(ending["id"], "agreement_expired"))
    assert [] == await office.events(taken_back["id"], "agreement_expired")


async def test_two_people_of_the_same_traits_are_told_apart_by_what_the_answer_asks_for(office: Any) -> None:
    """Neither merged nor dropped: the traits alone are refused with what to add, and the pseudonym or the NIR suffices."""
    traits = office.person()
    twins = [traits | {"nir": nir} for nir in ("280057512000533", "280057512000632")]
    await office.done("association", "POST", "/v1/consents", json=office.consent(subject=traits))
    sent = await office.send(twins[0])
    subject = (await office.received("association", sent["delivery"]))["document"]["subject"]
    assert "permitted" == sent["state"]
    assert "agreement_missing" == (await office.send(twins[1]))["reasons"][0]["code"]
    again = office.consent(subject=traits)
    problem = await office.refused("association", "POST", "/v1/consents", 409, json=again)
    [error] = problem["errors"]
    assert ("ambiguous_subject", "/subject") == (problem["code"], error["pointer"])
    assert "NIR" in error["message"] and "pseudonyme" in error["message"]
    await office.refused("caf", "POST", "/v1/referrals", 409, json=office.referral(traits))
    named = again | {"subject": traits | {"pseudonym": subject["pseudonym"]}}
    assert "given" == (await office.done("association", "POST", "/v1/consents", json=named))["state"]
    assert "agreement_missing" == (await office.send(twins[1]))["reasons"][0]["code"]
