"""Break-glass in the gate: only where the convention says so, only in the place of a missing agreement, never against a no."""

import copy
import dataclasses
from datetime import UTC, datetime, timedelta
from importlib.resources import files

import pytest

from consent.agreement import Agreement, Objection, Scope
from consent.break_glass import Opening
from consent.conventions import Convention, Conventions, check, load
from consent.conventions.difference import differences
from consent.gate import Decision, Request, decide
from schemas import Document, Kind, fields

CAF, ASSOCIATION = "99900001100018", "99900003700013"
NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)
RULE = {"hours": 24, "review_days": 7, "categories": ["identity", "contact"], "ground": "RGPD art. 6(1)(d)"}


def document(**flow: object) -> Document:
    """The model convention of an association, its first flow with an emergency access and other changes."""
    written = load((files("consent") / "models" / "tznr-caf-association.yaml").read_bytes()).document
    changed: Document = copy.deepcopy(written) | {"schema_version": "1.1"}
    changed["flows"][0] |= {"break_glass": RULE} | flow
    return changed


CONVENTION = Convention.from_document(document(), "valid")


def opening(**changes: object) -> Opening:
    """An access opened an hour ago on the first flow."""
    given = Opening("ouverture", CONVENTION.hash, "orientation", NOW - HOUR, NOW + 23 * HOUR)
    return dataclasses.replace(given, **changes)  # type: ignore[arg-type]


def agreement(state: str = "given", **changes: object) -> Agreement:
    """What the person said of the association."""
    scope = Scope("tout", frozenset({"inform_about_rights"}), frozenset({"referral"}), frozenset({"rights"}),
                  frozenset({ASSOCIATION}))  # fmt: skip
    given: dict[str, object] = {
        "id": "accord", "agreement_type": "consent", "state": state, "collected_by": CAF,
        "collected_at": NOW - 48 * HOUR, "valid_from": NOW - 48 * HOUR, "valid_until": NOW + 48 * HOUR,
        "evidence_level": "document_kept", "scopes": (scope,),
    }  # fmt: skip
    return Agreement(**(given | changes))  # type: ignore[arg-type]


def ask(
    *agreements: Agreement,
    opened: Opening | None,
    objections: tuple[Objection, ...] = (),
    convention: Convention = CONVENTION,
    purpose: str = "inform_about_rights",
) -> Decision:
    """May the CAF send a referral to the association, now?"""
    request = Request(Kind.REFERRAL, purpose, CAF, ASSOCIATION, NOW)
    return decide(request, Conventions([convention]), agreements, objections, [opened] if opened else [])  # fmt: skip


def reasons(decision: Decision) -> list[str]:
    """The codes of a refusal."""
    return [reason.code for reason in decision.reasons]


def test_an_opening_lets_leave_its_categories_and_says_so_in_the_decision() -> None:
    """Identity and contact and the envelope, nothing else of the flow; the step, the basis and the opening are told."""
    decision = ask(opened=opening())
    labels = fields(Kind.REFERRAL)
    assert decision.permit
    assert {"exchange", "identity", "contact"} == {labels[pattern].category for pattern in decision.fields}
    assert ("ouverture", None) == (decision.break_glass, decision.agreement)
    assert "break_glass" == decision.steps[4].outcome
    assert decision.basis is not None and decision.basis.endswith("accès d'urgence : RGPD art. 6(1)(d)")
    assert "ouverture" == decision.summary()["break_glass"]
    assert decision.cleared().recipient == ASSOCIATION


@pytest.mark.parametrize(
    "changes",
    [
        {"until": NOW},
        {"since": NOW + HOUR},
        {"flow": "bilan"},
        {"convention": "0" * 64},
    ],
)
def test_an_opening_counts_for_its_time_its_flow_and_its_very_text_only(changes: dict[str, object]) -> None:
    """Over, not begun, of another flow, of another version: refused as if there were none."""
    assert ["agreement_missing"] == reasons(ask(opened=opening(**changes)))


def test_without_the_words_of_the_convention_no_opening_opens_anything() -> None:
    """The same opening under a convention that does not name it."""
    silent = document()
    del silent["flows"][0]["break_glass"]
    convention = Convention.from_document(silent, "valid")
    assert ["agreement_missing"] == reasons(ask(opened=opening(convention=convention.hash), convention=convention))


