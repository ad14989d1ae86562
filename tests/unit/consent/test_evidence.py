"""What each way of saying yes must leave behind, and the rules of a mandate."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import pytest

from consent.evidence import faults
from schemas import Kind, validate

SHA = "ab" * 32
CCAS = "99900004500016"
ORAL = {"channel": "oral_with_professional", "evidence": {"level": "declared_by_professional"}}
MANDATE = {"agent": CCAS, "topics": ["social"], "no_protection_measure": True}
PHONE = {"birth_name": "Martin", "given_names": ["Zoé"], "birth_date": "1980-05-17", "phones": ["+33199000001"]}


def document(**changes: Any) -> dict[str, Any]:
    """The smallest agreement of the published examples, with its evidence; a property given as `...` is left out."""
    text = (files("schemas") / "consent" / "v1" / "valid" / "minimal.json").read_text(encoding="utf-8")
    said = json.loads(text) | {"evidence": {"level": "document_kept", "sha256": SHA}} | changes
    return {name: value for name, value in said.items() if value is not ...}


def mandate(**changes: Any) -> dict[str, Any]:
    """A mandate to the CCAS."""
    base = {"agreement_type": "mandate", "collected_by": {"siret": CCAS}, "duration": "one_month", "mandate": MANDATE}
    return document(**(base | changes))


SMS = {"channel": "sms", "subject": PHONE, "evidence": {"level": "declared_by_professional"}}
SMS_TEXT = {"version": "a-1", "sha256": SHA, "language": "fr", "url": "https://relais.example/accord"}

RIGHT = {
    "paper with its digest": document(),
    "a professional's word": document(**ORAL, collector={"name": "Inès Tavernier"}),
    "a role and its organisation": document(**ORAL, collector={"role": "Assistante", "organisation": {"siret": CCAS}}),
    "a recording": document(
        channel="oral_with_professional",
        collector={"name": "Inès Tavernier"},
        evidence={"level": "document_kept", "kind": "recording", "sha256": SHA},
    ),
    "a sign-in": document(channel="online", evidence={"level": "authenticated", "kind": "sign_in"}),
    "a confirmation with its time": document(
        channel="in_person", evidence={"level": "confirmed_by_person", "confirmed_at": "2026-03-02T09:41:00+01:00"}
    ),
    "a question by SMS": document(**SMS, text=SMS_TEXT),
    "a mandate": mandate(),
    "a mandate given by a guardian": mandate(
        mandate=MANDATE | {"no_protection_measure": False}, representative={"role": "guardian"}
    ),
    "a refusal without anything": document(state="refused", channel="online", evidence={"level": "document_kept"}),
}

WRONG = {
    "paper without digest": (document(evidence={"level": "document_kept"}), "/evidence/sha256"),
    "paper that authenticates": (document(evidence={"level": "authenticated", "sha256": SHA}), "/evidence/level"),
    "nobody's word": (document(**ORAL), "/collector"),
    "a role alone": (document(**ORAL, collector={"role": "Assistante"}), "/collector"),
    "a word that is kept": (
        document(**ORAL | {"evidence": {"level": "document_kept", "sha256": SHA}}, collector={"name": "I. T."}),
        "/evidence",
    ),
    "online without sign-in": (document(channel="online", evidence={"level": "authenticated"}), "/evidence/kind"),
    "online at a lower level": (document(channel="online"), "/evidence/level"),
    "a confirmation without time": (
        document(channel="in_person", evidence={"level": "confirmed_by_person"}),
        "/evidence/confirmed_at",
    ),
    "an SMS already confirmed": (
        document(**SMS | {"evidence": {"level": "confirmed_by_person", "sha256": SHA}}, text=SMS_TEXT),
        "/evidence/level",
    ),
    "an SMS to nobody": (document(**SMS | {"subject": PHONE | {"phones": []}}, text=SMS_TEXT), "/subject/phones"),
    "an SMS to two numbers": (
        document(**SMS | {"subject": PHONE | {"phones": ["+33199000001", "+33199000002"]}}, text=SMS_TEXT),
        "/subject/phones",
    ),
    "an SMS about a text that cannot be read": (document(**SMS), "/text/url"),
    "an agreement already ended": (document(state="expired"), "/state"),
    "a mandate about nothing": (mandate(mandate=...), "/mandate"),
    "a mandate without a usual duration": (
        mandate(duration="custom", valid_until="2027-03-02T09:30:00+01:00"),
        "/duration",
    ),
    "a mandate for another organisation": (mandate(mandate=MANDATE | {"agent": "99900001100018"}), "/mandate/agent"),
    "a spoken mandate": (mandate(**ORAL, collector={"name": "I. T."}), "/channel"),
    "a mandate that says nothing of protection": (
        mandate(mandate={"agent": CCAS, "topics": ["social"]}),
        "/mandate/no_protection_measure",
    ),
}


@pytest.mark.parametrize("case", RIGHT)
def test_what_is_proven_is_accepted(case: str) -> None:
    """Each channel has its evidence, and a refusal needs none."""
    assert [] == validate(Kind.CONSENT, RIGHT[case])
    assert [] == faults(RIGHT[case])


@pytest.mark.parametrize("case", WRONG)
def test_what_is_not_proven_is_refused_at_its_place(case: str) -> None:
    """One fault, where it is, with a sentence in each language, and no value of the document."""
    said, pointer = WRONG[case]
    assert [pointer] == [issue.pointer for issue in faults(said)]
    [issue] = faults(said)
    assert issue.message_fr.endswith(".") and issue.message_en.endswith(".")
    assert SHA not in str(issue)
