"""
The same promises whatever the way to a partner: mailbox, webhook, SFTP, AMQP; each behind the same partner's end.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import aio_pika
import orjson
import pytest
import sqlalchemy as sa
from joserfc.jwk import ECKey

from consent.ledger.event import Event, EventType
from consent.tables import ledger_events
from gateway.delivery import amqp
from gateway.records import place
from gateway.store.tables import endpoints
from ops.services.authority import Authority
from ops.services.depot import Depot, depot_open
from ops.services.queue_owner import QueueOwner
from ops.services.receiver import Call, Receiver, Response, receiving

pytestmark = pytest.mark.anyio

NAME = "logiciel.valombre.example"
POLICY = {"first_seconds": 1, "longest_seconds": 1, "refusals": 3}
WAYS = [("embedded", way) for way in ("pull", "webhook", "sftp")]
WAYS += [("production", way) for way in ("pull", "webhook", "sftp", "amqp")]
ANY_WAY = pytest.mark.parametrize(("world", "end"), WAYS, indirect=True)
PUSHED = pytest.mark.parametrize(("world", "end"), [each for each in WAYS if each[1] != "pull"], indirect=True)

Says = Callable[[str, str], str | None]


class End:
    """A partner's end: takes what comes, and answers what `says` says of a delivery and a person's name (None: taken)."""

    way: ClassVar[str]
    told = "unreadable"
    """What the gateway then keeps of a refusal for good."""

    def __init__(self, world: Any) -> None:
        self.world = world
        self.handed: list[str] = []
        self.says: Says = lambda _delivery, _name: None
        self.is_away = self.is_over = False

    async def open(self, stack: AsyncExitStack, **policy: int) -> None:
        """Be registered and served."""
        self.recipient = await self.world.recipient()
        body = {"transport": self.way, "settings": await self.settings(stack), "policy": POLICY | policy}
        path = f"/v1/endpoints/{self.recipient.client_id}"
        await self.set(stack, await self.recipient.done("PUT", path, json=body))

    async def settings(self, stack: AsyncExitStack) -> dict[str, Any]:
        """What the endpoint is set with."""
        return {}

    async def set(self, stack: AsyncExitStack, shown: dict[str, Any]) -> None:
        """The endpoint is set: begin to work."""
        work = asyncio.create_task(self._work())

        async def end() -> None:
            self.is_over = True  # cancelled in the middle of a call, it would take its channel with it
            await work

        stack.push_async_callback(end)

    async def _work(self) -> None:
        while not self.is_over:
            if not self.is_away:
                await self.turn()
            await asyncio.sleep(0.05)

    async def turn(self) -> None:
        """Take what is there, and answer."""

    def decided(self, shown: dict[str, Any], delivery: str) -> str | None:
        """Write down what was handed over; gives the refusal."""
        self.handed.append(delivery)
        return self.says(delivery, shown["subject"]["birth_name"])

    async def away(self) -> None:
        """Have an outage."""
        self.is_away = True

    async def back(self) -> None:
        """The outage is over."""
        self.is_away = False

    async def claim(self, delivery: str) -> None:
        """Try to close a delivery by one's own way, whoever it is for."""


class Mailbox(End):
    way = "pull"

    async def turn(self) -> None:
        for each in (await self.recipient.done("GET", "/v1/mailbox?limit=1"))["deliveries"]:
            reason = self.decided(each["document"], each["id"])
            verb, body = ("nack", {"json": {"reason": reason}}) if reason else ("ack", {})
            await self.recipient.done("POST", f"/v1/mailbox/{each['id']}/{verb}", **body)


