"""
Every decision of a long and agitated history, taken again: the same answer, the same fields, the same pointers; and a record,
a row or a rule that was touched since does not give the same answer any more.
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
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from anyio import to_thread
from typer.testing import CliRunner

from consent.ledger.event import EventType
from consent.tables import agreements, ledger_events, objections
from gateway import replay as replays
from gateway.replay import DECISIONS, Outcome, Replayed, UnknownDecision, replay, replay_all
from gateway.store.tables import documents, subject_data_keys
from ops.cli import app as tdu
from ops.demo.partner import Partner, PartnerFailed

pytestmark = pytest.mark.anyio

CAF, DEPARTEMENT, ASSOCIATION, CCAS = "99900001100018", "99900002900010", "99900003700013", "99900004500016"
EXCHANGES = 320
PEOPLE = 16
TOGETHER = 6
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
        await self.partners[CAF].call("POST", f"/v1/{kind}s", json=document, expect=(202, 403))

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

    async def new_version(self, chance: random.Random, other: str) -> None:
        """Propose and sign a version with other categories, at times one that begins later, or that one party only signs."""
        self.versions[other] += 1
        text = _MODELS[other].replace("\nversion: 1", f"\nversion: {self.versions[other]}")
        for category in chance.sample(["address, ", "contact, ", "nir, "], chance.choice([0, 1, 2])):
            text = text.replace(category, "")
        if chance.random() < 0.2:
            text = text.replace("from: 2026-01-01, until", "from: 2027-01-01, until")
        parties = [self.partners[CAF], self.partners[other]]
        await parties[0].propose(text.encode())
        for party in parties if chance.random() < 0.8 or self.versions[other] == 1 else parties[:1]:
            with suppress(PartnerFailed):  # a newer version was proposed since: it is the one to be signed
                await party.sign(text.encode())


def _identifier(other: str) -> str:
    return "tznr-valombre-caf-departement" if other == DEPARTEMENT else "tznr-valombre-caf-association"


async def _all(started: Any) -> list[Replayed]:
    async with started.runtime.services.database.read() as tx:
        return [each async for each in replay_all(tx, started.runtime.services.vault)]


async def _change(started: Any, *statements: Any) -> None:
    async with started.runtime.services.database.write() as tx:
        for statement in statements:
            await tx.execute(statement)


def _late_clock(chance: random.Random) -> Callable[[], datetime]:
    """The clocks of machines that are up to two seconds late, each call on another machine."""
    return lambda: datetime.now(UTC) - timedelta(seconds=chance.uniform(0, 2))


async def test_every_decision_of_a_history_is_replayed_the_same(in_process: Callable[..., Any]) -> None:
    """More than 300 exchanges, with withdrawals, objections and convention changes at the same moments: not one differs."""
    async with in_process(clock=_late_clock(random.Random(1))) as started:
        history = History(started, random.Random(2026))
        await history.live()
        found = await _all(started)
        async with started.runtime.services.database.read() as tx:
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
    print(reasons, types)
    met = {"objection", "agreement_missing", "agreement_withdrawn", "convention_suspended", "no_convention"}
    assert met <= reasons.keys()


@dataclass
class Short:
    """A short history: an agreement, a send that it permits, its withdrawal, a send that is refused; and the sends' events."""

    caf: Partner
    association: Partner
    permitted: str
    refused: str


def _referral(subject: dict[str, Any]) -> dict[str, Any]:
    return {
        "kind": "referral",
        "schema_version": "1.0",
        "id": str(uuid.uuid4()),
        "created_at": "2026-11-23T09:00:00+01:00",
        "sender": {"siret": CAF},
        "recipients": [{"siret": ASSOCIATION}],
        "purpose": "inform_about_rights",
        "subject": subject,
        "rights": [{"right": "rsa", "state": "to_request"}],
    }


def _consent(subject: dict[str, Any]) -> dict[str, Any]:
    at = (datetime.now(UTC) - timedelta(days=3)).isoformat(timespec="seconds")
    scope = {
        "id": "tout",
        "purposes": ["inform_about_rights"],
        "kinds": ["referral"],
        "categories": ["identity", "rights"],
        "recipients": [ASSOCIATION],
    }
    return {
        "kind": "consent",
        "schema_version": "1.0",
        "id": str(uuid.uuid4()),
        "created_at": at,
        "purpose": "inform_about_rights",
        "subject": subject,
        "agreement_type": "consent",
        "state": "given",
        "collected_at": at,
        "channel": "in_person",
        "evidence": {"level": "document_kept", "kind": "paper_scan", "sha256": "ab" * 32},
        "text": {"version": "accord-1", "sha256": "ab" * 32, "language": "fr"},
        "scopes": [scope],
        "valid_from": at,
        "duration": "one_year",
    }


