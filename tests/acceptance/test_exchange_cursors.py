"""
The cursor of `/v1/exchanges` names its log: another log over the same database refuses it instead of skipping changes.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from gateway.keys import Keys
from gateway.settings import Settings
from ops.demo.partner import Partner
from ops.succession import open_new

pytestmark = pytest.mark.anyio

CAF, DEPARTEMENT, ADDRESS = "99900001100018", "99900002900010", "http://127.0.0.1:8080"


async def agreed(*partners: Partner) -> None:
    """The partners sign the model convention, which is in force from then on."""
    text = (files("consent") / "models" / "tznr-caf-departement.yaml").read_bytes()
    await partners[0].propose(text)
    for partner in partners:
        await partner.sign(text)


async def send(caf: Partner, referral: dict[str, Any]) -> str:
    """Send a referral, and wait until the ledger placed it; gives its exchange."""
    answer = await caf.call("POST", "/v1/referrals", json=referral)
    exchange = str(answer.json()["exchanges"][0]["exchange"])
    await caf.receipt(exchange)
    return exchange


async def page(caf: Partner, **asked: str) -> tuple[list[str], str]:
    """The exchanges of one page, and its `next`."""
    told = (await caf.call("GET", "/v1/exchanges", params=asked)).json()
    return [each["id"] for each in told["exchanges"]], told["next"]


async def test_a_cursor_of_a_log_that_was_replaced_is_refused(
    in_process: Callable[..., Any], database_url: str, tmp_path: Path, new_referral: Any
) -> None:
    """It goes on in its own log, as does a bare number of before; in the next log both are refused, and `updated_after` serves."""
    async with in_process() as first:
        caf = await first.partner(CAF, "CAF de Valombre", "caf")
        await agreed(caf, await first.partner(DEPARTEMENT, "Département de Valombre", "departement"))
        sent = [await send(caf, new_referral()) for _ in range(2)]
        ids, cursor = await page(caf, limit="1")
        assert sent[:1] == ids
        bare = cursor.partition(".")[0]
        assert bare != cursor
        for each in (cursor, bare):
            assert sent[1:] == (await page(caf, cursor=each))[0]
    settings = Settings(
        data_dir=tmp_path, database_url=database_url, issuer=ADDRESS, ledger_origin="valombre.example/journal-2"
    )
    await open_new(settings, Keys.load(settings), None, None)
    async with in_process(ledger_origin=settings.ledger_origin) as second:
        caf.http, caf.gateway, caf.token = second.http, second.gateway, None
        for each in (cursor, bare):
            refusal = await caf.call("GET", "/v1/exchanges", params={"cursor": each}, expect=(410,))
            told = refusal.json()
            assert "cursor_outdated" == told["code"]
            assert "updated_after" in told["detail"] and "updated_after" in told["detail_en"]
        sent.append(await send(caf, new_referral()))
        ids, following = await page(caf, updated_after="2026-01-01T00:00:00+00:00", limit="2")
        assert sent[:2] == ids
        assert sent[2:] == (await page(caf, cursor=following))[0]