class Webhook(End):
    way, told = "webhook", "http_422"

    async def settings(self, stack: AsyncExitStack) -> dict[str, Any]:
        authority: Authority = self.world.authority
        self.receiver = Receiver(NAME, answer=self.answer)
        await stack.enter_async_context(receiving(self.receiver, authority.context(NAME)))
        await self.world.allow(self.recipient, self.receiver.port)
        return {"url": self.receiver.url}

    def answer(self, call: Call) -> Response:
        if self.is_away:
            return 503, {}, b""
        data = call.event["data"]
        return (422 if self.decided(data["document"], data["id"]) else 204), {}, b""


class Sftp(End):
    way = "sftp"

    async def settings(self, stack: AsyncExitStack) -> dict[str, Any]:
        self.depot: Depot = await stack.enter_async_context(depot_open(self.world.folder / self.recipient.client_id))
        await self.world.allow(self.recipient, self.depot.port)
        where = {"host": NAME, "port": self.depot.port, "directory": "depot"}
        return where | {"username": self.recipient.client_id, "host_key": self.depot.host_key}

    async def set(self, stack: AsyncExitStack, shown: dict[str, Any]) -> None:
        self.key = self.depot.keys[self.recipient.client_id] = shown["settings"]["public_key"]
        await super().set(stack, shown)

    async def turn(self) -> None:
        folder = self.depot.directory(self.recipient.client_id)
        for file in folder.glob("tdu-*.json"):
            with suppress(FileNotFoundError):
                document = orjson.loads(file.read_bytes())
                reason = self.decided(document, file.stem.removeprefix("tdu-"))
                file.unlink()
                (folder / f"{file.name}.{'nack' if reason else 'ack'}").write_text(reason or "")

    async def away(self) -> None:
        await super().away()
        self.depot.keys.clear()

    async def back(self) -> None:
        self.depot.keys[self.recipient.client_id] = self.key
        await super().back()

    async def claim(self, delivery: str) -> None:
        (self.depot.directory(self.recipient.client_id) / f"tdu-{delivery}.json.ack").touch()


class Amqp(End):
    way = "amqp"

    async def settings(self, stack: AsyncExitStack) -> dict[str, Any]:
        self.key = ECKey.generate_key("P-256")
        return {"key": self.key.as_dict(private=False)}

    async def set(self, stack: AsyncExitStack, shown: dict[str, Any]) -> None:
        connection = await stack.enter_async_context(await aio_pika.connect(self.world.amqp_url))
        channel = await stack.enter_async_context(connection.channel())
        self.owner = QueueOwner(self.key, channel, shown["settings"]["queue"], shown["settings"]["answers"])
        await self.recipient.done("POST", f"/v1/endpoints/{self.recipient.client_id}/test")
        stack.push_async_callback(self.owner.remove)
        await super().set(stack, shown)

    async def turn(self) -> None:
        if (message := await self.owner.take_now()) is None:
            return
        if message.type == "org.trait-dunion.delivery.v1":
            delivery = str(message.message_id)
            reason = self.decided(self.owner.read(message)["document"], delivery)
            answer = {"answer": "nack", "reason": reason} if reason else {"answer": "ack"}
            await self.owner.answer(answer | {"delivery": delivery})
        await message.ack()

    async def away(self) -> None:
        """Nobody reads the queue any more, and it is full."""
        await super().away()
        with suppress(aio_pika.exceptions.DeliveryError):
            while True:
                await self.owner.channel.default_exchange.publish(aio_pika.Message(b"full"), self.owner.queue)

    async def claim(self, delivery: str) -> None:
        await self.owner.answer({"delivery": delivery, "answer": "ack"})


ENDS: dict[str, type[End]] = {each.way: each for each in (Mailbox, Webhook, Sftp, Amqp)}


@pytest.fixture
async def end(
    request: pytest.FixtureRequest,
    world: Any,
    authority: Authority,
    amqp_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Callable[..., Any]]:
    """Make partners served one way: `await end(suspend_failures=2)`."""
    monkeypatch.setattr(amqp, "_MAX_LENGTH", 5)
    world.authority, world.amqp_url, world.folder = authority, amqp_url, tmp_path
    async with AsyncExitStack() as stack:

        async def make(**policy: int) -> End:
            made = ENDS[request.param](world)
            await made.open(stack, **policy)
            return made

        yield make


