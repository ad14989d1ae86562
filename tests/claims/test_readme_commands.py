"""Every command of the README works as it is written, in the order in which it is written."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from ops.demo.gateway_process import free_port

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"```sh\n(.*?)```", re.DOTALL)


def _commands() -> list[str]:
    lines = [line for block in BLOCK.findall((ROOT / "README.md").read_text("utf-8")) for line in block.splitlines()]
    return [line.split("  #")[0].strip() for line in lines if line.strip()]


def _newcomer(directory: Path) -> dict[str, str]:
    """A copy of the project as a newcomer has it, in an empty directory, with a data directory of its own."""
    for name in ("adapters", "consent", "schemas", "Makefile"):
        (directory / name).symlink_to(ROOT / name)
    command = directory / ".venv" / "bin" / "tdu"
    command.parent.mkdir(parents=True)
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m ops.cli "$@"\n')
    command.chmod(0o755)
    own = {"XDG_STATE_HOME": str(directory / "state")}
    return {name: value for name, value in os.environ.items() if not name.startswith("TDU_")} | own


def test_the_readme_has_commands_for_each_user() -> None:
    """The commands are really found: the two of make, and those of the three users."""
    commands = _commands()
    assert {"make demo", "make test"} <= set(commands)
    assert len([command for command in commands if "tdu" in command]) >= 10


def test_each_tdu_command_of_the_readme_succeeds(tmp_path: Path) -> None:
    """A newcomer types them one after the other, and none fails."""
    environment = _newcomer(tmp_path)
    for command in _commands():
        if command.startswith("make "):
            continue
        done = subprocess.run(
            command, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert (command, 0, "") == (command, done.returncode, "" if done.returncode == 0 else done.stderr)


def test_a_newcomer_is_connected_by_the_readme_alone(tmp_path: Path) -> None:
    """Registered as it is written, the gateway started as it says: the program that was printed runs, and the connection test is good."""
    environment = _newcomer(tmp_path) | {"TDU_PORT": str(free_port()), "TDU_LOG_LEVEL": "warning"}
    address = f"http://127.0.0.1:{environment['TDU_PORT']}"

    def typed(command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )

    commands = _commands()
    first, last = (
        next(rank for rank, each in enumerate(commands) if word in each) for word in ("tdu init", "essai.py")
    )
    for command in commands[first : last + 1]:
        done = typed(command)
        assert (command, 0) == (command, done.returncode), done.stderr
    text = " ".join((ROOT / "README.md").read_text("utf-8").split())
    assert "(`make serve`)" in text and "`.venv/bin/python essai.py`" in text
    [test] = re.findall(r"`(tdu connect test http://127\.0\.0\.1:8080 [^`]+)`", text)
    serve = subprocess.Popen([sys.executable, "-m", "ops.cli", "serve"], cwd=tmp_path, env=environment)
    try:
        _wait(f"{address}/readyz")
        called = subprocess.run([sys.executable, "essai.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
        tried = typed(".venv/bin/" + test.replace("http://127.0.0.1:8080", address))
    finally:
        serve.terminate()
        serve.wait(30)
    assert {"exchanges": [], "next": None} == json.loads(called.stdout), called.stderr
    assert 0 == tried.returncode
    assert "bon  appel : GET /v1/exchanges répond" in tried.stdout and "à corriger" not in tried.stdout


def _wait(address: str) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            if httpx.get(address, timeout=2).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.2)
    raise AssertionError("the gateway did not start")


@pytest.mark.parametrize("command", [command for command in _commands() if command.startswith("make ")])
def test_each_make_command_of_the_readme_has_its_target(command: str) -> None:
    """`make` knows what the README asks of it, and would run it."""
    done = subprocess.run([*command.split(), "--dry-run"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert 0 == done.returncode


def test_the_demonstration_prints_its_figures_as_json(tmp_path: Path) -> None:
    """`tdu demo --json`, which `make demo` runs, succeeds and prints the promised keys on stdout, and nothing else."""
    words = [sys.executable, "-m", "ops.cli", "demo", "--json", "--households", "20"]
    done = subprocess.run(words, cwd=tmp_path, env=_newcomer(tmp_path), capture_output=True, text=True, check=False)
    figures = json.loads(done.stdout)
    assert 0 == done.returncode
    assert {
        "households",
        "referrals",
        "refused",
        "acknowledged",
        "rights_opened",
        "withdrawals_acknowledged",
        "ledger_size",
        "ledger_verified",
        "tampering_detected",
        "seconds",
    } <= figures.keys()
    assert (20, True, True) == (figures["households"], figures["ledger_verified"], figures["tampering_detected"])
