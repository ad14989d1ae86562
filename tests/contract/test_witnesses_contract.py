"""What the witnesses change for a log, on SQLite and on PostgreSQL alike: real witnesses on real sockets, cut and started again."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
import uvicorn
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from consent.ledger.checkpoint import Checkpoint, open_checkpoint
from consent.ledger.event import Event, EventType, LedgerRecord, commit
from consent.ledger.mark import SequencerRefused
from consent.ledger.note import Cosigner, Signer
from consent.ledger.sequencer import Sequencer
from consent.ledger.store import Ledger
from consent.ledger.witness import SIZE_TYPE, Witness, origin_digest
from consent.ledger.witness_memory import SqliteMemory
from consent.verify import verify_receipt
from gateway.errors import Problem
from gateway.http.witness import create_witness_app
from gateway.quorum import Quorum
from gateway.store.database import Database
from gateway.witnessing import GRACE, Witnessing
from ops.migrations import migrate
from schemas import Kind

pytestmark = pytest.mark.anyio

SIGNER = Signer.from_seed("journal.valombre.example", bytes(range(32)))
ACTOR = "99900009400014"


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """An empty gateway's database of each kind."""
    database = Database(database_url)
    await migrate(database)
    yield database
    await database.close()


@asynccontextmanager
async def served(app: Starlette, port: int) -> AsyncIterator[None]:
    """Serve an application on a port of this machine until the block ends."""
    server = uvicorn.Server(
        uvicorn.Config(app, host="127.0.0.1", port=port, log_config=None, timeout_graceful_shutdown=1)
    )
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn gives nothing to wait for
        await asyncio.sleep(0.01)
    try:
        yield
    finally:
        server.should_exit = True
        await task


class Town:
    """A witness that may be cut off and come back, at one address and with one memory."""

    def __init__(self, number: int, folder: Path, log: Signer = SIGNER) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        cosigner = Cosigner(f"temoin.example/w{number}", Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32))
        self.key = cosigner.verifier
        self.memory = SqliteMemory(folder / f"witness-{number}.sqlite")
        self._app = create_witness_app(
            Witness(cosigner, [log.verifier], self.memory, lambda: int(time.time())), self.key.vkey
        )

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Answer until the block ends."""
        async with served(self._app, self.port):
            yield

    @property
    def size(self) -> int:
        """How many entries it has cosigned."""
        note = self.memory.last(SIGNER.name)
        return 0 if note is None else Checkpoint.parse(note)[0].size


class Running:
    """A sequencer with its witnesses, on a database, and the clock of its quorum."""

    def __init__(self, database: Database, folder: Path, towns: list[Town], quorum: str) -> None:
        lines = [f"witness w{i} {town.key.vkey} http://127.0.0.1:{town.port}/" for i, town in enumerate(towns)]
        policy = folder / f"policy-{uuid4().hex[:6]}"
        policy.write_text("\n".join([*lines, quorum, ""]))
        self.late = timedelta()
        self.database = database
        self.quorum = Quorum(database, policy, timedelta(hours=4), self.now)
        self.witnessing = Witnessing(database, self.quorum, SIGNER.verifier, self.now)
        self.sequencer = Sequencer(database.write, SIGNER, witnesses=self.witnessing, interval=0.05)

    def now(self) -> datetime:
        """The machine's time, and what the test adds to it."""
        return datetime.now(UTC) + self.late

    @asynccontextmanager
    async def going(self) -> AsyncIterator[asyncio.Task[None]]:
        """Run until the block ends."""
        stop = asyncio.Event()
        task = asyncio.create_task(self.witnessing.beside(self.sequencer, stop))
        try:
            yield task
        finally:
            stop.set()
            await asyncio.wait({task}, timeout=10)
            task.cancel()
            with suppress(asyncio.CancelledError, SequencerRefused):
                await task

    async def append(self, count: int = 1) -> str:
        """Record events; returns the id of the last."""
        records = []
        for _ in range(count):
            event = Event(str(uuid4()), EventType.CONTENT_READ, datetime.now(UTC), ACTOR)
            records.append(LedgerRecord(event, commit(event, UUID(event.id).bytes * 2), b"sealed"))
        async with self.database.write() as tx:
            await Ledger().append(tx, records)
        self.sequencer.nudge()
        return records[-1].event.id

    async def receipt(self, event_id: str) -> bytes | None:
        """The receipt of an event, once it is published."""
        async with self.database.read() as tx:
            return await Ledger().receipt(tx, event_id)

    async def published(self) -> Checkpoint | None:
        """What the outside sees."""
        async with self.database.read() as tx:
            return await Ledger().published(tx)

    async def away(self) -> timedelta:
        """For how long the quorum has been away, read anew."""
        self.quorum._fresh_until = 0
        return await self.quorum.away()


