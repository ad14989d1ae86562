"""What a convention says of channels and volumes binds: nothing passes by another channel, nor beyond the volume."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from typing import Any

import pytest
import sqlalchemy as sa

from gateway.replay import replay_all
from gateway.store.tables import deliveries, volumes
from ops.demo.partner import Partner
from ops.faults.partners import referral

pytestmark = pytest.mark.anyio

CAF, DEPARTEMENT = "99900001100018", "99900002900010"
_MODEL = (files("consent") / "models" / "tznr-caf-departement.yaml").read_text(encoding="utf-8")
_CHANNELS = "channels: [api, inbound, mailbox, webhook, sftp]"
_LIMITS = "limits: { per_day: 500000, per_minute: 250000 }"
_ID = "tznr-valombre-caf-departement"
MORNING = datetime(2026, 11, 23, 9, 0, 30, tzinfo=UTC)


class Clock:
    """A time that only moves when it is told to."""

    def __init__(self) -> None:
        self.now = MORNING

    def __call__(self) -> datetime:
        return self.now


def _text(*, channels: str = _CHANNELS, limits: str = _LIMITS, version: int = 1) -> bytes:
    assert _CHANNELS in _MODEL and _LIMITS in _MODEL
    text = _MODEL.replace(_CHANNELS, channels).replace(_LIMITS, limits)
    return text.replace("\nversion: 1", f"\nversion: {version}").encode()


async def _put_in_force(caf: Partner, departement: Partner, text: bytes) -> None:
    await caf.propose(text)
    await caf.sign(text)
    await departement.sign(text)


@asynccontextmanager
async def _two(in_process: Callable[..., Any], text: bytes, clock: Clock | None = None) -> Any:
    """A gateway with a convention in force between two partners."""
    async with in_process(clock) as started:
        caf = await started.partner(CAF, "CAF de Valombre", "caf-valombre")
        departement = await started.partner(DEPARTEMENT, "Département de Valombre", "departement-valombre")
        await _put_in_force(caf, departement, text)
        yield started, caf, departement


async def _several(caf: Partner, count: int, *, expect: int = 202) -> dict[str, Any]:
    """Send several referrals as one file, in one's own format."""
    lines = "\n".join(json.dumps(referral(DEPARTEMENT)) for _ in range(count))
    headers = {"Content-Type": "application/x-ndjson"}
    answer = await caf.call(
        "POST", "/v1/inbound/shared-json", content=lines.encode(), headers=headers, expect=(expect,)
    )
    return dict(answer.json()) | {"retry_after": answer.headers.get("Retry-After")}


async def _counted(started: Any) -> dict[str, int]:
    async with started.runtime.services.database.read() as tx:
        return {row.period: row.documents for row in await tx.execute(sa.select(volumes))}


async def test_documents_beyond_the_days_volume_are_refused_whole_and_pass_the_next_day(
    in_process: Callable[..., Any],
) -> None:
    """Three a day: two pass, two more are refused together with nothing recorded, one passes, and tomorrow counts anew."""
    clock = Clock()
    async with _two(in_process, _text(limits="limits: { per_day: 3 }"), clock) as (started, caf, _):
        assert 2 == (await _several(caf, 2))["accepted"]
        refused = await _several(caf, 2, expect=429)
        listed = await _states(started)
        assert 1 == (await _several(caf, 1))["accepted"]
        late = await _several(caf, 1, expect=429)
        counted = await _counted(started)
        clock.now += timedelta(hours=14)  # 0 h 00 min 30 s in France
        assert 1 == (await _several(caf, 1))["accepted"]
    assert ("volume_exceeded", "day", 3, _ID) == tuple(refused[name] for name in ("code", "per", "limit", "convention"))
    assert "Rien de cet envoi n'a été enregistré" in refused["detail"]
    assert 2 == len(listed)
    assert {"2026-11-23": 3} == counted
    assert 13 * 3600 + 59 * 60 + 30 < int(late["retry_after"]) < 14 * 3600


