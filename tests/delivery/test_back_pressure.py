"""
When too much waits for the bus, partners are asked to come back; what was accepted is there when room is made.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from gateway.composition import Role, running

pytestmark = pytest.mark.anyio

LIMIT = 2000


async def test_too_much_that_waits_is_told_with_a_time(sleeping_world: Any, eventually: Any) -> None:
    """A full outbox answers 503 with Retry-After and records nothing; once the bus took it, the same request passes."""
    world = sleeping_world
    recipient = await world.recipient()
    lines = b"\n".join(json.dumps(world.referral(recipient)).encode() for _ in range(LIMIT))
    flow = {"content": lines, "headers": {"Content-Type": "application/x-ndjson"}}
    assert LIMIT == (await world.caf.done("POST", "/v1/inbound/shared-json", **flow))["accepted"]
    await asyncio.sleep(1.1)  # the count is made once a second
    one = world.referral(recipient)
    answer = await world.caf.call("POST", "/v1/referrals", json=one)
    assert (503, "10") == (answer.status_code, answer.headers["retry-after"])
    assert "unavailable" == answer.json()["code"]

    async with running(world.runtime, Role.ALL):

        async def passes() -> bool:
            return bool((await world.caf.call("POST", "/v1/referrals", json=one)).status_code == 202)

        await eventually(passes, 60)
