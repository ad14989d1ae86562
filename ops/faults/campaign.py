"""
A campaign: under load, break one thing after another at random moments, and count at the end from outside.

Each phase has a number of rounds; how far each is stands in `progress.json` after every round, so that a campaign that was
stopped goes on. A round ends when an exchange sent after the fault is in its recipient's hands; that time is its recovery.
"""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import FrameType
from typing import Any, Final, NoReturn

from ops.faults.accounts import accounts
from ops.faults.partners import CAF, Load, take_mailbox
from ops.faults.processes import KillableServer
from ops.faults.progress import Progress
from ops.faults.proxy import Fault, FaultProxy
from ops.faults.soak import soaked
from ops.faults.territory import CALLED, MAILBOX, OUTAGE, ROLES, Territory, opened

SENDERS: Final = 4
FAULTS: Final = ("blackhole", "half_ack", "reset", "refuse", "delay")
_COLD_ONE_IN: Final = 20
_POISON: Final = "Toxique"
_DRAIN_SECONDS: Final = 420
_AT_ONCE: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a campaign does: rounds of each phase, seconds of each outage, documents a second."""

    servers: bool
    kills: int = 0
    kills_all: int = 0
    """Kills of the embedded form: one process for everything."""
    server_kills: int = 0
    fault_runs: int = 0
    store_outage: float = 0
    webhook_outage: float = 0
    poison_among: int = 0
    soak_minutes: float = 0
    documents: int = 0
    """The load goes on until so many exchanges are promised."""
    rate: float = 40

    @property
    def command(self) -> str:
        """The command that asks for this plan."""
        asked = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "servers"}
        options = [f"--{name.replace('_', '-')} {value:g}" for name, value in asked.items() if value]
        return " ".join(["tdu faults campaign", "postgresql" if self.servers else "sqlite", "FOLDER", *options])


def run(folder: Path, plan: Plan, say: Callable[[str], None]) -> dict[str, Any]:
    """Run a campaign in `folder`, or go on with the one that is there; gives its accounts."""
    folder.mkdir(parents=True, exist_ok=True)
    progress = Progress(folder)
    progress.began_again(plan.command)
    signal.signal(signal.SIGTERM, _leave)
    servers: dict[str, KillableServer] = {}
    try:
        if plan.servers:
            servers["postgresql"] = KillableServer.postgresql(folder / "postgresql")
            servers["rabbitmq"] = KillableServer.rabbitmq(folder / "rabbitmq")
            progress.note("versions", {name: server.start() for name, server in servers.items()})
        return asyncio.run(_Campaign(folder, plan, progress, say, servers).run())
    finally:
        for server in servers.values():
            server.close()


def _leave(_signal: int, _frame: FrameType | None) -> NoReturn:
    """Asked to end: what runs is stopped on the way out, and the folder goes on another time."""
    raise SystemExit(128 + signal.SIGTERM)


@dataclass(slots=True)
class _Campaign:
    folder: Path
    plan: Plan
    progress: Progress
    say: Callable[[str], None]
    servers: dict[str, KillableServer]
    territory: Territory = field(init=False)
    load: Load = field(init=False)
    poisoned: set[str] = field(default_factory=set)

    async def run(self) -> dict[str, Any]:
        addresses = {name: server.url for name, server in self.servers.items()}
        self.poisoned = set(self.progress.notes.get("poisoned", ()))
        counted: dict[str, Any] = {}
        embedded = self.plan.kills_all > self.progress.done("kill_all")
        if embedded:
            async with opened(self.folder, addresses, ("all",)) as self.territory:
                counted = await self._under_load([self._kill_all])
        several = (
            self._kills,
            self._server_kills,
            self._hop_faults,
            self._store_outage,
            self._poison,
            self._soak,
            self._documents,
        )
        if not embedded or self.plan.kills or self.plan.soak_minutes:
            async with opened(self.folder, addresses, ROLES) as self.territory:
                counted = await self._under_load(several, self._webhook_outage)
        self.progress.note("accounts", counted)
        return counted

    async def _under_load(
        self,
        phases: Sequence[Callable[[], Coroutine[Any, Any, None]]],
        beside: Callable[[], Coroutine[Any, Any, None]] | None = None,
    ) -> dict[str, Any]:
        """Go through the phases while the partners work, then let everything arrive, and count."""
        territory, journal = self.territory, self.territory.journal
        for called in territory.called.values():
            called.refuses = _is_poison
        sending, taking = asyncio.Event(), asyncio.Event()
        self.load = Load(territory.clients[CAF], journal, MAILBOX, (CALLED, OUTAGE), self.plan.rate / SENDERS)
        senders = [asyncio.create_task(self.load.run(sending)) for _ in range(SENDERS)]
        taker = asyncio.create_task(take_mailbox(territory.clients[MAILBOX], MAILBOX, journal, taking))
        watch = asyncio.create_task(self._restart_the_dead())
        aside = asyncio.create_task(beside()) if beside else None
        for phase in phases:
            await _checked(phase(), [*senders, taker, watch])
        if aside is not None:
            await aside
        sending.set()
        await asyncio.gather(*senders)
        self.say("tout doit arriver / everything must arrive")
        await journal.arrived(journal.promised.keys() - self.poisoned, _DRAIN_SECONDS)
        await asyncio.sleep(3)  # the sequencer publishes within a second
        taking.set()
        await taker
        watch.cancel()
        return await accounts(territory, self.folder, self.poisoned)

    async def _restart_the_dead(self) -> None:
        """As a supervisor does: a process that ended by itself is started again, and that is told."""
        while True:
            await asyncio.sleep(0.5)
            for role in self.territory.processes.dead():
                ended = self.progress.notes.setdefault("ended_by_themselves", {})
                ended[role] = ended.get(role, 0) + 1
                self.territory.processes.start(role)

    async def _kill_all(self) -> None:
        await self._kill_rounds("kill_all", ("all",), self.plan.kills_all)

    async def _kills(self) -> None:
        await self._kill_rounds("kill", ("api", "relay", "courier", "sequencer"), self.plan.kills)

    async def _kill_rounds(self, phase: str, roles: Sequence[str], count: int) -> None:
        processes = self.territory.processes
        for number in range(self.progress.done(phase), count):
            role, cold = roles[number % len(roles)], number % _COLD_ONE_IN == 0
            await asyncio.sleep(random.uniform(0.1, 1.0))
            began = time.monotonic()
            processes.kill(role)
            processes.start(role, cold=cold)
            recovery = await self._recovered(MAILBOX, began)
            self._over(phase, f"{role}{', cold start' if cold else ''}", recovery)

    async def _server_kills(self) -> None:
        for number in range(self.progress.done("server"), 2 * self.plan.server_kills):
            name = ("rabbitmq", "postgresql")[number % 2]
            await asyncio.sleep(random.uniform(0.1, 1.0))
            began = time.monotonic()
            await self._server_restarted(name, 0)
            self._over("server", name, await self._recovered(MAILBOX, began))

    async def _server_restarted(self, name: str, away: float) -> None:
        server = self.servers[name]
        server.kill()
        await asyncio.sleep(away)
        await server.start_again()

    async def _hop_faults(self) -> None:
        rounds = [(hop, fault) for hop in self.territory.hops for fault in FAULTS for _ in range(self.plan.fault_runs)]
        for hop, fault in rounds[self.progress.done("hop") :]:
            proxy = self.territory.hops[hop]
            await _broken(proxy, fault, random.uniform(0.5, 2.0))
            began = time.monotonic()
            to = CALLED if hop == "courier→partner" else MAILBOX
            self._over("hop", f"{hop} {fault}", await self._recovered(to, began))

    async def _store_outage(self) -> None:
        if not self.plan.store_outage or self.progress.done("store_outage"):
            return
        began = time.monotonic() + self.plan.store_outage
        await self._server_restarted("postgresql", self.plan.store_outage)
        recovery = await self._recovered(MAILBOX, began)
        self._over("store_outage", f"{self.plan.store_outage:g} s", recovery)

    async def _webhook_outage(self) -> None:
        if not self.plan.webhook_outage or self.progress.done("webhook_outage"):
            return
        called = self.territory.called[OUTAGE]
        called.away = True
        await asyncio.sleep(self.plan.webhook_outage)
        called.away = False
        began = time.monotonic()
        waiting = len(self.territory.journal.missing(OUTAGE))
        self.progress.note("webhook_outage", {"calls_refused": called.calls_while_away, "waiting_at_its_end": waiting})
        recovery = await self._recovered(OUTAGE, began, patience=_DRAIN_SECONDS)
        self._over("webhook_outage", f"{self.plan.webhook_outage:g} s", recovery)

    async def _poison(self) -> None:
        """One referral that its recipient always refuses, among many that it takes."""
        among = self.plan.poison_among
        if not among or self.progress.done("poison"):
            return
        subject = {"birth_name": "Poison", "given_names": [_POISON], "birth_date": "1980-05-17", "sex": "male"}
        sent = set(await self.load.single(CALLED, subject=subject))
        self.poisoned |= sent
        self.progress.note("poisoned", sorted(self.poisoned))
        while len(sent) < among:
            some = (self.load.single(CALLED) for _ in range(min(_AT_ONCE, among - len(sent))))
            sent.update(*await asyncio.gather(*some))
        journal = self.territory.journal
        await journal.arrived(sent - self.poisoned, _DRAIN_SECONDS)
        self.progress.note(
            "poison", {"sent": len(sent), "received": sum(1 for each in sent if each in journal.received)}
        )
        self._over("poison", f"1 among {among}", 0.0)

    async def _soak(self) -> None:
        if self.plan.soak_minutes and "soak" not in self.progress.notes:
            self.say(f"endurance : {self.plan.soak_minutes:g} min")
            self.progress.note("soak", await soaked(self.territory, self.plan.soak_minutes, self._any_fault))

    async def _any_fault(self) -> None:
        hop = random.choice(sorted(self.territory.hops))
        fault = random.choice(FAULTS)
        await _broken(self.territory.hops[hop], fault, random.uniform(0.5, 2.0))
        began = time.monotonic()
        to = CALLED if hop == "courier→partner" else MAILBOX
        self._over("soak_fault", f"{hop} {fault}", await self._recovered(to, began))

    async def _documents(self) -> None:
        while True:
            if len(self.territory.journal.promised) >= self.plan.documents:
                return
            await asyncio.sleep(1)

    async def _recovered(self, to: str, began: float, patience: float = 120) -> float | None:
        """What `Journal.recovered` gives, of an exchange sent now: the load, at its own pace, may send its next one much later."""
        sending = asyncio.create_task(self.load.single(to))
        recovery = await self.territory.journal.recovered(to, began, patience)
        await sending
        return recovery

    def _over(self, phase: str, kind: str, recovery: float | None) -> None:
        self.progress.notes["promised"] = len(self.territory.journal.promised)
        self.progress.add(phase, kind, recovery)
        told = "non" if recovery is None else f"{recovery:.1f} s"
        self.say(f"{phase} {kind}: {told} ({self.progress.done(phase)}, {len(self.territory.journal.promised)} promis)")


async def _broken(proxy: FaultProxy, fault: str, seconds: float) -> None:
    """Break a hop for a time."""
    if fault == "reset":
        proxy.cut()
        proxy.cut_after(random.randrange(1, 5_000))
    elif fault == "delay":
        proxy.delay(random.uniform(0.05, 0.2))
    else:
        proxy.fault(Fault[fault.upper()])
    await asyncio.sleep(seconds)
    proxy.heal()


def _is_poison(data: dict[str, Any]) -> bool:
    return bool(data["document"]["subject"].get("given_names") == [_POISON])


async def _checked(work: Awaitable[Any], beside: Sequence[asyncio.Task[None]]) -> None:
    """Do something, unless a task that must run all along died; its error is then raised."""
    task = asyncio.ensure_future(work)
    await asyncio.wait({task, *beside}, return_when=asyncio.FIRST_COMPLETED)
    for each in beside:
        if each.done():
            task.cancel()
            each.result()
    await task
