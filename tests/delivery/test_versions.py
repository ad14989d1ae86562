"""
A status that is not newer than what was sent does not leave, and its sender is told why.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import sqlalchemy as sa

from gateway.store.tables import exchanges

pytestmark = pytest.mark.anyio


async def referred(world: Any) -> tuple[Any, str]:
    """A recipient that was handed a referral, and the referral."""
    recipient = await world.recipient()
    delivery = await world.send(recipient)
    await world.becomes(delivery, "available")
    [handed] = (await recipient.done("GET", "/v1/mailbox"))["deliveries"]
    await recipient.done("POST", f"/v1/mailbox/{delivery}/ack")
    recipient.token = None
    return recipient, str(handed["document_id"])


async def sent(world: Any, referral: str) -> list[int]:
    """The numbers of the statuses that left, in order."""
    query = sa.select(exchanges.c.version).where(exchanges.c.about == referral, exchanges.c.version.is_not(None))
    async with world.runtime.services.database.read() as tx:
        return list((await tx.execute(query.order_by(exchanges.c.received_at, exchanges.c.version))).scalars())


async def test_an_older_or_equal_status_does_not_follow_a_newer_one(world: Any) -> None:
    """The problem names the number that was sent; a newer one passes."""
    recipient, referral = await referred(world)
    path = f"/v1/referrals/{referral}/status"
    await recipient.done("POST", path, json={"status": "accepted", "sequence": 5})
    for stale in (5, 4, 0):
        problem = await recipient.refused("POST", path, 409, json={"status": "received", "sequence": stale})
        assert "stale_status" == problem["code"] and "5" in problem["detail"]
    await recipient.done("POST", path, json={"status": "accepted", "sequence": 6})
    await recipient.done("POST", path, json={"status": "accepted"})
    assert [5, 6, 7] == await sent(world, referral)


async def test_updates_that_come_together_all_get_a_number(world: Any) -> None:
    """Without a number of their own, none is taken for an old one."""
    recipient, referral = await referred(world)
    path = f"/v1/referrals/{referral}/status"
    await recipient.done("GET", "/v1/deliveries")
    await asyncio.gather(*(recipient.done("POST", path, json={"status": "accepted"}) for _ in range(4)))
    assert [1, 2, 3, 4] == sorted(await sent(world, referral))
