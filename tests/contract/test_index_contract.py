"""What the index of the log promises, on SQLite and on PostgreSQL alike: an answer cannot leave anything out unseen."""

from __future__ import annotations

import asyncio
import copy
import json
import random
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa

from consent.answer import FORMAT
from consent.completeness import verify_answer
from consent.ledger.commitment import Disclosure
from consent.ledger.event import Event, EventType, LedgerRecord, commit
from consent.ledger.export import export
from consent.ledger.indexer import IndexRefused, extend
from consent.ledger.lists import ALL, CONVENTION, LAST_DAY, PARTNER, PERSON, Covered, day_of_moment, subject_tag
from consent.ledger.note import Signer, encode_base64
from consent.ledger.report import Report
from consent.ledger.search import Asked, NotIndexed, Place, page, page_line
from consent.ledger.sequencer import Sequencer
from consent.ledger.source import Directory
from consent.ledger.store import Ledger
from consent.standing import standing
from consent.tables import ledger_events, metadata
from consent.verify import verify_directory
from gateway.store.database import Database

pytestmark = pytest.mark.anyio

SIGNER = Signer.from_seed("journal.valombre.example", bytes(range(32)))
NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
OPERATOR = "99900009400014"
SIRETS = ("99900001100018", "99900002900010", "99900003700013")
PEOPLE = [bytes([n]) * 32 for n in range(1, 6)]

Lines = list[dict[str, Any]]


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """An empty database of each kind, with the tables of the house."""
    opened = Database(database_url)
    async with opened.write() as tx:
        await tx.run_sync(metadata.create_all)
    yield opened
    await opened.close()


def opening_of(event_id: str) -> bytes:
    return UUID(event_id).bytes * 2


def made(event: Event, label: bytes | None = None, entry: bytes | None = None) -> LedgerRecord:
    entry = entry or commit(event, opening_of(event.id))
    return LedgerRecord(event, entry, event.canonical(), label=label)


def disclosure(
    recipient: str = SIRETS[1], *, person: bytes | None = None, days: int = 0, convention: str = "c-1"
) -> LedgerRecord:
    """A disclosure between fictitious partners, about a person or nobody, some days after the first."""
    ident = str(uuid4())
    body: dict[str, Any] = {"recipient": recipient, "convention_id": convention, "purpose": "inform_about_rights"}
    if person:
        body["subject_tag"] = subject_tag(person, ident)
    return made(Event(ident, EventType.DISCLOSURE_MADE, NOW + timedelta(days=days), SIRETS[0], body), person)


def committing(covered: Covered) -> LedgerRecord:
    body = {"start": covered.start, "size": covered.size, "root": covered.root.hex()}
    return made(Event(str(uuid4()), EventType.INDEX_EXTENDED, NOW, OPERATOR, body), entry=covered.encode())


async def log(database: Database, records: Sequence[LedgerRecord]) -> None:
    async with database.write() as tx:
        await Ledger().append(tx, records)
    await Sequencer(database.write, SIGNER).catch_up()


async def indexed(database: Database, *, limit: int = 2_000) -> None:
    """Index everything that was logged."""
    while True:
        async with database.write() as tx:
            if await extend(tx, committing, limit) is None:
                return
        await Sequencer(database.write, SIGNER).catch_up()


async def filled(database: Database, count: int, seed: int = 7) -> None:
    """Log and index events of several people, partners, conventions and days, in several goes."""
    chosen = random.Random(seed)
    left = count
    while left:
        some = min(left, chosen.randint(1, 90))
        left -= some
        events = [
            disclosure(
                chosen.choice(SIRETS[1:]),
                person=chosen.choice([None, *PEOPLE[:4]]),
                days=chosen.randint(0, 5),
                convention=chosen.choice(["c-1", "c-2"]),
            )
            for _ in range(some)
        ]
        await log(database, events)
        if chosen.random() < 0.5:
            await indexed(database, limit=chosen.randint(20, 200))
    await indexed(database)


def header(asked: Asked, **wanted: Any) -> dict[str, Any]:
    told = {"kind": asked.kind, "value": asked.value, "first_day": asked.first_day, "last_day": asked.last_day}
    return {"answer": {"format": FORMAT, "list": told, "wanted": wanted}}


