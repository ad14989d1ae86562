"""
A message that fails by itself is set aside with its reason, and the others go on.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
import sqlalchemy as sa

from gateway.bus.base import DELIVERIES
from gateway.composition import Role, running
from gateway.store.tables import deliveries, documents, exchanges

pytestmark = pytest.mark.anyio

COUNT = 1000


async def test_one_poison_among_a_thousand_blocks_nobody(sleeping_world: Any, eventually: Any) -> None:
    """One document that cannot be opened any more: the 999 others are available, and it is set aside with its reason."""
    world, services = sleeping_world, sleeping_world.runtime.services
    recipient = await world.recipient()
    lines = b"\n".join(json.dumps(world.referral(recipient)).encode() for _ in range(COUNT))
    flow = {"content": lines, "headers": {"Content-Type": "application/x-ndjson"}}
    told = await world.caf.done("POST", "/v1/inbound/shared-json", **flow)
    poison = told["exchanges"][COUNT // 2]["recipients"][0]["delivery"]
    spoilt = (
        sa.select(exchanges.c.document_id)
        .join(deliveries, deliveries.c.exchange_id == exchanges.c.id)
        .where(deliveries.c.id == poison)
        .scalar_subquery()
    )
    async with services.database.write() as tx:
        await tx.execute(sa.update(documents).where(documents.c.id == spoilt).values(sealed=b"\x01" + b"spoilt" * 8))

    async def settled() -> bool:
        async with services.database.read() as tx:
            states = Counter((await tx.execute(sa.select(deliveries.c.state))).scalars())
        return bool(states == {"available": COUNT - 1, "abandoned": 1})

    async with running(world.runtime, Role.ALL):
        await eventually(settled, 120)
        row = await world.row(poison)
        [parked] = await world.runtime.bus.parked(DELIVERIES, 10)

    assert "courier: Unreadable" == row.last_error == parked.reason
    assert poison == parked.message.event["data"]["delivery_id"]
    assert {"reason": "courier: Unreadable"}.items() <= (await world.events(poison))[-1].body.items()


async def test_what_waits_about_a_person_keeps_its_order(sleeping_world: Any) -> None:
    """Of several deliveries about one person, none is taken before those that were accepted earlier."""
    world = sleeping_world
    recipient, person = await world.recipient(), world.person()
    async with running(world.runtime, Role.ALL):
        first, second, third = [await world.send(recipient, person) for _ in range(3)]
        other = await world.send(recipient)
        for each in (first, second, third, other):
            await world.becomes(each, "available")

        async def taken(limit: int) -> list[str]:
            return [each["id"] for each in (await recipient.done("GET", f"/v1/mailbox?limit={limit}"))["deliveries"]]

        assert [first] == await taken(1)
        assert [other] == await taken(10), (
            "the first is in somebody's hands: the person's next ones wait, nobody else's"
        )
        await recipient.done("POST", f"/v1/mailbox/{first}/nack", json={"reason": "temporary"})
        assert [] == await taken(10), "the first will be offered again, before the others"
        await recipient.done("POST", f"/v1/mailbox/{first}/ack")
        assert [second, third] == await taken(10)
