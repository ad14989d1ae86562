"""
The memory that a running gateway holds while it takes in a flow of 200,000 households, and an attachment of 50 MB and back.

An embedded gateway does everything in one process, whose resident memory is looked at from outside, five times a second; what counts
is how far it grows above what it held when it was warm. The file is written as it is sent: 430 MB stand nowhere in the clear.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import httpx

from adapters.cnaf_rsa.fictitious import fictitious_pieces
from ops.bench.measured import Say
from ops.bench.territory import UNLIMITED
from ops.demo.gateway_process import GatewayProcess, started
from ops.demo.partner import Partner

ATTACHMENT: Final = 50_000_000
_LOOK_SECONDS: Final = 0.2
_TOLD: Final = 20_000
_PIECE: Final = 1_048_576
_CAF: Final = ("99900001100018", "CAF de Valombre", "bench-caf", "shared-json")
_DEPARTEMENT: Final = ("99900002900010", "Département de Valombre", "bench-departement", "shared-json")
_LIMITS: Final = {"TDU_OUTBOX_LIMIT": "10000000", "TDU_LIMIT_BYTES": ""}


def measure(households: int, say: Say) -> dict[str, float]:
    """Growth in megabytes, households a second and what became of them, for a flow of so many; and the attachment's growth."""
    with (
        tempfile.TemporaryDirectory(prefix="tdu-bench-") as directory,
        started(Path(directory), UNLIMITED | _LIMITS) as gateway,
    ):
        return asyncio.run(_measure(gateway, households, say))


async def _measure(gateway: GatewayProcess, households: int, say: Say) -> dict[str, float]:
    async with httpx.AsyncClient(timeout=600) as http:
        caf = await Partner.registered(gateway, http, *_CAF)
        departement = await Partner.registered(gateway, http, *_DEPARTEMENT)
        text = (files("consent") / "models" / "tznr-caf-departement.yaml").read_bytes()
        text = text.replace(b"[identity, nir,", b"[attachments, identity, nir,", 1)
        # What the bench sends in minutes, a territory sends in a month.
        text = b"\n".join(line for line in text.splitlines() if not line.startswith(b"limits:"))
        await caf.propose(text)
        for party in (caf, departement):
            await party.sign(text)
        await _through(caf, 500, say)  # warm: pools, caches, code
        # Before the flow: what waits in the mailbox is taken in the order in which it came.
        attachment = await _attachment(gateway, caf, departement)
        return attachment | await _flow(gateway, caf, households, say)


async def _flow(gateway: GatewayProcess, caf: Partner, households: int, say: Say) -> dict[str, float]:
    before = _resident(gateway.pid)
    begun = time.perf_counter()
    with _watched(gateway.pid) as seen:
        task, seconds = await _through(caf, households, say)
    records, documents = task["records"], task["documents"]
    return {
        "flow_households": records["total"],
        "flow_file_mb": task["bytes"] / 1e6,
        "flow_documents": sum(documents.values()),
        "flow_refused_households": records["refused"],
        "flow_upload_s": seconds,
        "flow_s": time.perf_counter() - begun,
        "flow_households_per_s": records["total"] / (time.perf_counter() - begun - seconds),
        "flow_warm_mb": before / 1e6,
        "flow_growth_mb": (max(seen) - before) / 1e6,
    }


async def _through(caf: Partner, households: int, say: Say) -> tuple[dict[str, Any], float]:
    """Send a flow, as it is written, and wait until it is taken in; gives the task, and how long the sending took."""
    begun = time.perf_counter()
    headers = {"Content-Type": "application/xml"}
    answer = await caf.call("POST", "/v1/inbound/cnaf-rsa", content=_written(households), headers=headers)
    task, sent, told = answer.json(), time.perf_counter() - begun, 0
    while task["finished_at"] is None:
        await asyncio.sleep(0.5)
        task = (await caf.call("GET", task["progress"])).json()
        if (done := task["records"]["done"] // _TOLD) > told:
            told = done
            say(f"{task['records']}")
    if task["state"] != "done":
        raise RuntimeError(f"the flow ended {task['state']}: {task['problem']}")
    return task, sent


async def _written(households: int) -> AsyncIterator[bytes]:
    for piece in fictitious_pieces(households, 7):
        yield piece


async def _attachment(gateway: GatewayProcess, caf: Partner, departement: Partner) -> dict[str, float]:
    """Send an attachment of 50 MB with a referral, and have its recipient take it."""
    content = b"%PDF-1.7 " + os.urandom(ATTACHMENT - 9)
    said = {"name": "piece.pdf", "media_type": "application/pdf", "size": len(content)}
    said["sha256"] = hashlib.sha256(content).hexdigest()
    exchange = (await caf.call("POST", "/v1/referrals", json=_referral(said))).json()["exchanges"][0]["exchange"]
    delivery = ""
    while not delivery:
        taken = (await departement.call("GET", "/v1/mailbox?limit=1000&wait=10")).json()["deliveries"]
        delivery = next((each["id"] for each in taken if each["exchange"] == exchange), "")
    before = _resident(gateway.pid)
    with _watched(gateway.pid) as sending:
        await caf.call("POST", f"/v1/exchanges/{exchange}/attachments", content=content)
    [told] = (await departement.call("GET", f"/v1/mailbox/{delivery}/attachments")).json()["attachments"]
    between = _resident(gateway.pid)
    with _watched(gateway.pid) as taking:
        token, digest = await departement.signed_in(), hashlib.sha256()
        url = f"{gateway.address}/v1/attachments/{told['id']}"
        async with departement.http.stream("GET", url, headers=token.headers) as answer:
            async for chunk in answer.aiter_bytes(_PIECE):
                digest.update(chunk)
    if digest.hexdigest() != said["sha256"]:
        raise RuntimeError("the attachment that was taken is not the one that was sent")
    return {
        "attachment_mb": len(content) / 1e6,
        "attachment_upload_growth_mb": (max(sending) - before) / 1e6,
        "attachment_download_growth_mb": (max(taking) - between) / 1e6,
    }


def _referral(attachment: dict[str, Any]) -> dict[str, Any]:
    return {
        "kind": "referral",
        "schema_version": "1.0",
        "id": "0190a5b2-0000-7000-8000-000000000001",
        "created_at": "2026-11-23T09:00:00+01:00",
        "sender": {"siret": _CAF[0]},
        "recipients": [{"siret": _DEPARTEMENT[0]}],
        "purpose": "inform_about_rights",
        "subject": {"birth_name": "Valrose", "given_names": ["Ada"], "birth_date": "1981-05-17", "sex": "female"},
        "rights": [{"right": "rsa", "state": "to_request"}],
        "attachments": [attachment],
    }


@contextlib.contextmanager
def _watched(pid: int) -> Iterator[list[int]]:
    """The resident memory of a process, in bytes, each time it was looked at until the block ends."""
    seen = [_resident(pid)]
    task = asyncio.get_running_loop().create_task(_look(pid, seen))
    try:
        yield seen
    finally:
        task.cancel()
        seen.append(_resident(pid))


async def _look(pid: int, seen: list[int]) -> None:
    while True:
        seen.append(await asyncio.to_thread(_resident, pid))
        await asyncio.sleep(_LOOK_SECONDS)


def _resident(pid: int) -> int:
    told = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], check=True, capture_output=True, text=True)
    return int(told.stdout) * 1024
