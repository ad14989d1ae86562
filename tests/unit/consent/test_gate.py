"""The gate: each step, the order between conventions, and the pass that only it can give."""

import copy
import dataclasses
import re
from datetime import UTC, datetime, timedelta
from importlib.resources import files

import pytest

from consent.agreement import Agreement, Objection, Scope
from consent.conventions import Convention, Conventions, read
from consent.conventions.mask import Rule, mask_of
from consent.conventions.structure import prune
from consent.gate import NOTICE_FIELDS, Cleared, Decision, Notice, NotPermitted, Request, decide, decide_notice
from consent.reasons import CATALOGUE
from schemas import Document, Kind, code_list, fields

CAF, DEPARTEMENT, ASSOCIATION = "99900001100018", "99900002900010", "99900003700013"
NOW = datetime(2026, 6, 1, 9, 0, tzinfo=UTC)
DAY = timedelta(days=1)


def model(name: str) -> Document:
    """A model convention of the package, as a document of one's own."""
    raw = (files("consent") / "models" / f"{name}.yaml").read_bytes()
    return copy.deepcopy(dict(read(raw).document))


def to_departement(**flow: object) -> Document:
    """The convention between the CAF and the département with its first flow only, changed."""
    document = model("tznr-caf-departement")
    document["flows"] = [document["flows"][0] | flow]
    return document


def to_association(**flow: object) -> Document:
    """The convention between the CAF and the association, whose first flow needs an agreement, changed."""
    document = model("tznr-caf-association")
    document["flows"] = [document["flows"][0] | flow]
    return document


def valid(*documents: Document) -> Conventions:
    """The conventions of these documents, all of them in force."""
    return Conventions(Convention.from_document(document, "valid") for document in documents)


def request(recipient: str = DEPARTEMENT, **changes: object) -> Request:
    """A referral from the CAF, to inform about rights, now."""
    return dataclasses.replace(Request(Kind.REFERRAL, "inform_about_rights", CAF, recipient, NOW), **changes)


def scope(**changes: object) -> Scope:
    """A line by which the person lets the association know their identity and needs."""
    base = Scope(
        id="partage",
        purposes=frozenset({"inform_about_rights"}),
        kinds=frozenset({"referral"}),
        categories=frozenset({"identity", "needs"}),
        recipients=frozenset({ASSOCIATION}),
    )
    return dataclasses.replace(base, **changes)


def agreement(*scopes: Scope, **changes: object) -> Agreement:
    """An agreement that the association collected ten days ago, for a year."""
    values = {
        "id": "a1",
        "agreement_type": "consent",
        "state": "given",
        "collected_by": ASSOCIATION,
        "collected_at": NOW - 10 * DAY,
        "valid_from": NOW - 10 * DAY,
        "valid_until": NOW + 355 * DAY,
        "evidence_level": "document_kept",
        "scopes": scopes or (scope(),),
    }
    return Agreement(**(values | changes))


def codes(decision: Decision) -> list[str]:
    """The codes of the reasons of a refusal, which then permits no field."""
    assert not decision.permit
    assert frozenset() == decision.fields
    return [reason.code for reason in decision.reasons]


def test_a_convention_in_force_permits_its_categories_and_names_what_it_rests_on() -> None:
    """A permitted decision carries the convention, its hash and flow, the basis in law and seven passed steps."""
    conventions = valid(to_departement(categories=["identity"]))
    decision = decide(request(), conventions)
    [convention] = conventions
    assert decision.permit
    assert ("tznr-valombre-caf-departement", 1, convention.hash, "orientation") == dataclasses.astuple(
        decision.convention
    )
    assert "RGPD art. 6.1.e ; Code des relations entre le public et l'administration, L114-8 II" == decision.basis
    assert decision.agreement is None
    assert [(1, "passed"), (5, "not_required"), (7, "passed")] == [
        (step.number, step.outcome) for step in decision.steps if step.number in (1, 5, 7)
    ]
    assert all(step.article for step in decision.steps)
    categories = {fields(Kind.REFERRAL)[pattern].category for pattern in decision.fields}
    assert {"exchange", "identity"} == categories