async def answer(
    database: Database,
    asked: Asked,
    *,
    limit: int = 40,
    between: Callable[[], Any] | None = None,
    opened: bool = True,
    **wanted: Any,
) -> Lines:
    """A whole answer, page after page; `between` is done after each page."""
    lines = [header(asked, **wanted)]
    start: Place | None = None
    while True:
        async with database.read() as tx:
            found = await page(tx, asked, start, limit)
        lines.append(page_line(found))
        for row in found.rows:
            summary = json.loads(row.summary)
            told = {"index": row.place, "entry": encode_base64(row.entry), "summary": summary}
            if opened and row.type == EventType.DISCLOSURE_MADE:
                told |= {"event": row.sealed.decode(), "opening": encode_base64(opening_of(row.id))}
            told["matches"] = wanted.get("purpose") in (None, *summary["purposes"])
            lines.append({"row": told})
        start = found.next
        if start is None:
            return lines
        if between:
            await between()


def verified(lines: Lines) -> Report:
    return verify_answer([json.dumps(line, ensure_ascii=False).encode() for line in lines], SIGNER.vkey)


async def counted(database: Database, *conditions: sa.ColumnElement[bool]) -> int:
    async with database.read() as tx:
        query = sa.select(sa.func.count()).select_from(ledger_events).where(*conditions)
        return int((await tx.execute(query)).scalar_one())


def everything() -> list[Asked]:
    day = day_of_moment(NOW)
    return [
        Asked(ALL),
        Asked(PARTNER, SIRETS[1], day + 1, day + 3),
        Asked(PARTNER, SIRETS[0]),
        Asked(CONVENTION, "c-2", day, day),
        Asked(PERSON, PEOPLE[0].hex()),
        Asked(PERSON, PEOPLE[4].hex()),
        Asked(PARTNER, "99900004500016"),
    ]


async def test_an_answer_holds_everything_that_was_asked_for(database: Database) -> None:
    """Whatever the list, the days and the size of the pages, the answer verifies and has as many rows as the table."""
    await filled(database, 400)
    events = ledger_events.c
    expected = [
        await counted(database, events.index < await covered(database)),
        await counted(
            database,
            events.recipient == SIRETS[1],
            events.occurred_at >= "2026-11-24",
            events.occurred_at < "2026-11-27",
        ),
        await counted(database, events.actor == SIRETS[0]),
        await counted(database, events.convention_id == "c-2", events.occurred_at < "2026-11-24"),
        await counted(database, events.label == PEOPLE[0]),
        0,
        0,
    ]
    for asked, count in zip(everything(), expected, strict=True):
        for limit in (7, 64, 1_000):
            report = verified(await answer(database, asked, limit=limit))
            assert report.ok, report.to_json()
            assert report.checked["rows"] == count
    assert min(expected[:5]) > 10


async def covered(database: Database) -> int:
    async with database.read() as tx:
        return int((await tx.execute(sa.text("SELECT size FROM ledger_index"))).scalar_one())


def mutations(lines: Lines, chosen: random.Random) -> Iterator[tuple[str, Lines]]:
    """What a dishonest answer could be."""
    rows = [i for i, line in enumerate(lines) if "row" in line]
    pages = [i for i, line in enumerate(lines) if "page" in line]
    at, other = chosen.sample(rows, 2)
    yield "dropped", [line for i, line in enumerate(lines) if i != at]
    yield "doubled", [*lines[: at + 1], lines[at], *lines[at + 1 :]]
    swapped = list(lines)
    swapped[at], swapped[other] = swapped[other], swapped[at]
    yield "swapped", swapped
    yield "replaced", [lines[other] if i == at else line for i, line in enumerate(lines)]
    first, last = pages[0], pages[1] if len(pages) > 1 else len(lines)
    yield "page dropped", lines[:first] + lines[last:]
    yield "last page dropped", lines[: pages[-1]]
    for name, change in (
        ("row and count dropped", _forget(at)),
        ("summary", lambda copied: copied[at]["row"]["summary"].update(type="simulation")),
        ("partners", lambda copied: copied[at]["row"]["summary"].update(partners=[SIRETS[0]])),
        ("time", lambda copied: copied[at]["row"]["summary"].update(occurred_at="2026-11-23T09:00:00.000001Z")),
        ("matches", lambda copied: copied[at]["row"].update(matches=not copied[at]["row"]["matches"])),
        ("index", lambda copied: copied[at]["row"].update(index=copied[at]["row"]["index"] + 1)),
        ("end", lambda copied: copied[pages[0]]["page"].update(next=None)),
        ("days", lambda copied: copied[0]["answer"]["list"].update(first_day=1, last_day=LAST_DAY - 1)),
        ("list", lambda copied: copied[0]["answer"]["list"].update(value="99900004500016")),
        ("list dropped", lambda copied: copied[pages[-1]]["page"]["lists"]["shown"].pop()),
    ):
        copied = copy.deepcopy(lines)
        change(copied)
        yield name, copied


