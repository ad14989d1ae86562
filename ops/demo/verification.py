"""
The seventh step: an outsider verifies the exported log in a process of its own, then a copy with one byte changed.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from ops.demo.gateway_process import GatewayProcess
from ops.demo.partner import PartnerFailed


@dataclass(frozen=True, slots=True)
class Verification:
    """What `tdu ledger verify` said of a log, in French, and its exit code: 0 valid, 1 altered."""

    text: str
    code: int


def exported(gateway: GatewayProcess, log: Path) -> tuple[int, str]:
    """Export the log as static files to the folder `log`; gives the number of its entries and its public key."""
    process = gateway.command("ledger", "export", str(log))
    if process.returncode != 0:
        raise PartnerFailed(process.stderr[-500:])
    answer = json.loads(process.stdout)
    return int(answer["size"]), str(answer["vkey"])


def verified(gateway: GatewayProcess, log: Path, vkey: str) -> Verification:
    """Verify the files of `log` offline, with the public key alone."""
    process = gateway.command("ledger", "verify", str(log), "--vkey", vkey)
    french, _, _english = process.stdout.partition("\n\n")
    return Verification(french, process.returncode)


def altered_copy(log: Path) -> Path:
    """Copy a log beside it and change one bit in the middle of the copy's first file of hashes."""
    copy = log.with_name(f"{log.name}-altere")
    shutil.copytree(log, copy)
    tile = min(path for path in (copy / "tile" / "0").rglob("*") if path.is_file())
    content = bytearray(tile.read_bytes())
    content[len(content) // 2] ^= 1
    tile.write_bytes(content)
    return copy
