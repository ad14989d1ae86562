"""A gateway's clock that is set forward by an hour and back again: nothing lost, nothing acknowledged twice, and what is sent goes through."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from typing import Any

import pytest
import sqlalchemy as sa

from adapters import registry
from adapters.cnaf_rsa.fictitious import fictitious_people
from consent.tables import ledger_events
from gateway.acknowledgement import acknowledge
from gateway.auth.caller import Caller
from gateway.errors import Problem
from gateway.exchange import deliver, receive
from gateway.handover import Handover
from gateway.services import Services
from gateway.store.database import instant
from gateway.store.idempotency import Attempt
from gateway.store.tables import deliveries
from ops.demo.documents import referral
from ops.demo.partner import Partner

pytestmark = pytest.mark.anyio

CAF, DEPARTEMENT = "99900001100018", "99900002900010"
_SENDER = Caller("caf", CAF, "logiciel", frozenset({"referral:send"}), frozenset({"partner"}), "token")
_RECIPIENT = Caller(
    "departement", DEPARTEMENT, "logiciel", frozenset({"mailbox:read"}), frozenset({"partner"}), "token"
)
_MODEL = (files("consent") / "models" / "tznr-caf-departement.yaml").read_bytes()
_PEOPLE = iter(fictitious_people(20, seed=7))
_HOUR, _SOON = timedelta(hours=1), 30


async def _send(caf: Partner, services: Services) -> str:
    """Send a referral about a new person; gives its exchange."""
    document = referral(next(_PEOPLE), caf, DEPARTEMENT)
    acceptance = await receive(
        json.dumps(document).encode(),
        adapter=registry.get("shared-json"),
        sender={"siret": CAF, "name": "CAF de Valombre"},
        caller=_SENDER,
        attempt=Attempt("caf", None, b""),
        services=services,
    )
    [told] = acceptance.body["exchanges"]
    assert "accepted" == told["state"]
    return str(told["exchange"])


async def _handed(services: Services, expected: int) -> Handover:
    """Take, under one lease, the deliveries that came once there are as many as expected."""
    async with asyncio.timeout(_SOON):
        while await _waiting(services) < expected:  # noqa: ASYNC110 - the courier tells partners, not tests
            await asyncio.sleep(0.05)
        adapter = registry.get("shared-json")
        return await deliver(caller=_RECIPIENT, adapter=adapter, limit=10, kinds=None, services=services)


async def _waiting(services: Services) -> int:
    async with services.database.read() as tx:
        rows = (await tx.execute(sa.select(deliveries.c.state, deliveries.c.leased_until))).all()
    now = instant(services.clock())
    return sum(state == "available" or (state == "leased" and until <= now) for state, until in rows)


def _exchanges(handed: Handover) -> set[str]:
    return {parcel.taken.exchange_id for parcel in handed.parcels}


async def test_nothing_is_lost_when_the_clock_jumps(in_process: Callable[..., Any]) -> None:
    """Forward, leases end early and what they held is offered again; back, what was sent and leased meanwhile still goes through."""
    jump = timedelta()
    async with in_process(clock=lambda: datetime.now(UTC) + jump) as started:
        caf = await started.partner(CAF, "CAF de Valombre", "caf")
        departement = await started.partner(DEPARTEMENT, "Département de Valombre", "departement")
        await caf.propose(_MODEL)
        await caf.sign(_MODEL)
        await departement.sign(_MODEL)
        services: Services = started.runtime.services
        before = await _send(caf, services)
        first = await _handed(services, 1)

        jump = _HOUR
        meanwhile = await _send(caf, services)
        second = await _handed(services, 2)
        with pytest.raises(Problem) as late:
            await acknowledge(_RECIPIENT, first.lease, services)
        assert ({before, meanwhile}, "not_found") == (_exchanges(second), late.value.code)
        assert 2 == len(await acknowledge(_RECIPIENT, second.lease, services))
        leased = await _send(caf, services)
        third = await _handed(services, 1)

        jump = timedelta()
        after = await _send(caf, services)
        fourth = await _handed(services, 1)
        assert ({leased}, {after}) == (_exchanges(third), _exchanges(fourth))
        for handed in (third, fourth):
            assert 1 == len(await acknowledge(_RECIPIENT, handed.lease, services))

        async with services.database.read() as tx:
            states = (await tx.execute(sa.select(deliveries.c.exchange_id, deliveries.c.state))).all()
            counted = sa.select(ledger_events.c.type, sa.func.count()).group_by(ledger_events.c.type)
            events = {row[0]: row[1] for row in await tx.execute(counted)}
    assert {(each, "acknowledged") for each in (before, meanwhile, leased, after)} == {tuple(row) for row in states}
    assert (5, 4) == (events["disclosure_made"], events["disclosure_acknowledged"])
