"""
The territory of a campaign: a gateway of several processes, its partners registered and under convention, and a proxy on each hop.

    CAF ─(client→api)─► api ─(api→db)─► database
                        relay ─(relay→broker)─► RabbitMQ ─► courier ─(courier→partner)─► a partner's HTTPS server
    département ─(client→api)─► its mailbox

On SQLite there is neither server nor their two hops. Everything is kept in one folder: the same territory starts again from it.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from ops.demo.gateway_process import GatewayProcess, free_port
from ops.demo.partner import Partner
from ops.faults.journal import Journal
from ops.faults.partners import CAF, Called, Client, listening
from ops.faults.processes import Processes
from ops.faults.proxy import FaultProxy
from ops.services.authority import Authority

MAILBOX: Final = "99900002900010"
"""The partner that takes its mailbox."""
CALLED: Final = "99900003700013"
"""The partner that is called through a proxy, and tried again quickly."""
OUTAGE: Final = "99900004500016"
"""The partner that is called by the default policy, and has outages."""
_CLIENTS: Final = {CAF: "campagne-caf", MAILBOX: "campagne-boite", CALLED: "campagne-appel", OUTAGE: "campagne-panne"}
_POLICIES: Final = {CALLED: {"first_seconds": 1, "longest_seconds": 4}, OUTAGE: {"refusals": 3}}
ROLES: Final = ("api", "relay", "courier", "sequencer", "keeper")
LEASE_SECONDS: Final = 10
_HERE: Final = "127.0.0.1"
_PORTS: Final = {"postgresql": 5432, "amqp": 5672}


@dataclass(slots=True)
class Territory:
    """
    Everything that a campaign has in its hands. In the production form, `hops` has all four, and `addresses` says where the servers are.
    """

    gateway: GatewayProcess
    processes: Processes
    clients: Mapping[str, Client]
    called: Mapping[str, Called]
    hops: Mapping[str, FaultProxy]
    addresses: Mapping[str, str]
    journal: Journal
    http: httpx.AsyncClient
    authority: Authority


@asynccontextmanager
async def opened(
    folder: Path, addresses: Mapping[str, str], roles: tuple[str, ...], prefix: str = "tdu"
) -> AsyncIterator[Territory]:
    """
    Open the territory kept in `folder`, made if it is not there. Its processes end with the block.

    `addresses` are those of servers that run already: `postgresql` and `rabbitmq`, or none for the embedded form. `prefix` sets its
    queues apart from others' on a broker that is not its own.
    """
    state = _State(folder)
    journal = Journal(folder)
    authority = Authority(folder)
    async with AsyncExitStack() as stack:
        context = authority.context("127.0.0.1")
        called = {
            siret: await stack.enter_async_context(listening(Called(siret, journal), context))
            for siret in (CALLED, OUTAGE)
        }
        hops = await _hops(stack, state.port, called[CALLED].port, addresses)
        environment = _environment(folder, state.port, authority.file) | {"TDU_BUS_PREFIX": prefix}
        environments = {role: environment | _servers_of(role, addresses, hops) for role in roles}
        processes = Processes(environments, folder)
        stack.callback(processes.close)
        http = await stack.enter_async_context(httpx.AsyncClient(limits=httpx.Limits(max_connections=None)))
        address = f"http://127.0.0.1:{state.port}"
        url = addresses.get("postgresql", f"sqlite+aiosqlite:///{folder / 'data' / 'trait-dunion.sqlite'}")
        outside = environment | _servers_of("", addresses, hops)
        gateway = GatewayProcess(address, outside, url, folder / "gateway.log")
        _must(await asyncio.to_thread(gateway.command, "init"))  # the code may be newer than the folder
        for role in roles:
            processes.start(role, cold=True)
        await _ready(http, address)
        proxied = f"http://127.0.0.1:{hops['client→api'].port}"
        if not state.pems:
            state.keep(await _register(gateway, http))
        clients = {
            siret: Client(address, proxied, _CLIENTS[siret], pem.encode(), http) for siret, pem in state.pems.items()
        }
        ports = {CALLED: hops["courier→partner"].port, OUTAGE: called[OUTAGE].port}
        for siret, port in ports.items():
            await _set_endpoint(gateway, clients[siret], port, _POLICIES[siret])
        yield Territory(gateway, processes, clients, called, hops, addresses, journal, http, authority)


class _State:
    """What is made once: the port of the API, which is in the log's name, and the partners' keys."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "state.json"
        kept: dict[str, Any] = {"port": free_port(), "pems": {}}
        if self._file.exists():
            kept = json.loads(self._file.read_text())
        self.port: int = kept["port"]
        self.pems: dict[str, str] = kept["pems"]

    def keep(self, pems: dict[str, str]) -> None:
        self.pems = pems
        self._file.write_text(json.dumps({"port": self.port, "pems": pems}))


