"""
The code lists and crosswalks of the shared language: unique, bilingual, pointing to codes that exist, usable both ways.
"""

import csv
import json
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import schemas

CODES = Path(schemas.__file__).parent / "codes"
LISTS = sorted(path.stem for path in CODES.glob("*.csv"))
CROSSWALKS = sorted(path.stem for path in (CODES / "crosswalks").glob("*.csv"))
RELATIONS = {"exact", "close", "broader", "narrower", "related"}
HEADER = ["code", "label_fr", "label_en", "source", "version", "parent"]
CROSSWALK_HEADER = ["from_list", "from_code", "to_list", "to_code", "relation", "note_fr", "note_en"]
TOTAL = [  # a partner's code always finds a common one: nothing is lost on the way in
    "aidants_connect_demarche--mandate_topic",
    "aidants_connect_duration--duration",
    "aplus_status--referral_status",
    "api_particulier_sex--sex",
    "carnet_de_bord_orientation--orientation_type",
    "carnet_de_bord_rsa--rsa_dossier_state",
    "ccas_accommodation--housing",
    "ccas_family_situation--family_situation",
    "cnaf_etatdosrsa--rsa_dossier_state",
    "cnaf_hispro--work_history",
    "cnaf_inscdememploi--job_seeker_registration",
    "cnaf_nataccosoc--reason",
    "cnaf_natmob--mobility_area",
    "cnaf_natpf--right",
    "cnaf_qual--title",
    "cnaf_rolepers--household_role",
    "cnaf_sitfam--family_situation",
    "cnaf_typeocclog--housing",
    "dora_contact_preference--contact_channel",
    "dora_rejection_reason--refusal_reason",
    "dora_status--referral_status",
    "fhir_administrative_gender--sex",
    "fhir_request_priority--urgency",
    "fhir_task_status--referral_status",
    "france_travail_contrainte--constraint",
    "france_travail_critere--constraint",
    "france_travail_decision--orientation_decision",
    "france_travail_etat--orientation_state",
    "france_travail_niveau_etude--education_level",
    "france_travail_origine--orientation_origin",
    "france_travail_refusal_reason--refusal_reason",
    "france_travail_situation--france_travail_contrainte",
    "gravity_sdoh_category--reason",
    "hubee_case_status--referral_status",
    "rdv_insertion_orientation--orientation_type",
    "webrsa_orientation--orientation_type",
]
ONE_TO_ONE = [  # a common code goes back to the partner's code it came from
    "api_particulier_sex--sex",
    "carnet_de_bord_rsa--rsa_dossier_state",
    "cnaf_etatdosrsa--rsa_dossier_state",
    "cnaf_qual--title",
    "cnaf_rolepers--household_role",
    "cnaf_sitfam--family_situation",
    "cnaf_typeocclog--housing",
    "dora_rejection_reason--refusal_reason",
    "dora_status--referral_status",
    "fhir_task_status--referral_status",
    "france_travail_decision--orientation_decision",
    "france_travail_etat--orientation_state",
    "france_travail_niveau_etude--education_level",
    "france_travail_origine--orientation_origin",
    "france_travail_refusal_reason--refusal_reason",
    "rdv_insertion_orientation--orientation_type",
    "webrsa_orientation--orientation_type",
]


@cache
def rows_of(path: Path) -> list[dict[str, str]]:
    """
    The rows of a CSV file with a header.
    """
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines, strict=True))


def codes_of(name: str) -> list[str]:
    """
    The codes of a list, in the order of its file.
    """
    return [row["code"] for row in rows_of(CODES / f"{name}.csv")]


def crosswalk(name: str) -> list[dict[str, str]]:
    """
    The rows of a crosswalk.
    """
    return rows_of(CODES / "crosswalks" / f"{name}.csv")


def nodes(value: Any) -> Iterator[dict[str, Any]]:
    """
    Every object inside a JSON value, the value itself first.
    """
    if isinstance(value, dict):
        yield value
    for inside in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from nodes(inside)


