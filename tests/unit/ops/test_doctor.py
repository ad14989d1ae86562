"""
`tdu doctor` and `tdu init`: what is wrong with a gateway is named, with what to do, and a lost secret is never replaced.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

import schemas
from ops.cli import app

Tdu = Callable[..., Result]


@pytest.fixture(params=["embedded", "production"])
def tdu(request: pytest.FixtureRequest, tmp_path: Path) -> Tdu:
    """Run `tdu …` for a gateway that does not exist yet; words in capitals are settings: `tdu("doctor", TDU_BUS_URL=…)`."""
    environment = {"TDU_DATA_DIR": str(tmp_path / "data"), "TDU_DATABASE_URL": "", "TDU_BUS_URL": ""}
    if request.param == "production":
        environment["TDU_DATABASE_URL"] = request.getfixturevalue("new_postgres")()
        environment["TDU_BUS_URL"] = request.getfixturevalue("amqp_url")
    return lambda *words, **settings: CliRunner().invoke(app, list(words), env=environment | settings)


def wrong(result: Result) -> dict[str, str]:
    """What `tdu doctor --json` found to correct, by name."""
    return {check["name"]: check["message"] for check in json.loads(result.stdout) if not check["good"]}


def test_a_new_gateway_is_told_to_be_prepared_and_is_then_good(tdu: Tdu) -> None:
    """Before `tdu init` the database and the keys are to correct, and each says so; after it nothing is."""
    before = tdu("doctor", "--json")
    assert 0 == tdu("init").exit_code
    after = tdu("doctor", "--json")
    assert (1, 0) == (before.exit_code, after.exit_code)
    assert {"base", "clés"} == wrong(before).keys()
    assert all("faites « tdu" in message for message in wrong(before).values())
    assert ({}, 7) == (wrong(after), len(json.loads(after.stdout)))


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"TDU_DATABASE_URL": "postgresql+asyncpg://postgres@127.0.0.1:1/x"}, "base"),
        ({"TDU_BUS_URL": "amqp://guest:guest@127.0.0.1:1/"}, "bus"),
        ({"TDU_OPERATOR_SIRET": "99900009400015"}, "exploitant"),
        ({"TDU_ISSUER": "https://passerelle.example.org"}, "exploitant"),
        ({"TDU_ISSUER": "http://passerelle.example.org"}, "adresse"),
        ({"TDU_KEYS_DIR": "nowhere"}, "clés"),
    ],
)
def test_each_wrong_setting_is_named(tdu: Tdu, settings: dict[str, str], name: str) -> None:
    """One setting is wrong: the check that names it is the one that fails, in a sentence and without a traceback."""
    tdu("init")
    found = tdu("doctor", "--json", **settings)
    assert 1 == found.exit_code
    assert name in wrong(found)
    assert "Traceback" not in found.output


@pytest.mark.parametrize("words", [("init",), ("migrate",), ("partner", "list"), ("ledger", "export", "log")])
def test_a_database_that_is_away_is_told_in_a_sentence(tdu: Tdu, words: tuple[str, ...]) -> None:
    """No command shows a stack trace to an operator whose server is down."""
    tdu("init")
    done = tdu(*words, TDU_DATABASE_URL="postgresql+asyncpg://postgres@127.0.0.1:1/x")
    assert 1 == done.exit_code
    assert "La base ne répond pas" in done.stderr
    assert "Traceback" not in done.output


def test_a_lost_secret_is_not_replaced(tdu: Tdu, tmp_path: Path) -> None:
    """
    With another secret nobody would be recognised, and no objection found: `tdu init` refuses to make one.
    """
    tdu("init")
    kek = tmp_path / "data" / "keys" / "kek"
    kek.rename(tmp_path / "offline-copy")
    refused = tdu("init")
    assert (2, False) == (refused.exit_code, kek.exists())
    assert "copie hors ligne" in refused.stderr
    shutil.copy(tmp_path / "offline-copy", kek)
    assert 0 == tdu("init").exit_code


def test_no_process_starts_with_the_secret_of_another_gateway(tdu: Tdu, tmp_path: Path) -> None:
    """A wrong file in the right place is told by the doctor, and every role refuses to start."""
    tdu("init")
    other = tmp_path / "other"
    CliRunner().invoke(app, ["init"], env={"TDU_DATA_DIR": str(other), "TDU_DATABASE_URL": "", "TDU_BUS_URL": ""})
    shutil.copy(other / "keys" / "kek", tmp_path / "data" / "keys" / "kek")
    assert {"secret"} == wrong(tdu("doctor", "--json")).keys()
    for role in ("api", "relay", "courier", "sequencer", "keeper", "all"):
        started = tdu("serve", "--role", role)
        assert 2 == started.exit_code
        assert "n'est pas celui qui scelle cette base" in started.stderr


def test_an_emergency_access_that_nobody_could_be_told_of_is_named(tmp_path: Path) -> None:
    """A convention allows breaking the glass: without a mail server the officers would not know, and the doctor says so."""
    environment = {"TDU_DATA_DIR": str(tmp_path / "data"), "TDU_DATABASE_URL": "", "TDU_BUS_URL": ""}
    example = Path(schemas.__file__).parent / "convention" / "v1" / "valid" / "break-glass.json"
    CliRunner().invoke(app, ["init"], env=environment)
    with sqlite3.connect(tmp_path / "data" / "trait-dunion.sqlite") as database:
        columns = "(id, version, hash, document, proposed_by, proposed_at)"
        values = ("urgence", 1, "0" * 64, example.read_text(encoding="utf-8"), "99900001100018", "2026-01-01")
        database.execute(f"INSERT INTO conventions {columns} VALUES (?, ?, ?, ?, ?, ?)", values)
    database.close()
    without = CliRunner().invoke(app, ["doctor", "--json"], env=environment)
    with_server = CliRunner().invoke(
        app, ["doctor", "--json"], env=environment | {"TDU_SMTP_URL": "smtp://mail.example"}
    )
    assert {"courriel"} == wrong(without).keys()
    assert {} == wrong(with_server)
