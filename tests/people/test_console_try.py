"""
A file tried on the console: shown rule by rule to the operator, kept nowhere, never logged.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import datetime
from importlib.resources import files
from typing import Any

import pytest
import sqlalchemy as sa

from gateway.console.trying import attempt
from gateway.store.tables import metadata

PARTNER = "99900001100018"
SAMPLES = files("adapters") / "orientation_csv" / "samples"

pytestmark = pytest.mark.anyio


async def _rows(home: Any) -> dict[str, int]:
    """How many rows each table of the gateway holds, the sessions aside: they move with each page."""
    names = [name for name in metadata.tables if "session" not in name]
    async with home.started.runtime.services.database.read() as tx:
        return {name: await tx.scalar(sa.select(sa.func.count()).select_from(metadata.tables[name])) for name in names}


async def test_a_record_is_shown_rule_by_rule_and_nothing_is_kept(
    house: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    """The value, the column and the line of the mapping are there; no table has a row more, no log a word of the file."""
    raw = (SAMPLES / "tableau-complet" / "partner.csv").read_bytes()
    async with house() as home:
        claire = await home.signed_in("claire", "operator", partner=PARTNER)
        before = await _rows(home)
        with caplog.at_level(logging.DEBUG):
            answer = await claire.upload("/console/try", {"format": "orientation-csv", "record": "1"}, raw)
        assert answer.status_code == 200
        assert "subject.birth_name" in answer.text
        assert "mapping.yaml, ligne" in answer.text
        assert await _rows(home) == before
    name = raw.decode("utf-8-sig").splitlines()[1].split(";")[2]
    assert name in answer.text
    assert name not in caplog.text


@pytest.mark.parametrize(
    ("form", "record", "raw", "status"),
    [
        ("orientation-csv", "1", b"A;B\n1;2\n", 422),
        ("orientation-csv", "0", b"", 400),
        ("inconnu", "1", b"A\n", 400),
        ("cnaf-rsa", "1", b"<Racine/>", 422),
        ("orientation-csv", "999", (SAMPLES / "tableau-complet" / "partner.csv").read_bytes(), 404),
        ("orientation-csv", "1", b"x" * 1_100_000, 413),
    ],
)
async def test_what_cannot_be_shown_says_why(
    house: Callable[..., Any], form: str, record: str, raw: bytes, status: int
) -> None:
    """Another format, no such record, too large: the page or the problem says what to do, without a value of the file."""
    async with house() as home:
        claire = await home.signed_in("claire", "operator", partner=PARTNER)
        answer = await claire.upload("/console/try", {"format": form, "record": record}, raw)
    assert answer.status_code == status


async def test_a_program_shows_its_documents_and_remarks(house: Callable[..., Any]) -> None:
    """A format without a mapping has no rules: its documents and what the sender is told."""
    raw = (files("adapters.cnaf_rsa") / "samples" / "instruction-r" / "partner.xml").read_bytes()
    async with house() as home:
        claire = await home.signed_in("claire", "operator", partner=PARTNER)
        answer = await claire.upload("/console/try", {"format": "cnaf-rsa", "record": "2"}, raw)
    assert answer.status_code == 200
    assert "&#34;kind&#34;: &#34;referral&#34;" in answer.text
    assert "DIFSOC" in answer.text


async def test_the_records_that_no_rule_takes_are_counted_and_placed(house: Callable[..., Any]) -> None:
    """Whichever record is shown, the page counts those of the whole file and says where those set aside are."""
    raw = (files("adapters") / "cnaf_contacts" / "samples" / "hubee" / "partner.csv").read_bytes()
    async with house() as home:
        claire = await home.signed_in("claire", "operator", partner=PARTNER)
        answer = await claire.upload("/console/try", {"format": "cnaf-contacts", "record": "1"}, raw)
    assert answer.status_code == 200
    assert "1 écarté(s) par « when »." in answer.text
    assert "n° 3 (ligne 4)." in answer.text


async def test_a_document_that_names_another_has_its_identifier_in_one_try_only() -> None:
    """Identifiers depend on their key within a try, so that links are seen; two tries have none in common."""
    raw = (files("adapters") / "administration_plus" / "samples" / "demandes" / "partner.json").read_bytes()
    now = datetime.fromisoformat("2026-11-23T08:00:00+01:00")
    referral, status = map(json.loads, attempt("administration-plus", raw, 1, PARTNER, now).documents)
    assert referral["id"] == status["referral_id"] != status["id"]
    again = json.loads(attempt("administration-plus", raw, 1, PARTNER, now).documents[0])
    assert again["id"] != referral["id"]
