"""
What was set aside is replayed: alone or in number, after a new decision, with its first error kept.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa

from gateway.delivery.abandonment import set_aside
from gateway.delivery.replays import Replayer
from gateway.store.tables import deliveries, replays

pytestmark = pytest.mark.anyio


async def rejected(world: Any, recipient: Any, count: int, reason: str = "unreadable") -> list[str]:
    """Deliveries that a recipient took and refused for good."""
    sent = [await world.send(recipient) for _ in range(count)]
    for delivery in sent:
        await world.becomes(delivery, "available")
    await recipient.done("GET", "/v1/mailbox?limit=100")
    for delivery in sent:
        await recipient.done("POST", f"/v1/mailbox/{delivery}/nack", json={"reason": reason})
    return sent


async def finished(world: Any, who: Any, task: str, eventually: Any) -> dict[str, Any]:
    """A task, once it runs no more."""
    seen: dict[str, Any] = {}

    async def is_done() -> bool:
        seen.update(await who.done("GET", f"/v1/replays/{task}"))
        return bool(seen["state"] != "running")

    await eventually(is_done)
    return seen


async def test_one_closed_delivery_is_replayed_and_keeps_its_error(world: Any) -> None:
    """Another delivery arrives in its place; each names the other, and the first keeps its reason."""
    recipient = await world.recipient()
    [first] = await rejected(world, recipient, 1)
    made = await recipient.done("POST", f"/v1/deliveries/{first}/replay")
    assert (first, "queued") == (made["replay_of"], made["state"])
    await world.becomes(made["delivery"], "available")
    [handed] = (await recipient.done("GET", "/v1/mailbox"))["deliveries"]
    assert made["delivery"] == handed["id"]
    await recipient.done("POST", f"/v1/mailbox/{handed['id']}/ack")

    old = await recipient.done("GET", f"/v1/deliveries/{first}")
    new = await recipient.done("GET", f"/v1/deliveries/{made['delivery']}")
    assert ("rejected", "unreadable", made["delivery"]) == (old["state"], old["reason"], old["replayed_by"])
    assert ("acknowledged", first) == (new["state"], new["replay_of"])
    assert ["disclosure_replayed", "disclosure_made", "disclosure_acknowledged"] == [
        event.type.value for event in await world.events(made["delivery"])
    ]


async def test_a_delivery_is_replayed_once(world: Any) -> None:
    """Asking twice is a conflict, asking again with the same key the same answer; what is on its way is not replayed."""
    recipient = await world.recipient()
    [first] = await rejected(world, recipient, 1)
    path, key = f"/v1/deliveries/{first}/replay", {"headers": {"Idempotency-Key": f"replay-{first}"}}
    made = await recipient.done("POST", path, **key)
    assert made == await recipient.done("POST", path, **key)
    assert "conflict" == (await recipient.refused("POST", path, 409))["code"]
    assert "conflict" == (await world.caf.refused("POST", f"/v1/deliveries/{made['delivery']}/replay", 409))["code"]
    await world.becomes(made["delivery"], "available")


async def test_the_gate_decides_again(world: Any) -> None:
    """After an objection the replay is made and refused, with the reason; nothing leaves."""
    recipient, person = await world.recipient(), world.person()
    delivery = await world.send(recipient, person)
    await world.becomes(delivery, "available")
    await recipient.done("GET", "/v1/mailbox")
    await recipient.done("POST", f"/v1/mailbox/{delivery}/nack", json={"reason": "other"})
    await world.withdraw(person)
    made = await world.caf.done("POST", f"/v1/deliveries/{delivery}/replay")
    assert "refused" == made["state"]
    row = await world.row(made["delivery"])
    assert row.state == "refused" and row.disclosures == 0
    assert row.last_error in {"objection", "subject_erased", "document_gone"}


async def test_many_are_counted_then_replayed_with_progress(world: Any, eventually: Any) -> None:
    """A dry run counts by reason and does nothing; the task replays exactly that, and says how far it is."""
    recipient = await world.recipient()
    await rejected(world, recipient, 3)
    await rejected(world, recipient, 2, "unknown_person")
    counted = await recipient.done("POST", "/v1/replays", json={"dry_run": True})
    assert (5, {"unreadable": 3, "unknown_person": 2}) == (counted["count"], counted["by_reason"])
    wanted = {"reason": "unreadable"}
    assert 3 == (await recipient.done("POST", "/v1/replays", json=wanted | {"dry_run": True}))["count"]

    task = await recipient.done("POST", "/v1/replays", json=wanted)
    assert ("running", 3) == (task["state"], task["total"])
    done = await finished(world, recipient, task["id"], eventually)
    assert ("done", 3, 0) == (done["state"], done["replayed"], done["refused"])
    assert 2 == (await recipient.done("POST", "/v1/replays", json={"dry_run": True}))["count"]
    assert [task["id"]] == [each["id"] for each in (await recipient.done("GET", "/v1/replays"))["replays"]]
    async with world.runtime.services.database.read() as tx:
        query = sa.select(sa.func.count()).where(deliveries.c.replay_id == task["id"])
        assert 3 == (await tx.execute(query)).scalar_one()


async def test_a_task_goes_on_where_it_was(sleeping_world: Any) -> None:
    """A task interrupted in the middle replays the rest and nothing twice, whoever carries it on."""
    world, services = sleeping_world, sleeping_world.runtime.services
    recipient = await world.recipient()
    sent = [await world.send(recipient) for _ in range(5)]
    async with services.database.write() as tx:
        assert 5 == await set_aside(tx, sent, ("queued",), "a test", services, services.clock())
    task = await world.caf.done("POST", "/v1/replays", json={})
    assert 5 == task["total"]

    class Killed(Exception):
        pass

    def kill(name: str) -> None:
        raise Killed(name)

    dying = Replayer(replace(services, fault_point=kill))
    with pytest.raises(Killed):
        await dying.once()
    replayer = Replayer(services)
    while await replayer.once():
        pass
    async with services.database.read() as tx:
        children = (await tx.execute(sa.select(deliveries).where(deliveries.c.parent.is_not(None)))).all()
        row = (await tx.execute(sa.select(replays))).one()
    assert sorted(sent) == sorted(each.parent for each in children)
    assert ("done", 5, 0) == (row.state, row.replayed, row.refused)


async def test_a_cancelled_task_stops(sleeping_world: Any) -> None:
    """What was not replayed yet stays set aside."""
    world, services = sleeping_world, sleeping_world.runtime.services
    recipient = await world.recipient()
    sent = [await world.send(recipient) for _ in range(3)]
    async with services.database.write() as tx:
        await set_aside(tx, sent, ("queued",), "a test", services, services.clock())
    task = await world.caf.done("POST", "/v1/replays", json={})
    assert "cancelled" == (await world.caf.done("POST", f"/v1/replays/{task['id']}/cancel"))["state"]
    assert not await Replayer(services).once()
    assert ["abandoned"] * 3 == await world.states(sent)


async def test_a_recipient_does_not_learn_of_what_it_was_never_handed(sleeping_world: Any) -> None:
    """What was set aside before any handing over exists for its sender and the operator only."""
    world, services = sleeping_world, sleeping_world.runtime.services
    recipient = await world.recipient()
    sent = [await world.send(recipient)]
    async with services.database.write() as tx:
        await set_aside(tx, sent, ("queued",), "a test", services, services.clock())
    await recipient.refused("GET", f"/v1/deliveries/{sent[0]}", 404)
    await recipient.refused("POST", f"/v1/deliveries/{sent[0]}/replay", 404)
    assert [] == (await recipient.done("GET", "/v1/deliveries"))["deliveries"]
    assert 0 == (await recipient.done("POST", "/v1/replays", json={"dry_run": True}))["count"]
    shown = await world.caf.done("GET", f"/v1/deliveries/{sent[0]}")
    assert ("abandoned", "a test") == (shown["state"], shown["reason"]) and "attempts" not in shown


async def test_deliveries_are_listed_by_pages_and_filters(world: Any) -> None:
    """Every delivery once, the newest first, whatever the page; filters cut the list, and wrong ones are told."""
    recipient = await world.recipient()
    before = datetime.now(UTC)
    sent = await rejected(world, recipient, 3)
    seen: list[str] = []
    cursor = ""
    while True:
        page = await recipient.done("GET", f"/v1/deliveries?limit=2{cursor}")
        seen += [each["id"] for each in page["deliveries"]]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert sent[::-1] == seen
    for query, expected in (
        ({"state": "rejected"}, 3),
        ({"state": "acknowledged"}, 0),
        ({"reason": "unreadable", "kind": "referral"}, 3),
        ({"since": before.isoformat()}, 3),
        ({"until": before.isoformat()}, 0),
        ({"sender": recipient.siret}, 0),
    ):
        found = await recipient.done("GET", "/v1/deliveries", params=query)
        assert expected == len(found["deliveries"]), query
    for query in ({"state": "lost"}, {"since": "hier"}, {"since": "2026-11-23T09:00:00"}, {"cursor": "x"}):
        await recipient.refused("GET", "/v1/deliveries", 400, params=query)
    await recipient.refused("POST", "/v1/replays", 400, json={"everything": True})
