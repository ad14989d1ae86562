"""
What an auditor asks over the API: answers proven complete, masked unless a reason is given, and every reading recorded.
"""

from __future__ import annotations

import csv
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from typer.testing import CliRunner

from consent.completeness import verify_answer
from consent.ledger.report import Report
from gateway.audit.csv_text import COLUMNS, safe
from ops.cli import app as tdu

pytestmark = pytest.mark.anyio

CAF, DEPARTEMENT, ASSOCIATION = "99900001100018", "99900002900010", "99900003700013"
ROOT = Path(__file__).parents[2]


async def story(office: Any) -> tuple[dict[str, Any], str]:
    """Somebody agrees, and a referral goes to the association and is acknowledged; gives the person and the delivery."""
    subject = office.person()
    await office.done("association", "POST", "/v1/consents", json=office.consent(subject=subject))
    sent = await office.send(subject)
    assert sent["state"] == "permitted"
    await office.received("association", sent["delivery"])
    return subject, sent["delivery"]


def verified(office: Any, *answers: dict[str, Any]) -> Report:
    """Verify the pages of an answer as a file of lines."""
    lines = [{"answer": answers[0]["answer"]}]
    for answer in answers:
        lines += [{"page": answer["page"]}, *({"row": row} for row in answer["rows"])]
    return verify_answer([json.dumps(line).encode() for line in lines], office.runtime.signer.vkey)


def types(answer: dict[str, Any]) -> list[str]:
    return [row["summary"]["type"] for row in answer["rows"] if row["matches"]]


async def test_everything_about_a_person_is_found_by_criteria_in_the_body(office: Any) -> None:
    """The agreement, the exchange, the disclosure and its acknowledgement, in order, and the answer verifies."""
    subject, _ = await story(office)
    answer = await office.done("auditor", "POST", "/v1/ledger/search", json={"subject": subject})
    told = ["agreement_given", "exchange_accepted", "disclosure_made", "disclosure_acknowledged"]
    assert told == types(answer)
    assert verified(office, answer).ok
    assert {"masked"} == {row["withheld"] for row in answer["rows"]}
    assert not any("event" in row for row in answer["rows"])
    again = await office.done("auditor", "POST", "/v1/ledger/search", json={"subject": subject})
    assert [*told, "ledger_searched"] == types(again)  # that she was searched for is in her own list


async def test_a_dropped_row_makes_the_answer_fail(office: Any) -> None:
    """An answer without its disclosure does not verify, whatever the operator says."""
    subject, _ = await story(office)
    answer = await office.done("auditor", "POST", "/v1/ledger/search", json={"subject": subject})
    del answer["rows"][2]
    assert not verified(office, answer).ok


async def test_content_is_opened_for_a_reason_and_each_person_sees_it(office: Any) -> None:
    """With a reason the events open against the log, and the reading stands in the person's own list with the reason."""
    subject, delivery = await story(office)
    asked = {"subject": subject, "view": "opened", "reason": "complaint", "case": "2026/017"}
    answer = await office.done("auditor", "POST", "/v1/ledger/search", json=asked)
    report = verified(office, answer)
    assert report.ok
    assert report.checked["disclosed"] == 4
    made = json.loads(answer["rows"][2]["event"])
    assert (made["body"]["delivery_id"], made["body"]["recipient"]) == (delivery, ASSOCIATION)
    answer = await office.done("auditor", "POST", "/v1/ledger/search", json=asked)
    read = [json.loads(row["event"])["body"] for row in answer["rows"] if row["summary"]["type"] == "content_read"]
    assert [("opened", "complaint", "2026/017", 4)] == [
        (body["view"], body["reason"], body["case_reference"], body["events"]) for body in read
    ]