def ancestors(name: str, code: str) -> list[str]:
    """
    A code and the more general codes it falls under, nearest first.
    """
    parents = {row["code"]: row["parent"] for row in rows_of(CODES / f"{name}.csv")}
    chain = [code]
    while parents[chain[-1]]:
        assert parents[chain[-1]] not in chain
        chain.append(parents[chain[-1]])
    return chain


@pytest.mark.parametrize("name", LISTS)
def test_a_code_list_is_unique_and_bilingual(name: str) -> None:
    """
    A code list has unique codes and labels in both languages, a source, a version, and parents that exist.
    """
    rows = rows_of(CODES / f"{name}.csv")
    codes = codes_of(name)

    assert [HEADER] * len(rows) == [list(row) for row in rows]
    for column in ("code", "label_fr", "label_en"):
        assert [] == [value for value, times in Counter(row[column] for row in rows).items() if times > 1]
    assert all(row[column].strip() == row[column] != "" for row in rows for column in HEADER[:5])
    assert [] == [row["code"] for row in rows if row["parent"] and row["parent"] not in codes]
    assert len([ancestors(name, code) for code in codes]) == len(codes)


@pytest.mark.parametrize("name", CROSSWALKS)
def test_a_crosswalk_joins_codes_that_exist(name: str) -> None:
    """
    A crosswalk is named after its two lists, and each of its rows joins an existing code to an existing code.
    """
    rows = crosswalk(name)
    source, target = name.split("--")

    assert [CROSSWALK_HEADER] * len(rows) == [list(row) for row in rows]
    assert {(source, target)} == {(row["from_list"], row["to_list"]) for row in rows}
    assert [] == [row["from_code"] for row in rows if row["from_code"] not in codes_of(source)]
    assert [] == [row["to_code"] for row in rows if row["to_code"] not in codes_of(target)]
    assert {row["relation"] for row in rows} <= RELATIONS
    assert [] == [row for row in rows if bool(row["note_fr"]) != bool(row["note_en"])]


@pytest.mark.parametrize("name", CROSSWALKS)
def test_a_crosswalk_gives_one_answer_each_way(name: str) -> None:
    """
    Forwards, a code has at most one translation (exact, close or broader); backwards too (exact, close or narrower).
    """
    rows = crosswalk(name)
    forwards = Counter(row["from_code"] for row in rows if row["relation"] in {"exact", "close", "broader"})
    backwards = Counter(row["to_code"] for row in rows if row["relation"] in {"exact", "close", "narrower"})

    assert [] == [code for code, answers in (*forwards.items(), *backwards.items()) if answers > 1]


@pytest.mark.parametrize("name", CROSSWALKS)
def test_a_crosswalk_is_read_both_ways(name: str) -> None:
    """
    Asked in one direction or in the other, a crosswalk says the same of each pair: equal, or more general one way and more
    precise the other.
    """
    source, target = name.split("--")
    opposite = {"broader": "narrower", "narrower": "broader"}
    forwards = {(a, way.code, way.relation) for a, ways in schemas.crosswalk(source, target).items() for way in ways}
    backwards = {(way.code, b, way.relation) for b, ways in schemas.crosswalk(target, source).items() for way in ways}

    assert len(forwards) == len(crosswalk(name))
    assert forwards == {(a, b, opposite.get(relation, relation)) for a, b, relation in backwards}


@pytest.mark.parametrize("name", TOTAL)
def test_no_code_of_a_partner_is_lost(name: str) -> None:
    """
    Each code of the partner's list has a translation.
    """
    assert set(codes_of(name.split("--", maxsplit=1)[0])) == {row["from_code"] for row in crosswalk(name)}


@pytest.mark.parametrize("name", ONE_TO_ONE)
def test_a_code_comes_back_as_it_went(name: str) -> None:
    """
    Translated and translated back, a partner's code is the same again.
    """
    rows = [row for row in crosswalk(name) if row["relation"] in {"exact", "close"}]
    forwards = {row["from_code"]: row["to_code"] for row in rows}
    backwards = {row["to_code"]: row["from_code"] for row in rows}

    assert set(codes_of(name.split("--", maxsplit=1)[0])) == forwards.keys()
    assert {code: code for code in forwards} == {code: backwards[forwards[code]] for code in forwards}


