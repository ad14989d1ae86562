"""Agreements that a file brings: recorded before its referrals are decided, once, each judged by itself."""

from __future__ import annotations

import json
import logging
import uuid
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import adapters
from adapters import registry
from adapters.mapping.engine import MappingAdapter
from gateway.http.answer_schemas import ANSWERS
from gateway.store import subjects
from gateway.store.tables import documents

CAF, ASSOCIATION, CCAS = "99900001100018", "99900003700013", "99900004500016"
SAMPLE = Path(adapters.__file__).parent / "aidants_connect" / "samples" / "mandats" / "partner.json"
CSV, LINES, JSON = ({"Content-Type": kind} for kind in ("text/csv", "application/x-ndjson", "application/json"))
MAPPING = """
title: Orientations et accords (CSV)
direction: in
source: {format: csv}
documents:
  - kind: referral
    key: Dossier
    fields: &person
      reference: Dossier
      subject.birth_name: {from: Nom, required: true}
      subject.given_names[]: {from: Prénom, required: true}
      subject.birth_date: {from: Naissance, do: date_naissance, required: true}
      recipients[].siret: {const: "99900003700013"}
      rights[].right: {const: rsa}
      agreement_id: {from: Dossier, do: {identifiant_de: consent}, when: {from: Accord le, filled: true}}
  - kind: consent
    key: Dossier
    when: {from: Accord le, filled: true}
    fields:
      reference: Dossier
      subject.birth_name: {from: Nom, required: true}
      subject.given_names[]: {from: Prénom, required: true}
      subject.birth_date: {from: Naissance, do: date_naissance, required: true}
      agreement_type: {const: accord}
      state: {const: given}
      collected_by.siret: {context: siret}
      collected_at: {from: Accord le, do: minuit, required: true}
      valid_from: {from: Accord le, do: minuit, required: true}
      duration: {const: one_year}
      channel: {const: in_person}
      evidence.level: Preuve
      text.version: {const: accord-2026-01}
      text.sha256: {const: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08}
      text.language: {const: fr}
      scopes[1].id: {const: orientation}
      scopes[1].purposes[]: {const: inform_about_rights}
      scopes[1].kinds[]: {const: referral}
      scopes[1].categories[]: [{const: exchange}, {const: identity}, {const: needs}, {const: rights}, {const: agreement}]
      scopes[1].recipients[]: {const: "99900003700013"}
"""
TAKEN = jsonschema.Draft202012Validator(ANSWERS["/v1/inbound/{adapter_name}"][1])

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def accords_csv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A partner's format whose rows hold a referral, and its agreement when it has a date."""
    folder = tmp_path / "accords_csv"
    folder.mkdir()
    (folder / "mapping.yaml").write_text(MAPPING, encoding="utf-8")
    known = {**registry.ADAPTERS, "accords-csv": MappingAdapter(folder, "accords-csv")}
    monkeypatch.setattr(registry, "ADAPTERS", known)


def name() -> str:
    """A name that nobody has yet."""
    return f"Personne{uuid.uuid4().hex[:8]}"


def row(office: Any, who: str, *, file: str, agreed: bool = True, proof: str = "document_kept") -> str:
    """A line of the partner's table."""
    day = office.clock.text(days=-3)[:10].split("-")
    return f"{file};{who};Camille;17/05/1980;{'/'.join(reversed(day)) if agreed else ''};{proof}\n"


def table(*rows: str) -> bytes:
    """The partner's file."""
    return ("Dossier;Nom;Prénom;Naissance;Accord le;Preuve\n" + "".join(rows)).encode()


async def posted(office: Any, content: bytes, who: str = "caf", adapter: str = "accords-csv", **headers: str) -> Any:
    """Send a file; what the answer says follows its description."""
    kinds = {"accords-csv": CSV, "shared-json": LINES, "aidants-connect": JSON}
    await office.call(who, "GET", "/v1/exchanges?limit=1")
    answer = await office.http.post(
        f"/v1/inbound/{adapter}", content=content, headers=office.tokens[who].headers | kinds[adapter] | headers
    )
    if answer.status_code == 202:
        assert [] == list(TAKEN.iter_errors(answer.json()))
    return answer