async def test_a_partner_s_events_come_in_pages_that_connect(office: Any) -> None:
    """Page after page nothing is missing and nothing is twice, by partner, period, purpose and type."""
    since = office.clock().isoformat()
    people = [await story(office) for _ in range(3)]
    asked = {"partner": ASSOCIATION, "from": since, "limit": 4}
    pages = [await office.done("auditor", "POST", "/v1/ledger/search", json=asked)]
    while cursor := pages[-1]["next"]:
        pages.append(await office.done("auditor", "POST", "/v1/ledger/search", json=asked | {"cursor": cursor}))
    report = verified(office, *pages)
    assert report.ok, report.to_json()
    rows = [row for page in pages for row in page["rows"] if row["matches"]]
    assert len({row["id"] for row in rows}) == len(rows)
    assert sum(row["summary"]["type"] == "disclosure_made" for row in rows) == len(people)
    assert not verified(office, pages[0], *pages[2:]).ok
    only = asked | {"types": ["disclosure_made"], "purpose": "inform_about_rights", "limit": 500}
    answer = await office.done("auditor", "POST", "/v1/ledger/search", json=only)
    matching = [row for row in answer["rows"] if row["matches"]]
    assert len(people) == len(matching)
    assert {ASSOCIATION, CAF} == set(matching[0]["summary"]["partners"])
    assert verified(office, answer).ok
    convention = matching[0]["summary"]["conventions"][0]
    answer = await office.done("auditor", "POST", "/v1/ledger/search", json={"convention": convention, "from": since})
    assert verified(office, answer).ok
    assert types(answer).count("disclosure_made") == len(people)


async def test_a_person_is_found_by_the_pseudonym_of_a_partner(office: Any) -> None:
    """The association's pseudonym and the civil status lead to the same list; with another partner it leads nowhere."""
    subject, _ = await story(office)
    asked = {"subject": subject, "reason": "person_request"}
    answer = await office.done("auditor", "POST", "/v1/ledger/search", json=asked)
    pseudonym = json.loads(answer["rows"][2]["event"])["body"]["pseudonym"]
    known = {"subject": {"pseudonym": pseudonym}, "partner": ASSOCIATION}
    same = await office.done("auditor", "POST", "/v1/ledger/search", json=known)
    assert same["answer"]["list"] == answer["answer"]["list"]
    stranger = await office.done("auditor", "POST", "/v1/ledger/search", json=known | {"partner": DEPARTEMENT})
    assert stranger == {"found": False, "rows": [], "next": None}


async def test_an_unknown_person_gives_an_answer_without_list(office: Any) -> None:
    """Nobody is created by being asked about, and the search is recorded all the same."""
    since = office.clock().isoformat()
    subject = office.person()
    for _ in range(2):
        answer = await office.done("auditor", "POST", "/v1/ledger/search", json={"subject": subject})
        assert not answer["found"]
    asked = {"from": since, "types": ["ledger_searched"], "reason": "internal_audit", "limit": 1_000}
    answer = await office.done("auditor", "POST", "/v1/ledger/search", json=asked)
    bodies = [json.loads(row["event"])["body"] for row in answer["rows"] if row["matches"]]
    assert 2 == sum(body["by"] == "person" and body["rows"] == 0 for body in bodies)
    assert subject["birth_name"] not in json.dumps(answer)
    refused = await office.refused("auditor", "POST", "/v1/ledger/export", 422, json={"subject": subject})
    assert "unknown_subject" == refused["code"]


