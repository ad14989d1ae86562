"""Simulating a decision: the same answer as sending, nothing kept but the event, and nothing to learn about people."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from importlib.resources import files
from typing import Any

import pytest
import sqlalchemy as sa

from consent.tables import ledger_events
from gateway.history import opened
from gateway.store import subjects as people
from gateway.store.tables import deliveries, documents, exchanges, subjects
from ops.demo.partner import Partner
from ops.faults.partners import referral
from schemas import Kind, fields

pytestmark = pytest.mark.anyio

CAF, DEPARTEMENT, ASSOCIATION, CCAS = "99900001100018", "99900002900010", "99900003700013", "99900004500016"
_MODELS = {
    DEPARTEMENT: (files("consent") / "models" / "tznr-caf-departement.yaml").read_bytes(),
    ASSOCIATION: (files("consent") / "models" / "tznr-caf-association.yaml").read_bytes(),
}


def _person(name: str) -> dict[str, Any]:
    return {"birth_name": name, "given_names": ["Camille"], "birth_date": "1980-05-17", "sex": "female"}


def _referral(subject: dict[str, Any], recipient: str) -> dict[str, Any]:
    return referral(recipient, subject=subject, notes="Rappeler le matin.")


def _consent(subject: dict[str, Any]) -> dict[str, Any]:
    return {
        "kind": "consent",
        "schema_version": "1.0",
        "id": str(uuid.uuid4()),
        "created_at": "2026-06-01T09:00:00+02:00",
        "purpose": "inform_about_rights",
        "subject": subject,
        "agreement_type": "consent",
        "state": "given",
        "collected_at": "2026-06-01T09:00:00+02:00",
        "channel": "in_person",
        "evidence": {"level": "document_kept", "kind": "paper_scan", "sha256": "ab" * 32},
        "text": {"version": "accord-1", "sha256": "ab" * 32, "language": "fr"},
        "scopes": [
            {
                "id": "tout",
                "purposes": ["inform_about_rights"],
                "kinds": ["referral"],
                "categories": ["identity", "rights"],
                "recipients": [ASSOCIATION],
            }
        ],
        "valid_from": "2026-06-01T09:00:00+02:00",
        "valid_until": "2036-06-01T09:00:00+02:00",
    }


async def _partners(started: Any) -> tuple[Partner, Partner]:
    """The CAF and the association, with both model conventions in force."""
    caf = await started.partner(CAF, "CAF de Valombre", "caf-valombre")
    departement = await started.partner(DEPARTEMENT, "Département de Valombre", "departement-valombre")
    association = await started.partner(ASSOCIATION, "Association Le Relais de Valombre", "relais-valombre")
    for other in (departement, association):
        await caf.propose(_MODELS[other.siret])
        await caf.sign(_MODELS[other.siret])
        await other.sign(_MODELS[other.siret])
    return caf, association


async def _ask(partner: Partner, recipient: str, **more: Any) -> dict[str, Any]:
    question = {"kind": "referral", "purpose": "inform_about_rights", "recipient": recipient} | more
    answer: dict[str, Any] = (await partner.call("POST", "/v1/decisions/simulate", json=question)).json()
    return answer


async def _counts(started: Any) -> list[int]:
    async with started.runtime.services.database.read() as tx:
        tables = (documents, exchanges, deliveries, subjects)
        return [(await tx.execute(sa.select(sa.func.count()).select_from(table))).scalar_one() for table in tables]


async def test_the_answer_is_the_one_that_sending_gets(in_process: Callable[..., Any]) -> None:
    """Permitted or refused for the same reasons, with the fields and pointers that then leave; and nothing is kept."""
    async with in_process() as started:
        caf, association = await _partners(started)
        agreed, objecting = _person("Accord"), _person("Opposition")
        await association.call("POST", "/v1/consents", json=_consent(agreed))
        await association.call("POST", "/v1/objections", json={"subject": objecting})
        before = await _counts(started)
        cases = [(agreed, ASSOCIATION), (objecting, ASSOCIATION), (_person("Inconnue"), ASSOCIATION), (agreed, CCAS)]
        asked = [await _ask(caf, to, document=_referral(subject, to)) for subject, to in cases]
        assert before == await _counts(started)
        sent = [(await caf.call("POST", "/v1/referrals", json=_referral(*case))).json() for case in cases]
        [delivery] = await association.pull(1)
        exchange = (await caf.call("GET", f"/v1/exchanges/{sent[0]['exchanges'][0]['exchange']}/receipt")).text
    told = [taken["exchanges"][0]["recipients"][0] for taken in sent]
    assert [(each["state"] == "permitted", each["reasons"]) for each in told] == [
        (each["permit"], [{name: why[name] for name in ("code", "message", "message_en")} for why in each["reasons"]])
        for each in asked
    ]
    assert [True, False, False, False] == [each["permit"] for each in asked]
    assert ["objection", "agreement_missing", "no_convention"] == [each["reasons"][0]["code"] for each in asked[1:]]
    assert "extra" in exchange
    left = set(asked[0]["left"])
    assert {"/subject/birth_name", "/rights/0/right"} <= left
    assert "/notes" in asked[0]["withheld"]
    assert delivery["document"]["rights"] == [{"right": "rsa", "state": "to_request"}]
    assert "notes" not in delivery["document"]
    assert ["left"] * 3 == [name for each in asked[1:] for name in ("left", "withheld") if name in each]


async def test_the_fields_are_told_with_their_french_titles(in_process: Callable[..., Any]) -> None:
    """Each pattern that may leave comes with its title in both languages, its category, and what it stands in."""
    async with in_process() as started:
        caf, _ = await _partners(started)
        answer = await _ask(caf, DEPARTEMENT)
    labels = fields(Kind.REFERRAL)
    told = {each["pattern"]: each for each in answer["fields"]}
    assert told.keys() <= labels.keys()
    assert "/situation/disabled_worker" not in told
    assert all(
        (each["title"], each["category"]) == (labels[p].title_fr, labels[p].category) for p, each in told.items()
    )
    assert ["Personne concernée", "Adresse"] == told["/subject/address/commune"]["within"]
    assert [1, 2, 3, 4, 5, 6, 7] == [step["number"] for step in answer["steps"]]
    assert "orientation" == answer["convention"]["flow"]


async def test_nothing_is_learnt_about_a_person(in_process: Callable[..., Any]) -> None:
    """Nobody, somebody unknown, somebody known who agreed to nothing, and an ambiguous identity: one answer, to the letter."""
    async with in_process() as started:
        caf, association = await _partners(started)
        known, twin = _person("Connue"), _person("Jumelle")
        await caf.call("POST", "/v1/referrals", json=_referral(known, DEPARTEMENT))
        for nir in ("255081416802538", "255081416802635"):
            await caf.call("POST", "/v1/referrals", json=_referral(twin | {"nir": nir}, DEPARTEMENT))
        before = await _counts(started)
        asked = [
            await _ask(caf, ASSOCIATION, **more)
            for more in (
                {},
                {"subject": known},
                {"subject": _person("Inconnue")},
                {"subject": twin},
                {"subject": {"pseudonym": "p-" + "0" * 32}},
            )
        ]
        assert before == await _counts(started)
        assert await _ask(association, CAF) != asked[0]
    answers = {json.dumps({name: value for name, value in each.items() if name != "event"}) for each in asked}
    assert 1 == len(answers)
    assert ["agreement_missing"] == [reason["code"] for reason in asked[0]["reasons"]]
    assert 5 == len({each["event"] for each in asked})


async def test_the_simulation_is_recorded_about_the_person_it_asks_about(in_process: Callable[..., Any]) -> None:
    """The event is under the person's own key when there is one, under the gateway's otherwise, and names nobody."""
    async with in_process() as started:
        caf, association = await _partners(started)
        agreed = _person("Accord")
        await association.call("POST", "/v1/consents", json=_consent(agreed))
        asked = [await _ask(caf, ASSOCIATION, subject=each) for each in (agreed, _person("Inconnue"))]
        vault = started.runtime.services.vault
        async with started.runtime.services.database.read() as tx:
            query = sa.select(ledger_events).where(ledger_events.c.id.in_([each["event"] for each in asked]))
            rows = {row.id: row for row in await tx.execute(query)}
            about, nobody = (rows[each["event"]] for each in asked)
            key = (await people.data_keys(tx, [about.subject_id], vault))[about.subject_id]
            events = [opened(about, key), opened(nobody, vault.own)]
    assert ["simulation", "simulation"] == [event.type for event in events]
    assert [CAF, CAF] == [event.actor for event in events]
    assert [True, False] == [event.body["decision"]["permit"] for event in events]
    assert nobody.subject_id is None
    assert all("Accord" not in event.canonical().decode() for event in events)


_MALFORMED: tuple[tuple[dict[str, Any], str], ...] = (
    ({"kind": "consent"}, "malformed_request"),
    ({"kind": "inconnu"}, "malformed_request"),
    ({"kind": ["referral"]}, "malformed_request"),
    ({"purpose": None}, "malformed_request"),
    ({"recipient": "99900001100019"}, "malformed_request"),
    ({"recipient": 99900001100018}, "malformed_request"),
    ({"subject": "Camille"}, "malformed_request"),
    ({"subject": {}, "document": {}}, "malformed_request"),
    ({"document": {"kind": "bilan", "purpose": "inform_about_rights"}}, "malformed_request"),
    ({"document": {"kind": "referral", "purpose": "follow_up"}}, "malformed_request"),
    ({"document": {"kind": "referral", "purpose": "inform_about_rights"}}, "document_invalid"),
    ({"subject": {"birth_name": "Seul"}}, "document_invalid"),
    ({"sender": DEPARTEMENT}, "malformed_request"),
)


async def test_a_malformed_question_is_refused(in_process: Callable[..., Any]) -> None:
    """What is not a question that sending could ask is refused, and never as another sender than oneself."""
    async with in_process() as started:
        caf = await started.partner(CAF, "CAF de Valombre", "caf-valombre")
        good = {"kind": "referral", "purpose": "inform_about_rights", "recipient": DEPARTEMENT}
        codes = []
        for question, _ in _MALFORMED:
            answer = await caf.call("POST", "/v1/decisions/simulate", json=good | question, expect=(400, 422))
            codes.append((question, answer.json()["code"]))
        assert 200 == (await caf.call("POST", "/v1/decisions/simulate", json=good)).status_code
    assert list(_MALFORMED) == codes


async def test_a_purpose_that_no_list_has_is_refused_at_the_first_step(in_process: Callable[..., Any]) -> None:
    """Fraud control is an answer of the gate, with its article, not an error of form."""
    async with in_process() as started:
        caf, _ = await _partners(started)
        answer = await _ask(caf, DEPARTEMENT, purpose="fraud_control")
    assert (False, 1, "purpose_not_allowed") == (answer["permit"], len(answer["steps"]), answer["reasons"][0]["code"])
