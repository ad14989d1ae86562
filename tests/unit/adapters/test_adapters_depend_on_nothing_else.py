"""
An adapter's answer depends on its bytes and its context alone: neither on the process, nor on the hash seed, nor on the hour.
"""

import os
import subprocess
import sys
from pathlib import Path

import adapters

ROOT = Path(adapters.__file__).parent.parent
PROGRAM = """
import hashlib
from adapters.exam import Sitting
from adapters.registry import ADAPTERS
digest = hashlib.sha256()
for adapter in ADAPTERS.values():
    sitting = Sitting(adapter)
    for case in sitting.cases:
        if adapter.kinds_in:
            found, refusal = sitting.translated(case.partner)
            digest.update(repr((found, str(refusal))).encode())
        if case.back is not None:
            digest.update(adapter.to_partner(case.shared or []))
print(digest.hexdigest())
"""


def test_two_processes_give_the_same_answers() -> None:
    """Every sample of every adapter, read and written, under two hash seeds and two time zones."""
    answers = set()
    for seed, zone in (("1", "UTC"), ("2", "Indian/Reunion")):
        environment = os.environ | {"PYTHONHASHSEED": seed, "TZ": zone, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True
        )
        answers.add(done.stdout)
    assert 1 == len(answers) and 65 == len(answers.pop())
