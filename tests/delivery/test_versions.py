"""
A status that is not newer than what was sent does not leave, and its sender is told why.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa

from gateway import answers
from gateway.auth.caller import Caller
from gateway.errors import Problem
from gateway.sources import arrival
from gateway.store.tables import exchanges, quarantine

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
        assert [{"code", "pointer", "message", "message_en", "line"}] == [set(each) for each in problem["errors"]]
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


async def brought(world: Any, partner: Any, referral: str, **changes: Any) -> Any:
    """Have the gateway take in a status that it found at a partner's, as a source does."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    status = {"kind": "status", "schema_version": "1.0", "id": str(uuid.uuid4()), "created_at": now, "occurred_at": now}
    status |= {"purpose": "follow_up", "referral_id": referral, "status": "accepted"} | changes
    caller = Caller(
        client_id=partner.client_id,
        partner=partner.siret,
        system=partner.client_id,
        scopes=frozenset({"status:send"}),
        roles=frozenset({"partner"}),
        token_id="dora",
        channel="inbound",
    )
    who = arrival.Sender(caller, partner.client_id)
    return await arrival.take_in(json.dumps(status).encode(), "shared-json", who, world.runtime.services)


async def set_aside_for(world: Any, partner: Any) -> list[Any]:
    """What is in quarantine of a partner."""
    async with world.runtime.services.database.read() as tx:
        return list((await tx.execute(sa.select(quarantine).where(quarantine.c.sender == partner.siret))).all())


async def test_a_number_of_ours_that_was_taken_is_given_again(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A source's status without a number leaves under the next one when another took its own in the meantime."""
    recipient, referral = await referred(world)
    complete, passed = answers.complete_file, []

    async def overtaken(translation: Any, *given: Any) -> Any:
        completed = await complete(translation, *given)
        if "sequence" not in translation.documents[0].document and len(passed) < 2:
            passed.append(len(passed) + 1)
            await brought(world, recipient, referral, sequence=passed[-1])
        return completed

    monkeypatch.setattr(answers, "complete_file", overtaken)
    body = await brought(world, recipient, referral)
    assert (1, [1, 2, 3]) == (body["accepted"], await sent(world, referral))
    assert not await set_aside_for(world, recipient)


async def test_an_old_status_of_a_source_that_numbers_is_refused_at_once(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its number is the partner's own: it is tried once, refused as anywhere else, and is not set aside."""
    recipient, referral = await referred(world)
    await brought(world, recipient, referral, sequence=5)
    receive, tries = arrival.receive, []

    async def counted(*given: Any, **named: Any) -> Any:
        tries.append(given)
        return await receive(*given, **named)

    monkeypatch.setattr(arrival, "receive", counted)
    with pytest.raises(Problem) as refused:
        await brought(world, recipient, referral, sequence=4)
    assert ("stale_status", 409, 1) == (refused.value.code, refused.value.status, len(tries))
    assert [5] == await sent(world, referral)
    assert not await set_aside_for(world, recipient)