@pytest.mark.parametrize("purpose", ["fraud_control", "", "INFORM_ABOUT_RIGHTS", "detect_fraud"])
def test_a_purpose_outside_the_closed_list_is_refused_before_anything_else(purpose: str) -> None:
    """Controlling people is no purpose, even between parties who would agree to it."""
    decision = decide(request(purpose=purpose), valid(to_departement()))
    assert ["purpose_not_allowed"] == codes(decision)
    assert [1] == [step.number for step in decision.steps]


def test_the_closed_list_of_purposes_has_four_and_none_is_about_control() -> None:
    """Nobody adds a purpose by editing a code list without this test saying so."""
    assert {"inform_about_rights", "award_right", "social_evaluation", "follow_up"} == set(code_list("purpose"))


def test_without_a_convention_for_this_sender_recipient_and_kind_nothing_leaves() -> None:
    """The same convention permits neither the other way, nor another recipient, nor another kind."""
    conventions = valid(to_departement())
    assert ["no_convention"] == codes(decide(request(), Conventions()))
    assert ["no_convention"] == codes(decide(request(ASSOCIATION), conventions))
    assert ["no_convention"] == codes(decide(request(CAF, sender=DEPARTEMENT), conventions))
    assert ["no_convention"] == codes(decide(request(kind=Kind.BILAN), conventions))


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ("proposed", "convention_not_signed"),
        ("rejected", "convention_rejected"),
        ("suspended", "convention_suspended"),
        ("revoked", "convention_revoked"),
        ("expired", "convention_expired"),
    ],
)
def test_a_convention_that_is_not_valid_permits_nothing(state: str, reason: str) -> None:
    """Each state other than valid is refused with its own reason."""
    conventions = Conventions([Convention.from_document(to_departement(), state)])
    assert [reason] == codes(decide(request(), conventions))


def test_the_dates_of_a_convention_are_days_in_france() -> None:
    """Its first day starts at midnight in Paris and its last day is included until midnight there."""
    document = to_departement()
    document["validity"] = {"from": "2026-06-01", "until": "2026-06-01"}
    conventions = valid(document)
    start = datetime(2026, 5, 31, 22, 0, tzinfo=UTC)
    second = timedelta(seconds=1)
    assert ["convention_not_started"] == codes(decide(request(at=start - second), conventions))
    assert decide(request(at=start), conventions).permit
    assert decide(request(at=start + DAY - second), conventions).permit
    assert ["convention_expired"] == codes(decide(request(at=start + DAY), conventions))


def test_a_purpose_that_the_flow_does_not_have_is_refused() -> None:
    """A purpose of the closed list is not enough: the flow must have it."""
    conventions = valid(to_departement(purposes=["award_right"]))
    assert ["purpose_not_in_convention"] == codes(decide(request(), conventions))


def test_a_flow_without_its_legal_basis_is_refused() -> None:
    """The gate does not trust that the file was checked: a basis that is missing stops the flow."""
    [convention] = valid(to_departement())
    bare = dataclasses.replace(
        convention, flows=tuple(dataclasses.replace(flow, basis=None) for flow in convention.flows)
    )
    assert ["legal_basis_missing"] == codes(decide(request(), Conventions([bare])))


def test_an_objection_stops_what_it_is_about_and_nothing_else() -> None:
    """An objection to one recipient or one purpose leaves the others alone; one to everything stops everything."""
    conventions = valid(to_departement())

    def stopped(**objection: object) -> bool:
        base = Objection("o", None, None, NOW - DAY, NOW + 400 * DAY)
        return not decide(request(), conventions, (), [dataclasses.replace(base, **objection)]).permit

    assert stopped()
    assert stopped(recipient=DEPARTEMENT)
    assert stopped(purpose="inform_about_rights", recipient=DEPARTEMENT)
    assert stopped(since=NOW)
    assert not stopped(recipient=ASSOCIATION)
    assert not stopped(purpose="award_right")
    assert not stopped(since=NOW + DAY)
    assert not stopped(until=NOW)


def test_an_objection_beats_an_agreement_in_force() -> None:
    """What the person agreed to does not leave once they object, whichever came first."""
    conventions = valid(to_association())
    given = agreement(collected_at=NOW - DAY)
    objection = Objection("o", ASSOCIATION, None, NOW - 5 * DAY, NOW + 400 * DAY)
    assert decide(request(ASSOCIATION), conventions, [given]).permit
    decision = decide(request(ASSOCIATION), conventions, [given], [objection])
    assert ["objection"] == codes(decision)
    assert "La personne s'est opposée à cet échange : rien ne peut être transmis." == decision.reasons[0].message_fr


