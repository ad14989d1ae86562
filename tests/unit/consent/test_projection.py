"""The projection: what leaves is what the gate permitted, whole and valid, and the account of it is exact."""

import copy
import json
from datetime import UTC, datetime
from importlib.resources import files

import pytest

from consent.conventions import Convention, Conventions, read
from consent.gate import Decision, NotPermitted, Request, decide, decide_notice
from consent.projection import project
from schemas import Document, Kind, fields, validate

CAF, DEPARTEMENT, ASSOCIATION = "99900001100018", "99900002900010", "99900003700013"
NOW = datetime(2026, 6, 1, 9, 0, tzinfo=UTC)
PSEUDONYM = "recipients-own-pseudonym"
DOCUMENTS = [Kind.REFERRAL, Kind.BILAN, Kind.CONSENT, Kind.STATUS]


def examples(kind: Kind) -> list[Document]:
    """The valid examples shipped with the schema of a kind."""
    folder = files("schemas") / kind.value / "v1" / "valid"
    return [json.loads(entry.read_text("utf-8")) for entry in folder.iterdir() if entry.name.endswith(".json")]


def permitted(kind: Kind, categories: list[str], **flow: object) -> Decision:
    """The decision of a convention with one flow, from the CAF to the département, of these categories."""
    raw = (files("consent") / "models" / "tznr-caf-departement.yaml").read_bytes()
    document = copy.deepcopy(dict(read(raw).document))
    base = {name: value for name, value in document["flows"][0].items() if name != "except"}
    document["flows"] = [base | {"kind": kind.value, "categories": categories} | flow]
    document["legal_bases"][0]["special"] = "9.2.b"
    conventions = Conventions([Convention.from_document(document, "valid")])
    decision = decide(Request(kind, "inform_about_rights", CAF, DEPARTEMENT, NOW), conventions)
    assert decision.permit
    return decision


def referral() -> Document:
    """A referral with a little of everything."""
    return {
        "kind": "referral",
        "schema_version": "1.0",
        "id": "3f1c2b7a-8d4e-4a6b-9c1d-5e2f7a8b9c0d",
        "created_at": "2026-03-02T09:30:00+01:00",
        "sender": {"siret": CAF, "name": "CAF de Valombre"},
        "recipients": [{"siret": ASSOCIATION}, {"siret": DEPARTEMENT, "name": "Département de Valombre"}],
        "purpose": "inform_about_rights",
        "subject": {
            "pseudonym": "senders-own-pseudonym",
            "birth_name": "EXEMPLE",
            "given_names": ["Aline", "Zoé"],
            "birth_date": "1985-05-00",
            "phones": ["+33199000030"],
        },
        "rights": [{"right": "rsa", "state": "to_request", "note": "Parle de sa santé"}],
        "local": {"fields": {"nom_du_conjoint": "Exemple"}},
        "private_notes": "À rappeler",
    }


def test_only_permitted_fields_leave_and_each_pointer_is_accounted_for() -> None:
    """The document is cut to the fields; the pointers are those of the document as it came."""
    projection = project(referral(), permitted(Kind.REFERRAL, ["identity"]), PSEUDONYM)
    expected = {
        "kind": "referral",
        "schema_version": "1.0",
        "id": "3f1c2b7a-8d4e-4a6b-9c1d-5e2f7a8b9c0d",
        "created_at": "2026-03-02T09:30:00+01:00",
        "sender": {"siret": CAF, "name": "CAF de Valombre"},
        "recipients": [{"siret": DEPARTEMENT, "name": "Département de Valombre"}],
        "purpose": "inform_about_rights",
        "subject": {
            "pseudonym": PSEUDONYM,
            "birth_name": "EXEMPLE",
            "given_names": ["Aline", "Zoé"],
            "birth_date": "1985-05-00",
        },
    }
    assert expected == projection.document
    assert {"/subject/given_names/1", "/recipients/1/siret", "/subject/pseudonym"} <= set(projection.left)
    assert (
        "/recipients/0/siret",
        "/subject/phones/0",
        "/rights/0/right",
        "/rights/0/state",
        "/rights/0/note",
        "/local/fields/*",
        "/private_notes",
    ) == projection.withheld


def test_the_document_given_is_not_changed() -> None:
    """The gateway cuts the same document for several recipients."""
    document = referral()
    project(document, permitted(Kind.REFERRAL, ["identity"]), PSEUDONYM)
    assert referral() == document


def test_the_senders_pseudonym_never_leaves() -> None:
    """Two partners must not be able to join what they know of a person."""
    projection = project(referral(), permitted(Kind.REFERRAL, ["identity"]), PSEUDONYM)
    assert "senders-own-pseudonym" not in json.dumps(projection.document)
    bare = referral() | {"subject": {"pseudonym": "senders-own-pseudonym"}}
    assert {"pseudonym": PSEUDONYM} == project(bare, permitted(Kind.REFERRAL, ["needs"]), PSEUDONYM).document["subject"]


