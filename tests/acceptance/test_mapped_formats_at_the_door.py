"""
Formats described by a file, at the doors of a real gateway: tried, sent, and their schema read by an editor.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest

import adapters
from adapters.mapping.yaml_lines import read_yaml
from adapters.registry import ADAPTERS
from gateway.http.answer_schemas import ANSWERS

FOLDER = Path(adapters.__file__).parent
SAMPLES = {
    "orientation-csv": "tableau-complet",
    "orientation-xlsx": "tableau-complet",
    "orientation-json": "deux-orientations",
    "orientation-xml": "deux-orientations",
}
pytestmark = pytest.mark.parametrize("desk", ["embedded"], indirect=True)  # translating is the same on every database


def test_an_editor_reads_the_schema_of_mapping_files(desk: Any) -> None:
    """Without a token, as JSON Schema, and every mapping of the project follows it."""
    answer = desk.http.get("/schemas/mapping/v1.json")
    assert (200, "application/schema+json") == (answer.status_code, answer.headers["content-type"].partition(";")[0])
    validator = jsonschema.Draft202012Validator(answer.json())
    for file in FOLDER.glob("*/mapping.yaml"):
        assert [] == list(validator.iter_errors(read_yaml(file.read_text(encoding="utf-8"))[0]))


@pytest.mark.parametrize("name", SAMPLES)
def test_a_mapped_file_is_tried_and_nothing_is_kept(desk: Any, name: str) -> None:
    """The same documents as in the sample, but for what the gateway gives itself, in each of the four containers."""
    (file,) = (FOLDER / name.replace("-", "_") / "samples" / SAMPLES[name]).glob("partner.*")
    answer = desk.done(
        "caf",
        "POST",
        f"/v1/adapters/{name}/translate",
        content=file.read_bytes(),
        headers={"Content-Type": ADAPTERS[name].media_types[0]},
    )
    subjects = [each["document"]["subject"] for each in answer["documents"]]
    assert ("OLIVARDE", ["Zoé", "Ana"]) == (subjects[0]["birth_name"], subjects[0]["given_names"])


def test_the_sender_is_told_how_many_records_no_rule_takes(desk: Any) -> None:
    """Sent or only tried: those that a `when` leaves out are counted and placed, as the API's description says."""
    raw = (FOLDER / "ccas_suivi" / "samples" / "orientations" / "partner.xlsx").read_bytes()
    headers = {"Content-Type": ADAPTERS["ccas-suivi"].media_types[0]}
    described = {path: jsonschema.Draft202012Validator(schema) for path, (_, schema) in ANSWERS.items()}
    for path in ("/v1/inbound/{adapter_name}", "/v1/adapters/{adapter_name}/translate"):
        answer = desk.done("ccas", "POST", path.format(adapter_name="ccas-suivi"), content=raw, headers=headers)
        assert [] == list(described[path].iter_errors(answer))
        records = answer["records"]
        assert [{"record": "3", "line": 6}] == records["set_aside"]
        assert records["read"] == records["used"] + records["refused"] + records["set_aside_count"]
        assert "1 écarté(s) par « when »." in records["message"]


def test_a_file_of_which_no_rule_takes_anything_says_so(desk: Any, refused: Callable[..., dict[str, Any]]) -> None:
    """Nothing is taken in, and the reason is not a list of faults: every record was set aside."""
    lines = (FOLDER / "cnaf_contacts" / "samples" / "hubee" / "partner.csv").read_bytes().splitlines(keepends=True)
    answer = desk.call(
        "caf", "POST", "/v1/inbound/cnaf-contacts", content=lines[0] + lines[3], headers={"Content-Type": "text/csv"}
    )
    body = refused(answer, 422, "document_invalid")
    assert "1 enregistrement(s) lu(s) : 0 repris, 0 refusé(s), 1 écarté(s) par « when »." in body["detail"]
    assert [{"record": "1", "line": 2}] == body["records"]["set_aside"]


def test_a_damaged_table_is_answered_with_places(desk: Any, refused: Callable[..., dict[str, Any]]) -> None:
    """A cut file is refused with its line; no value of it comes back."""
    raw = (FOLDER / "orientation_csv" / "samples" / "refus-coupe" / "partner.csv").read_bytes()
    answer = desk.call(
        "caf", "POST", "/v1/adapters/orientation-csv/translate", content=raw, headers={"Content-Type": "text/csv"}
    )
    body = refused(answer, 422, "file_refused")
    assert "coupé" in str(body) and "OLIVARDE" not in str(body)


def _dora_status(referral: str) -> dict[str, Any]:
    update = {"emplois_sync_uid": referral, "status": "VALIDÉE", "updated_at": "2026-11-23T09:00:00+01:00"}
    return {"count": 1, "next": None, "previous": None, "results": [update | {"processing_date": update["updated_at"]}]}


def _send_status(desk: Any, who: str, referral: str) -> httpx.Response:
    answer: httpx.Response = desk.call(who, "POST", "/v1/inbound/dora-status", json=_dora_status(referral))
    return answer


def test_a_follow_up_in_the_partners_format_finds_its_referral(desk: Any, story: Any) -> None:
    """It names the referral and nothing else: the gateway knows about whom it is, and that the CAF waits for it."""
    answer = _send_status(desk, "departement", story.referral)
    assert 202 == answer.status_code, answer.text
    (taken,) = answer.json()["exchanges"]
    assert [("99900001100018", "permitted")] == [(each["siret"], each["state"]) for each in taken["recipients"]]
    told = desk.done("caf", "GET", f"/v1/exchanges/{story.exchange}")["follow_ups"]
    assert taken["exchange"] in {each["exchange"] for each in told}


def test_a_follow_up_of_anothers_referral_is_refused(
    desk: Any, story: Any, refused: Callable[..., dict[str, Any]]
) -> None:
    """A partner to whom the referral was not disclosed is answered as for one that does not exist."""
    bodies = [refused(_send_status(desk, "ccas", each), 422) for each in (story.referral, str(uuid.uuid4()))]
    assert bodies[0]["errors"] == bodies[1]["errors"]
