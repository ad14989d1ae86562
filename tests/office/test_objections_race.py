"""An objection against pulls and sends of the same instant: no deadlock, nothing after its answer, nothing left behind."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.store.tables import deliveries, documents

DEPARTEMENT = "99900002900010"
ROUNDS, PULLS = 8, 4

pytestmark = pytest.mark.anyio


async def test_an_objection_and_pulls_of_the_same_instant(office: Any) -> None:
    """Whoever wins, the referral was handed over before the objection or never, and its content is destroyed in the end."""
    for round_number in range(ROUNDS):
        subject = office.person()
        sent = [await office.send(subject, recipients=[{"siret": DEPARTEMENT}]) for _ in range(2)]
        assert {"available"} == {await office.state(each["delivery"]) for each in sent}

        async def pull() -> list[str]:
            mailbox = await office.done("departement", "GET", "/v1/mailbox?limit=200")
            return [each["id"] for each in mailbox["deliveries"]]

        async def object_to_it(waited: float, subject: dict[str, Any] = subject) -> None:
            await asyncio.sleep(waited)
            await office.done("caf", "POST", "/v1/objections", json={"subject": subject})

        first = [pull() for _ in range(PULLS)]
        results = await asyncio.gather(object_to_it(round_number / 400), *first)
        taken = [ident for found in results[1:] for ident in found or ()]
        late = await pull()
        for each in sent:
            row = await office.row(deliveries, id=each["delivery"])
            assert (each["delivery"] in taken) == (row.disclosures == 1)
            assert each["delivery"] not in late
            assert row.state == ("leased" if row.disclosures else "stopped")
    office.clock.advance(minutes=10)
    await office.keep()
    for each in sent:
        assert None is await office.row(documents, id=each["document"])