async def stored(office: Any, document: str) -> dict[str, Any]:
    """A document that was accepted, as it is kept."""
    services, kept = office.runtime.services, await office.row(documents, id=document)
    async with services.database.read() as tx:
        keys = await subjects.data_keys(tx, [kept.subject_id], services.vault)
    return dict(json.loads(keys[kept.subject_id].open(kept.sealed, f"documents/{document}")))


def of_kind(told: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    """What an answer says of the documents of a kind."""
    return [each for each in told["exchanges"] if each["kind"] == kind]


async def test_a_row_with_its_agreement_leaves_and_the_same_without_does_not(office: Any) -> None:
    """The gate sees the agreement of the same row, which reads back under the identifier that the referral names."""
    who, file = name(), uuid.uuid4().hex
    without = (await posted(office, table(row(office, who, file=file, agreed=False)))).json()
    assert (0, 1, 0) == (without["accepted"], without["refused"], without["recorded"])
    told = (await posted(office, table(row(office, who, file=file)))).json()
    assert (2, 1, 0, 1) == tuple(told[count] for count in ("documents", "accepted", "refused", "recorded"))
    [consent], [referral] = of_kind(told, "consent"), of_kind(told, "referral")
    assert ("recorded", 2, {"id": consent["document"], "state": "given"}) == (
        consent["state"], consent["line"], consent["agreement"],
    )  # fmt: skip
    read = await office.done("caf", "GET", f"/v1/consents/{consent['document']}")
    assert (who, CAF) == (read["subject"]["birth_name"], read["collected_by"]["siret"])
    [event] = await office.events(consent["document"], "agreement_given")
    assert "document_kept" == event.body["level"]
    assert consent["document"] == (await stored(office, referral["document"]))["agreement_id"]


async def test_a_file_sent_again_records_nothing_twice(office: Any) -> None:
    """Under a key, without one, and once the answers kept for idempotency are gone, each agreement is there once."""
    content, key = table(row(office, name(), file=uuid.uuid4().hex)), uuid.uuid4().hex
    first = await posted(office, content, **{"Idempotency-Key": key})
    again = await posted(office, content, **{"Idempotency-Key": key})
    assert ("true", first.json()) == (again.headers["Idempotent-Replayed"], again.json())
    office.clock.advance(days=8)
    await office.keep()
    later = (await posted(office, content)).json()
    [consent] = of_kind(first.json(), "consent")
    assert [consent] == of_kind(later, "consent")
    assert (1, 1) == (later["recorded"], later["already_received"])
    assert 1 == len(await office.events(consent["document"], "agreement_given"))
    await office.done("caf", "POST", f"/v1/consents/{consent['document']}/withdraw", json={})
    assert "withdrawn" == of_kind((await posted(office, content)).json(), "consent")[0]["agreement"]["state"]


async def test_another_content_under_the_same_identifier_is_told_on_its_line(office: Any) -> None:
    """What was recorded stays as it is, the sender learns where to change it, and the others of the file are recorded."""
    file = uuid.uuid4().hex
    first = (await posted(office, table(row(office, name(), file=file)))).json()
    other = table(row(office, name(), file=file), row(office, name(), file=uuid.uuid4().hex))
    told = (await posted(office, other)).json()
    assert ["invalid", "recorded"] == [each["state"] for each in of_kind(told, "consent")]
    [error] = of_kind(told, "consent")[0]["errors"]
    assert ("conflict", 2) == (error["code"], error["line"]) and "/renew" in error["message"]
    document = of_kind(first, "consent")[0]["document"]
    assert 1 == len(await office.events(document, "agreement_given"))


async def test_faulty_evidence_is_told_on_its_line_and_the_others_pass(office: Any) -> None:
    """The agreement that is not proven is not recorded, so its referral does not leave; its neighbour's does."""
    rows = [row(office, name(), file=uuid.uuid4().hex, proof=proof) for proof in ("authenticated", "document_kept")]
    told = (await posted(office, table(*rows))).json()
    assert ["invalid", "recorded"] == [each["state"] for each in of_kind(told, "consent")]
    assert ["refused", "accepted"] == [each["state"] for each in of_kind(told, "referral")]
    assert {("/evidence/level", 2)} == {
        (error["pointer"], error["line"]) for error in of_kind(told, "consent")[0]["errors"]
    }
    alone = office.consent(CAF, channel="paper", evidence={"level": "document_kept"})
    answer = await posted(office, json.dumps(alone).encode(), adapter="shared-json")
    assert (422, "document_invalid") == (answer.status_code, answer.json()["code"])
    assert ["/evidence/sha256"] == [error["pointer"] for error in answer.json()["errors"]]


async def test_a_token_without_consent_send_records_no_agreement(office: Any) -> None:
    """The file is taken, its agreement is told on its line, and its referral does not leave."""
    await office.call("caf", "GET", "/v1/exchanges?limit=1")
    whole = office.tokens["caf"]
    office.tokens["caf"] = await office.narrowed("caf", "inbound:send referral:send exchange:read")
    try:
        told = (await posted(office, table(row(office, name(), file=uuid.uuid4().hex)))).json()
    finally:
        office.tokens["caf"] = whole
    [consent] = of_kind(told, "consent")
    assert ("invalid", ["scope"]) == (consent["state"], [error["code"] for error in consent["errors"]])
    assert (0, 1, 0) == (told["accepted"], told["refused"], told["recorded"])
    await office.refused("caf", "GET", f"/v1/consents/{consent['document']}", 404)


async def test_a_file_of_agreements_only_keeps_their_identifiers(office: Any) -> None:
    """In the shared format: a yes, a no that stops, and a question to ask by SMS, which is given again; another's is refused."""
    given, no = office.consent(CAF), office.consent(CAF, state="refused", duration=...)
    text = {"version": "accord-relais-1", "sha256": "cd" * 32, "language": "fr", "url": "https://relais.example/accord"}
    asked = office.consent(
        CAF,
        channel="sms",
        evidence={"level": "declared_by_professional"},
        text=text,
        subject=office.person(phones=["+33199000123"]),
    )
    others = office.consent(ASSOCIATION)
    content = "\n".join(json.dumps(each) for each in (given, no, asked, others)).encode()
    told = (await posted(office, content, adapter="shared-json")).json()
    assert (4, 3, 1) == (told["documents"], told["recorded"], told["invalid"])
    assert [each["id"] for each in (given, no, asked, others)] == [each["document"] for each in told["exchanges"]]
    assert ["given", "refused", "pending"] == [each["agreement"]["state"] for each in told["exchanges"][:3]]
    assert told["exchanges"][2]["agreement"]["sms"]["question"]
    assert ["forbidden"] == [error["code"] for error in told["exchanges"][3]["errors"]]
    again = (await posted(office, content, adapter="shared-json")).json()
    assert [each.get("agreement", {}).get("state") for each in told["exchanges"]] == [
        each.get("agreement", {}).get("state") for each in again["exchanges"]
    ]
    assert told["exchanges"][2]["agreement"] == again["exchanges"][2]["agreement"]


async def test_a_key_used_for_another_file_records_no_agreement(office: Any) -> None:
    """The whole message is refused before anything of it is recorded."""
    key = uuid.uuid4().hex
    await posted(office, table(row(office, name(), file=uuid.uuid4().hex)), **{"Idempotency-Key": key})
    other = office.consent(CAF)
    answer = await posted(office, json.dumps(other).encode(), adapter="shared-json", **{"Idempotency-Key": key})
    assert (422, "idempotency_key_reused") == (answer.status_code, answer.json()["code"])
    assert [] == await office.events(other["id"], "agreement_given")


async def test_the_mandates_of_aidants_connect_are_recorded(office: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Those that the mandated organisation may declare are; the others are told; no name of theirs is in a log."""
    who, mandates = name(), json.loads(SAMPLE.read_text(encoding="utf-8"))
    for each in mandates["mandats"]:
        each["id"] = f"{who}-{each['id']}"
        each["organisation"]["siret"] = CAF
        each["usager"]["family_name"] = who
    with caplog.at_level(logging.DEBUG):
        told = (await posted(office, json.dumps(mandates).encode(), adapter="aidants-connect")).json()
    assert ["recorded", *["invalid"] * 3] == [each["state"] for each in told["exchanges"]]
    assert ["evidence_not_yet", "evidence_missing", "state_not_said"] == [
        error["code"] for each in told["exchanges"][1:] for error in each["errors"]
    ]
    read = await office.done("caf", "GET", f"/v1/consents/{told['exchanges'][0]['document']}")
    assert ("mandate", CAF, ["social"]) == (
        read["agreement_type"],
        read["mandate"]["agent"],
        read["mandate"]["topics"],
    )
    assert who not in caplog.text
