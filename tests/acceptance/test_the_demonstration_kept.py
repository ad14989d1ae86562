"""`make demo KEEP=1`: what it prints at the end works, and ending it leaves nothing behind."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest


def test_a_kept_gateway_can_be_called_as_told_and_leaves_nothing_behind(tmp_path: Path) -> None:
    """Its addresses answer, its ready-made command lists the CAF's exchanges, and the end of the one is the end of the other."""
    command = tmp_path / ".venv" / "bin" / "tdu"
    command.parent.mkdir(parents=True)
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m ops.cli "$@"\n')
    command.chmod(0o755)
    data = tmp_path / "temporary"
    data.mkdir()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TDU_")}
    words = [sys.executable, "-m", "ops.cli", "demo", "--keep", "--households", "20"]
    told = tmp_path / "told"
    with told.open("wb") as output:
        kept = subprocess.Popen(words, cwd=tmp_path, env=environment | {"TMPDIR": str(data)}, stdout=output)
    try:
        while "Ctrl+C" not in told.read_text("utf-8"):
            with pytest.raises(subprocess.TimeoutExpired):
                kept.wait(0.2)
        text = told.read_text("utf-8")
        addresses = re.findall(r"^   \S.*? {2,}(http://\S+)$", text, re.MULTILINE)
        answers = [httpx.get(address, follow_redirects=True).status_code for address in addresses]
        [call] = re.findall(r"^   (.+ --get .+)$", text, re.MULTILINE)
        listed = subprocess.run(
            call,
            shell=True,
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            check=True,
        )
    finally:
        kept.send_signal(signal.SIGTERM)
        code = kept.wait(30)
    assert [200] * 5 == answers
    assert 3 == len(json.loads(listed.stdout)["exchanges"])
    assert (128 + signal.SIGTERM, []) == (code, list(data.iterdir()))
    with pytest.raises(httpx.ConnectError):
        httpx.get(addresses[0])
