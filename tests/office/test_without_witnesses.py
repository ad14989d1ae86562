"""While the ledger's witnesses are away: four hours of exchanges with an alarm, then none, and what people said still goes through."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

pytestmark = pytest.mark.anyio


async def warnings(office: Any) -> list[str]:
    """What the gateway says of itself to its operator, once it was read anew."""
    await asyncio.sleep(1.1)
    answer = await office.http.get("/readyz")
    assert 200 == answer.status_code
    return list(answer.json()["warnings"])


async def test_exchanges_go_on_for_four_hours_then_close_except_for_what_people_say(unwitnessed_office: Any) -> None:
    """After the period nothing is taken in nor handed over, but agreements, withdrawals and their notices are."""
    office = unwitnessed_office
    document = office.consent()
    await office.done("association", "POST", "/v1/consents", json=document)
    sent = await office.send(document["subject"])
    await office.received("association", sent["delivery"])
    late = await office.send(document["subject"])
    assert "available" == await office.state(late["delivery"])
    office.clock.advance(hours=3, minutes=50)
    await office.send(office.person(), recipients=[{"siret": "99900002900010"}])
    assert ["ledger: the quorum of witnesses has been away for"] == [text[:49] for text in await warnings(office)]

    office.clock.advance(minutes=15)
    office.tokens.clear()
    [warning] = await warnings(office)
    assert warning.endswith("exchanges are closed")
    published = (await office.http.get("/metrics")).text
    [away] = [line for line in published.splitlines() if line.startswith("tdu_ledger_quorum_away_seconds ")]
    assert 4 * 3600 < float(away.split()[1]) < 5 * 3600
    problem = await office.refused("caf", "POST", "/v1/referrals", 503, json=office.referral(office.person()))
    assert "Les témoins du journal ne répondent plus depuis 4 h 0" in problem["detail"]
    await office.refused("association", "GET", "/v1/mailbox?limit=200", 503)

    withdrawn = await office.done("association", "POST", f"/v1/consents/{document['id']}/withdraw", json={})
    [notice] = withdrawn["notices"]
    assert "available" == await office.state(notice["delivery"])
    handed = await office.received("association", notice["delivery"])
    assert "consent" == handed["kind"]
    await office.done("association", "POST", "/v1/consents", json=office.consent())
