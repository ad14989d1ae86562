"""
Every decision of a long and agitated history, taken again: the same answer, the same fields, the same pointers.
"""

from __future__ import annotations

import asyncio
import json
import random
import uuid
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from typing import Any

import pytest
import sqlalchemy as sa

from consent.tables import ledger_events
from gateway.replay import DECISIONS, Outcome, replay_all
from ops.demo.partner import Partner, PartnerFailed

pytestmark = pytest.mark.anyio

CAF, DEPARTEMENT, ASSOCIATION, CCAS = "99900001100018", "99900002900010", "99900003700013", "99900004500016"
EXCHANGES = 320
PEOPLE = 16
TOGETHER = 6
LATE = 2.0
"""Seconds by which a machine's clock may be late."""
_PURPOSES = ("inform_about_rights", "award_right", "social_evaluation", "follow_up")
_CATEGORIES = ("identity", "contact", "needs", "rights", "situation", "address", "orientation")
_MODELS = {
    DEPARTEMENT: (files("consent") / "models" / "tznr-caf-departement.yaml").read_text(encoding="utf-8"),
    ASSOCIATION: (files("consent") / "models" / "tznr-caf-association.yaml").read_text(encoding="utf-8"),
}


def _person(number: int) -> dict[str, Any]:
    return {"birth_name": f"Personne{number}", "given_names": ["Camille"], "birth_date": "1980-05-17", "sex": "female"}


@dataclass
class History:
    """Partners who send, agree, object, sign and suspend at random, several at a time, under clocks that do not agree."""

    started: Any
    chance: random.Random
    partners: dict[str, Partner] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=lambda: {DEPARTEMENT: 0, ASSOCIATION: 0})
    given: list[tuple[str, str, list[str]]] = field(default_factory=list)
    sent: int = 0

    async def live(self) -> None:
        """Go on until EXCHANGES exchanges were sent."""
        for siret in (CAF, DEPARTEMENT, ASSOCIATION):
            self.partners[siret] = await self.started.partner(siret, f"Organisation {siret}", f"logiciel-{siret}")
        for other in (DEPARTEMENT, ASSOCIATION):
            await self.new_version(self.chance, other)
        deeds = [self.send] * 10 + [self.agree] * 3 + [self.withdraw, self.object, self.receive, self.stop_or_go]
        while self.sent < EXCHANGES:
            # Each draws from its own chance: what is done does not depend on which of them is served first.
            group = [self.chance.choice(deeds)(random.Random(self.chance.random())) for _ in range(TOGETHER)]
            if self.chance.random() < 0.2:
                other = self.chance.choice([DEPARTEMENT, ASSOCIATION])
                group.append(self.new_version(random.Random(self.chance.random()), other))
            await asyncio.gather(*group)
        await self.receive(self.chance)
        await self.end_a_convention()

    async def end_a_convention(self) -> None:
        """Revoke one convention while the other holds, and send to both: whatever chance did before, this was met."""
        for other in (DEPARTEMENT, ASSOCIATION):
            await self.new_version(random.Random(0), other, holds=True)
        await asyncio.sleep(LATE)  # signed before it is revoked, on every clock: else it is a refusal to sign
        await self.partners[CAF].call("POST", f"/v1/conventions/{_identifier(ASSOCIATION)}/revoke")
        await asyncio.sleep(LATE)
        await asyncio.gather(*(self.send(random.Random(number)) for number in range(3 * TOGETHER)))

    async def send(self, chance: random.Random) -> None:
        """Send a referral or a bilan, to one partner or to whom the conventions route it."""
        self.sent += 1
        kind = chance.choice(["referral", "referral", "bilan"])
        recipients = chance.choice([[DEPARTEMENT], [ASSOCIATION], [DEPARTEMENT, ASSOCIATION], [CCAS], []])
        document = {
            "kind": kind,
            "schema_version": "1.0",
            "id": str(uuid.uuid4()),
            "created_at": "2026-11-23T09:00:00+01:00",
            "sender": {"siret": CAF},
            "recipients": [{"siret": siret} for siret in recipients],
            "purpose": chance.choice(_PURPOSES[:3]),
            "subject": _person(chance.randrange(PEOPLE))
            | {"phones": ["+33199000030"], "address": {"postcode": "39999"}},
        }
        if kind == "referral":
            document |= {"rights": [{"right": "rsa", "state": "to_request"}], "urgency": "normal", "notes": "Le matin."}
        else:
            line = {
                "right": "rsa",
                "concerns": "family",
                "state": "to_request",
                "as_of": "2026-11-01",
                "source": "attested",
            }
            document |= {"established_at": "2026-11-23T09:00:00+01:00", "lines": [line]}
        if not recipients:
            del document["recipients"]
        # Without a convention in force the scope does not exist: refused before the gate, which decides nothing then.
        # While a version begins, clocks that disagree may call even the renewed token outdated: nothing is recorded then.
        await self.partners[CAF].call("POST", f"/v1/{kind}s", json=document, expect=(202, 403, 401))

    async def agree(self, chance: random.Random) -> None:
        """Record an agreement, a refusal, one that is over or one still to come, with some lines and some categories."""
        now = datetime.now(UTC)
        begins, lasts = chance.choice([(-60, 90), (-60, 90), (-60, 90), (-400, 30), (40, 90)])
        days = [
            (now + timedelta(days=day)).isoformat(timespec="seconds")
            for day in (min(begins, -2), begins, begins + lasts)
        ]
        collector = chance.choice([CAF, ASSOCIATION])
        scopes = [
            {
                "id": f"ligne-{number}",
                "purposes": chance.sample(_PURPOSES, 2),
                "kinds": chance.choice([["referral"], ["referral", "bilan"]]),
                "categories": chance.sample(_CATEGORIES, 3) + (["rights"] if chance.random() < 0.5 else []),
                "recipients": [ASSOCIATION],
            }
            for number in range(chance.choice([1, 2]))
        ]
        for scope in scopes:
            scope["categories"] = sorted(set(scope["categories"]))
        document = {
            "kind": "consent",
            "schema_version": "1.0",
            "id": str(uuid.uuid4()),
            "created_at": days[0],
            "purpose": "inform_about_rights",
            "subject": _person(chance.randrange(PEOPLE)),
            "agreement_type": chance.choice(["consent", "consent", "accord"]),
            "state": chance.choice(["given"] * 5 + ["refused"]),
            "collected_at": days[0],
            "channel": "in_person",
            "evidence": {"level": "document_kept", "kind": "paper_scan", "sha256": "ab" * 32},
            "text": {"version": "accord-1", "sha256": "ab" * 32, "language": "fr"},
            "scopes": scopes,
            "valid_from": days[1],
            "valid_until": days[2],
        }
        await self.partners[collector].call("POST", "/v1/consents", json=document)
        if document["state"] == "given":
            self.given.append((collector, str(document["id"]), [str(scope["id"]) for scope in scopes]))

    async def withdraw(self, chance: random.Random) -> None:
        """Take back an agreement, whole or one line of it; twice is refused."""
        if self.given:
            collector, agreement, lines = chance.choice(self.given)
            body = chance.choice([{}, {"scopes": lines[:1]}]) | {"channel": "in_person"}
            await self.partners[collector].call(
                "POST", f"/v1/consents/{agreement}/withdraw", json=body, expect=(200, 409)
            )

    async def object(self, chance: random.Random) -> None:
        """Object, rarely: to a recipient, for a purpose, or to everything."""
        if chance.random() < 0.4:
            limits = chance.choice([{"recipient": ASSOCIATION}, {"purpose": "award_right"}, {"recipient": CCAS}, {}])
            body = {"subject": _person(chance.randrange(PEOPLE))} | limits
            await self.partners[DEPARTEMENT].call("POST", "/v1/objections", json=body)

    async def receive(self, _chance: random.Random) -> None:
        """Both recipients take what waits for them."""
        for siret in (DEPARTEMENT, ASSOCIATION):
            answer = (await self.partners[siret].call("GET", "/v1/mailbox?limit=200&wait=0")).json()
            if answer["deliveries"]:
                await self.partners[siret].call("POST", f"/v1/mailbox/{answer['lease']}/ack")

    async def stop_or_go(self, chance: random.Random) -> None:
        """A party suspends a convention, resumes it, or revokes one of its versions."""
        other = chance.choice([DEPARTEMENT, ASSOCIATION])
        party = self.partners[chance.choice([CAF, other])]
        action = chance.choice(["suspend", "resume", "resume", "revoke"])
        if action != "revoke" or chance.random() < 0.1:
            await party.call("POST", f"/v1/conventions/{_identifier(other)}/{action}", expect=(200, 409))

    async def new_version(self, chance: random.Random, other: str, *, holds: bool = False) -> None:
        """
        Propose and sign a version with other categories; unless it `holds`, at times one that begins later, or that one
        party only signs.
        """
        self.versions[other] += 1
        text = _MODELS[other].replace("\nversion: 1", f"\nversion: {self.versions[other]}")
        for category in chance.sample(["address, ", "contact, ", "nir, "], chance.choice([0, 1, 2])):
            text = text.replace(category, "")
        if chance.random() < 0.2 and not holds:
            text = text.replace("from: 2026-01-01, until", "from: 2027-01-01, until")
        parties = [self.partners[CAF], self.partners[other]]
        await parties[0].propose(text.encode())
        for party in parties if chance.random() < 0.8 or holds or self.versions[other] == 1 else parties[:1]:
            with suppress(PartnerFailed):  # a newer version was proposed since: it is the one to be signed
                await party.sign(text.encode())


