"""
Dora and i-Milo, asked as their clients over HTTPS: a cursor that loses nothing, events acknowledged once their content is durable.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import sqlalchemy as sa

from gateway.sources import store
from gateway.store.tables import deliveries, exchanges, quarantine
from ops.services.authority import Authority
from ops.services.receiver import Call, Receiver, Response, receiving

pytestmark = pytest.mark.anyio

NAME = "partenaire.valombre.example"


@dataclass
class Dora:
    """What Dora answers: every row changed since the bound, which is included, two a page, newest first."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    asked: list[dict[str, list[str]]] = field(default_factory=list)
    pause: str = ""

    def answer(self, call: Call) -> Response:
        """Answer one call."""
        where = urlsplit(call.path)
        query = parse_qs(where.query)
        if call.headers.get("authorization") != "Token jeton-de-dora":
            return 401, {}, b"{}"
        if self.pause:
            return 429, {"Retry-After": self.pause}, b"{}"
        assert "/api/emplois/orientations/status/" == where.path
        self.asked.append(query)
        since = query.get("updated_after", ["0001-01-01T00:00:00+00:00"])[0]
        bound = datetime.fromisoformat(since)
        assert bound.tzinfo
        found = [each for each in self.rows if datetime.fromisoformat(each["updated_at"]) >= bound]
        found.sort(key=lambda each: each["updated_at"], reverse=True)
        start = 2 * (int(query["page"][0]) - 1)
        more = "https://ailleurs.example/?page=2" if start + 2 < len(found) else None
        body = {"results": found[start : start + 2], "count": len(found), "next": more, "previous": None}
        return 200, {}, json.dumps(body).encode()


def row(referral: str, status: str, minutes: float) -> dict[str, Any]:
    """A change, some minutes from now."""
    at = (datetime.now(UTC) + timedelta(minutes=minutes)).isoformat()
    return {"emplois_sync_uid": referral, "status": status, "processing_date": at, "updated_at": at}


@dataclass
class IMilo:
    """What i-Milo answers: events until they are acknowledged, and case files."""

    events: list[dict[str, Any]] = field(default_factory=list)
    files: dict[str, dict[str, Any]] = field(default_factory=dict)

    def answer(self, call: Call) -> Response:
        """Answer one call."""
        if call.headers.get("x-gravitee-api-key") != "cle-de-milo":
            return 403, {}, b"{}"
        parts = call.path.strip("/").split("/")
        if parts == ["operateurs", "events"]:
            return 200, {}, json.dumps(self.events[:2]).encode()
        if parts[:2] == ["operateurs", "events"] and "POST" == call.method:
            self.events = [each for each in self.events if each["identifiant"] != parts[2]]
            return 204, {}, b""
        found = self.files.get(parts[-1])
        return (200, {}, json.dumps(found).encode()) if found else (404, {}, b"{}")


@pytest.fixture
async def server(authority: Authority) -> AsyncIterator[Receiver]:
    """A partner's server."""
    async with receiving(Receiver(NAME), authority.context(NAME)) as server:
        yield server


async def asked_system(world: Any, server: Receiver, way: str, **secret: str) -> Any:
    """A system that is asked when the test says so."""
    partner = await world.recipient()
    await world.convene(partner, world.caf, f"{partner.client_id}-retour")
    await world.allow(partner, server.port)
    settings = {"api_url": f"https://{NAME}:{server.port}", "every_seconds": 86_400}
    path = f"/v1/sources/{partner.client_id}"
    shown = await partner.done("PUT", path, json={"way": way, "settings": settings | secret})
    assert not [each for each in secret.values() if each in json.dumps(shown)]
    return partner


async def asked_once(partner: Any, eventually: Any) -> None:
    """Wait until the gateway has asked by itself, as it does at once: what the test does then, it does alone."""

    async def is_so() -> bool:
        return bool((await partner.done("GET", f"/v1/sources/{partner.client_id}"))["last_success_at"])

    await eventually(is_so)


async def referred(world: Any, partner: Any, person: dict[str, Any] | None = None) -> str:
    """A referral that was handed over to a partner; gives its id there."""
    delivery = await world.send(partner, person)
    await world.becomes(delivery, "available")
    box = await partner.done("GET", "/v1/mailbox")
    await partner.done("POST", f"/v1/mailbox/{delivery}/ack")
    return str(next(each["document"]["id"] for each in box["deliveries"] if each["id"] == delivery))


async def referred_by_hand(world: Any, partner: Any) -> str:
    """A referral that was handed over, in a world whose loops do not run: its delivery is carried by the test."""
    delivery = await world.send(partner)
    services = world.runtime.services
    async with services.database.write() as tx:
        await tx.execute(sa.update(deliveries).where(deliveries.c.id == delivery).values(state="available"))
    box = await partner.done("GET", "/v1/mailbox")
    await partner.done("POST", f"/v1/mailbox/{delivery}/ack")
    return str(next(each["document"]["id"] for each in box["deliveries"] if each["id"] == delivery))


