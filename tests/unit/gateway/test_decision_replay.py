"""
Decision replay: what was touched since is found, what came after does not count, what is gone is said to be gone.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
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
from gateway.replay import Outcome, Replayed, UnknownDecision, replay, replay_all
from gateway.store.tables import documents, subject_data_keys
from ops.cli import app as tdu
from ops.demo.partner import Partner
from ops.faults.partners import referral

pytestmark = pytest.mark.anyio

CAF, ASSOCIATION = "99900001100018", "99900003700013"
CONVENTION = "tznr-valombre-caf-association"
_TEXT = (files("consent") / "models" / "tznr-caf-association.yaml").read_bytes()


def _person(number: int) -> dict[str, Any]:
    return {"birth_name": f"Personne{number}", "given_names": ["Camille"], "birth_date": "1980-05-17", "sex": "female"}


async def _all(started: Any) -> list[Replayed]:
    async with started.runtime.services.database.read() as tx:
        return [each async for each in replay_all(tx, started.runtime.services.vault)]


async def _change(started: Any, *statements: Any) -> None:
    async with started.runtime.services.database.write() as tx:
        for statement in statements:
            await tx.execute(statement)


@dataclass
class Short:
    """A short history: an agreement, a send that it permits, its withdrawal, a send that is refused; and the sends' events."""

    caf: Partner
    association: Partner
    permitted: str
    refused: str


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
    await caf.propose(_TEXT)
    for party in (caf, association):
        await party.sign(_TEXT)
    agreement = (await association.call("POST", "/v1/consents", json=_consent(_person(1)))).json()["id"]
    sent = [(await caf.call("POST", "/v1/referrals", json=referral(ASSOCIATION, subject=_person(1)))).json()]
    await association.pull(1)
    await association.call("POST", f"/v1/consents/{agreement}/withdraw", json={"channel": "in_person"})
    sent.append((await caf.call("POST", "/v1/referrals", json=referral(ASSOCIATION, subject=_person(1)))).json())
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
            key = vault.unwrap(row.subject_id, wrapped.kek, wrapped.wrapped)
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
        taken = (await short.caf.call("POST", "/v1/referrals", json=referral(ASSOCIATION, subject=_person(2)))).json()
        await _change(started, sa.delete(objections))
        found = await _all(started)
    assert {"objection": 1} == taken["refusals"]
    assert {Outcome.SAME} == {each.outcome for each in found}


async def test_the_order_of_the_ledger_counts_and_not_the_clocks(in_process: Callable[..., Any]) -> None:
    """What a machine a minute late records after a decision does not undo it, though its date says that it came before."""
    late_by = timedelta()
    async with in_process(clock=lambda: datetime.now(UTC) - late_by) as started:
        short = await _short_history(started)
        agreement = (await short.association.call("POST", "/v1/consents", json=_consent(_person(3)))).json()["id"]
        taken = (await short.caf.call("POST", "/v1/referrals", json=referral(ASSOCIATION, subject=_person(3)))).json()
        late_by = timedelta(minutes=1)
        await short.association.call("POST", f"/v1/consents/{agreement}/withdraw", json={"channel": "in_person"})
        await short.association.call("POST", "/v1/objections", json={"subject": _person(3)})
        await short.caf.call("POST", f"/v1/conventions/{CONVENTION}/suspend")
        refused = (await short.caf.call("POST", "/v1/referrals", json=referral(ASSOCIATION, subject=_person(3)))).json()
        found = await _all(started)
    assert (1, {"convention_suspended": 1}) == (taken["accepted"], refused["refusals"])
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


async def test_a_simulation_is_replayed_as_it_was_answered(
    in_process: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """About somebody who withdrew and agrees again since, about somebody unknown and about nobody: each gives what it gave."""
    async with in_process() as started:
        short = await _short_history(started)
        asked = {"kind": "referral", "purpose": "inform_about_rights", "recipient": ASSOCIATION}
        events = []
        for about in ({"subject": _person(1)}, {"subject": _person(2)}, {}):
            answer = await short.caf.call("POST", "/v1/decisions/simulate", json=asked | about)
            events.append(answer.json()["event"])
        for number in (1, 2):
            await short.association.call("POST", "/v1/consents", json=_consent(_person(number)))
        services = started.runtime.services
        async with services.database.read() as tx:
            replayed = [await replay(tx, event, services.vault) for event in events]
        same = [(ASSOCIATION, Outcome.SAME, "simulation")]
        assert [same] * 3 == [[(each.recipient, each.outcome, each.event_type) for each in found] for found in replayed]
        assert set(events) <= {each.event_id for each in await _all(started)}
        monkeypatch.setenv("TDU_DATA_DIR", str(services.settings.data_dir))
        monkeypatch.setenv("TDU_DATABASE_URL", started.gateway.database)
        done = await to_thread.run_sync(lambda: CliRunner().invoke(tdu, ["gate", "replay", events[0]]))
    assert 0 == done.exit_code
    assert "simulation" in done.stdout and "même réponse" in done.stdout