@ANY_WAY
async def test_what_is_accepted_is_handed_over_once_and_recorded(world: Any, end: Any) -> None:
    """Each delivery arrives under its own id, and its disclosure and its acknowledgement are events, in that order."""
    partner = await end()
    sent = [await world.send(partner.recipient) for _ in range(3)]
    for delivery in sent:
        await world.becomes(delivery, "acknowledged")
        events = [event.type.value for event in await world.events(delivery)]
        assert ["disclosure_made", "disclosure_acknowledged"] == events
    assert sorted(sent) == sorted(partner.handed)


@ANY_WAY
async def test_a_refusal_is_kept_with_its_reason_and_stops_nobody(world: Any, end: Any) -> None:
    """What a partner cannot take is set aside alone, with why; the others arrive."""
    partner, person = await end(), world.person()
    partner.says = lambda _delivery, name: "unreadable" if name == person["birth_name"] else None
    poison = await world.send(partner.recipient, person)
    for delivery in [await world.send(partner.recipient) for _ in range(2)]:
        await world.becomes(delivery, "acknowledged")
    await world.becomes(poison, "rejected")
    assert partner.told == (await world.row(poison)).last_error
    [last] = (await world.events(poison))[-1:]
    assert "disclosure_rejected" == last.type.value and partner.told == last.body["reason"]


@ANY_WAY
async def test_a_refusal_for_a_time_comes_again_under_the_same_id(world: Any, end: Any) -> None:
    """What is refused for a time is handed over again after its wait, and the id tells the partner that it is the same."""
    partner = await end(first_seconds=2, longest_seconds=2)
    partner.says = lambda delivery, _name: "temporary" if partner.handed.count(delivery) == 1 else None
    delivery = await world.send(partner.recipient)
    await world.becomes(delivery, "acknowledged")
    assert [delivery, delivery] == partner.handed
    events = await world.events(delivery)
    first, second = [event.occurred_at for event in events if event.type is EventType.DISCLOSURE_MADE]
    assert second - first >= timedelta(seconds=1), "a wait is drawn between half of it and the whole"


@ANY_WAY
async def test_about_one_person_nothing_overtakes(world: Any, end: Any) -> None:
    """A delivery that is refused for a time holds back the next about the same person, and nobody else's."""
    partner, person = await end(), world.person()
    partner.says = lambda delivery, _name: (
        "temporary" if partner.handed.count(first) <= 1 and delivery == first else None
    )
    await partner.away()
    first = await world.send(partner.recipient, person)
    second, other = await world.send(partner.recipient, person), await world.send(partner.recipient)
    await partner.back()
    for delivery in (first, second, other):
        await world.becomes(delivery, "acknowledged")
    order = partner.handed
    assert [first, first] == [each for each in order if each == first]
    assert order.index(second) > max(rank for rank, each in enumerate(order) if each == first)


@ANY_WAY
async def test_another_partner_can_neither_take_nor_close_it(world: Any, end: Any) -> None:
    """By its own way or over HTTP, what another answers about a delivery that is not its own changes nothing."""
    partner, other = await end(), await end()
    await partner.away()
    delivery = await world.send(partner.recipient)
    await _settled(world, delivery)
    await other.claim(delivery)
    for verb, body in (("ack", {}), ("nack", {"json": {"reason": "other"}})):
        await other.recipient.refused("POST", f"/v1/mailbox/{delivery}/{verb}", 404, **body)
    own = await world.send(other.recipient)
    await world.becomes(own, "acknowledged")  # its own answers are read, and the claim before them was too
    assert (await world.row(delivery)).state in ("available", "leased") and [own] == other.handed
    await partner.back()
    await world.becomes(delivery, "acknowledged")
    assert delivery in partner.handed


