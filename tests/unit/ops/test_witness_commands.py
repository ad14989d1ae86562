"""A witness started as a command, and what the operator of a gateway is told of its witnesses."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from consent.ledger.checkpoint import Checkpoint
from consent.ledger.note import Signer
from consent.ledger.witness import origin_digest

NAME = "temoin.example/w1"
LOG = Signer.from_seed("journal.valombre.example", bytes(range(32)))


def tdu(folder: Path, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run a command with a data directory of its own."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TDU_")}
    environment |= {"TDU_DATA_DIR": str(folder / "data"), **settings}
    command = [sys.executable, "-m", "ops.cli", *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@contextmanager
def witness(folder: Path, *logs: str) -> Iterator[tuple[str, str]]:
    """A witness as its own process: its key and its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    words = ["ledger", "witness", str(folder / "witness"), "--name", NAME]
    key = tdu(folder, *words, "--key").stdout.strip()
    named = [word for log in logs for word in ("--log", log)]
    with subprocess.Popen(
        [sys.executable, "-m", "ops.cli", *words, *named, "--port", port], stderr=subprocess.DEVNULL
    ) as process:
        try:
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline:
                try:
                    assert f"{key}\n" == httpx.get(f"http://127.0.0.1:{port}/vkey").text
                    break
                except httpx.TransportError:
                    time.sleep(0.1)
            yield key, f"http://127.0.0.1:{port}"
        finally:
            process.kill()


def test_a_witness_killed_and_started_again_remembers_what_it_cosigned(tmp_path: Path) -> None:
    """kill -9, then a start on the same directory: same key, and no second history."""
    note, other = (Checkpoint(LOG.name, 1, bytes([root]) * 32).signed(LOG).note for root in (1, 2))
    with witness(tmp_path, LOG.vkey) as (key, address):
        assert 200 == httpx.post(f"{address}/add-checkpoint", content=b"old 0\n\n" + note).status_code
    with witness(tmp_path, LOG.vkey) as (again, address):
        assert key == again
        assert 422 == httpx.post(f"{address}/add-checkpoint", content=b"old 1\n\n" + other).status_code
        assert 409 == httpx.post(f"{address}/add-checkpoint", content=b"old 0\n\n" + note).status_code
        assert httpx.get(f"{address}/{origin_digest(LOG.name)}/checkpoint").content.startswith(note)


@pytest.mark.parametrize("words", [["--log", "no key"], []])
def test_a_witness_without_a_log_does_not_start(tmp_path: Path, words: list[str]) -> None:
    """It says what is missing, with exit code 2."""
    done = tdu(tmp_path, "ledger", "witness", str(tmp_path / "w"), "--name", NAME, *words)
    assert 2 == done.returncode
    assert "Erreur" in done.stderr


def test_a_policy_that_cannot_serve_is_named_before_anything_starts(tmp_path: Path) -> None:
    """An unreadable file, a malformed line, a quorum of witnesses without address: the variable and the fault, no stack trace."""
    key = tdu(tmp_path, "ledger", "witness", str(tmp_path / "w"), "--name", NAME, "--key").stdout.strip()
    policy = tmp_path / "policy"
    for text, fault in (("\nquorum w\n", "tlog_policy_line_2"), (f"witness w {key}\nquorum w\n", "without_address")):
        policy.write_text(text)
        done = tdu(tmp_path, "doctor", TDU_LEDGER_POLICY=str(policy))
        assert (2, True) == (done.returncode, "TDU_LEDGER_POLICY" in done.stderr and fault in done.stderr)
    done = tdu(tmp_path, "doctor", TDU_LEDGER_POLICY=str(tmp_path / "absent"))
    assert (2, True) == (done.returncode, "file_unreadable" in done.stderr)


def test_the_doctor_says_whether_the_quorum_answers(tmp_path: Path) -> None:
    """Good while the witness answers; once it is gone, which one to reach."""
    tdu(tmp_path, "init")
    policy = tmp_path / "policy"

    def said() -> tuple[bool, str]:
        checks = json.loads(tdu(tmp_path, "doctor", "--json", TDU_LEDGER_POLICY=str(policy)).stdout)
        [told] = [check for check in checks if check["name"] == "témoins"]
        return told["good"], told["message"]

    with witness(tmp_path, LOG.vkey) as (key, address):
        policy.write_text(f"witness valombre {key} {address}\nquorum valombre\n")
        assert (True, "1 sur 1 répondent") == said()
    assert (False, "0 sur 1 répondent : le quorum manque, joignez valombre") == said()
