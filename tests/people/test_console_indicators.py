"""The coordinator's page counts the referrals that led to a right opened, without knowing whose or which right."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from importlib.resources import files
from typing import Any

import pytest
import sqlalchemy as sa

from gateway.store.tables import exchanges
from ops.faults.partners import referral

pytestmark = pytest.mark.anyio

CAF, DEPARTEMENT = "99900001100018", "99900002900010"
MODEL = (files("consent") / "models" / "tznr-caf-departement.yaml").read_bytes()
OPENED = {"right": "rsa", "state": "opened", "date": "2026-11-29"}


async def test_a_right_opened_is_counted_once_for_each_referral(house: Callable[..., Any]) -> None:
    """Of three referrals, one opens two rights, one is still waited for, one has no answer: one is counted, whatever is repeated."""
    async with house() as home:
        caf = await home.started.partner(CAF, "CAF de Valombre", "caf")
        departement = await home.started.partner(DEPARTEMENT, "Département de Valombre", "dep")
        coordinator = await home.signed_in("claire", "coordinator")
        await caf.propose(MODEL)
        await caf.sign(MODEL)
        await departement.sign(MODEL)
        for _ in range(3):
            await caf.call("POST", "/v1/referrals", json=referral(DEPARTEMENT))
        opened, waiting, _ = [each["document_id"] for each in await departement.pull(3)]
        before = await coordinator.get("/console/indicators")
        for said in (OPENED, OPENED | {"right": "css"}, OPENED):
            await departement.call(
                "POST", f"/v1/referrals/{opened}/status", json={"status": "completed", "outcome": said}
            )
        pending = {"status": "in_progress", "outcome": OPENED | {"state": "pending"}}
        await departement.call("POST", f"/v1/referrals/{waiting}/status", json=pending)
        after = await coordinator.get("/console/indicators")
        async with home.started.runtime.services.database.write(beyond="a status of before the count is made") as tx:
            kept = json.dumps([list(map(str, row)) for row in await tx.execute(sa.select(exchanges))])
            await tx.execute(sa.update(exchanges).where(exchanges.c.kind == "status").values(right_opened=None))
        old = await coordinator.get("/console/indicators")
    assert ["0", "1", "0"] == [_number(page.text) for page in (before, after, old)]
    assert ("4 suivis reçus avant" in old.text, "suivis reçus avant" in after.text) == (True, False)
    assert "css" not in kept and '"rsa"' not in kept


def _number(page: str) -> str:
    found = re.search(r'abouti à un droit ouvert</th><td class="number">([0-9]+)<', page)
    assert found
    return found[1]