def _forget(at: int) -> Callable[[Lines], None]:
    """Drop a row, and have its list say that it shows one row less."""

    def change(lines: Lines) -> None:
        here = max(i for i in range(at) if "page" in lines[i])
        passed = at - here
        for shown in lines[here]["page"]["lists"]["shown"]:
            if passed <= shown["rows"]:
                shown["rows"] -= 1
                break
            passed -= shown["rows"]
        del lines[at]

    return change


async def test_an_answer_with_anything_dropped_added_moved_or_changed_is_refused(database: Database) -> None:
    """Each kind of dishonesty, many times over, in several lists: none verifies."""
    await filled(database, 150)
    chosen = random.Random(11)
    done = 0
    for asked in (everything()[0], everything()[2], everything()[4]):
        lines = await answer(database, asked, limit=12)
        assert verified(lines).ok
        for _ in range(5):
            for name, changed in mutations(lines, chosen):
                if changed != lines and not (asked.kind == PERSON and name == "days"):
                    report = verified(changed)
                    assert report.exit_code == 1, (asked.kind, name)
                    assert "None" not in report.findings[0].message_fr, name
                    done += 1
    assert done > 180


async def test_an_empty_answer_is_proven_too(database: Database) -> None:
    """That there is nothing about an organisation, or in some days, is shown by what stands around."""
    await filled(database, 60)
    for asked in (Asked(PARTNER, "99900004500016"), Asked(ALL, "", 0, day_of_moment(NOW) - 1)):
        lines = await answer(database, asked)
        report = verified(lines)
        assert report.ok
        assert report.checked["rows"] == 0
        of_another = [header(Asked(PARTNER, SIRETS[1])), *lines[1:]]
        assert not verified(of_another).ok


async def test_pages_stay_complete_while_the_lists_grow(database: Database) -> None:
    """A page taken after more was logged continues the one before, and says what it covers; a rewritten list does not."""
    await filled(database, 120)
    before = await covered(database)

    async def more() -> None:
        await log(database, [disclosure(person=PEOPLE[0]) for _ in range(3)])
        await indexed(database)

    asked = Asked(PERSON, PEOPLE[0].hex())
    lines = await answer(database, asked, limit=5, between=more)
    report = verified(lines)
    assert report.ok, report.to_json()
    assert [warning.index for warning in report.warnings] == [before]
    forged = copy.deepcopy(lines)
    grown = next(line["page"]["grown"] for line in forged if line.get("page", {}).get("grown"))
    grown[0] = encode_base64(bytes(32))
    assert not verified(forged).ok


async def test_rows_that_were_not_wanted_are_shown_to_be_so(database: Database) -> None:
    """The rows passed over by a filter stand in the answer, so that it is seen that they do not match."""
    await filled(database, 60)
    lines = await answer(database, Asked(ALL), purpose="inform_about_rights")
    report = verified(lines)
    assert report.ok
    assert 0 < report.checked["matching"] < report.checked["rows"]
    row = next(line["row"] for line in lines if "row" in line and not line["row"]["matches"])
    row["matches"] = True
    assert not verified(lines).ok


async def test_an_event_of_somebody_else_is_refused_in_a_person_s_list(database: Database) -> None:
    """What an event carries of its person's label is checked when it is opened: nobody is put under another's label."""
    ident = str(uuid4())
    body = {"recipient": SIRETS[1], "subject_tag": subject_tag(PEOPLE[1], ident)}
    stranger = made(Event(ident, EventType.DISCLOSURE_MADE, NOW, SIRETS[0], body), PEOPLE[0])
    await log(database, [disclosure(person=PEOPLE[0]), stranger])
    await indexed(database)
    report = verified(await answer(database, Asked(PERSON, PEOPLE[0].hex())))
    assert [finding.code for finding in report.findings] == ["row_of_another"]
    assert verified(await answer(database, Asked(PERSON, PEOPLE[0].hex()), opened=False)).ok


async def test_what_was_logged_before_the_index_stays_outside_and_is_said(database: Database) -> None:
    """The index begins with the first event that has a summary, and every answer tells where it begins."""
    await log(database, [disclosure() for _ in range(4)])
    async with database.write() as tx:
        await tx.execute(sa.update(ledger_events).values(summary=None))
    await log(database, [disclosure() for _ in range(3)])
    await indexed(database)
    report = verified(await answer(database, Asked(ALL)))
    assert report.ok
    assert report.checked["rows"] == 3
    assert ("answer_since", 4) in [(warning.code, warning.index) for warning in report.warnings]
    await log(database, [disclosure()])
    async with database.write() as tx:
        await tx.execute(sa.update(ledger_events).where(ledger_events.c.index == 8).values(summary=None))
    with pytest.raises(IndexRefused):
        await indexed(database)