@pytest.mark.parametrize("state", ["suspended", "revoked", "proposed"])
def test_a_convention_that_lets_nothing_leave_lets_nothing_leave_in_an_emergency(state: str) -> None:
    """The first steps come first: a stopped convention, a purpose that the flow has not."""
    assert not ask(opened=opening(), convention=CONVENTION.in_state(state)).permit
    assert not ask(opened=opening(), purpose="social_evaluation").permit


def test_a_no_of_the_person_stands_against_every_opening() -> None:
    """Refused, taken back or objected to: nothing leaves, for the reason that it was so."""
    taken_back = agreement("withdrawn", scopes=(dataclasses.replace(agreement().scopes[0], withdrawn_at=NOW - HOUR),))
    objection = Objection("non", None, None, NOW - HOUR, NOW + HOUR)
    assert ["agreement_refused"] == reasons(ask(agreement("refused"), opened=opening()))
    assert ["agreement_withdrawn"] == reasons(ask(taken_back, opened=opening()))
    assert ["objection"] == reasons(ask(opened=opening(), objections=(objection,)))


def test_an_agreement_that_ran_out_or_is_too_weak_may_be_done_without() -> None:
    """The person said yes once and could not be asked again: the opening stands in."""
    assert "ouverture" == ask(agreement(valid_until=NOW - HOUR), opened=opening()).break_glass
    assert "ouverture" == ask(agreement(agreement_type="mandate"), opened=opening()).break_glass


def test_an_agreement_in_force_is_used_and_the_opening_is_not() -> None:
    """What the person agreed to decides, even where an emergency would give other data."""
    decision = ask(agreement(), opened=opening())
    assert ("accord", None) == (decision.agreement, decision.break_glass)
    assert "/rights/*/right" in decision.fields and "/subject/phones/*" not in decision.fields


def test_special_data_leave_in_an_emergency_only_on_a_ground_of_article_9_other_than_consent() -> None:
    """Vital interests in the legal basis let health leave; consent as the ground does not, since nobody consented."""
    for special, leaves in (("9.2.c", True), ("9.2.a", False)):
        told = document(
            categories=["identity", "health"],
            special_categories=True,
            break_glass=RULE | {"categories": ["identity", "health"]},
        )
        told["legal_bases"][0]["special"] = special
        convention = Convention.from_document(told, "valid")
        decision = ask(opened=opening(convention=convention.hash), convention=convention)
        assert leaves == any(fields(Kind.REFERRAL)[pattern].category == "health" for pattern in decision.fields)


@pytest.mark.parametrize(
    ("changes", "code", "pointer"),
    [
        ({"agreement": "not_required", "legal_basis": "mission"}, "break_glass_without_agreement", ""),
        ({"break_glass": RULE | {"categories": ["identity", "amounts"]}}, "break_glass_category", "/categories/1"),
        ({"break_glass": RULE | {"hours": 73}}, "maximum", "/hours"),
        ({"break_glass": {name: RULE[name] for name in RULE if name != "ground"}}, "required", ""),
    ],
)
def test_an_emergency_access_that_means_nothing_is_refused_at_its_place(
    changes: dict[str, object], code: str, pointer: str
) -> None:
    """Without an agreement to stand in for, beyond the flow, without end, without ground."""
    assert [(code, f"/flows/0/break_glass{pointer}")] == [
        (issue.code, issue.pointer.removesuffix("/ground")) for issue in check(document(**changes))
    ]


def test_adding_or_widening_an_emergency_access_is_told_to_who_signs() -> None:
    """New, with more categories, or for longer: a widening; less of it is none."""
    silent = document()
    del silent["flows"][0]["break_glass"]
    none, small = Convention.from_document(silent), Convention.from_document(document())
    longer = Convention.from_document(document(break_glass=RULE | {"hours": 48}))
    larger = Convention.from_document(document(break_glass=RULE | {"categories": ["identity", "contact", "needs"]}))
    for before, after in ((none, small), (small, longer), (small, larger)):
        assert {"break_glass_widened"} == {change.code for change in differences(before, after)}
        assert () == differences(after, before)