async def _hops(stack: AsyncExitStack, api: int, partner: int, addresses: Mapping[str, str]) -> dict[str, FaultProxy]:
    places = {"client→api": (_HERE, api), "courier→partner": (_HERE, partner)}
    if addresses:
        places |= {"api→db": _place(addresses["postgresql"]), "relay→broker": _place(addresses["rabbitmq"])}
    return {name: await stack.enter_async_context(FaultProxy(*place)) for name, place in places.items()}


def _place(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or _HERE, parts.port or _PORTS[parts.scheme.partition("+")[0]]


def _through(url: str, proxy: FaultProxy) -> str:
    """The address of a server, with its proxy in the server's place."""
    parts = urlsplit(url)
    user, at, _ = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{user}{at}{_HERE}:{proxy.port}").geturl()


def _environment(folder: Path, port: int, authorities: Path) -> dict[str, str]:
    outside = {name: value for name, value in os.environ.items() if not name.startswith("TDU_")}
    unlimited = {f"TDU_LIMIT_{kind}": "" for kind in ("TOKENS", "REQUESTS", "BYTES", "SUBJECTS")}
    return (
        outside
        | unlimited
        | {
            "TDU_DATA_DIR": str(folder / "data"),
            "TDU_ISSUER": f"http://127.0.0.1:{port}",
            "TDU_PORT": str(port),
            "TDU_LOG_LEVEL": "warning",
            "TDU_LEASE_SECONDS": str(LEASE_SECONDS),
            "TDU_OUTGOING_CA_FILE": str(authorities),
        }
    )


def _servers_of(role: str, addresses: Mapping[str, str], hops: Mapping[str, FaultProxy]) -> dict[str, str]:
    """Where a role finds the servers: the API its database, the relay its broker, through their proxies."""
    found = {} if role in ("api", "all", "") else {"TDU_PORT": str(free_port())}
    if not addresses:
        return found
    database, broker = addresses["postgresql"], addresses["rabbitmq"]
    if role == "api":
        database = _through(database, hops["api→db"])
    if role == "relay":
        broker = _through(broker, hops["relay→broker"])
    return found | {"TDU_DATABASE_URL": database, "TDU_BUS_URL": broker}


async def _ready(http: httpx.AsyncClient, address: str) -> None:
    async with asyncio.timeout(180):
        while True:
            try:
                if (await http.get(f"{address}/readyz", timeout=5)).status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            await asyncio.sleep(0.2)


async def _register(gateway: GatewayProcess, http: httpx.AsyncClient) -> dict[str, str]:
    """Register every partner, and put a convention in force between the CAF and each other one."""
    partners = {
        siret: await Partner.registered(gateway, http, siret, client_id, client_id, "shared-json")
        for siret, client_id in _CLIENTS.items()
    }
    model = (files("consent") / "models" / "tznr-caf-departement.yaml").read_text(encoding="utf-8")
    model = model.replace("categories: [identity, nir,", "categories: [attachments, identity, nir,", 1)
    for siret in (MAILBOX, CALLED, OUTAGE):
        text = model.replace(MAILBOX, siret).replace("tznr-valombre-caf-departement", f"campagne-{siret}").encode()
        await partners[CAF].propose(text)
        for party in (CAF, siret):
            await partners[party].sign(text)
    return {siret: partner.pem.decode() for siret, partner in partners.items()}


async def _set_endpoint(gateway: GatewayProcess, client: Client, port: int, policy: dict[str, int]) -> None:
    allow = ("system", "endpoint", "allow", client.client_id, "--network", "127.0.0.0/8", "--port", str(port))
    _must(await asyncio.to_thread(gateway.command, *allow))
    settings = {"url": f"https://127.0.0.1:{port}/recevoir"}
    body = {"transport": "webhook", "settings": settings, "policy": policy}
    answer = await client.insist(
        "PUT", f"/v1/endpoints/{client.client_id}", content=json.dumps(body).encode(), Content_Type="application/json"
    )
    if answer.status_code != 200:
        raise RuntimeError(f"an endpoint could not be set: {answer.text[:300]}")


def _must(done: Any) -> None:
    if done.returncode:
        raise RuntimeError(f"a command failed: {done.stderr[-500:]}")
