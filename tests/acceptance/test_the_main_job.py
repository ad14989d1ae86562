"""The whole story, over HTTP, with every part in processes of its own, in both modes."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from ops.demo.gateway_process import started
from ops.demo.story import CONSENTS, OBJECTIONS, Story

HOUSEHOLDS = 120


@pytest.mark.parametrize("mode", ["embedded", "production"])
def test_a_flow_is_translated_decided_delivered_answered_withdrawn_and_proven(
    mode: str, tmp_path: Path, new_postgres: Callable[[], str], amqp_url: str
) -> None:
    """A CAF file goes in, a département gets its referrals, an association its consented people, an auditor verifies it."""
    settings, roles = {}, ["all"]
    if mode == "production":
        settings = {
            "TDU_DATABASE_URL": new_postgres(),
            "TDU_BUS_URL": amqp_url,
            "TDU_BUS_PREFIX": f"test-{uuid.uuid4().hex[:8]}",
        }
        roles = ["api", "relay", "courier", "sequencer", "keeper"]
    with started(tmp_path, settings, roles) as gateway:
        story = Story(gateway, tmp_path, Console(quiet=True), HOUSEHOLDS)
        figures = asyncio.run(story.tell())
    assert figures.households == HOUSEHOLDS
    assert HOUSEHOLDS - OBJECTIONS <= figures.bilans < HOUSEHOLDS
    assert figures.referrals > CONSENTS
    assert figures.acknowledged == figures.delivered
    assert figures.rights_opened > 0
    assert figures.refusals["objection"] >= OBJECTIONS
    assert figures.refusals["no_convention"] == 1
    assert figures.refusals["agreement_withdrawn"] == 1
    assert figures.withdrawals_acknowledged > 0
    assert figures.ledger_verified
    assert figures.tampering_detected
