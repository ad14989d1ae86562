"""`tdu keys sealing`: an operator replaces the keys of a gateway, sees where it stands, and destroys the old ones."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ops.cli import app as tdu

SUBJECT = {"birth_name": "Zorglubine", "given_names": ["Camille"], "birth_date": "1980-05-17", "sex": "female"}


def run(*arguments: str, code: int = 0, given: str | None = None) -> Any:
    result = CliRunner().invoke(tdu, list(arguments), input=given)
    assert code == result.exit_code, result.output
    return json.loads(result.stdout) if result.stdout else None


@pytest.fixture
def kek(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The secret's file of a new gateway."""
    monkeypatch.setenv("TDU_DATA_DIR", str(tmp_path))
    CliRunner().invoke(tdu, ["init"])
    return tmp_path / "keys" / "kek"


def test_the_keys_are_replaced_and_the_root_secret_is_gone(kek: Path) -> None:
    """From one root secret to a ring without it; the gateway still opens what it sealed, and the ledger tells each step."""
    root = kek.read_bytes().strip()
    before = run("keys", "sealing", "status")
    run("keys", "sealing", "rotate")
    between = run("keys", "sealing", "status")
    assert between["current"] != before["current"]
    assert {before["current"], between["current"]} == set(between["wrapping"])
    run("keys", "sealing", "retire")
    after = run("keys", "sealing", "status")
    assert {between["current"]: 0} == after["wrapping"]
    assert root not in kek.read_bytes()
    assert 0o600 == stat.S_IMODE(kek.stat().st_mode)
    checks = {each["name"]: each["good"] for each in run("doctor", "--json")}
    assert checks["clés"] and checks["base"]


def test_a_rotation_cut_short_is_finished_before_another_begins(kek: Path) -> None:
    """Asked again, the command adds no third key; a key added beforehand, to be distributed, is the one that is taken."""
    added = run("keys", "sealing", "add")["added"]
    assert added == run("keys", "sealing", "rotate")["current"]
    assert 2 == len(run("keys", "sealing", "status")["wrapping"])
    assert 0 == run("keys", "sealing", "rotate", "--index")["left"]
    assert {"1", "2"} == set(run("keys", "sealing", "status")["indexes"])
    run("keys", "sealing", "retire", "--index")
    assert {"2"} == set(run("keys", "sealing", "status")["indexes"])


def test_a_file_that_is_distributed_otherwise_is_written_where_it_is_asked(kek: Path, tmp_path: Path) -> None:
    """The gateway's own file stays as it is; what cannot be written is told."""
    before = kek.read_bytes()
    run("keys", "sealing", "add", "--to", str(tmp_path / "ring.json"))
    assert before == kek.read_bytes()
    assert b"trait-dunion/keys@v1" in (tmp_path / "ring.json").read_bytes()
    run("keys", "sealing", "add", "--to", "/proc/nowhere/ring.json", code=2)