def test_a_sender_without_convention_does_not_learn_that_the_person_objected() -> None:
    """The steps run in order, so that the gate cannot be used to learn about people."""
    objection = Objection("o", None, None, NOW - DAY, NOW + DAY)
    assert ["no_convention"] == codes(decide(request(ASSOCIATION), valid(to_departement()), (), [objection]))


def test_an_agreement_is_asked_only_where_the_flow_requires_it() -> None:
    """The same document leaves under a public-interest basis, and waits for the person under consent."""
    conventions = valid(to_departement(), to_association())
    assert decide(request(DEPARTEMENT), conventions).permit
    assert ["agreement_missing"] == codes(decide(request(ASSOCIATION), conventions))


def test_an_agreement_lets_leave_only_the_categories_it_names() -> None:
    """The fields are those of the flow and of the agreement together, with the envelope."""
    decision = decide(request(ASSOCIATION), valid(to_association()), [agreement()])
    assert "a1" == decision.agreement
    labels = fields(Kind.REFERRAL)
    assert {"exchange", "identity", "needs"} == {labels[pattern].category for pattern in decision.fields}


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (agreement(scope(recipients=frozenset({DEPARTEMENT}))), "agreement_missing"),
        (agreement(scope(purposes=frozenset({"award_right"}))), "agreement_other_purpose"),
        (agreement(scope(kinds=frozenset({"bilan"}))), "agreement_other_kind"),
        (agreement(scope(categories=frozenset({"address"}))), None),
        (agreement(scope(categories=frozenset({"health"}))), "nothing_permitted"),
        (agreement(scope(withdrawn_at=NOW)), "agreement_withdrawn"),
        (agreement(scope(withdrawn_at=NOW + DAY)), None),
        (agreement(state="withdrawn"), "agreement_withdrawn"),
        (agreement(state="refused"), "agreement_refused"),
        (agreement(state="expired"), "agreement_expired"),
        (agreement(valid_until=NOW), "agreement_expired"),
        (agreement(valid_from=NOW + DAY), "agreement_not_started"),
        (agreement(collected_at=NOW + DAY), "agreement_not_started"),
        (agreement(agreement_type="mandate"), "agreement_other_type"),
    ],
)
def test_an_agreement_counts_for_its_recipient_purpose_kind_and_dates_only(
    given: Agreement, reason: str | None
) -> None:
    """Everything the agreement does not cover is refused with its own reason."""
    decision = decide(request(ASSOCIATION), valid(to_association()), [given])
    assert ([reason] if reason else []) == [each.code for each in decision.reasons]
    assert (reason is None) == decision.permit


def test_a_scope_taken_back_leaves_the_others() -> None:
    """A withdrawal per scope only takes away what that scope gave."""
    conventions = valid(to_association())
    identity, needs = scope(id="i", categories=frozenset({"identity"})), scope(id="n", categories=frozenset({"needs"}))
    both = decide(request(ASSOCIATION), conventions, [agreement(identity, needs)])
    one = decide(
        request(ASSOCIATION), conventions, [agreement(identity, dataclasses.replace(needs, withdrawn_at=NOW - DAY))]
    )
    assert {"/subject/birth_name", "/urgency"} <= both.fields
    assert {"/subject/birth_name", "/urgency"} & one.fields == {"/subject/birth_name"}


def test_a_scope_for_another_recipient_does_not_keep_one_that_was_taken_back_alive() -> None:
    """The agreement is still in force, but no longer for this recipient: even a bare status is refused."""
    document = to_departement(kind="status", agreement="required", categories=["status"], purposes=["follow_up"])
    document["flows"][0].pop("except")
    about = {
        "kinds": frozenset({"status"}),
        "purposes": frozenset({"follow_up"}),
        "recipients": frozenset({DEPARTEMENT}),
    }
    gone = scope(withdrawn_at=NOW - DAY, **about)
    given = agreement(gone, scope(id="autre"))
    question = request(kind=Kind.STATUS, purpose="follow_up")
    assert ["agreement_withdrawn"] == codes(decide(question, valid(document), [given]))
    alive = dataclasses.replace(gone, withdrawn_at=None)
    assert decide(question, valid(document), [agreement(alive)]).permit