async def ask(world: Any, partner: Any) -> None:
    """Ask a partner's system once, to the end."""
    await world.runtime.collector.ask(partner.client_id)


async def sent_by(world: Any, partner: Any, kind: str = "status") -> list[Any]:
    """What a partner's system brought, in order."""
    query = sa.select(exchanges).where(exchanges.c.sender == partner.siret, exchanges.c.kind == kind)
    async with world.runtime.services.database.read() as tx:
        return list((await tx.execute(query.order_by(exchanges.c.received_at))).all())


async def test_changes_are_asked_from_the_last_one_and_taken_once(
    world: Any, server: Receiver, eventually: Any
) -> None:
    """Three pages, newest first, are taken from the oldest on; the next run asks from the last change less three seconds."""
    dora = Dora()
    server.answer = dora.answer
    partner = await asked_system(world, server, "dora", token="jeton-de-dora")
    await asked_once(partner, eventually)
    dora.asked.clear()
    referrals = [await referred(world, partner) for _ in range(5)]
    dora.rows = [row(each, "VALIDÉE", -100 + rank) for rank, each in enumerate(referrals)]
    dora.rows.append(row(referrals[0], "EN_PAUSE_INCONNUE", -95))
    await ask(world, partner)
    assert referrals == [each.about for each in await sent_by(world, partner)]
    assert [["1"], ["2"], ["3"]] == [each["page"] for each in dora.asked] and "updated_after" not in dora.asked[0]

    dora.asked.clear()
    dora.rows.append(row(referrals[1], "EXPIRÉE", -50))
    await ask(world, partner)
    last = datetime.fromisoformat(dora.rows[5]["updated_at"])
    assert last - timedelta(seconds=3) == datetime.fromisoformat(dora.asked[0]["updated_after"][0])
    assert [*referrals, referrals[1]] == [each.about for each in await sent_by(world, partner)]


async def test_changes_that_follow_closely_all_leave_and_an_older_one_stops_nothing(
    sleeping_world: Any, server: Receiver
) -> None:
    """Two changes a second apart are two statuses; one that comes after a newer one is left, and what is behind it is taken."""
    world, dora = sleeping_world, Dora()
    server.answer = dora.answer
    partner = await asked_system(world, server, "dora", token="jeton-de-dora")
    services = world.runtime.services
    first, second = [await referred_by_hand(world, partner) for _ in range(2)]
    dora.rows = [row(first, "OUVERTE", -100)]
    await ask(world, partner)
    dora.rows = [row(first, "VALIDÉE", -100 + 1 / 60)]
    await ask(world, partner)
    assert [first, first] == [each.about for each in await sent_by(world, partner)]
    before_last = datetime.fromisoformat(dora.rows[0]["updated_at"]) - timedelta(seconds=2)
    late = row(first, "REFUSÉE", 0) | {"updated_at": before_last.isoformat()}
    dora.rows = [late, row(second, "VALIDÉE", -90)]
    await ask(world, partner)
    shown = await partner.done("GET", f"/v1/sources/{partner.client_id}")
    assert ([first, first, second], None) == (
        [each.about for each in await sent_by(world, partner)],
        shown["last_error"],
    )
    async with services.database.read() as tx:
        assert not (await tx.execute(sa.select(quarantine).where(quarantine.c.sender == partner.siret))).all()


async def test_a_run_that_was_cut_goes_on_where_it_was_left(sleeping_world: Any, server: Receiver) -> None:
    """The cursor moves with each change that is durable: a crash in the middle loses none, and repeats none."""
    world, dora = sleeping_world, Dora()
    server.answer = dora.answer
    partner = await asked_system(world, server, "dora", token="jeton-de-dora")
    dora.rows = [row(str(uuid.uuid4()), "VALIDÉE", -100 + rank) for rank in range(3)]
    services, taken = world.runtime.services, []

    class Crash(Exception):
        pass

    def crash(name: str) -> None:
        taken.extend([name] if name == "collect.taken" else [])
        if len(taken) == 2:
            raise Crash

    object.__setattr__(services, "fault_point", crash)
    with pytest.raises(Crash):
        await ask(world, partner)
    object.__setattr__(services, "fault_point", lambda _name: None)
    async with services.database.read() as tx:
        source = await store.get(tx, partner.client_id, services.vault)
    assert source is not None and dora.rows[0]["updated_at"] == source.cursor["updated_after"]
    before = await sent_by(world, partner)
    await ask(world, partner)
    assert [each.id for each in before] == [each.id for each in await sent_by(world, partner)][: len(before)]
    async with services.database.read() as tx:
        source = await store.get(tx, partner.client_id, services.vault)
    assert source is not None and dora.rows[2]["updated_at"] == source.cursor["updated_after"]