def _identifier(other: str) -> str:
    return "tznr-valombre-caf-departement" if other == DEPARTEMENT else "tznr-valombre-caf-association"


def _late_clock(chance: random.Random) -> Callable[[], datetime]:
    """The clocks of machines that are up to two seconds late, each call on another machine."""
    return lambda: datetime.now(UTC) - timedelta(seconds=chance.uniform(0, LATE))


async def test_every_decision_of_a_history_is_replayed_the_same(in_process: Callable[..., Any]) -> None:
    """More than 300 exchanges, with withdrawals, objections and convention changes at the same moments: not one differs."""
    async with in_process(clock=_late_clock(random.Random(1))) as started:
        history = History(started, random.Random(2026))
        await history.live()
        async with started.runtime.services.database.read() as tx:
            found = [each async for each in replay_all(tx, started.runtime.services.vault)]
            query = sa.select(ledger_events.c.id).where(ledger_events.c.type.in_(DECISIONS))
            recorded = set((await tx.execute(query)).scalars())
            deliveries = (await tx.execute(sa.text("SELECT decision FROM deliveries"))).scalars().all()
        reasons = Counter(
            reason for each in deliveries for reason in (json.loads(each) if isinstance(each, str) else each)["reasons"]
        )
    assert [] == [each for each in found if each.outcome is not Outcome.SAME or not each.same_rules]
    assert recorded == {each.event_id for each in found}
    types = Counter(each.event_type for each in found)
    assert types["exchange_accepted"] + types["exchange_refused"] >= EXCHANGES * 0.8
    assert min(types["exchange_accepted"], types["exchange_refused"], types["disclosure_made"]) >= 30
    met = {"objection", "agreement_missing", "agreement_withdrawn", "convention_suspended", "convention_revoked"}
    assert met <= reasons.keys()