def test_every_status_can_be_told_in_fhir() -> None:
    """
    Each referral status, or the more general one it falls under, has a FHIR task status.
    """
    back = {row["to_code"]: row["from_code"] for row in crosswalk("fhir_task_status--referral_status")}
    untold = [
        c for c in codes_of("referral_status") if not any(code in back for code in ancestors("referral_status", c))
    ]

    assert untold == []


def test_the_lists_are_as_rich_as_promised() -> None:
    """
    At least 60 rights, 11 Dora and 5 France Travail refusal reasons, all 69 themes and all of Gravity's task statuses.
    """
    refusals = {row["to_code"] for row in crosswalk("dora_rejection_reason--refusal_reason")} | {
        row["to_code"] for row in crosswalk("france_travail_refusal_reason--refusal_reason")
    }

    assert len(codes_of("right")) >= 60
    assert (11, 5) == (len(codes_of("dora_rejection_reason")), len(codes_of("france_travail_refusal_reason")))
    assert refusals <= set(codes_of("refusal_reason"))
    assert len(codes_of("data_inclusion_thematique")) == 69
    assert {"non_information", "non_demande", "non_reception", "non_proposition"} <= set(codes_of("non_take_up_reason"))
    assert "renounced" in codes_of("right_state")
    assert len(codes_of("fhir_task_status")) == 12


def test_every_list_has_a_title() -> None:
    """
    The list of lists names each of them, itself included, in both languages.
    """
    assert LISTS == codes_of("code_list")


def test_no_purpose_serves_the_search_for_fraud() -> None:
    """
    The purposes are four, none of them about fraud, checks or sanctions (CRPA L114-8 II).
    """
    assert ["inform_about_rights", "award_right", "social_evaluation", "follow_up"] == codes_of("purpose")


def test_schemas_name_code_lists_that_exist_and_their_codes() -> None:
    """
    Each `x-code-list` is a list, and each enumeration beside it has only codes of that list, in the order of the list.
    """
    annotated = [
        node
        for path in sorted(CODES.parent.glob("*/v1/schema.json"))
        for node in nodes(json.loads(path.read_text(encoding="utf-8")))
        if "x-code-list" in node
    ]

    assert [] == [node["x-code-list"] for node in annotated if node["x-code-list"] not in LISTS]
    for node in annotated:
        if "enum" in node:
            assert [code for code in codes_of(node["x-code-list"]) if code in node["enum"]] == node["enum"]


@pytest.mark.parametrize("scheme_list", ["reason_scheme", "constraint_scheme", "refusal_scheme"])
def test_each_scheme_is_a_code_list_and_its_codes_have_one_place(scheme_list: str) -> None:
    """
    A scheme is the name of a code list; in a referral its codes are split in two, ordinary and special, without overlap.
    """
    schema = json.loads((CODES.parent / "referral" / "v1" / "schema.json").read_text(encoding="utf-8"))
    special = {tuple(code.split(":", 1)) for code in codes_of("reason_special")}
    places: dict[str, set[tuple[str, str]]] = {}
    for pointer in ("reasons", "constraints", "special_reasons", "special_constraints"):
        for rule in schema["properties"][pointer]["items"]["allOf"]:
            scheme = rule["if"]["properties"]["scheme"]["const"]
            allowed = {(scheme, code) for code in rule["then"]["properties"]["code"]["enum"]}
            places.setdefault("special" if pointer.startswith("special") else "ordinary", set()).update(allowed)

    assert set(codes_of(scheme_list)) <= set(LISTS)
    assert special == places["special"]
    assert places["ordinary"] & special == set()
    if scheme_list != "refusal_scheme":
        every = {(scheme, code) for scheme in codes_of(scheme_list) for code in codes_of(scheme)}
        assert every <= places["ordinary"] | places["special"]