def test_categories_of_several_agreements_are_never_added_up() -> None:
    """The agreement collected last decides alone: it is the person's last word."""
    older = agreement(scope(categories=frozenset({"identity"})), id="older", collected_at=NOW - 9 * DAY)
    newer = agreement(scope(categories=frozenset({"needs"})), id="newer", collected_at=NOW - 8 * DAY)
    for order in ([older, newer], [newer, older]):
        decision = decide(request(ASSOCIATION), valid(to_association()), order)
        assert "newer" == decision.agreement
        assert "/subject/birth_name" not in decision.fields


@pytest.mark.parametrize("taken_back", [{"state": "refused"}, {"scopes": (scope(withdrawn_at=NOW - DAY),)}])
def test_a_later_no_to_the_same_organisation_ends_an_earlier_agreement(taken_back: dict[str, object]) -> None:
    """An agreement that was renewed and then taken back does not come to life again."""
    first = agreement(id="first")
    renewed = agreement(id="renewed", collected_at=NOW - 2 * DAY, **taken_back)
    conventions = valid(to_association())
    assert decide(request(ASSOCIATION), conventions, [first]).permit
    assert not decide(request(ASSOCIATION), conventions, [first, renewed]).permit
    elsewhere = agreement(id="elsewhere", collected_by=CAF, collected_at=NOW - 2 * DAY, **taken_back)
    assert "first" == decide(request(ASSOCIATION), conventions, [first, elsewhere]).agreement
    at_once = agreement(id="at-once", collected_at=NOW - DAY, **{"state": "refused"})
    assert not decide(request(ASSOCIATION), conventions, [agreement(collected_at=NOW - DAY), at_once]).permit
    again = agreement(id="again", collected_at=NOW - timedelta(hours=1))
    assert "again" == decide(request(ASSOCIATION), conventions, [first, renewed, again]).agreement


def test_a_convention_may_ask_for_a_level_of_evidence() -> None:
    """Words reported by a professional are not enough where the person's own confirmation is asked for."""
    document = to_association(evidence_level="confirmed_by_person")
    del document["flows"][0]["agreement_types"]
    conventions = valid(document)
    weak = agreement(evidence_level="declared_by_professional")
    assert ["agreement_evidence_too_weak"] == codes(decide(request(ASSOCIATION), conventions, [weak]))
    for level in ("confirmed_by_person", "authenticated"):
        assert decide(request(ASSOCIATION), conventions, [agreement(evidence_level=level)]).permit


def test_the_nir_goes_only_to_recipients_that_the_convention_entitles() -> None:
    """The category in the flow is not enough: the ground must be in the list `nir`."""
    numbers = {pattern for pattern, label in fields(Kind.REFERRAL).items() if label.category == "nir"}
    assert numbers
    assert numbers <= decide(request(), valid(to_departement())).fields
    document = to_departement()
    document["parties"][1]["nir_entitled"] = False
    document["nir"] = document["nir"][:1]
    assert decide(request(), valid(document)).fields.isdisjoint(numbers)


def test_special_categories_leave_only_when_the_flow_says_so_and_the_law_or_the_person_covers_them() -> None:
    """Health needs `special_categories`, then a point of article 9 other than consent, or an agreement that names it."""
    health = {pattern for pattern, label in fields(Kind.REFERRAL).items() if label.category == "health"}
    says_so = {"categories": ["needs", "health"], "special_categories": True}
    covered = agreement(scope(categories=frozenset({"health"}), recipients=frozenset({DEPARTEMENT})))

    def leaving(document: Document, *agreements: Agreement) -> frozenset[str]:
        return decide(request(), valid(document), agreements).fields & health

    by_law = to_departement(**says_so)
    by_law["legal_bases"][0]["special"] = "9.2.b"
    by_consent = to_departement(**says_so)
    by_consent["legal_bases"][0]["special"] = "9.2.a"
    silent = to_departement(categories=["needs", "health"])
    assert health == leaving(by_law)
    assert set() == leaving(by_consent)
    assert health == leaving(by_consent, covered)
    assert set() == leaving(to_departement(**says_so))
    assert health == leaving(to_departement(**says_so), covered)
    assert set() == leaving(silent, covered)
    assert "a1" == decide(request(), valid(by_consent), [covered]).agreement
    elsewhere = agreement(scope(categories=frozenset({"needs"}), recipients=frozenset({DEPARTEMENT})))
    assert decide(request(), valid(by_consent), [elsewhere]).agreement is None
    assert decide(request(), valid(by_law), [covered]).agreement is None