async def test_nothing_is_answered_before_the_root_is_in_the_log(database: Database) -> None:
    """Without a root in its place there is no proof, so no page; and no second root is made meanwhile."""
    await log(database, [disclosure() for _ in range(4)])
    with pytest.raises(NotIndexed):
        await answer(database, Asked(ALL))
    async with database.write() as tx:
        assert await extend(tx, committing) is not None
    async with database.write() as tx:
        assert await extend(tx, committing) is None
    with pytest.raises(NotIndexed):
        await answer(database, Asked(ALL))
    await Sequencer(database.write, SIGNER).catch_up()
    assert verified(await answer(database, Asked(ALL))).ok
    async with database.write() as tx:
        assert await extend(tx, committing) is None  # the root itself is nothing to index


async def test_several_indexers_at_once_make_one_index(database: Database) -> None:
    """Started several times by mistake, they take turns: nothing twice, nothing missing."""
    await log(database, [disclosure(person=PEOPLE[n % 3], days=n % 4) for n in range(200)])

    async def one() -> None:
        for _ in range(30):
            async with database.write() as tx:
                await extend(tx, committing, 20)
            await Sequencer(database.write, SIGNER).catch_up()

    await asyncio.gather(*(one() for _ in range(4)))
    await indexed(database)
    for asked in everything():
        assert verified(await answer(database, asked)).ok
    report = verified(await answer(database, Asked(PARTNER, SIRETS[1])))
    assert report.checked["rows"] == 200


async def test_a_receipt_s_event_opens_in_the_answer(database: Database) -> None:
    """The event that a receipt discloses is the row of the answer, byte for byte."""
    one = disclosure(person=PEOPLE[0])
    await log(database, [one])
    await indexed(database)
    lines = await answer(database, Asked(PERSON, PEOPLE[0].hex()))
    row = lines[2]["row"]
    assert row["entry"] == encode_base64(Disclosure(one.event.canonical(), opening_of(one.event.id)).entry())
    assert row["event"].encode() == one.event.canonical()


async def test_a_proof_grows_with_the_logarithm_of_the_log(database: Database) -> None:
    """Four times as many events add a few hashes to the proof of one person's list, not four times as many."""
    sizes = []
    for count in (100, 300, 1_200):
        await filled(database, count, seed=count)
        await log(database, [disclosure(person=PEOPLE[4])])
        await indexed(database)
        lines = await answer(database, Asked(PERSON, PEOPLE[4].hex()))
        told = lines[1]["page"]
        sizes.append(len(told["inclusion"]) + len(told["bucket"]["proof"]) + len(told["lists"]["proof"]))
    rows = 3
    assert sizes[2] - sizes[0] <= rows * 16
    assert sizes[2] < 100


async def test_an_answer_is_held_against_the_log_that_everybody_sees(database: Database, tmp_path: Path) -> None:
    """From static files alone: another log than the public one, an outdated index and a log that is too short are each told."""
    await filled(database, 150)
    async with database.read() as tx:
        await export(tx, tmp_path, SIGNER.vkey)
        head = await Ledger().published(tx)
        places = sa.select(ledger_events.c.index).where(ledger_events.c.type == EventType.INDEX_EXTENDED)
        roots = (await tx.execute(places.order_by(ledger_events.c.index))).scalars().all()
    assert head is not None
    assert len(roots) > 2
    lines = [json.dumps(line).encode() for line in await answer(database, Asked(PARTNER, SIRETS[1]))]
    assert verify_answer(lines, SIGNER.vkey, source=Directory(tmp_path)).ok
    everyone = (
        ((head.size, head.root, roots[-1]), []),
        ((head.size, head.root, roots[-2]), ["answer_stale"]),
        ((head.size, bytes(32), roots[-1]), ["answer_fork"]),
        ((head.size + 1, head.root, roots[-1]), ["answer_ahead"]),
    )
    for claimed, expected in everyone:
        found = standing([claimed], Directory(tmp_path), SIGNER.verifier)
        assert expected == [finding.code for finding in found]
    assert verify_directory(tmp_path, SIGNER.vkey).checked["index_roots"] == len(roots)
    await log(database, [disclosure()])
    await indexed(database)
    later = [json.dumps(line).encode() for line in await answer(database, Asked(PARTNER, SIRETS[1]))]
    assert ["answer_ahead"] == [
        found.code for found in verify_answer(later, SIGNER.vkey, source=Directory(tmp_path)).findings
    ]