def test_a_part_whose_required_members_stay_behind_does_not_leave_at_all() -> None:
    """A note without the right it is about is half a fact; with the right, it may go."""
    notes_only = project(
        referral(), permitted(Kind.REFERRAL, ["free_text", "identity"], special_categories=True), PSEUDONYM
    )
    assert "rights" not in notes_only.document
    both = project(referral(), permitted(Kind.REFERRAL, ["free_text", "rights"], special_categories=True), PSEUDONYM)
    assert "Parle de sa santé" == both.document["rights"][0]["note"]


def test_names_that_no_schema_gives_neither_leave_nor_are_written_down() -> None:
    """A partner may have put a person's name or number in the name of a property."""
    document = referral() | {"MARTIN": {"Aline": 1}}
    document["subject"]["1850578006084"] = "x"
    projection = project(document, permitted(Kind.REFERRAL, ["identity", "needs"]), PSEUDONYM)
    told = json.dumps([projection.document, projection.left, projection.withheld])
    assert all(word not in told for word in ("MARTIN", "1850578006084", "nom_du_conjoint"))
    assert {"/*", "/subject/*", "/local/fields/*"} <= set(projection.withheld)


def test_a_container_where_a_leaf_is_expected_does_not_leave() -> None:
    """What has not the shape that the schema labels is not labelled."""
    document = referral()
    document["subject"]["birth_name"] = {"anything": "EXEMPLE"}
    document["subject"]["given_names"] = {"DUPONT": "Aline"}
    document["sender"] = "x"
    projection = project(document, permitted(Kind.REFERRAL, ["identity"]), PSEUDONYM)
    assert {"pseudonym", "birth_date"} == set(projection.document["subject"])
    assert {"/subject/birth_name", "/subject/given_names/*", "/sender"} <= set(projection.withheld)


def test_the_entries_of_an_open_map_leave_when_they_are_permitted() -> None:
    """The partner's own fields keep their names in the document, not in the account."""
    projection = project(referral(), permitted(Kind.REFERRAL, ["free_text"], special_categories=True), PSEUDONYM)
    assert {"nom_du_conjoint": "Exemple"} == projection.document["local"]["fields"]
    assert "/local/fields/*" in projection.left
    assert "/local/fields/*" not in projection.withheld
    listed = referral() | {"local": {"fields": ["Exemple"]}}
    projection = project(listed, permitted(Kind.REFERRAL, ["free_text"], special_categories=True), PSEUDONYM)
    assert "local" not in projection.document
    assert "/local/fields/0" in projection.withheld


def test_a_recipient_does_not_learn_who_else_is_told() -> None:
    """Of a consent, it gets the lines that name it, and its own name in them; of other lists, its own entry."""
    line = {"purposes": ["follow_up"], "kinds": ["status"], "categories": ["status"]}
    [consent, *_] = examples(Kind.CONSENT)
    consent["scopes"] = [
        line | {"id": "autre", "recipients": [ASSOCIATION]},
        line | {"id": "tous", "recipients": [ASSOCIATION, DEPARTEMENT]},
    ]
    consent.pop("recipients", None)
    projection = project(consent, decide_notice(DEPARTEMENT), PSEUDONYM)
    assert [line | {"id": "tous", "recipients": [DEPARTEMENT]}] == projection.document["scopes"]
    assert ASSOCIATION not in json.dumps(projection.document["scopes"])
    assert "/scopes/0/id" in projection.withheld
    assert "/scopes/1/recipients/0" in projection.withheld


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_every_valid_example_stays_valid_under_any_single_category(kind: Kind) -> None:
    """A recipient's software can validate what it gets, however little that is."""
    labels = fields(kind)
    categories = sorted({label.category for label in labels.values()} - {"secret", "exchange", "nir"})
    for category in categories:
        decision = permitted(kind, [category], special_categories=True)
        for document in examples(kind):
            projection = project(document, decision, PSEUDONYM)
            assert [] == validate(kind, projection.document)


def test_every_example_of_a_consent_makes_a_valid_notice() -> None:
    """A notice is a consent document: state, lines and dates, and of the person the pseudonym only."""
    for document in examples(Kind.CONSENT):
        projection = project(document, decide_notice(DEPARTEMENT), PSEUDONYM)
        assert [] == validate(Kind.CONSENT, projection.document)
        assert {"pseudonym": PSEUDONYM} == projection.document["subject"]
        assert document["state"] == projection.document["state"]


def test_a_refused_decision_or_one_about_another_kind_projects_nothing() -> None:
    """The fields of one kind mean nothing in another."""
    refused = decide(Request(Kind.REFERRAL, "inform_about_rights", CAF, DEPARTEMENT, NOW), Conventions())
    for decision in (refused, permitted(Kind.BILAN, ["identity"])):
        with pytest.raises(NotPermitted):
            project(referral(), decision, PSEUDONYM)
