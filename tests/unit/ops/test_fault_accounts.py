"""The accounts of a campaign see what they must see: what is missing, what came twice, and what an earlier part wrote down."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from ops.faults.journal import Journal
from ops.faults.progress import Progress, summary
from ops.faults.results import written

A, B = "99900002900010", "99900003700013"


def test_what_was_promised_and_not_received_is_missing(tmp_path: Path) -> None:
    """A promise without its reception counts, for its recipient."""
    journal = Journal(tmp_path)
    journal.promise(A, ["d1", "d2"], 1.0)
    journal.promise(B, ["d3"], 1.0)
    journal.receive(A, [("d1", "doc1")])
    assert (["d2", "d3"], ["d3"]) == (journal.missing(), journal.missing(B))


@pytest.mark.parametrize(
    ("again", "counted"),
    [(("d1", "doc1"), 0), (("d2", "doc1"), 1), (("d2", "doc2"), 0)],
    ids=["same delivery", "same document", "another"],
)
def test_a_document_that_comes_by_two_deliveries_is_an_effect_twice(
    tmp_path: Path, again: tuple[str, str], counted: int
) -> None:
    """The same delivery again is what at least once means; the same document under another id is not."""
    journal = Journal(tmp_path)
    journal.receive(A, [("d1", "doc1")])
    journal.receive(A, [again])
    assert counted == len(journal.twice)


def test_what_is_offered_after_its_acknowledgement_is_an_effect_twice(tmp_path: Path) -> None:
    """Once the gateway confirmed an acknowledgement, it may not offer the delivery again."""
    journal = Journal(tmp_path)
    journal.receive(A, [("d1", "doc1")])
    journal.close(["d1"])
    journal.receive(A, [("d1", "doc1")])
    assert 1 == len(journal.twice)


def test_a_recovery_counts_only_what_was_sent_after_the_fault(tmp_path: Path) -> None:
    """What was on its way already proves nothing; the next one does."""

    async def run() -> tuple[float | None, float | None]:
        journal = Journal(tmp_path)
        journal.promise(A, ["d1"], 1.0)
        waits = [asyncio.create_task(journal.recovered(A, 2.0, patience=0.05)) for _ in range(1)]
        await asyncio.sleep(0)
        journal.receive(A, [("d1", "doc1")])
        early = await waits[0]
        late = asyncio.create_task(journal.recovered(A, 2.0, patience=5))
        await asyncio.sleep(0)
        journal.receive(A, [("d2", "doc2")])  # the recipient may be faster than the 202
        journal.promise(A, ["d2"], 3.0)
        return early, await late

    early, late = asyncio.run(run())
    assert early is None and late is not None


def test_a_campaign_goes_on_from_what_it_wrote(tmp_path: Path) -> None:
    """The accounts and the rounds are read again from the folder; a line that was cut is left out."""
    journal, progress = Journal(tmp_path), Progress(tmp_path)
    journal.promise(A, ["d1", "d2"], 1.0)
    journal.receive(A, [("d1", "doc1")])
    journal.close(["d1"])
    with (tmp_path / "received.jsonl").open("a") as file:
        file.write('{"to": "99900002900010", "deliv')
    progress.add("kill", "api", 1.234)
    progress.add("kill", "relay", None)
    again, further = Journal(tmp_path), Progress(tmp_path)
    assert (["d2"], {"d1"}, 2) == (again.missing(), again.closed, further.done("kill"))


def test_the_report_tells_what_did_not_come_back(tmp_path: Path) -> None:
    """A round without recovery is late, and the report says that a campaign is not over."""
    progress = Progress(tmp_path)
    for recovery in (1.0, 16.0, None):
        progress.add("kill", "api", recovery)
    assert {"rounds": 3, "median": 8.5, "longest": 16.0, "late": 2} == summary([1.0, 16.0, None])
    report = written([tmp_path])
    assert "| kill: api | 3 | 8.5 | 16.0 | 2 |" in report and "Not over" in report
