"""
HubEE and a courier whose process is killed (SIGKILL) between the steps that matter: no case lost, none taken twice, the hub told once.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from consent.tables import ledger_events
from gateway.store.database import Database, instant
from gateway.store.tables import attachments, deliveries, exchanges, quarantine, sources
from ops.faults.partners import CAF, Client
from ops.faults.territory import MAILBOX, Territory, opened
from ops.services.hub import Account, HubServer
from ops.services.hub_sender import FORM, file_case
from ops.services.receiver import Call, Response, receiving

MOMENTS = {
    "the hub never hears that the case was taken": ("PATCH", "/cases/", False),
    "the answer to that is never read": ("PATCH", "/cases/", True),
    "the hub never hears that the notification may go": ("DELETE", "/notifications/", False),
    "the answer to that is never read either": ("DELETE", "/notifications/", True),
}
"""The call of the hub at which the process dies, and whether the hub hears it first; the document is committed before all of these."""


@dataclass
class Deadly:
    """The hub, which kills the process that calls it at the call that is asked for, once."""

    hub: HubServer
    territory: Territory
    moment: tuple[str, str, bool] | None = None
    killed: asyncio.Event = field(default_factory=asyncio.Event)

    def answer(self, call: Call) -> Response:
        """Answer as the hub does, or not at all."""
        if self.moment is None or call.method != self.moment[0] or self.moment[1] not in call.path:
            return self.hub.answer(call)
        heard, self.moment = self.moment[2], None
        if heard:
            assert self.hub.answer(call)[0] < 300
        self.territory.processes.kill("courier")
        self.killed.set()
        raise ConnectionError("nobody is there to read an answer")

    async def dies(self, moment: tuple[str, str, bool]) -> None:
        """Wait until the process died at a moment."""
        self.killed.clear()
        self.moment = moment
        await asyncio.wait_for(self.killed.wait(), 60)


@pytest.mark.timeout(600)
def test_each_case_is_taken_once_whenever_the_collector_dies(tmp_path: Path, territory_servers: dict[str, Any]) -> None:
    """Killed with a case in its hands, before and after it is committed, the process that comes after leaves neither a gap nor a double."""
    asyncio.run(_collected(tmp_path, territory_servers))


async def _collected(folder: Path, servers: dict[str, Any]) -> None:
    async with _with_hub(folder, servers) as (territory, deadly, database):
        hub, cases = deadly.hub, list[str]()
        await _asked_for(territory, hub, folder)

        cases.append(await _killed_before_the_commit(territory, deadly, database))
        assert not await _referrals(database), "nothing of it is recorded yet"
        await _taken_by_the_next(territory, hub, database)
        for moment in MOMENTS.values():
            cases.append(file_case(hub, CAF, _person()))
            await deadly.dies(moment)
            assert len(cases) == len(await _referrals(database)), "it is recorded already"
            await _taken_by_the_next(territory, hub, database)

        assert ["SI_RECEIVED"] * len(cases) == [hub.cases[each]["status"] for each in cases]
        await _everything_once(database, len(cases))
        received = await _mailbox(territory.clients[MAILBOX], len(cases))
        assert {1} == set(received.values()) and len(cases) == len(received)


@asynccontextmanager
async def _with_hub(folder: Path, servers: dict[str, Any]) -> AsyncIterator[tuple[Territory, Deadly, Database]]:
    async with AsyncExitStack() as stack:
        territory = await stack.enter_async_context(opened(folder, roles=("api", "relay", "courier"), **servers))
        deadly = Deadly(HubServer("127.0.0.1"), territory)
        deadly.hub.receiver.answer = deadly.answer
        context = territory.authority.context("127.0.0.1")
        await stack.enter_async_context(receiving(deadly.hub.receiver, context))
        database = Database(territory.gateway.database)
        stack.push_async_callback(database.close)
        yield territory, deadly, database


async def _asked_for(territory: Territory, hub: HubServer, folder: Path) -> None:
    """The CAF's cases are fetched from the hub every second, as the operator sets it."""
    account = Account("compte-caf", uuid.uuid4().hex, "SI", (CAF,))
    hub.accounts.append(account)
    (folder / "secret").write_text(account.secret)
    settings = {"api_url": hub.url, "token_url": f"{hub.url}/token", "client_id": account.client_id}
    settings |= {"role": "SI", "processes": FORM, "every_seconds": "1"}
    await _allow(territory, CAF, hub)
    words = [word for name, value in settings.items() for word in ("--setting", f"{name}={value}")]
    client = territory.clients[CAF].client_id
    secret = ("--secret", f"client_secret={folder / 'secret'}")
    await _command(territory, "system", "source", "add", client, "hubee", *words, *secret)


