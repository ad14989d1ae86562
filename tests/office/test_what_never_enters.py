"""At the door, whatever the conventions: what is secret is not stored, what must not be there makes the document be refused."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from consent.tables import agreements
from gateway.store import subjects
from gateway.store.tables import documents

DEPARTEMENT = "99900002900010"
NIR, IBAN = "284073999000162", "FR76 3000 6000 0112 3456 7890 189"

pytestmark = pytest.mark.anyio


async def stored(office: Any, table: Any, place: str, ident: str) -> dict[str, Any]:
    """What the gateway keeps of a document, opened."""
    row = await office.row(table, id=ident)
    services = office.runtime.services
    async with services.database.read() as tx:
        keys = await subjects.data_keys(tx, [row.subject_id], services.vault)
    return dict(orjson.loads(keys[row.subject_id].open(row.sealed, f"{place}/{ident}")))


async def test_private_notes_are_not_even_stored(office: Any) -> None:
    """Of a referral and of an agreement alike: the sealed content holds no note that its author kept for himself."""
    sent = await office.send(
        office.person(), private_notes="À ne dire à personne.", recipients=[{"siret": DEPARTEMENT}]
    )
    kept = await stored(office, documents, "documents", sent["document"])
    consent = office.consent(private_notes="À ne dire à personne.")
    await office.done("association", "POST", "/v1/consents", json=consent)
    agreed = await stored(office, agreements, "agreements", consent["id"])
    assert "rsa" == kept["rights"][0]["right"]
    assert consent["scopes"] == agreed["scopes"]
    assert "private_notes" not in kept | agreed


@pytest.mark.parametrize(("value", "code"), [(NIR, "nir_out_of_place"), (IBAN, "bank_details")])
async def test_a_document_with_a_hidden_number_is_refused_whole(office: Any, value: str, code: str) -> None:
    """The answer says where and in which sentence, without the number; nothing is recorded, not even the person."""
    referral = office.referral(office.person(), notes=f"Voir {value}.", recipients=[{"siret": DEPARTEMENT}])
    answer = await office.call("caf", "POST", "/v1/referrals", json=referral)
    assert 422 == answer.status_code
    assert [(code, "/notes")] == [(error["code"], error["pointer"]) for error in answer.json()["errors"]]
    assert value not in answer.text
    consent = office.consent(
        subject=office.person(identifiers=[{"scheme": "caf_matricule", "value": value.replace(" ", "")}])
    )
    faults = await office.faults("association", consent)
    assert [(code, "/subject/identifiers/0/value")] == faults
    objection = {"subject": consent["subject"]}
    body = await office.refused("association", "POST", "/v1/objections", 422, json=objection)
    assert code == body["errors"][0]["code"]


@pytest.mark.parametrize(
    "member",
    [
        "iban",
        "bank",
        "funeralContract",
        "relatives",
        "thirdPersonName",
        "privateSynthesis",
        "gir",
        "doctor",
        "pregnancy",
    ],
)
async def test_what_the_shared_language_has_no_place_for_is_refused_by_its_name(office: Any, member: str) -> None:
    """At the top or inside the person, planted under its usual name: the document is refused there, and its value told to nobody."""
    for place in ("", "subject"):
        referral = office.referral(office.person(), recipients=[{"siret": DEPARTEMENT}])
        (referral[place] if place else referral)[member] = "Valeur plantée"
        answer = await office.call("caf", "POST", "/v1/referrals", json=referral)
        assert 422 == answer.status_code
        assert [("unknown_property", f"/{place}/*".replace("//", "/"))] == [
            (error["code"], error["pointer"]) for error in answer.json()["errors"]
        ]
        assert "Valeur plantée" not in answer.text
