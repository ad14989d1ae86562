"""A convention's life over HTTP: suspended and resumed by whom it binds, version by version, and never taken over by others."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from typing import Any

import pytest
import sqlalchemy as sa

from consent.tables import ledger_events
from ops.demo.partner import Partner
from ops.faults.partners import referral

pytestmark = pytest.mark.anyio

CAF, DEPARTEMENT, CCAS, MSA = "99900001100018", "99900002900010", "99900004500016", "99900009400014"
CONVENTION = "tznr-valombre-caf-departement"
_MODEL = (files("consent") / "models" / "tznr-caf-departement.yaml").read_text(encoding="utf-8")


def _text(version: int = 1) -> bytes:
    return _MODEL.replace("\nversion: 1", f"\nversion: {version}").encode()


async def _signed(started: Any) -> tuple[Partner, Partner]:
    caf = await started.partner(CAF, "CAF de Valombre", "caf-valombre")
    departement = await started.partner(DEPARTEMENT, "Département de Valombre", "departement-valombre")
    await caf.propose(_text())
    for partner in (caf, departement):
        await partner.sign(_text())
    return caf, departement


async def _do(partner: Partner, action: str, *, expect: int = 200, version: int | None = None) -> dict[str, Any]:
    query = f"?version={version}" if version else ""
    answer = await partner.call("POST", f"/v1/conventions/{CONVENTION}/{action}{query}", expect=(expect,))
    told: dict[str, Any] = answer.json()
    return told


async def _send(caf: Partner) -> dict[str, Any]:
    refusals: dict[str, Any] = (await caf.call("POST", "/v1/referrals", json=referral(DEPARTEMENT))).json()["refusals"]
    return refusals


async def _events(started: Any) -> list[str]:
    async with started.runtime.services.database.read() as tx:
        query = sa.select(ledger_events.c.type).where(ledger_events.c.convention_id == CONVENTION)
        return list((await tx.execute(query.order_by(ledger_events.c.seq))).scalars())


async def test_a_suspended_convention_lets_nothing_leave_until_it_is_resumed(in_process: Callable[..., Any]) -> None:
    """The very next exchange is refused with the reason, the one after the resumption passes; doing it twice changes nothing."""
    async with in_process() as started:
        caf, departement = await _signed(started)
        assert {} == await _send(caf)
        suspended = [await _do(departement, "suspend") for _ in range(2)]
        refusals = await _send(caf)
        resumed = [await _do(departement, "resume") for _ in range(2)]
        after = await _send(caf)
        events = await _events(started)
    assert [("suspended", [DEPARTEMENT])] * 2 == [(each["state"], each["suspended_by"]) for each in suspended]
    assert [("valid", [])] * 2 == [(each["state"], each["suspended_by"]) for each in resumed]
    assert ({"convention_suspended": 1}, {}) == (refusals, after)
    assert ["convention_suspended", "convention_resumed"] == events[-2:]


async def test_a_party_lifts_its_own_suspension_only(in_process: Callable[..., Any]) -> None:
    """Who did not suspend cannot resume; suspended by both, the convention stays so until both have resumed."""
    async with in_process() as started:
        caf, departement = await _signed(started)
        await _do(departement, "suspend")
        refused = await _do(caf, "resume", expect=409)
        both = await _do(caf, "suspend")
        one = await _do(departement, "resume")
        none = await _do(caf, "resume")
    assert "conflict" == refused["code"]
    assert sorted([CAF, DEPARTEMENT]) == both["suspended_by"]
    assert [("suspended", [CAF]), ("valid", [])] == [(each["state"], each["suspended_by"]) for each in (one, none)]


async def test_what_is_not_in_force_is_neither_suspended_nor_resumed(in_process: Callable[..., Any]) -> None:
    """A convention that is only proposed, or that was ended, and one of which one is no party."""
    async with in_process() as started:
        caf = await started.partner(CAF, "CAF de Valombre", "caf-valombre")
        ccas = await started.partner(CCAS, "CCAS de Valombre-Ville", "ccas-valombre")
        await caf.propose(_text())
        proposed = await _do(caf, "suspend", expect=409)
        stranger = await _do(ccas, "suspend", expect=404)
        assert "rejected" == (await _do(caf, "revoke"))["state"]
        ended = [await _do(caf, action, expect=409) for action in ("suspend", "resume")]
    assert ["conflict", "not_found", "conflict", "conflict"] == [each["code"] for each in (proposed, stranger, *ended)]


async def test_suspending_reaches_the_version_in_force_behind_a_proposed_one(in_process: Callable[..., Any]) -> None:
    """A new version under discussion does not shield the one that applies; a version can be named."""
    async with in_process() as started:
        caf, departement = await _signed(started)
        await caf.propose(_text(2))
        suspended = await _do(departement, "suspend")
        refusals = await _send(caf)
        newest = (await departement.call("GET", f"/v1/conventions/{CONVENTION}")).json()
        named = (await departement.call("GET", f"/v1/conventions/{CONVENTION}?version=1")).json()
        revoked = await _do(departement, "revoke", version=1)
    assert (1, "suspended") == (suspended["version"], suspended["state"])
    assert 1 == sum(refusals.values())
    assert [(2, "proposed"), (1, "suspended"), (1, "revoked")] == [
        (each["version"], each["state"]) for each in (newest, named, revoked)
    ]


async def test_nobody_puts_a_version_in_the_place_of_a_convention_of_others(in_process: Callable[..., Any]) -> None:
    """An id in use belongs to its parties: others who sign a newer version under it would end the convention for them."""
    async with in_process() as started:
        caf, _ = await _signed(started)
        ccas = await started.partner(CCAS, "CCAS de Valombre-Ville", "ccas-valombre")
        other = _text(9).replace(CAF.encode(), CCAS.encode()).replace(DEPARTEMENT.encode(), MSA.encode())
        headers = {"Content-Type": "application/yaml"}
        taken = await ccas.call("POST", "/v1/conventions", content=other, headers=headers, expect=(409,))
        same = _text(1).replace(b"per_day: 500000", b"per_day: 500001")
        clash = await caf.call("POST", "/v1/conventions", content=same, headers=headers, expect=(409,))
        again = await caf.call("POST", "/v1/conventions", content=_text(), headers=headers)
        assert {} == await _send(caf)
    assert ["conflict", "conflict"] == [each.json()["code"] for each in (taken, clash)]
    assert (1, "valid") == (again.json()["version"], again.json()["state"])


async def test_a_convention_is_read_printed_and_registered_by_its_parties(in_process: Callable[..., Any]) -> None:
    """Page, PDF and register entry, by `format` or `Accept`; JSON when nothing is said; a stranger gets the 404 of nothing."""
    async with in_process() as started:
        caf, departement = await _signed(started)
        ccas = await started.partner(CCAS, "CCAS de Valombre-Ville", "ccas-valombre")
        path = f"/v1/conventions/{CONVENTION}"
        page = await caf.call("GET", f"{path}?format=html")
        negotiated = await departement.call("GET", path, headers={"Accept": "text/html,application/json;q=0.9"})
        pdf = await caf.call("GET", path, headers={"Accept": "application/pdf"})
        plain = await caf.call("GET", path)
        entry = await caf.call("GET", f"{path}/register?version=1")
        shown = await departement.call("GET", f"{path}/register?format=html")
        for query in ("?format=html", "?format=pdf", "/register", "/register?format=html"):
            stranger = await ccas.call("GET", path + query, expect=(404,))
            nothing = await ccas.call("GET", f"/v1/conventions/tznr-inconnue{query}", expect=(404,))
            assert stranger.json()["detail"] == nothing.json()["detail"]
        await caf.call("GET", f"{path}?format=html&version=2", expect=(404,))
    assert page.text == negotiated.text and "Aller vers les droits en Valombre" in page.text
    assert page.headers["content-type"].startswith("text/html") and "sha256-" in page.headers["content-security-policy"]
    assert pdf.content.startswith(b"%PDF-") and "application/pdf" == pdf.headers["content-type"]
    assert "valid" == plain.json()["state"]
    assert (CONVENTION, "RGPD art. 30(1)") == (entry.json()["convention"]["id"], entry.json()["article"])
    assert shown.headers["content-type"].startswith("text/html") and "Registre" in shown.text
