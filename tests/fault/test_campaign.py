"""
A short campaign of `tdu faults`, as an operator runs it: processes and servers are killed, hops are cut, and nothing is lost.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ops.faults.progress import Progress

PLANS = {"sqlite": ["--kills", "4", "--documents", "100"]}
if os.environ.get("TDU_FAULTS") == "all":
    more = ["--server-kills", "2", "--fault-runs", "1", "--store-outage", "5", "--webhook-outage", "10"]
    PLANS = {
        "sqlite": ["--kills", "20", "--kills-all", "10", "--fault-runs", "1", "--documents", "2000"],
        "postgresql": ["--kills", "20", "--poison-among", "100", "--documents", "2000", *more],
    }


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("form", PLANS)
def test_a_campaign_loses_nothing_and_doubles_nothing(form: str, tmp_path: Path) -> None:
    """Everything that a 202 promised is in its recipient's hands once, with its event in the log that verifies."""
    command = [sys.executable, "-m", "ops.cli", "faults", "campaign", form, str(tmp_path), *PLANS[form]]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert 0 == done.returncode, done.stderr[-2000:]
    counted = json.loads(done.stdout)
    poison = len(counted["poison_set_aside"])
    assert counted["promised"] == counted["received"] + poison >= 100
    nothing = ("lost", "twice", "undisclosed", "set_aside", "parked", "unsent")
    assert dict.fromkeys(nothing, 0) == {name: counted[name] for name in nothing}
    assert {} == counted["unexpected_answers"]
    assert counted["log_verified"]
    rounds = [each for times in Progress(tmp_path).phases.values() for each in times]
    assert rounds and None not in rounds, "it came back after each fault"
