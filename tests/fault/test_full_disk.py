"""A disk that fills up under a gateway at work: what was promised is kept, what cannot be is refused, and all goes on once there is room."""

from __future__ import annotations

import asyncio
import json
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx
import pytest

from adapters.cnaf_rsa.fictitious import fictitious_people
from ops.demo.documents import referral
from ops.demo.gateway_process import started
from ops.demo.partner import Partner

pytestmark = pytest.mark.anyio

CAF, DEPARTEMENT = "99900001100018", "99900002900010"
_CONVENTION = (files("consent") / "models" / "tznr-caf-departement.yaml").read_bytes()
_BEFORE, _DURING, _SOON = 6, 8, 60.0


@contextmanager
def _full_disk(strace: str, process: int) -> Iterator[None]:
    """Every write to the files of the database fails in this process, as on a disk without room."""
    words = [strace, "-f", "-o", "/dev/null", "-p", str(process)]
    injected = ["-e", "trace=pwrite64,ftruncate", "-e", "inject=pwrite64,ftruncate:error=ENOSPC"]
    with subprocess.Popen([*words, *injected], stderr=subprocess.PIPE, text=True) as tracing:
        assert tracing.stderr is not None
        assert "attached" in tracing.stderr.readline()
        yield
        tracing.terminate()


def _serving(folder: Path) -> int:
    """The process that serves the gateway of a folder."""
    for environment in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if f"TDU_DATA_DIR={folder / 'data'}\0".encode() in environment.read_bytes():
                return int(environment.parent.name)
    raise LookupError("no gateway runs there")


async def test_what_was_promised_outlives_a_full_disk(tmp_path: Path, strace: str) -> None:
    """Sent while there is no room: 503 with the time to come back, nothing kept; sent again with the same key: taken once."""
    with started(tmp_path) as gateway:
        async with httpx.AsyncClient(timeout=120) as http:
            caf = await Partner.registered(gateway, http, CAF, "CAF de Valombre", "caf", "shared-json")
            departement = await Partner.registered(
                gateway, http, DEPARTEMENT, "Département de Valombre", "departement", "shared-json"
            )
            await caf.propose(_CONVENTION)
            await caf.sign(_CONVENTION)
            await departement.sign(_CONVENTION)
            people = fictitious_people(_BEFORE + _DURING, seed=7)[: _BEFORE + _DURING]
            sendings = [(str(uuid.uuid4()), referral(person, caf, DEPARTEMENT)) for person in people]

            async def send(sending: tuple[str, dict[str, Any]], *expect: int) -> httpx.Response:
                key, document = sending
                headers = {"Idempotency-Key": key}
                return await caf.call("POST", "/v1/referrals", json=document, headers=headers, expect=expect)

            await asyncio.gather(*(send(each, 202) for each in sendings[:_BEFORE]))
            with _full_disk(strace, _serving(tmp_path)):
                refused = await asyncio.gather(*(send(each, 503) for each in sendings[_BEFORE:]))
            assert {"unavailable"} == {answer.json()["code"] for answer in refused}
            assert all(int(answer.headers["Retry-After"]) > 0 for answer in refused)

            begun = asyncio.get_running_loop().time()
            taken = await asyncio.gather(*(send(each, 202) for each in sendings))
            assert _BEFORE == sum("Idempotent-Replayed" in answer.headers for answer in taken)
            handed = await departement.pull(expected=len(sendings))
            assert asyncio.get_running_loop().time() - begun < _SOON

        expected = {answer.json()["exchanges"][0]["exchange"] for answer in taken}
        assert expected == {each["exchange"] for each in handed}
        exported = gateway.command("ledger", "export", str(tmp_path / "log"))
        verified = gateway.command("ledger", "verify", str(tmp_path / "log"), "--json")
        assert (0, 0) == (exported.returncode, verified.returncode), exported.stderr + verified.stderr
        assert json.loads(verified.stdout)