async def _allow(territory: Territory, siret: str, hub: HubServer) -> None:
    where = ("--network", "127.0.0.0/8", "--port", str(hub.receiver.port))
    await _command(territory, "system", "endpoint", "allow", territory.clients[siret].client_id, *where)


async def _command(territory: Territory, *words: str) -> None:
    done = await asyncio.to_thread(territory.gateway.command, *words)
    assert 0 == done.returncode, done.stderr


async def _killed_before_the_commit(territory: Territory, deadly: Deadly, database: Database) -> str:
    """
    Kill the process once it downloaded a case whole and cannot record it: the database is held meanwhile.

    SQLite has one write lock; on PostgreSQL the process is seen to wait for the table.
    """
    asked, receiver = 0, deadly.hub.receiver
    async with AsyncExitStack() as held:
        downloaded = asyncio.Event()

        async def before(call: Call) -> None:
            nonlocal asked
            asked += call.method == "GET" and "/attachments/" in call.path
            if asked == 2 and not downloaded.is_set():
                tx = await held.enter_async_context(database.write())
                if database.dialect == "postgresql":
                    await tx.execute(sa.text("LOCK TABLE exchanges IN EXCLUSIVE MODE"))
                downloaded.set()

        receiver.before = before
        case = file_case(deadly.hub, CAF, _person())
        await asyncio.wait_for(downloaded.wait(), 60)
        if database.dialect == "postgresql":
            await _waits(database)
        else:
            await asyncio.sleep(1)
        territory.processes.kill("courier")
        receiver.before = None
    return case


async def _waits(database: Database) -> None:
    query = sa.text("SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'exchanges'::regclass")
    async with asyncio.timeout(60):
        while True:
            async with database.read() as tx:
                if (await tx.execute(query)).scalar_one():
                    return
            await asyncio.sleep(0.05)


async def _taken_by_the_next(territory: Territory, hub: HubServer, database: Database) -> None:
    """Start another process once the hold of the dead one ends, which is brought forward here; wait until the hub has nothing left."""
    async with database.write() as tx:
        [held] = (await tx.execute(sa.select(sources.c.held_until))).scalars()
        assert held > instant(datetime.now(UTC)), "the one that died still holds it"
        await tx.execute(sa.update(sources).values(held_until=None))
    territory.processes.start("courier")
    async with asyncio.timeout(60):
        while True:
            if not hub.notifications and await _at_rest(database):
                return
            await asyncio.sleep(0.05)


async def _at_rest(database: Database) -> bool:
    """Whether the source was asked to its end: it is not held any more."""
    async with database.read() as tx:
        return (await tx.execute(sa.select(sources.c.held_until))).scalar() is None


async def _referrals(database: Database) -> list[str]:
    query = sa.select(exchanges.c.document_id).where(exchanges.c.sender == CAF, exchanges.c.kind == "referral")
    async with database.read() as tx:
        return list((await tx.execute(query)).scalars())


async def _everything_once(database: Database, cases: int) -> None:
    """One exchange, one event, one file and one delivery a recipient for each case; nothing was set aside, nothing failed."""
    accepted = sa.select(ledger_events.c.exchange_id).where(ledger_events.c.type == "exchange_accepted")
    async with database.read() as tx:
        once = [
            Counter((await tx.execute(query)).scalars())
            for query in (accepted, sa.select(attachments.c.exchange_id), sa.select(exchanges.c.document_id))
        ]
        sent = (await tx.execute(sa.select(deliveries.c.exchange_id, deliveries.c.recipient))).all()
        assert not (await tx.execute(sa.select(quarantine.c.id))).all()
        assert [None] == (await tx.execute(sa.select(sources.c.last_error))).scalars().all()
    for found in once:
        assert {1} == set(found.values()) and cases == len(found)
    assert len(sent) == len(set(sent)) == 3 * cases


async def _mailbox(recipient: Client, cases: int) -> Counter[str]:
    """Take a mailbox until everything came, and once more; gives the documents by how often they came."""
    documents: Counter[str] = Counter()
    last = False
    while not last:
        last = documents.total() >= cases
        taken = (await recipient.insist("GET", f"/v1/mailbox?limit=100&wait={1 if last else 5}")).json()
        documents.update(each["document_id"] for each in taken["deliveries"])
        if taken["deliveries"]:
            path = f"/v1/mailbox/{taken['lease']}/ack"
            answer = await recipient.insist(
                "POST", path, content=json.dumps({}).encode(), Content_Type="application/json"
            )
            assert 200 == answer.status_code, answer.text
    return documents


def _person() -> dict[str, Any]:
    """Somebody nobody knows yet."""
    return {"birth_name": f"Personne{uuid.uuid4().hex[:12]}", "birth_date": "1980-05-17"}