@ANY_WAY
async def test_an_outage_loses_nothing_and_sets_nothing_aside(world: Any, end: Any, eventually: Any) -> None:
    """
    While a partner is away what is for it waits; once it is back everything arrives.

    Only the first failure counts against a delivery: nobody knew yet that it was not to blame.
    """
    partner = await end()
    await world.becomes(await world.send(partner.recipient), "acknowledged")
    await partner.away()
    sent = [await world.send(partner.recipient) for _ in range(6)]
    if partner.way != "pull":
        await eventually(lambda: _failing(partner, times=2))
        assert (await _row_of_endpoint(world, partner)).next_attempt_at, "the next attempt is kept in the database"
    await partner.back()
    for delivery in sent:
        await world.becomes(delivery, "acknowledged")
    assert max([(await world.row(delivery)).refusals for delivery in sent]) <= 1 < POLICY["refusals"]
    assert set(sent) <= set(partner.handed)


@ANY_WAY
async def test_a_withdrawal_during_an_outage_stops_what_waits(world: Any, end: Any) -> None:
    """The gate is asked again before each handing over: what waits for a partner that is away does not leave any more."""
    partner, person = await end(), world.person()
    await partner.away()
    delivery = await world.send(partner.recipient, person)
    await _settled(world, delivery)
    await world.withdraw(person)
    await partner.back()
    await world.becomes(delivery, "stopped")
    assert delivery not in partner.handed


@PUSHED
async def test_a_system_that_only_fails_is_suspended_and_told(world: Any, end: Any, eventually: Any) -> None:
    """Often enough and for long enough by its policy: the ledger, the metrics and the partner know; resuming serves it again."""
    partner = await end(suspend_failures=2, suspend_minutes=0)
    await partner.away()
    delivery = await world.send(partner.recipient)
    path = f"/v1/endpoints/{partner.recipient.client_id}"

    async def suspended() -> bool:
        return bool((await partner.recipient.done("GET", path))["state"] == "suspended")

    await eventually(suspended)
    assert "available" == (await world.row(delivery)).state
    [change] = [body for body in await _changes(world) if body.get("client_id") == partner.recipient.client_id][-1:]
    assert "endpoint_suspended" == change["change"] and change["reason"]

    async def counted() -> bool:
        lines = (await world.http.get("/metrics")).text.splitlines()
        return any(line.startswith('tdu_endpoints{state="suspended"}') and not line.endswith(" 0.0") for line in lines)

    await eventually(counted)
    await partner.back()
    await partner.recipient.done("POST", f"{path}/resume")
    await world.becomes(delivery, "acknowledged")


async def _settled(world: Any, delivery: str) -> None:
    """Wait until the courier brought a delivery."""
    async with asyncio.timeout(20):
        while True:
            if (await world.row(delivery)).state != "queued":
                return
            await asyncio.sleep(0.05)


async def _failing(partner: End, times: int) -> bool:
    shown = await partner.recipient.done("GET", f"/v1/endpoints/{partner.recipient.client_id}")
    return bool(shown["failures_in_a_row"] >= times)


async def _row_of_endpoint(world: Any, partner: End) -> Any:
    query = sa.select(endpoints).where(endpoints.c.client_id == partner.recipient.client_id)
    async with world.runtime.services.database.read() as tx:
        return (await tx.execute(query)).one()


async def _changes(world: Any) -> list[dict[str, Any]]:
    """What the ledger says of the configuration, in order."""
    services = world.runtime.services
    query = (
        sa.select(ledger_events).where(ledger_events.c.type == "configuration_changed").order_by(ledger_events.c.seq)
    )
    async with services.database.read() as tx:
        rows = (await tx.execute(query)).all()
    opened = [Event.from_canonical(services.vault.own.open(row.sealed, place(row.id))) for row in rows]
    return [dict(event.body) for event in opened]