async def _short_history(started: Any) -> Short:
    caf = await started.partner(CAF, "CAF de Valombre", "caf-valombre")
    association = await started.partner(ASSOCIATION, "Association Le Relais de Valombre", "relais-valombre")
    text = _MODELS[ASSOCIATION].encode()
    await caf.propose(text)
    for party in (caf, association):
        await party.sign(text)
    agreement = (await association.call("POST", "/v1/consents", json=_consent(_person(1)))).json()["id"]
    sent = [(await caf.call("POST", "/v1/referrals", json=_referral(_person(1)))).json()]
    await association.pull(1)
    await association.call("POST", f"/v1/consents/{agreement}/withdraw", json={"channel": "in_person"})
    sent.append((await caf.call("POST", "/v1/referrals", json=_referral(_person(1)))).json())
    exchanges = [taken["exchanges"][0] for taken in sent]
    assert ["accepted", "refused"] == [exchange["state"] for exchange in exchanges]
    async with started.runtime.services.database.read() as tx:
        types = [EventType.EXCHANGE_ACCEPTED, EventType.EXCHANGE_REFUSED]
        query = sa.select(ledger_events.c.exchange_id, ledger_events.c.id).where(ledger_events.c.type.in_(types))
        events = {row.exchange_id: row.id for row in await tx.execute(query)}
    return Short(caf, association, *(events[exchange["exchange"]] for exchange in exchanges))


async def test_a_row_that_was_touched_is_found(in_process: Callable[..., Any]) -> None:
    """An agreement that is widened, or from which the withdrawal is removed, no longer gives what the ledger says it gave."""
    async with in_process() as started:
        short = await _short_history(started)
        permitted, refused = short.permitted, short.refused
        assert {Outcome.SAME} == {each.outcome for each in await _all(started)}
        async with started.runtime.services.database.read() as tx:
            decisive = (await tx.execute(sa.select(agreements.c.decisive))).scalar_one()
        wider = {**decisive, "scopes": [decisive["scopes"][0] | {"categories": ["identity", "rights", "contact"]}]}
        await _change(started, sa.update(agreements).values(decisive=wider))
        widened = {each.event_id: each for each in await _all(started) if each.outcome is Outcome.DIFFERENT}
        without = {name: value for name, value in decisive["scopes"][0].items() if name != "withdrawn_at"}
        await _change(
            started, sa.update(agreements).values(decisive={**decisive, "scopes": [without], "state": "given"})
        )
        hidden = {each.event_id: each for each in await _all(started) if each.outcome is Outcome.DIFFERENT}
    assert ("fields",) == widened[permitted].differences
    assert refused not in widened
    assert {"permit", "reasons", "fields"} <= set(hidden[refused].differences)
    assert permitted not in hidden


async def test_a_document_that_was_touched_is_found(in_process: Callable[..., Any]) -> None:
    """The disclosure's pointers are those of its document; without the document, the decision alone is compared."""
    async with in_process() as started:
        await _short_history(started)
        [made] = [each for each in await _all(started) if each.event_type == "disclosure_made"]
        vault, database = started.runtime.services.vault, started.runtime.services.database
        async with database.write() as tx:
            row = (await tx.execute(sa.select(documents).where(documents.c.kind == "referral"))).first()
            wrapped = (
                await tx.execute(sa.select(subject_data_keys).where(subject_data_keys.c.subject_id == row.subject_id))
            ).first()
            key = vault.unwrap(row.subject_id, wrapped.wrapped)
            place = f"documents/{row.id}"
            changed = json.loads(key.open(row.sealed, place)) | {"rights": []}
            sealed = key.seal(json.dumps(changed).encode(), place)
            await tx.execute(sa.update(documents).where(documents.c.id == row.id).values(sealed=sealed))
        [touched] = [each for each in await _all(started) if each.event_id == made.event_id]
        await _change(started, sa.delete(documents).where(documents.c.id == row.id))
        [purged] = [each for each in await _all(started) if each.event_id == made.event_id]
    assert [Outcome.SAME, Outcome.DIFFERENT, Outcome.SAME] == [each.outcome for each in (made, touched, purged)]
    assert ("left",) == touched.differences