async def test_one_event_and_its_proof_are_read_masked_or_opened(office: Any, tmp_path: Path) -> None:
    """The proof verifies with the offline command either way, and each reading is an event about the person."""
    subject, _ = await story(office)
    answer = await office.done("auditor", "POST", "/v1/ledger/search", json={"subject": subject})
    ident = answer["rows"][2]["id"]
    masked = await office.done("auditor", "GET", f"/v1/ledger/events/{ident}")
    assert ("masked", "Données communiquées") == (masked["withheld"], masked["title"])
    opened = await office.done("auditor", "GET", f"/v1/ledger/events/{ident}?reason=control&case=CNIL-7")
    assert json.loads(opened["event"])["id"] == ident
    shown = []
    for query in ("", "?reason=control"):
        proof = await office.call("auditor", "GET", f"/v1/ledger/events/{ident}/proof{query}")
        (file := tmp_path / "event.tlog-proof").write_bytes(proof.content)
        result = CliRunner().invoke(
            tdu, ["ledger", "verify", str(file), "--vkey", office.runtime.signer.vkey, "--json"]
        )
        assert 0 == result.exit_code, result.output
        shown.append(json.loads(result.stdout)["event"] is not None)
    assert shown == [False, True]
    answer = await office.done(
        "auditor", "POST", "/v1/ledger/search", json={"subject": subject, "types": ["content_read"]}
    )
    assert 4 == sum(row["matches"] for row in answer["rows"])
    await office.refused("auditor", "GET", f"/v1/ledger/events/{ident}?reason=curiosity", 400)
    await office.refused("auditor", "GET", "/v1/ledger/events/0190a5b0-0000-4000-8000-000000000000", 404)


async def test_only_an_auditor_searches(office: Any) -> None:
    """A partner's token opens none of it."""
    for method, path in (
        ("POST", "/v1/ledger/search"),
        ("POST", "/v1/ledger/export"),
        ("GET", "/v1/ledger/events/0190a5b0-0000-4000-8000-000000000000"),
        ("GET", "/v1/ledger/events/0190a5b0-0000-4000-8000-000000000000/proof"),
        ("GET", "/fhir/R4/AuditEvent"),
    ):
        answer = await office.call("caf", method, path, **({"json": {}} if method == "POST" else {}))
        assert 403 == answer.status_code, (method, path)


@pytest.mark.parametrize(
    "body",
    [
        {"partner": "12345"},
        {"types": ["gossip"]},
        {"types": []},
        {"from": "2026-11-23"},
        {"from": "2026-11-24T00:00:00Z", "until": "2026-11-23T00:00:00Z"},
        {"view": "opened"},
        {"reason": "curiosity"},
        {"reason": "control", "case": "Madame Durand"},
        {"cursor": "1.2"},
        {"cursor": "99999999999.0.0"},
        {"limit": 0},
        {"limit": True},
        {"subject": {"pseudonym": "p-" + "0" * 32}},
        {"subject": {"birth_name": "Durand", "nir": "1"}},
        {"subject": "Durand"},
        {"unknown": 1},
        {"from": "0001-01-01T00:00:00+14:00"},
    ],
)
async def test_a_malformed_search_is_refused_in_words(office: Any, body: dict[str, Any]) -> None:
    """A clear problem that repeats no value, and nothing else."""
    answer = await office.call("auditor", "POST", "/v1/ledger/search", json=body)
    assert answer.status_code in (400, 422)
    assert "Durand" not in answer.text


async def test_an_export_verifies_with_the_command(office: Any, tmp_path: Path) -> None:
    """The JSON lines verify offline; with one line less they do not, and the command says so."""
    subject, _ = await story(office)
    exported = await office.call("auditor", "POST", "/v1/ledger/export", json={"subject": subject, "reason": "control"})
    assert "application/x-ndjson" == exported.headers["content-type"]
    lines = exported.content.splitlines(keepends=True)
    for content, code in ((lines, 0), (lines[:3] + lines[4:], 1), (lines[:-1], 1)):
        (file := tmp_path / "reponse.ndjson").write_bytes(b"".join(content))
        result = CliRunner().invoke(tdu, ["ledger", "verify", str(file), "--vkey", office.runtime.signer.vkey])
        assert code == result.exit_code, result.output
        assert ("complète jusqu’à l’entrée" in result.stdout) == (code == 0)


