"""`tdu person`: who it is comes from a file or the standard input; the account is whole, the erasure certified."""

from __future__ import annotations

import asyncio
import json
import stat
import uuid
from pathlib import Path
from typing import Any

import orjson
import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from consent.ledger.event import EventType
from gateway.keys import Keys
from gateway.records import record_of
from gateway.settings import Settings
from gateway.store import subjects
from gateway.store.crypto import Vault
from gateway.store.database import Database, instant
from gateway.store.subjects import Identity
from gateway.store.tables import documents
from ops.cli import app as tdu
from schemas import code_list

SUBJECT = {"birth_name": "Zorglubine", "given_names": ["Camille"], "birth_date": "1980-05-17", "sex": "female"}
CAF = "99900001100018"


def run(*arguments: str, code: int = 0, given: str | None = None) -> Any:
    result = CliRunner().invoke(tdu, list(arguments), input=given)
    assert code == result.exit_code, result.output
    assert "Zorglubine" not in result.stderr
    return result.stdout


@pytest.fixture
def gateway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An embedded gateway that is not running, with one person in it."""
    monkeypatch.setenv("TDU_DATA_DIR", str(tmp_path / "data"))
    run("init")
    asyncio.run(_fill())
    return tmp_path


async def _fill() -> None:
    settings = Settings()
    vault, database = Vault(Keys.load(settings).ring), Database(settings.database)
    from datetime import UTC, datetime

    from consent.ledger.store import Ledger

    now = datetime.now(UTC)
    async with database.write() as tx:
        [ident] = await subjects.resolve(tx, [Identity.of(SUBJECT, CAF, vault)], vault, now)
        key = (await subjects.data_keys(tx, [str(ident)], vault))[str(ident)]
        document = str(uuid.uuid4())
        content = {"kind": "referral", "subject": SUBJECT, "notes": "À rappeler."}
        row = {
            "id": document,
            "kind": "referral",
            "schema_version": "1.0",
            "sender": CAF,
            "subject_id": ident,
            "sealed": key.seal(orjson.dumps(content), f"documents/{document}"),
            "received_at": instant(now),
        }
        await tx.execute(sa.insert(documents).values(row))
        event = record_of(EventType.CONTENT_READ, now, CAF, {"document_id": document, "client_id": "caf"}, key)
        await Ledger().append(tx, [event])
    await database.close()


def test_the_account_is_written_with_its_page_and_its_proof(gateway: Path) -> None:
    """From the standard input, to files that only their owner reads; the list of events verifies offline."""
    out = gateway / "compte"
    told = json.loads(run("person", "export", "--to", str(out), given=json.dumps({"subject": SUBJECT})))
    assert ["compte.html", "compte.json", "reponse.ndjson"] == told["files"]
    account = json.loads((out / "compte.json").read_text())
    assert "À rappeler." == account["documents"][0]["content"]["notes"]
    assert ["content_read", "content_read"] == [each["type"] for each in account["events"]]
    page = (out / "compte.html").read_text()
    assert "Zorglubine" in page
    assert "À rappeler." in page and "Orientation" in page
    assert code_list("sex")[SUBJECT["sex"]].label_fr in page and SUBJECT["sex"] not in page, (
        "codes are said by their labels"
    )
    assert {0o600} == {stat.S_IMODE(path.stat().st_mode) for path in out.iterdir()}
    run("ledger", "export", str(gateway / "log"))
    vkey = (gateway / "log" / "vkey").read_text().strip()
    assert "complète" in run("ledger", "verify", str(out / "reponse.ndjson"), "--vkey", vkey)


def test_people_are_erased_from_a_file_and_certified(gateway: Path) -> None:
    """One a line; the certificate verifies offline and names nobody; the second time there is nobody to erase."""
    (people := gateway / "people.ndjson").write_text(json.dumps({"subject": SUBJECT}) + "\n")
    erase = ("person", "erase", str(people), "--yes", "--certificates", str(gateway / "certificates"))
    [certificate] = json.loads(run(*erase))
    proof = gateway / "certificates" / f"{certificate['id']}.tlog-proof"
    run("ledger", "export", str(gateway / "log"))
    vkey = (gateway / "log" / "vkey").read_text().strip()
    report = json.loads(run("ledger", "verify", str(proof), "--vkey", vkey, "--json"))
    assert ("erasure", "person_request") == (report["event"]["type"], report["event"]["body"]["reason"])
    assert [None] == json.loads(run(*erase, code=1))
    run("person", "export", str(people), code=1)
    for path in (gateway / "data").rglob("*.sqlite*"):
        assert b"Zorglubine" not in path.read_bytes()


def test_nothing_is_erased_without_a_yes(gateway: Path) -> None:
    """Without a terminal the command asks for --yes; a wrong reason or file is told, without any value of it."""
    asked = json.dumps({"subject": SUBJECT})
    run("person", "erase", given=asked, code=2)
    run("person", "erase", "--yes", "--reason", "because", given=asked, code=2)
    run("person", "erase", "--yes", given='{"subject": ', code=2)
    run("person", "erase", "--yes", given=json.dumps({"nom": "Zorglubine"}), code=2)
    run("person", "erase", "--yes", given=json.dumps({"subject": {"birth_name": "Zorglubine", "nir": 1}}), code=1)
    assert "Zorglubine" in run("person", "export", given=asked)
