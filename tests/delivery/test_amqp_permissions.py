"""
What the commands shown to the operator give a partner on the broker: to read its queue, to answer, and nothing else.
"""

from __future__ import annotations

import asyncio
import shlex
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import takewhile
from pathlib import Path
from typing import Any

import aio_pika
import pytest
from aiormq.exceptions import ChannelAccessRefused
from joserfc.jwk import ECKey

from gateway.delivery.amqp import AmqpTransport
from gateway.delivery.base import Endpoint, Result
from ops.faults.processes import KillableServer
from ops.services.queue_owner import QueueOwner
from ops.services.temporary import NotInstalled, install_debian_package

PARTNERS = {"departement": "99900002900010", "association": "99900003700013"}


@pytest.fixture
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KillableServer]:
    """A broker of our own, whose accounts may be changed."""
    folder = tmp_path_factory.mktemp("broker")
    shared = Path(tempfile.gettempdir())
    for above in takewhile(lambda each: each != shared, (folder, *folder.parents)):
        above.chmod(0o755)  # its account must reach it
    try:
        server = KillableServer.rabbitmq(folder)
    except NotInstalled:
        install_debian_package("rabbitmq-server")
        server = KillableServer.rabbitmq(folder)
    server.start()
    yield server
    server.close()


def test_a_partner_reads_its_queue_answers_and_can_do_nothing_else(broker: KillableServer) -> None:
    """With its own credentials it takes and answers; another's names, new names and deletions are refused by the broker."""
    asyncio.run(_tried(broker))


async def _tried(broker: KillableServer) -> None:
    transport = AmqpTransport(broker.url, "tdu", "https://passerelle.example", lambda: datetime.now(UTC))
    key = ECKey.generate_key("P-256")
    served: dict[str, Endpoint] = {}
    for client_id, siret in PARTNERS.items():
        asked = {"key": key.as_dict(private=False)}
        made = transport.configure(asked, Endpoint(client_id, siret, "shared-json", "pull"))
        served[client_id] = Endpoint(client_id, siret, "shared-json", "amqp", settings=made.settings)
        add, permit = (shlex.split(command)[1:] for command in made.shown["commands"])
        await asyncio.to_thread(broker.control, *add, "secret")
        await asyncio.to_thread(broker.control, *permit)
        assert Result.TAKEN is (await transport.test(served[client_id])).result
    mine, other = served["departement"].settings, served["association"].settings
    url = broker.url.replace("guest:guest", "departement:secret")
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        owner = QueueOwner(key, channel, mine["queue"], mine["answers"])
        message = await owner.take()
        assert "departement" == owner.read(message)["client_id"]
        await message.ack()
        await owner.answer({"delivery": "d1", "answer": "ack"})
        for attempt in (_take, _purge, _delete, _answer, _declare):
            channel = await connection.channel()
            with pytest.raises(ChannelAccessRefused):
                await attempt(channel, other)
        for attempt in (_delete, _publish_to):
            channel = await connection.channel()
            with pytest.raises(ChannelAccessRefused):
                await attempt(channel, mine)
    assert ["d1"] == [answer.about for answer in await transport.collect(served["departement"])]
    assert [] == list(await transport.collect(served["association"]))
    await transport.close()


async def _take(channel: Any, names: Any) -> None:
    await (await channel.get_queue(names["queue"], ensure=False)).get(fail=False)


async def _purge(channel: Any, names: Any) -> None:
    await (await channel.get_queue(names["queue"], ensure=False)).purge()


async def _delete(channel: Any, names: Any) -> None:
    await channel.queue_delete(names["queue"])


async def _answer(channel: Any, names: Any) -> None:
    exchange = await channel.get_exchange(names["answers"], ensure=False)
    await exchange.publish(aio_pika.Message(b"{}"), routing_key="")


async def _publish_to(channel: Any, names: Any) -> None:
    await channel.default_exchange.publish(aio_pika.Message(b"{}"), names["queue"])


async def _declare(channel: Any, _names: Any) -> None:
    await channel.declare_queue("tdu.partner.departement.more")
