"""
Dora's orientations and their follow-up: what the common exam does not ask.
"""

import json
import unicodedata
from typing import Any

import pytest

from adapters.registry import get
from adapters.testing import EXAM_CONTEXT

UID = "3e0f9a7b-64c2-4d15-8a9e-1b7c5d2f0a48"


def orientation(**fields: Any) -> dict[str, Any]:
    """The least that Dora's creation asks."""
    return {
        "emplois_sync_uid": UID,
        "emplois_data": {"beneficiary_id": "9d8c7b6a-5f4e-4d3c-8b2a-1f0e9d8c7b6a"},
        "di_service_id": "dora--7c1e0a52-93d4-4c8e-8f0b-2d6a51e0b9c1",
        "beneficiary_france_travail_number": "00412345678",
        "data_protection_commitment": True,
        **fields,
    }


def read(name: str, value: Any, form: str = "NFC") -> list[dict[str, Any]]:
    """The documents of a JSON text whose accents are in a given form."""
    raw = unicodedata.normalize(form, json.dumps(value, ensure_ascii=False)).encode()
    return [dict(found.document) for found in get(name).to_shared(raw, EXAM_CONTEXT).documents]


def numbers(document: dict[str, Any]) -> list[str]:
    """The France Travail numbers of a document's subject."""
    return [each["value"] for each in document["subject"]["identifiers"] if each["scheme"] == "france_travail"]


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize(
    ("status", "shown"),
    [("VALIDÉE", ["00412345678"]), ("OUVERTE", []), ("REFUSÉE", []), ("MODÉRATION_EN_COURS", [])],
)
def test_the_france_travail_number_is_read_only_once_accepted(status: str, shown: list[str], form: str) -> None:
    """In either form of the accents: one compared byte for byte would hide it for ever, or show it too early."""
    assert shown == numbers(read("dora", orientation(status=status), form)[0])


@pytest.mark.parametrize(("status", "written"), [("VALIDÉE", True), ("OUVERTE", False), (None, False)])
def test_the_france_travail_number_is_written_only_once_accepted(status: str | None, written: bool) -> None:
    """Whatever the document holds: one that another partner sent has its number from the start."""
    document = read("dora", orientation(status="VALIDÉE"))[0]
    document["local"] = {"status": status} if status else {}
    assert written == ("beneficiary_france_travail_number" in json.loads(get("dora").to_partner([document])))


def test_an_orientation_born_elsewhere_is_answered_by_its_own_identifier() -> None:
    """Written with the gateway's identifier, its follow-up is about that same referral."""
    sent = {**read("dora", orientation())[0], "reference": "VAL-2026-000123"}
    uid = json.loads(get("dora").to_partner([sent]))["emplois_sync_uid"]
    page = {"results": [{"emplois_sync_uid": uid, "status": "VALIDÉE", "updated_at": "2026-10-06T16:40:00+02:00"}]}
    assert sent["id"] == read("dora-status", page)[0]["referral_id"]


def test_what_is_asked_twice_is_the_same_and_what_is_later_is_numbered_above() -> None:
    """`updated_after` includes its bound, so that pages overlap: one status, one identifier."""
    item = {"emplois_sync_uid": UID, "status": "OUVERTE", "updated_at": "2026-10-06T16:40:00+02:00"}
    later = {**item, "status": "VALIDÉE", "updated_at": "2026-10-06T15:10:00Z"}
    first, again, after = read("dora-status", {"results": [item, item, later]})
    assert first == again
    assert after["id"] != first["id"]
    assert after["sequence"] > first["sequence"]