def test_secret_and_unlabelled_data_never_leave() -> None:
    """No category list can name the secret, and what the schema does not label is not a field at all."""
    every = [code for code in code_list("data_category") if code != "secret"]
    document = to_departement(categories=every, special_categories=True)
    document["flows"][0].pop("except")
    document["legal_bases"][0]["special"] = "9.2.b"
    decision = decide(request(), valid(document))
    labels = fields(Kind.REFERRAL)
    assert {pattern for pattern, label in labels.items() if label.category != "secret"} == decision.fields
    rule = Rule(Kind.REFERRAL, frozenset({"needs", "secret"}), None, frozenset(), True, True, True)
    assert "/urgency" in mask_of(rule).widest
    assert "/private_notes" not in mask_of(rule).widest


def test_when_nothing_would_be_left_to_say_the_exchange_is_refused() -> None:
    """An envelope around nothing still tells that a person is known: it does not leave."""
    decision = decide(
        request(ASSOCIATION), valid(to_association()), [agreement(scope(categories=frozenset({"amounts"})))]
    )
    assert ["nothing_permitted"] == codes(decision)
    assert 7 == decision.steps[-1].number


def test_a_status_says_something_by_its_envelope_alone() -> None:
    """The state of a referral is in the envelope: it may go with no other field."""
    document = model("tznr-caf-association")
    [flow] = [flow for flow in document["flows"] if flow["kind"] == "status"]
    document["flows"] = [flow | {"categories": ["rights"], "agreement": "required"}]
    given = agreement(
        scope(kinds=frozenset({"status"}), recipients=frozenset({CAF}), categories=frozenset({"exchange"}))
    )
    decision = decide(request(CAF, kind=Kind.STATUS, sender=ASSOCIATION), valid(document), [given])
    assert decision.permit
    assert "/status" in decision.fields
    assert "/outcome/right" not in decision.fields


def test_the_first_convention_that_permits_decides_alone() -> None:
    """By id, whatever the order in which conventions were loaded; their fields are never added up."""
    first = to_departement(categories=["identity"]) | {"id": "aaa-convention"}
    second = to_departement(categories=["needs"]) | {"id": "bbb-convention"}
    for order in ((first, second), (second, first)):
        decision = decide(request(), valid(*order))
        assert "aaa-convention" == decision.convention.id
        assert "/urgency" not in decision.fields


def test_a_convention_that_refuses_leaves_the_next_one_to_answer() -> None:
    """A suspended convention does not stop another that is in force between the same parties."""
    stopped = Convention.from_document(to_departement() | {"id": "aaa-convention"}, "suspended")
    running = Convention.from_document(to_departement(categories=["needs"]) | {"id": "bbb-convention"}, "valid")
    assert "bbb-convention" == decide(request(), Conventions([stopped, running])).convention.id


def test_a_refusal_gives_the_reasons_of_every_convention_that_could_have_applied() -> None:
    """The nearest one first, with its steps; each reason once."""
    stopped = Convention.from_document(to_departement() | {"id": "aaa-convention"}, "suspended")
    asking = to_departement(agreement="required") | {"id": "bbb-convention"}
    twin = to_departement(agreement="required") | {"id": "ccc-convention"}
    decision = decide(request(), Conventions([stopped, *valid(asking, twin)]))
    assert ["agreement_missing", "convention_suspended"] == codes(decision)
    assert "bbb-convention" == decision.convention.id
    assert (5, "refused") == (decision.steps[-1].number, decision.steps[-1].outcome)


def test_a_newer_version_replaces_the_older_for_good_once_it_has_begun() -> None:
    """A flow that the new version dropped is gone, even if the new version is stopped since; before its first day it is not."""
    old = Convention.from_document(to_departement(), "valid")
    document = to_departement(purposes=["award_right"]) | {"version": 2}
    document["validity"] = {"from": "2026-06-02", "until": "2026-12-31"}
    new = Convention.from_document(document, "valid")
    assert decide(request(), Conventions([old, new])).permit
    later = request(at=NOW + 2 * DAY)
    assert ["purpose_not_in_convention", "convention_superseded"] == sorted(
        codes(decide(later, Conventions([old, new]))), reverse=True
    )
    assert not decide(later, Conventions([old, new.in_state("revoked")])).permit
    assert decide(later, Conventions([old, new.in_state("proposed")])).permit


