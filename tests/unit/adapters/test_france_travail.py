"""
France Travail's services: the traps that the common exam does not ask about.
"""

import json
from typing import Any

import pytest

from adapters.registry import get
from adapters.testing import EXAM_CONTEXT


def read(name: str, value: Any) -> Any:
    """The translation of one answer."""
    return get(name).to_shared(json.dumps(value).encode(), EXAM_CONTEXT)


PERSON = {"numeroFranceTravail": "00412345678"}


def test_the_first_version_of_the_pathways_is_held() -> None:
    """PSP is socio-professional and PSO social; a known sender says the contrary: only its written word changes a version."""
    table = next(each for each in get("france-travail-orientation").tables if each.name == "parcours_v1")
    assert {
        "PED": "employment",
        "PSP": "socioprofessional",
        "PSO": "social",
        "EO": "",
        "IND": "",
    } == table.rows
    assert ["PED", "PSP", "PSO"] == [table.partner(shared) for shared in ("employment", "socioprofessional", "social")]


@pytest.mark.parametrize(
    ("code", "certified", "documents"),
    [("S001", "O", 1), ("S001", "N", 0), ("S001", None, 0), ("S002", None, 0), ("S003", None, 0), ("R001", "null", 0)],
)
def test_an_answer_200_is_not_a_person_found(code: str, certified: str | None, documents: int) -> None:
    """Only a person found whose identity is certified is used; S002 is nobody here, and was several people before."""
    search = {"codeRetour": code, "topIdentiteCertifiee": certified, "jetonUsager": "jeton-fictif"}
    orientation = {"parcours": "PED", "date_creation": "2026-11-02"}
    found = read("france-travail-orientation", {"recherche": search, "usager": PERSON, "orientation": orientation})
    assert documents == len(found.documents)
    assert documents == int(not found.issues)
    assert "jeton-fictif" not in repr(found)


@pytest.mark.parametrize(
    ("version", "place"),
    [("v1", ("contraintesIndividusDto",)), ("v4", ("thematiqueContrainte",))],
)
def test_the_same_objective_is_not_the_same_in_both_versions(version: str, place: tuple[str]) -> None:
    """Objective 29 is a transport solution in v1, a vehicle in v4: the shared code says which version it is of."""
    objective = {"code": "29", "valeur": "EN_COURS"}
    constraint = {"code": "23", "valeur": "OUI", "objectifs": [objective]}
    found = read(
        "france-travail-diagnostic", {"usager": PERSON, "diagnostic": {place[0]: {"contraintes": [constraint]}}}
    )
    assert [{"scheme": f"france_travail_objectif_{version}", "code": "29"}] == found.documents[0].document["reasons"]


def test_an_objective_of_another_version_is_told_and_not_taken() -> None:
    """Objective 10, help to access rights in v1, means parenting in v4; 12 means nothing there."""
    constraint = {"code": "29", "valeur": "OUI", "objectifs": [{"code": "12", "valeur": "EN_COURS"}]}
    diagnostic = {"thematiqueContrainte": {"contraintes": [constraint]}}
    found = read("france-travail-diagnostic", {"usager": PERSON, "diagnostic": diagnostic})
    assert ["code_unknown"] == [issue.code for issue in found.issues]
    assert "reasons" not in found.documents[0].document


def test_health_never_stands_among_ordinary_constraints() -> None:
    """Constraint 25 and situation 15 go to the places of health data, that a convention permits or not."""
    constraint = {"code": 25, "valeur": "OUI", "situations": [{"code": 15, "valeur": "OUI"}]}
    diagnostic = {"thematiqueContrainte": {"contraintes": [constraint]}}
    document = read("france-travail-diagnostic", {"usager": PERSON, "diagnostic": diagnostic}).documents[0].document
    assert "25" == document["special_constraints"][0]["code"]
    assert "15" == document["special_reasons"][0]["code"]
    assert {"constraints", "reasons"}.isdisjoint(document)