async def test_the_csv_beside_the_answer_holds_no_formula(office: Any) -> None:
    """The same events for a spreadsheet, every cell quoted; what begins like a formula is made text."""
    subject, _ = await story(office)
    exported = await office.call("auditor", "POST", "/v1/ledger/export", json={"subject": subject, "format": "csv"})
    with zipfile.ZipFile(io.BytesIO(exported.content)) as archive:
        report = verify_answer(archive.read("reponse.ndjson").splitlines(), office.runtime.signer.vkey)
        text = archive.read("evenements.csv").decode("utf-8-sig")
        assert "tdu ledger verify" in archive.read("LISEZMOI.txt").decode()
    assert report.ok
    rows = list(csv.DictReader(io.StringIO(text), delimiter=";"))
    assert list(COLUMNS) == list(rows[0])
    assert report.checked["matching"] == len(rows) == 4
    for formula in ("=1+1", " =1", "\t=1", "+33", "-1", "@A1", "＝1", "|x", "%x", "\rx", "'=1", "\u00a0=1", '"=1'):
        assert safe(formula) == f"'{formula}"
    assert "disclosure_made" == safe("disclosure_made")


def official(resource: dict[str, Any]) -> list[str]:
    """What HL7's schema has against a resource."""
    schema = json.loads((ROOT / "tests/fhir/fhir-r4.schema.json").read_text(encoding="utf-8"))
    wanted = {"$ref": f"#/definitions/{resource['resourceType']}", "definitions": schema["definitions"]}
    return [
        f"{error.instance_path}: {error.message}"
        for error in jsonschema_rs.Draft6Validator(wanted).iter_errors(resource)
    ]


async def test_audit_events_are_valid_fhir_and_say_what_the_ledger_says(office: Any) -> None:
    """One by one, in a searched bundle and in an export; a disclosure has the shape of the BALP profile."""
    since = office.clock().isoformat().replace("+", "%2B")
    subject, _ = await story(office)
    answer = await office.done("auditor", "POST", "/v1/ledger/search", json={"subject": subject, "reason": "control"})
    made = answer["rows"][2]
    masked = await office.done("auditor", "GET", f"/fhir/R4/AuditEvent/{made['id']}")
    assert not official(masked)
    assert not any(entity["role"]["code"] == "1" for entity in masked["entity"])
    one = await office.done("auditor", "GET", f"/fhir/R4/AuditEvent/{made['id']}?reason=control")
    assert not official(one)
    assert ["https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.PrivacyDisclosure.Source"] == one[
        "meta"
    ]["profile"]
    assert ("110106", "R", "0") == (one["type"]["code"], one["action"], one["outcome"])
    assert ["110153", "110152", "159541003"] == [agent["type"]["coding"][0]["code"] for agent in one["agent"]]
    assert one["agent"][0]["who"] == one["source"]["observer"]
    assert all("network" in agent for agent in one["agent"][:2])
    [patient] = [entity for entity in one["entity"] if entity["role"]["code"] == "1"]
    assert json.loads(made["event"])["body"]["pseudonym"] == patient["what"]["identifier"]["value"]
    assert "disclose" == one["subtype"][0]["code"]

    found: list[dict[str, Any]] = []
    address = f"/fhir/R4/AuditEvent?date=ge{since}&agent={ASSOCIATION}&_count=3"
    while address:
        bundle = await office.done("auditor", "GET", address)
        assert not official(bundle)
        found += bundle.get("entry", [])
        address = next((link["url"] for link in bundle["link"] if link["relation"] == "next"), "")
    assert made["id"] in {entry["resource"]["id"] for entry in found}
    assert len(found) == len({entry["fullUrl"] for entry in found})

    exported = await office.call("auditor", "POST", "/v1/ledger/export", json={"subject": subject, "format": "fhir"})
    with zipfile.ZipFile(io.BytesIO(exported.content)) as archive:
        bundle = json.loads(archive.read("evenements.fhir.json"))
    assert not official(bundle)
    assert len(bundle["entry"]) >= 4
    for wrong in (
        "agent=12",
        "subtype=gossip",
        "_count=0",
        "date=2026",
        "patient=x",
        "date=ge2026-01-01&date=ge2026-01-02",
    ):
        await office.refused("auditor", "GET", f"/fhir/R4/AuditEvent?{wrong}", 400)