async def test_a_source_that_is_paused_while_it_is_asked_stops_and_goes_on_from_there(
    sleeping_world: Any, server: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message under way is taken to its end, no other is; the operator's pause holds after it, and nothing is lost by it."""
    world, dora = sleeping_world, Dora()
    server.answer = dora.answer
    partner = await asked_system(world, server, "dora", token="jeton-de-dora")
    referrals = [await referred_by_hand(world, partner) for _ in range(3)]
    dora.rows = [row(each, "VALIDÉE", -100 + rank) for rank, each in enumerate(referrals)]
    services, collector, take = world.runtime.services, world.runtime.collector, world.runtime.collector._take
    path, now = f"/v1/sources/{partner.client_id}", services.clock()

    async def changed(change: Any) -> None:
        async with services.database.write() as tx:
            source = await store.get(tx, partner.client_id, services.vault, change=True)
            assert source is not None
            await change(tx, source, now)

    async def paused(found: Any, who: Any) -> Any:
        settled = await take(found, who)
        await changed(store.pause)
        return settled

    monkeypatch.setattr(collector, "_take", paused)
    await ask(world, partner)
    monkeypatch.setattr(collector, "_take", take)
    assert (referrals[:1], "paused") == (
        [each.about for each in await sent_by(world, partner)],
        (await partner.done("GET", path))["state"],
    )
    async with services.database.write() as tx:
        assert [] == await store.claim(tx, ["dora"], now + timedelta(days=1), timedelta(minutes=1))
    await changed(store.resume)
    await ask(world, partner)
    assert (referrals, "active") == (
        [each.about for each in await sent_by(world, partner)],
        (await partner.done("GET", path))["state"],
    )


async def test_a_pause_that_is_asked_for_is_kept(sleeping_world: Any, server: Receiver) -> None:
    """429 with Retry-After, then a wrong token: the partner sees why, and when it fails nothing moves."""
    world, dora = sleeping_world, Dora(pause="120")
    server.answer = dora.answer
    partner = await asked_system(world, server, "dora", token="jeton-de-dora")
    path = f"/v1/sources/{partner.client_id}"
    await ask(world, partner)
    shown = await partner.done("GET", path)
    assert ("http_429", 1) == (shown["last_error"], shown["failures_in_a_row"])
    async with world.runtime.services.database.write() as tx:
        later = world.runtime.services.clock() + timedelta(seconds=110)
        assert [] == await store.claim(tx, ["dora"], later, timedelta(minutes=1))
    settings = shown["settings"] | {"token": "autre"}
    await partner.done("PUT", path, json={"way": "dora", "settings": settings})
    await ask(world, partner)
    assert "http_401" == (await partner.done("GET", path))["last_error"]
    for wrong in ({"api_url": "http://dora.example"}, {"token": "\n"}, {"jeton": "x"}):
        await partner.refused("PUT", path, 422, json={"way": "dora", "settings": settings | wrong})


def file(number: int, person: dict[str, Any]) -> dict[str, Any]:
    """A case file of i-Milo."""
    return {
        "idDossier": number,
        "idJeune": "9007199254740993127",
        "nomNaissance": person["birth_name"],
        "prenom": "Camille",
        "dateNaissance": person["birth_date"],
    }


def event(number: int, kind: str, of: int, action: str = "CREATE") -> dict[str, Any]:
    """An event of i-Milo."""
    told = {"identifiant": str(number), "idDossier": of, "type": kind, "action": action, "idType": str(number + 50)}
    return told | {"date": "2026-11-12 09:30:00"}


async def test_each_event_is_acknowledged_once_its_content_is_taken(
    world: Any, server: Receiver, eventually: Any
) -> None:
    """A changed file is a referral, an appointment a status of the person's referral; the rest is acknowledged without a document."""
    milo = IMilo()
    server.answer = milo.answer
    partner = await asked_system(world, server, "i-milo", api_key="cle-de-milo")
    await asked_once(partner, eventually)
    known, new = world.person(), world.person()
    referral = await referred(world, partner, known)
    milo.files = {"71": file(71, known), "72": file(72, new)}
    milo.events = [event(1, "RDV", 71), event(2, "SESSION", 71), event(3, "DOSSIER", 72)]
    milo.events += [event(4, "DOSSIER", 73), event(5, "DOSSIER", 72, "ARCHIVE")]
    await ask(world, partner)
    assert [] == milo.events
    [status] = await sent_by(world, partner)
    assert referral == status.about
    assert 1 == len(await sent_by(world, partner, "referral"))


async def test_an_event_stays_until_its_content_is_durable(sleeping_world: Any, server: Receiver) -> None:
    """What cannot be recorded is not acknowledged: the event comes again."""
    world, milo = sleeping_world, IMilo()
    server.answer = milo.answer
    partner = await asked_system(world, server, "i-milo", api_key="cle-de-milo")
    milo.files, milo.events = {"72": file(72, world.person())}, [event(3, "DOSSIER", 72)]

    class Crash(Exception):
        pass

    def crash(name: str) -> None:
        if name == "receive.recorded":
            raise Crash

    services = world.runtime.services
    object.__setattr__(services, "fault_point", crash)
    with pytest.raises(Crash):
        await ask(world, partner)
    assert 1 == len(milo.events) and not await sent_by(world, partner, "referral")
    object.__setattr__(services, "fault_point", lambda _name: None)
    await ask(world, partner)
    assert [] == milo.events and 1 == len(await sent_by(world, partner, "referral"))
