"""An adapter that cannot write one document holds back that one only, and nothing is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from typing import Any

import pytest

from adapters import registry
from gateway.acknowledgement import acknowledge
from gateway.auth.caller import Caller
from gateway.exchange import deliver
from gateway.taken import waiting
from schemas import Document

pytestmark = pytest.mark.anyio

CAF, DEPARTEMENT = "99900001100018", "99900002900010"
CALLER = Caller(
    "departement-valombre", DEPARTEMENT, "logiciel", frozenset({"mailbox:read"}), frozenset({"partner"}), "token"
)
MODEL = (files("consent") / "models" / "tznr-caf-departement.yaml").read_bytes()


@dataclass
class Fails:
    """A partner's adapter with a fault: it is the shared format, and divides by zero for one given name."""

    given_name: str | None

    def __getattr__(self, name: str) -> Any:
        return getattr(registry.get("shared-json"), name)

    def to_partner(self, documents: Sequence[Document]) -> bytes:
        """Write the documents, or fail as badly written code does."""
        if any(self.given_name in document["subject"]["given_names"] for document in documents):
            raise ZeroDivisionError
        return registry.get("shared-json").to_partner(documents)


def _referral(number: int) -> Document:
    return {
        "kind": "referral",
        "schema_version": "1.0",
        "id": f"0190a5b2-0000-7000-8000-{number:012d}",
        "created_at": "2026-11-23T09:00:00+01:00",
        "sender": {"siret": CAF},
        "recipients": [{"siret": DEPARTEMENT}],
        "purpose": "inform_about_rights",
        "subject": {
            "birth_name": "Valrose",
            "given_names": [f"Prénom{'abc'[number]}"],
            "birth_date": f"198{number}-05-17",
            "sex": "female",
        },
        "rights": [{"right": "rsa", "state": "to_request"}],
    }


async def test_the_others_pass_and_the_one_waits_for_a_mended_adapter(in_process: Callable[..., Any]) -> None:
    """Of three referrals two are handed over at once; the third is when the adapter is mended, ten minutes later."""
    later = timedelta()
    async with in_process(clock=lambda: datetime.now(UTC) + later) as started:
        caf = await started.partner(CAF, "CAF de Valombre", "caf-valombre")
        departement = await started.partner(DEPARTEMENT, "Département de Valombre", "departement-valombre")
        await caf.propose(MODEL)
        await caf.sign(MODEL)
        await departement.sign(MODEL)
        for number in range(3):
            await caf.call("POST", "/v1/referrals", json=_referral(number))
        failing, unwritten = await _taken(started, Fails("Prénomb"), (2, 1))
        later = timedelta(minutes=9)
        early = await waiting(CALLER, started.runtime.services, None)
        later = timedelta(minutes=11)
        mended, still = await _taken(started, Fails(None), (1, 0))
    assert (["Prénoma", "Prénomc"], 1, False) == (sorted(failing), unwritten, early)
    assert (["Prénomb"], 0) == (mended, still)


async def _taken(started: Any, adapter: Any, expected: tuple[int, int]) -> tuple[list[str], int]:
    """Take and acknowledge until so many came and so many could not be written; gives the given names, and how many could not."""
    services, names, unwritten = started.runtime.services, [], 0
    async with asyncio.timeout(30):
        while (len(names), unwritten) != expected:
            handed = await deliver(caller=CALLER, adapter=adapter, limit=10, kinds=None, services=services)
            names += [parcel.taken.document["subject"]["given_names"][0] for parcel in handed.parcels]
            unwritten += len(handed.unwritten)
            if handed.parcels:
                await acknowledge(CALLER, handed.lease, services)
    return names, unwritten