async def test_an_objection_forgotten_at_its_term_is_still_replayed(in_process: Callable[..., Any]) -> None:
    """The row is deleted when its time is over; the event says enough for the refusals of the time to be replayed."""
    async with in_process() as started:
        short = await _short_history(started)
        await short.association.call("POST", "/v1/consents", json=_consent(_person(2)))
        await short.association.call("POST", "/v1/objections", json={"subject": _person(2)})
        taken = (await short.caf.call("POST", "/v1/referrals", json=_referral(_person(2)))).json()
        await _change(started, sa.delete(objections))
        found = await _all(started)
    assert {"objection": 1} == taken["refusals"]
    assert {Outcome.SAME} == {each.outcome for each in found}


async def test_an_erased_person_leaves_nothing_to_replay(in_process: Callable[..., Any]) -> None:
    """Without the person's key no event opens: it is said so, and the others are replayed."""
    async with in_process() as started:
        permitted = (await _short_history(started)).permitted
        await _change(started, sa.delete(subject_data_keys))
        found = await _all(started)
        async with started.runtime.services.database.read() as tx:
            alone = await replay(tx, permitted, started.runtime.services.vault)
    assert {Outcome.ERASED} == {each.outcome for each in found}
    assert [(permitted, None)] == [(each.event_id, each.recipient) for each in alone]


async def test_one_event_is_replayed_alone(in_process: Callable[..., Any]) -> None:
    """By its identifier; what is no decision is said to be none."""
    async with in_process() as started:
        short = await _short_history(started)
        permitted, refused = short.permitted, short.refused
        vault = started.runtime.services.vault
        async with started.runtime.services.database.read() as tx:
            alone = [await replay(tx, event, vault) for event in (permitted, refused)]
            query = sa.select(ledger_events.c.id).where(ledger_events.c.type == EventType.AGREEMENT_GIVEN)
            other = (await tx.execute(query)).scalar_one()
            for unknown in (other, str(uuid.uuid4())):
                with pytest.raises(UnknownDecision):
                    await replay(tx, unknown, vault)
    assert [[(permitted, Outcome.SAME)], [(refused, Outcome.SAME)]] == [
        [(each.event_id, each.outcome) for each in replayed] for replayed in alone
    ]


async def test_other_rules_are_told(in_process: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """A decision taken by other labels or other steps than this code's is marked as such, whatever its outcome."""
    async with in_process() as started:
        await _short_history(started)
        monkeypatch.setattr(replays, "rules", lambda: "other")
        found = await _all(started)
    assert {(Outcome.SAME, False)} == {(each.outcome, each.same_rules) for each in found}


async def test_the_command_says_whether_everything_is_the_same(
    in_process: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`tdu gate replay --all` counts and ends with 0, with 1 when something differs; one event, or none, is answered too."""
    async with in_process() as started:
        short = await _short_history(started)
        monkeypatch.setenv("TDU_DATA_DIR", str(tmp_path))
        monkeypatch.setenv("TDU_DATABASE_URL", started.gateway.database)

        async def run(*words: str) -> tuple[int, str]:
            result = await to_thread.run_sync(lambda: CliRunner().invoke(tdu, ["gate", "replay", *words]))
            return result.exit_code, result.stdout

        everything = await run("--all")
        one = await run(short.permitted, "--json")
        unknown = await run(str(uuid.uuid4()))
        neither = await run()
        await _change(started, sa.delete(agreements))
        different = await run("--all", "--json")
    assert (0, True) == (everything[0], "RÉPONSE DIFFÉRENTE, " in everything[1] and "0 RÉPONSE" in everything[1])
    assert (0, [short.permitted]) == (one[0], [each["event"] for each in json.loads(one[1])["replayed"]])
    assert [2, 2] == [unknown[0], neither[0]]
    told = json.loads(different[1])
    assert 1 == different[0]
    assert {short.permitted, short.refused} <= {each["event"] for each in told["replayed"]}
    assert told["outcomes"]["different"] == len(told["replayed"]) > 0