def test_routes_give_the_recipients_of_a_document_that_names_none() -> None:
    """Only conventions in force, for the purpose, route; recipients come sorted."""
    conventions = valid(model("tznr-caf-departement"), model("tznr-caf-association"))
    assert (DEPARTEMENT, ASSOCIATION) == conventions.routes(Kind.REFERRAL, CAF, "inform_about_rights", NOW)
    assert (DEPARTEMENT,) == conventions.routes(Kind.REFERRAL, CAF, "social_evaluation", NOW)
    assert () == conventions.routes(Kind.REFERRAL, CAF, "inform_about_rights", NOW + 5000 * DAY)
    assert () == conventions.routes(Kind.REFERRAL, DEPARTEMENT, "inform_about_rights", NOW)


def test_the_same_convention_given_twice_is_an_error() -> None:
    """Two texts under one id and version would make the choice depend on luck."""
    with pytest.raises(ValueError, match="given twice"):
        valid(to_departement(), to_departement(categories=["needs"]))


def test_a_request_needs_an_offset() -> None:
    """A time without offset is ambiguous twice a year."""
    with pytest.raises(ValueError, match="offset"):
        request(at=datetime(2026, 6, 1, 9, 0))  # noqa: DTZ001 - the case under test


def test_only_a_permitted_decision_of_the_gate_clears() -> None:
    """A decision made by hand, copied with more fields, or refused, gives no pass; nor does the class itself."""
    conventions = valid(to_departement())
    decision = decide(request(), conventions)
    cleared = decision.cleared()
    assert (DEPARTEMENT, decision) == (cleared.recipient, cleared.decision)
    forged = dataclasses.replace(decision, fields=frozenset(fields(Kind.REFERRAL)))
    for other in (forged, decide(request(ASSOCIATION), conventions)):
        with pytest.raises(NotPermitted):
            other.cleared()
    with pytest.raises(NotPermitted):
        Cleared(decision, object())


@pytest.mark.parametrize("notice", list(Notice))
def test_a_notice_to_a_past_recipient_is_always_permitted_with_its_fixed_fields(notice: Notice) -> None:
    """It needs neither convention nor agreement, and carries the least that the schema of a consent allows."""
    decision = decide_notice(DEPARTEMENT, notice)
    assert decision.permit
    assert NOTICE_FIELDS == decision.fields
    assert DEPARTEMENT == decision.cleared().recipient
    assert "RGPD" in decision.steps[0].article


def test_the_fields_of_a_notice_are_of_the_envelope_and_make_a_whole_document() -> None:
    """Nothing of the person but the pseudonym; no container without its required members."""
    labels = fields(Kind.CONSENT)
    assert {"exchange"} == {labels[pattern].category for pattern in NOTICE_FIELDS}
    assert prune(Kind.CONSENT, NOTICE_FIELDS) == NOTICE_FIELDS


def test_the_summary_of_a_decision_holds_codes_and_references_only() -> None:
    """What goes to the ledger is plain JSON: no sentence, no pattern, nothing of the person."""
    summary = decide(request(ASSOCIATION), valid(to_association())).summary()
    assert {"permit", "reasons", "convention", "agreement", "basis", "steps"} == set(summary)
    assert ["agreement_missing"] == summary["reasons"]
    assert {"number": 5, "name": "agreement", "outcome": "refused"} == summary["steps"][-1]


def test_every_reason_speaks_french_and_english_and_names_its_article() -> None:
    """A reason is read by people: two sentences, ended, and the article it applies."""
    for code, reason in CATALOGUE.items():
        assert code == reason.code
        assert reason.message_fr.endswith(".")
        assert reason.message_en.endswith(".")
        assert reason.message_fr != reason.message_en
        assert any(text in reason.article for text in ("RGPD", "CRPA"))


def test_the_example_of_the_readme_runs_and_permits(capsys: pytest.CaptureFixture[str]) -> None:
    """A reader who copies the example gets a permitted decision and its basis in law."""
    readme = (files("consent") / "README.md").read_text("utf-8")
    [example] = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    exec(compile(example, "README.md", "exec"), {})
    assert capsys.readouterr().out.startswith("True ")