async def within(seconds: float, ask: Callable[[], Awaitable[Any]]) -> Any:
    """Ask until the answer is yes; fail when the time is over."""
    deadline = time.monotonic() + seconds
    while not (answer := await ask()):
        assert time.monotonic() < deadline, "not in time"
        await asyncio.sleep(0.02)
    return answer


async def test_receipts_bear_the_cosignatures_of_the_quorum(database: Database, tmp_path: Path) -> None:
    """Each receipt and the published head bear the lines of both witnesses, which verify for whoever trusts their keys."""
    towns = [Town(1, tmp_path), Town(2, tmp_path)]
    log = Running(database, tmp_path, towns, "group both all w0 w1\nquorum both")
    async with towns[0].open(), towns[1].open(), log.going():
        for count in (1, 300, 2):
            event = await log.append(count)
            receipt = await within(5, lambda event=event: log.receipt(event))
            report = verify_receipt(receipt, SIGNER.vkey, witnesses=[town.key.vkey for town in towns])
            assert (report.outcome, set(report.cosigned)) == ("valid", {town.key.name for town in towns})
            head = await log.published()
            assert head is not None
            assert open_checkpoint(head.note, SIGNER.verifier, [town.key for town in towns]).checkpoint == head
    assert [303, 303] == [town.size for town in towns]
    assert timedelta() == await log.away()


async def test_one_witness_away_delays_nothing_when_the_other_is_enough(database: Database, tmp_path: Path) -> None:
    """With one of two asked for, a dead witness neither holds a receipt back nor counts as an absence."""
    alive, dead = Town(1, tmp_path), Town(2, tmp_path)
    log = Running(database, tmp_path, [dead, alive], "group one any w0 w1\nquorum one")
    async with alive.open(), log.going():
        for _ in range(5):
            event = await log.append()
            receipt = await within(5, lambda event=event: log.receipt(event))
            assert [alive.key.name] == list(verify_receipt(receipt, SIGNER.vkey, witnesses=[alive.key.vkey]).cosigned)
        assert timedelta() == await log.away()


