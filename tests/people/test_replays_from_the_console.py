"""An administrator replays what was set aside from the console: counted, confirmed, recorded, and no content shown."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from consent.ledger.event import EventType
from consent.tables import ledger_events
from gateway.store.tables import deliveries, replays

pytestmark = pytest.mark.anyio

CAF, DEPARTEMENT = "99900001100018", "99900002900010"
MODEL = (Path(__file__).parents[2] / "consent" / "models" / "tznr-caf-departement.yaml").read_bytes()
PERSON = {"birth_name": "Valrose", "given_names": ["Philomène"], "birth_date": "1981-05-17", "sex": "female"}


async def test_a_refused_delivery_is_counted_confirmed_and_comes_again(house: Callable[..., Any]) -> None:
    """Counting changes nothing, another number than the one counted neither; confirmed, the recipient gets it again."""
    async with house() as home:
        departement = await _refusing(home)
        admin = await home.signed_in("ada", "administrator")
        place, services = "/console/deliveries/replay", home.started.runtime.services
        page = await admin.get("/console/deliveries")
        counted = await admin.form("/console/deliveries", place, {"recipient": DEPARTEMENT, "state": ""})
        stale = await admin.form("/console/deliveries", place, {"recipient": "", "state": "", "confirmed": "7"})
        nobodys = await admin.form("/console/deliveries", place, {"recipient": CAF, "state": "", "confirmed": "0"})
        unknown = await admin.form("/console/deliveries", place, {"recipient": "", "state": "sideways"})
        async with services.database.read() as tx:
            before = (await tx.execute(sa.select(sa.func.count()).select_from(replays))).scalar_one()
        fields = dict(re.findall(r'name="(recipient|state|confirmed)" value="([^"]*)"', counted.text))
        done = await admin.form("/console/deliveries", place, fields)
        [again] = await departement.pull(1)
        after = await admin.get("/console/deliveries")
        async with services.database.read() as tx:
            asked = sa.select(ledger_events).where(ledger_events.c.type == EventType.CONFIGURATION_CHANGED.value)
            events = [services.vault.own.open(row.sealed, f"ledger_events/{row.id}") for row in await tx.execute(asked)]
            parents = (await tx.execute(sa.select(deliveries.c.parent).where(deliveries.c.id == again["id"]))).scalars()
            old = parents.one()
    assert {each.status_code for each in (page, counted, stale, nobodys, done, after)} == {200}
    assert (before, fields) == (0, {"recipient": DEPARTEMENT, "state": "", "confirmed": "1"})
    assert unknown.status_code == 400
    assert (old in page.text, old in after.text) == (True, False)
    [event] = [each for each in events if b"replay_asked" in each]
    assert b'"deliveries":1' in event and b"person:" in event
    assert not any(PERSON["birth_name"] in each.text for each in (page, counted, done, after))


async def _refusing(home: Any) -> Any:
    """A referral that its recipient refused for good; gives the recipient."""
    home.clock.now = datetime.now(UTC)  # the bus lives by the real time
    caf = await home.started.partner(CAF, "CAF de Valombre", "caf")
    departement = await home.started.partner(DEPARTEMENT, "Département de Valombre", "departement")
    await caf.propose(MODEL)
    await caf.sign(MODEL)
    await departement.sign(MODEL)
    document = {
        "kind": "referral",
        "schema_version": "1.0",
        "id": "0190a5b2-0000-7000-8000-000000000001",
        "created_at": "2026-11-23T09:00:00+01:00",
        "sender": {"siret": CAF},
        "recipients": [{"siret": DEPARTEMENT}],
        "purpose": "inform_about_rights",
        "subject": PERSON,
        "rights": [{"right": "rsa", "state": "to_request"}],
    }
    await caf.call("POST", "/v1/referrals", json=document)
    answer = (await departement.call("GET", "/v1/mailbox?wait=20")).json()
    [delivery] = answer["deliveries"]
    await departement.call("POST", f"/v1/mailbox/{delivery['id']}/nack", json={"reason": "other"})
    return departement
