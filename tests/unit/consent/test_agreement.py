"""Agreements: their state at an instant, how they are taken back, how long objections are remembered."""

import copy
from datetime import UTC, datetime, timedelta, timezone

import pytest

from consent.agreement import DURATIONS, Agreement, Objection, UnknownScope, decisive, withdraw
from schemas import Document, Kind, code_list, validate

ASSOCIATION, DEPARTEMENT = "99900003700013", "99900002900010"
GIVEN = datetime(2026, 3, 2, 8, 30, tzinfo=UTC)
DAY = timedelta(days=1)


def consent(**changes: object) -> Document:
    """An agreement of two lines, collected by the association on 2 March 2026 for a year."""
    line = {
        "purposes": ["inform_about_rights"],
        "kinds": ["referral", "bilan"],
        "categories": ["identity", "needs"],
        "recipients": [ASSOCIATION],
    }
    document: Document = {
        "kind": "consent",
        "schema_version": "1.0",
        "id": "3f1c2b7a-8d4e-4a6b-9c1d-5e2f7a8b9c0d",
        "created_at": "2026-03-02T09:30:00+01:00",
        "sender": {"siret": ASSOCIATION},
        "purpose": "inform_about_rights",
        "subject": {"pseudonym": "7kZ2mQ9xT4vB1nR8sW5yD3"},
        "agreement_type": "consent",
        "state": "given",
        "collected_by": {"siret": ASSOCIATION, "name": "Association Le Relais de Valombre"},
        "collected_at": "2026-03-02T09:30:00+01:00",
        "channel": "paper",
        "evidence": {"level": "document_kept", "kind": "paper_scan"},
        "text": {"version": "accord-2026-01", "sha256": "9f" * 32, "language": "fr"},
        "scopes": [line | {"id": "relais"}, line | {"id": "departement", "recipients": [DEPARTEMENT]}],
        "valid_from": "2026-03-02T09:30:00+01:00",
        "duration": "one_year",
    }
    document = copy.deepcopy(document | changes)
    assert [] == validate(Kind.CONSENT, document)
    return document


def test_an_agreement_is_read_from_its_consent_document() -> None:
    """Instants come in UTC, lines with what they are about."""
    read = Agreement.from_document(consent())
    assert (ASSOCIATION, "consent", "document_kept") == (read.collected_by, read.agreement_type, read.evidence_level)
    assert (GIVEN, GIVEN + 365 * DAY) == (read.valid_from, read.valid_until)
    assert UTC == read.valid_from.tzinfo
    assert ["departement"] == [scope.id for scope in read.lines[DEPARTEMENT, "inform_about_rights", "bilan"]]
    assert (DEPARTEMENT, "award_right", "bilan") not in read.lines


@pytest.mark.parametrize(
    ("duration", "days"), [("one_day", 1), ("one_month", 31), ("six_months", 182), ("one_year", 365)]
)
def test_a_usual_duration_runs_from_the_first_day(duration: str, days: int) -> None:
    """1, 31, 182 or 365 days, to the second."""
    read = Agreement.from_document(consent(duration=duration))
    assert GIVEN + days * DAY == read.valid_until
    assert "given" == read.state_at(read.valid_until - timedelta(seconds=1))
    assert "expired" == read.state_at(read.valid_until)


def test_every_duration_of_the_code_list_is_known() -> None:
    """`custom` alone has no length: the date is written."""
    assert set(code_list("duration")) == {*DURATIONS, "custom"}


def test_of_a_date_and_a_duration_the_earlier_counts() -> None:
    """Two ends that differ must not give the person less protection than either."""
    near, far = "2026-04-01T00:00:00+02:00", "2028-04-01T00:00:00+02:00"
    ends = [Agreement.from_document(consent(valid_until=date)).valid_until for date in (near, far)]
    assert [datetime(2026, 3, 31, 22, tzinfo=UTC), GIVEN + 365 * DAY] == ends


def test_an_agreement_without_an_end_is_over_at_once() -> None:
    """The schema refuses such a document; should one come, it covers nothing."""
    document = consent()
    del document["duration"]
    assert "expired" == Agreement.from_document(document).state_at(GIVEN)


def test_a_state_recorded_as_refused_or_expired_stays_so() -> None:
    """Dates never revive what was recorded as ended."""
    assert "refused" == Agreement.from_document(consent(state="refused")).state_at(GIVEN)
    assert "expired" == Agreement.from_document(consent(state="expired")).state_at(GIVEN)
    assert "not_started" == Agreement.from_document(consent()).state_at(GIVEN - DAY)


def test_an_instant_with_nine_decimals_is_read() -> None:
    """RFC 3339 does not limit the fraction of a second; ours keeps microseconds."""
    read = Agreement.from_document(consent(collected_at="2026-03-02T08:30:00.123456789Z"))
    assert GIVEN + timedelta(microseconds=123456) == read.collected_at


