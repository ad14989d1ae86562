"""Withdrawals and objections have their proof too, for those concerned, and it verifies offline."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import httpx
import pytest

from consent.verify import verify_receipt

pytestmark = pytest.mark.anyio


async def proved(office: Any, who: str, path: str) -> dict[str, Any]:
    """The report of the verifier on a proof, once it is published."""
    for _ in range(100):
        answer: httpx.Response = await office.call(who, "GET", path)
        if answer.status_code != 409:
            break
        await asyncio.sleep(0.05)
    assert 200 == answer.status_code, answer.text
    assert answer.headers["content-disposition"].endswith('.tlog-proof"')
    return verify_receipt(answer.content, office.runtime.signer.vkey).to_json()


async def test_a_withdrawal_is_proved_to_all_and_shown_to_who_recorded_it(office: Any) -> None:
    """The collecting organisation sees the event; the one named in the agreement has the proof without who else was told."""
    document = office.consent(
        "99900003700013", scopes=[office.consent()["scopes"][0] | {"recipients": ["99900002900010"]}]
    )
    await office.done("association", "POST", "/v1/consents", json=document)
    path = f"/v1/consents/{document['id']}/proof?event=withdrawal"
    await office.refused("association", "GET", path, 404)
    await office.done("association", "POST", f"/v1/consents/{document['id']}/withdraw", json={})
    shown, bare = await proved(office, "association", path), await proved(office, "departement", path)
    assert ("valid", "agreement_withdrawn", document["id"]) == (
        shown["outcome"], shown["event"]["type"], shown["event"]["body"]["agreement_id"],
    )  # fmt: skip
    assert ("valid", None, shown["index"]) == (bare["outcome"], bare["event"], bare["index"])
    await office.refused("ccas", "GET", path, 404)
    given = await proved(office, "departement", f"/v1/consents/{document['id']}/proof")
    assert "agreement_given" == given["event"]["type"]


async def test_an_objection_is_proved_to_who_recorded_it(office: Any) -> None:
    """And to nobody else: another partner does not learn that it exists."""
    objection = await office.done("association", "POST", "/v1/objections", json={"subject": office.person()})
    path = f"/v1/objections/{objection['id']}/proof"
    report = await proved(office, "association", path)
    assert ("valid", "objection_recorded") == (report["outcome"], report["event"]["type"])
    await office.refused("departement", "GET", path, 404)
    await office.refused("association", "GET", f"/v1/objections/{uuid.uuid4()}/proof", 404)