async def test_the_minutes_volume_counts_documents_of_all_versions_and_not_recipients_refused(
    in_process: Callable[..., Any],
) -> None:
    """A new version of the convention does not open a new count; a file that no minute could take is told to be split."""
    clock = Clock()
    limits = "limits: { per_minute: 2 }"
    async with _two(in_process, _text(limits=limits), clock) as (started, caf, departement):
        assert 1 == (await _several(caf, 1))["accepted"]
        await _put_in_force(caf, departement, _text(limits=limits, version=2))
        assert 1 == (await _several(caf, 1))["accepted"]
        again = await _several(caf, 1, expect=429)
        alone = await _several(caf, 3, expect=429)
        clock.now += timedelta(seconds=31)
        assert 2 == (await _several(caf, 2))["accepted"]
        assert 2 == len(await _counted(started))
        clock.now += timedelta(days=4)
        assert 2 == (await started.runtime.keeper.once())["answers"]
        assert {} == await _counted(started)
    assert ("minute", "31") == (again["per"], again["retry_after"])
    assert (None, True) == (alone["retry_after"], "partagez-le" in alone["detail"])


async def test_requests_of_the_same_instant_never_pass_beyond_the_volume(in_process: Callable[..., Any]) -> None:
    """Twenty requests together against a volume of seven: seven are accepted, thirteen told to come back."""
    async with _two(in_process, _text(limits="limits: { per_day: 7 }")) as (started, caf, _):
        await caf.call("GET", "/v1/exchanges")
        answers = await asyncio.gather(
            *(caf.call("POST", "/v1/referrals", json=referral(DEPARTEMENT), expect=(202, 429)) for _ in range(20))
        )
        async with started.runtime.services.database.read() as tx:
            kept = (await tx.execute(sa.select(sa.func.count()).select_from(deliveries))).scalar_one()
    assert 7 == sum(answer.status_code == 202 for answer in answers) == kept


async def test_a_channel_that_the_convention_does_not_name_lets_nothing_in(in_process: Callable[..., Any]) -> None:
    """With `api` alone a file is refused with the reason while the same document by the API passes, and both replay the same."""
    async with _two(in_process, _text(channels="channels: [api, mailbox]")) as (started, caf, _):
        by_file = await _several(caf, 1)
        by_api = (await caf.call("POST", "/v1/referrals", json=referral(DEPARTEMENT))).json()
        async with started.runtime.services.database.read() as tx:
            replayed = [each async for each in replay_all(tx, started.runtime.services.vault)]
    [refused] = by_file["exchanges"][0]["recipients"]
    assert "channel_not_allowed" == refused["reasons"][0]["code"]
    assert (0, 1) == (by_file["accepted"], by_api["accepted"])
    assert {"same"} == {each.outcome.value for each in replayed} and len(replayed) >= 2


async def test_what_may_not_leave_by_the_mailbox_waits_and_leaves_once_the_mailbox_is_allowed(
    in_process: Callable[..., Any],
) -> None:
    """The recipient is told which convention has another channel; nothing is lost, and a new version lets it come."""
    async with _two(in_process, _text(channels="channels: [api, webhook]")) as (started, caf, departement):
        await caf.call("POST", "/v1/referrals", json=referral(DEPARTEMENT))
        await _brought(started)
        empty = (await departement.call("GET", "/v1/mailbox")).json()
        still = await _states(started)
        await _put_in_force(caf, departement, _text(version=2))
        [delivery] = await departement.pull(1)
    assert [] == empty["deliveries"]
    assert [{"convention": _ID, "channels": ["api", "webhook"]}] == empty["elsewhere"]
    assert ["available"] == still
    assert "referral" == delivery["kind"]


async def _states(started: Any) -> list[str]:
    async with started.runtime.services.database.read() as tx:
        return list((await tx.execute(sa.select(deliveries.c.state))).scalars())


async def _brought(started: Any) -> None:
    for _ in range(200):
        if "queued" not in await _states(started):
            return
        await asyncio.sleep(0.02)
    raise AssertionError("the bus never brought it")