async def test_without_quorum_exchanges_go_on_then_close_and_open_again(
    database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """
    Four hours with an alarm, then nothing but notices; when the witness is back it cosigns what it missed and all is open.
    """
    caplog.set_level(logging.INFO)
    town = Town(1, tmp_path)
    log = Running(database, tmp_path, [town], "quorum w0")
    async with log.going():
        async with town.open():
            event = await log.append()
            await within(5, lambda: log.receipt(event))
        event = await log.append(3)
        receipt = await within(5 + GRACE, lambda: log.receipt(event))
        assert {} == verify_receipt(receipt, SIGNER.vkey, witnesses=[town.key.vkey]).cosigned
        assert "ledger.quorum_away" in caplog.messages
        log.late = timedelta(hours=3, minutes=59)
        assert timedelta(hours=3, minutes=58) < await log.away()
        await log.quorum.require()
        assert await log.quorum.open_to(None) is None
        log.late = timedelta(hours=4, seconds=1)
        with pytest.raises(Problem) as closed:
            await log.quorum.require()
        assert (503, "300") == (closed.value.status, closed.value.headers["Retry-After"])
        assert frozenset({Kind.CONSENT}) == await log.quorum.open_to(None)
        assert frozenset() == await log.quorum.open_to(frozenset({Kind.REFERRAL}))
        event = await log.append()
        await within(5, lambda: log.receipt(event))
        async with town.open():

            async def back() -> bool:
                return await log.away() == timedelta()

            await within(40, back)
            await log.quorum.require()

            async def told() -> bool:
                return "ledger.quorum_back" in caplog.messages

            await within(5, told)
            receipt = await log.receipt(event)
            assert receipt is not None
            assert [town.key.name] == list(verify_receipt(receipt, SIGNER.vkey, witnesses=[town.key.vkey]).cosigned)


async def test_a_new_policy_has_its_whole_period(database: Database, tmp_path: Path) -> None:
    """Heads signed before the first witness was ever asked do not close the exchanges at once."""
    before = Sequencer(database.write, SIGNER)
    log = Running(database, tmp_path, [Town(1, tmp_path)], "quorum w0")
    await log.append()
    await before.catch_up()
    log.late = timedelta(days=30)
    async with log.going():

        async def known() -> bool:
            return await log.away() < timedelta(minutes=1)

        await within(5, known)
        log.late += timedelta(hours=3)
        await log.quorum.require()
        log.late += timedelta(hours=1, minutes=1)
        with pytest.raises(Problem):
            log.quorum._fresh_until = 0
            await log.quorum.require()


async def test_a_restored_database_is_stopped_by_a_witness_before_it_signs(database: Database, tmp_path: Path) -> None:
    """Without any mark: the witness shows a later head that bears our own signature, and nothing is signed."""
    town = Town(1, tmp_path)
    copy = Database(f"sqlite+aiosqlite:///{tmp_path / 'copy.sqlite'}")
    await migrate(copy)
    async with town.open():
        log, restored = (Running(each, tmp_path, [town], "quorum w0") for each in (database, copy))
        async with log.going():
            event = await log.append(7)
            await within(5, lambda: log.receipt(event))
        await restored.append(3)
        async with restored.going() as task:
            with pytest.raises(SequencerRefused, match="7 ont déjà été signées"):
                await task
    async with copy.read() as tx:
        assert await Ledger().head(tx) is None
    await copy.close()


async def test_a_fork_signed_with_the_right_key_is_found_out_by_the_witness(database: Database, tmp_path: Path) -> None:
    """A second database signs another history while the witness is away: once it is back the fork stops, and is kept as evidence."""
    town = Town(1, tmp_path)
    copy = Database(f"sqlite+aiosqlite:///{tmp_path / 'copy.sqlite'}")
    await migrate(copy)
    log, fork = (Running(each, tmp_path, [town], "quorum w0") for each in (database, copy))
    async with town.open(), log.going():
        event = await log.append(7)
        await within(5, lambda: log.receipt(event))
    async with fork.going() as task:
        event = await fork.append(9)
        await within(5, lambda: fork.receipt(event))
        async with town.open():
            with pytest.raises(SequencerRefused, match="contredit les 7 entrées"):
                await asyncio.wait_for(asyncio.shield(task), 40)
    await copy.close()
    assert 7 == town.size
    assert [9] == [Checkpoint.parse(note)[0].size for note in town.memory.evidence(SIGNER.name)]


@pytest.mark.parametrize(
    "answer",
    [
        Response("999999\n", 409, media_type=SIZE_TYPE),
        Response("-1\n", 409, media_type=SIZE_TYPE),
        Response("", 200),
        Response(b"\xff" * 300_000, 200),
        Response("— autre.example AAAAAAA=\n", 200),
        Response("", 422),
        Response("", 500),
        Response("", 302, headers={"Location": "http://127.0.0.1:1/"}),
    ],
    ids=["a size beyond ours", "no size", "nothing", "noise", "another's line", "refusal", "error", "redirection"],
)
async def test_a_witness_that_answers_nonsense_stops_nothing(tmp_path: Path, answer: Response) -> None:
    """A witness can withhold its cosignature and nothing else: without a head that we signed its word stops no signature."""
    town = Town(1, tmp_path)

    async def reply(_request: Request) -> Response:
        return answer

    stranger = Checkpoint(SIGNER.name, 99, bytes(32)).signed(Signer.from_seed(SIGNER.name, bytes(32))).note

    async def latest(_request: Request) -> Response:
        return PlainTextResponse(stranger)

    app = Starlette(routes=[Route("/add-checkpoint", reply, methods=["POST"]), Route("/{digest}/checkpoint", latest)])
    database = Database(f"sqlite+aiosqlite:///{tmp_path / 'gateway.sqlite'}")
    await migrate(database)
    log = Running(database, tmp_path, [town], "quorum w0")
    async with served(app, town.port), log.going() as task:
        for _ in range(3):
            event = await log.append()
            receipt = await within(5, lambda event=event: log.receipt(event))
            assert {} == verify_receipt(receipt, SIGNER.vkey, witnesses=[town.key.vkey]).cosigned
        assert not task.done()
    await database.close()


async def test_a_witness_answers_over_http_as_the_protocol_says(tmp_path: Path) -> None:
    """Statuses, media types and the address of monitors, as a client that is not ours sees them."""
    town = Town(1, tmp_path)
    note = Checkpoint(SIGNER.name, 1, bytes(32)).signed(SIGNER).note
    async with town.open(), httpx.AsyncClient(base_url=f"http://127.0.0.1:{town.port}") as client:
        latest = f"/{origin_digest(SIGNER.name)}/checkpoint"
        assert 404 == (await client.get(latest)).status_code
        granted = await client.post("/add-checkpoint", content=b"old 0\n\n" + note)
        assert (200, note + granted.content) == (granted.status_code, (await client.get(latest)).content)
        conflict = await client.post("/add-checkpoint", content=b"old 0\n\n" + note)
        assert (409, SIZE_TYPE, "1\n") == (conflict.status_code, conflict.headers["content-type"], conflict.text)
        assert 400 == (await client.post("/add-checkpoint", content=b"what?")).status_code
        assert 413 == (await client.post("/add-checkpoint", content=b"x" * 300_000)).status_code
        assert 405 == (await client.get("/add-checkpoint")).status_code
        assert f"{town.key.vkey}\n" == (await client.get("/vkey")).text