def test_withdrawing_the_whole_takes_back_every_line_and_says_where_and_how() -> None:
    """The document stays valid, the one given is untouched, and the moment counts to the second."""
    before = consent()
    at = datetime(2026, 5, 4, 14, 0, tzinfo=timezone(timedelta(hours=2)))
    after = withdraw(before, at, channel="in_person", collected_by=DEPARTEMENT)
    assert consent() == before
    assert [] == validate(Kind.CONSENT, after)
    assert "withdrawn" == after["state"]
    expected = {"at": "2026-05-04T12:00:00+00:00", "channel": "in_person", "collected_by": DEPARTEMENT}
    assert expected == after["withdrawal"]
    assert ["2026-05-04T12:00:00+00:00"] * 2 == [scope["withdrawn_at"] for scope in after["scopes"]]
    read = Agreement.from_document(after)
    assert "given" == read.state_at(at - timedelta(seconds=1))
    assert "withdrawn" == read.state_at(at)


def test_withdrawing_a_line_leaves_the_others_until_the_last() -> None:
    """The agreement is partly withdrawn, then withdrawn with its last line."""
    first = withdraw(consent(), GIVEN + DAY, ["relais"])
    assert [] == validate(Kind.CONSENT, first)
    assert "given" == first["state"]
    assert "partly_withdrawn" == Agreement.from_document(first).state_at(GIVEN + DAY)
    last = withdraw(first, GIVEN + 2 * DAY, ["departement"])
    assert "withdrawn" == last["state"]
    read = Agreement.from_document(last)
    assert ["given", "partly_withdrawn", "withdrawn"] == [read.state_at(GIVEN + n * DAY) for n in range(3)]


def test_repeating_a_withdrawal_changes_nothing() -> None:
    """The first moment is the one that counts."""
    once = withdraw(consent(), GIVEN + DAY)
    assert once == withdraw(once, GIVEN + 9 * DAY)
    assert once == withdraw(once, GIVEN + 9 * DAY, ["relais"], channel="sms")


def test_a_line_that_does_not_exist_cannot_be_withdrawn() -> None:
    """A misspelt line must not look like a withdrawal that was done."""
    with pytest.raises(UnknownScope):
        withdraw(consent(), GIVEN, ["relais", "autre"])


def test_a_withdrawal_recorded_without_dates_counts_from_always() -> None:
    """A document whose state says withdrawn is so, even when its lines do not say since when."""
    document = consent(state="withdrawn", withdrawal={"at": "2026-05-04T12:00:00+00:00"})
    assert "withdrawn" == Agreement.from_document(document).state_at(GIVEN)


def test_what_decides_holds_nothing_of_the_person_and_decides_the_same() -> None:
    """The part kept in the clear is enough for the gate: no subject, no text, no evidence but its level."""
    document = withdraw(consent(representative={"role": "parent", "name": "Aline Exemple"}), GIVEN + DAY, ["relais"])
    kept = decisive(document)
    assert {"subject", "text", "representative", "sender"}.isdisjoint(kept)
    assert ({"siret": ASSOCIATION}, {"level": "document_kept"}) == (kept["collected_by"], kept["evidence"])
    whole, part = Agreement.from_document(document), Agreement.from_document(kept)
    assert (whole.id, whole.scopes, whole.valid_until, whole.state) == (
        part.id,
        part.scopes,
        part.valid_until,
        part.state,
    )


@pytest.mark.parametrize(
    ("months", "expected"), [(12, datetime(2027, 2, 28, tzinfo=UTC)), (24, datetime(2028, 2, 28, tzinfo=UTC))]
)
def test_an_objection_is_remembered_from_twelve_to_twenty_four_months(months: int, expected: datetime) -> None:
    """As the law says; it then no longer stops anything, and is destroyed."""
    objection = Objection.remembered("o", since=datetime(2026, 2, 28, tzinfo=UTC), months=months)
    assert expected == objection.until
    assert objection.stops(DEPARTEMENT, "follow_up", expected - timedelta(seconds=1))
    assert not objection.stops(DEPARTEMENT, "follow_up", expected)


def test_an_objection_of_the_29th_of_february_ends_on_the_28th() -> None:
    """There is no 29 February a year later."""
    objection = Objection.remembered("o", since=datetime(2028, 2, 29, 12, tzinfo=UTC), months=12)
    assert datetime(2029, 2, 28, 12, tzinfo=UTC) == objection.until


@pytest.mark.parametrize("months", [0, 11, 25, -12])
def test_an_objection_cannot_be_remembered_for_another_duration(months: int) -> None:
    """Neither shorter than the law allows, nor longer."""
    with pytest.raises(ValueError, match="12 to 24"):
        Objection.remembered("o", since=GIVEN, months=months)
