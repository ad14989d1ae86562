"""What the directory of services promises, on SQLite and on PostgreSQL alike."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.crossing import Crossing
from gateway.directory.capacity import Declaration, declare, today, withdraw
from gateway.directory.naming import name_recipients
from gateway.directory.reading import read
from gateway.directory.store import UNKNOWN, replace, search
from gateway.errors import Problem
from gateway.store.database import Database, instant
from gateway.store.tables import metadata
from schemas import Kind

pytestmark = pytest.mark.anyio


def structure(number: int, source: str = "valombre", **more: Any) -> dict[str, Any]:
    return {
        "source": source,
        "id": f"{source}--s{number}",
        "nom": f"Structure fictive {number}",
        "date_maj": "2026-01-15",
        **more,
    }


def service(number: int, source: str = "valombre", **more: Any) -> dict[str, Any]:
    return {
        "source": source,
        "structure_id": f"{source}--s1",
        "id": f"{source}--{number}",
        "nom": f"Service fictif {number}",
        "description": "Un service inventé pour les essais.",
        "date_maj": "2026-01-15",
        **more,
    }


NOW = datetime(2026, 11, 30, 23, 30, tzinfo=UTC)
"""It is 1 December in France."""
TODAY = today(NOW)
STRUCTURES = [structure(1, siret="99900004500016", code_insee="39300"), structure(2)]
SERVICES = [
    service(
        1,
        thematiques=["sante--acces-aux-soins"],
        publics=["familles"],
        zone_eligibilite=["39"],
        contact_nom_prenom="Nom Prénom",
    ),
    service(
        2,
        thematiques=["numerique--acceder-a-des-services-en-ligne"],
        publics=["tous-publics"],
        zone_eligibilite=["99100"],
    ),
    service(
        3, thematiques=["sante--acces-aux-soins"], publics=["seniors"], zone_eligibilite=["75056"], code_insee="75056"
    ),
    service(4, structure_id="valombre--s2", zone_eligibilite=["2A004"]),
]


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A database of each kind, with four services in it."""
    opened = Database(database_url)
    async with opened.write() as tx:
        await tx.run_sync(metadata.create_all)
        await replace(tx, read(json.dumps(STRUCTURES).encode(), json.dumps(SERVICES).encode()))
    yield opened
    await opened.close()


async def ids(database: Database, **asked: Any) -> list[str]:
    async with database.read() as tx:
        criteria = {"today": TODAY, "limit": 50} | asked
        return [each["id"].removeprefix("valombre--") for each in await search(tx, **criteria)]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, ["1", "2", "3", "4"]),
        ({"theme": "sante--acces-aux-soins"}, ["1", "3"]),
        ({"theme": "numerique"}, ["2"]),
        ({"public": "familles"}, ["1", "2"]),
        ({"commune": "39300"}, ["1", "2"]),
        ({"commune": "75056"}, ["2", "3"]),
        ({"commune": "2A004"}, ["2", "4"]),
        ({"theme": "sante", "public": "seniors", "commune": "39300"}, []),
        ({"after": "valombre--1", "limit": 2}, ["2", "3"]),
    ],
    ids=str,
)
async def test_a_search_finds_what_serves(database: Database, asked: dict[str, Any], expected: list[str]) -> None:
    """By theme or category, by public (and what is for all), by commune (its département, the country), page by page."""
    assert expected == await ids(database, **asked)


async def test_declared_places_are_found_until_their_day(database: Database) -> None:
    """At least so many places, declared and in force; what is over is unknown as what was never declared; a new word replaces it."""
    async with database.write() as tx:
        for number, places, until in (
            (1, 2, "2026-12-01"),
            (2, 0, "2026-12-31"),
            (3, 9, "2026-12-31"),
            (3, 4, "2026-12-31"),
        ):
            await declare(tx, f"valombre--{number}", Declaration(places, until), "99900004500016", NOW)
        await declare(tx, "valombre--4", Declaration(5, "2026-11-30"), "99900004500016", NOW)
    found = {asked: await ids(database, capacity=asked) for asked in ("0", "1", "4", "5", UNKNOWN)}
    assert {"0": ["1", "2", "3"], "1": ["1", "3"], "4": ["3"], "5": [], UNKNOWN: ["4"]} == found
    assert ["1"] == await ids(database, capacity="1", public="familles")
    assert (["3"], ["1", "4"]) == (
        await ids(database, capacity="1", today="2026-12-02"),
        await ids(database, capacity=UNKNOWN, today="2026-12-02"),
    )
    assert ["1", "2", "3", "4"] == await ids(database)


async def test_declared_places_stay_when_their_source_is_imported_again(database: Database) -> None:
    """They are not the source's: a new file replaces records, and not what organisations declared."""
    async with database.write() as tx:
        await declare(tx, "valombre--1", Declaration(2, "2026-12-31"), "99900004500016", NOW)
        await replace(tx, read(json.dumps(STRUCTURES).encode(), json.dumps(SERVICES[:2]).encode()))
        shown = [each["capacity"] for each in await search(tx, today=TODAY, limit=2)]
        declared = {"places": 2, "until": "2026-12-31", "declared_by": "99900004500016", "declared_at": instant(NOW)}
        assert [declared, None] == shown
        assert [True, False] == [await withdraw(tx, "valombre--1") for _ in range(2)]
    assert ["1", "2"] == await ids(database, capacity=UNKNOWN)


@pytest.mark.parametrize(
    "wrong",
    [
        {"places": -1},
        {"places": 10_001},
        {"places": True},
        {"places": "4"},
        {"until": "2026-11-30"},
        {"until": "2027-12-03"},
        {"until": "31/12/2026"},
        {"until": "20261231"},
        {"until": None},
    ],
    ids=str,
)
def test_a_declaration_that_cannot_be_true_is_refused(wrong: dict[str, Any]) -> None:
    """Places are a number, and the day is today at the earliest, a year ahead at the latest."""
    right = {"places": 0, "until": "2026-12-01"}
    assert Declaration(0, "2026-12-01") == Declaration.of(right, NOW)
    with pytest.raises(Problem, match="malformed_request"):
        Declaration.of(right | wrong, NOW)


async def test_the_name_of_a_contact_is_left_at_the_door(database: Database) -> None:
    """What is kept is the record without the natural person in it, beside its structure."""
    async with database.read() as tx:
        [first] = await search(tx, today=TODAY, limit=1)
    assert "contact_nom_prenom" not in first
    assert {"id": "valombre--s1", "nom": "Structure fictive 1", "siret": "99900004500016"} == first["structure"]


async def test_a_source_is_replaced_and_the_others_stay(database: Database) -> None:
    """A new file of one source takes the place of all that was known of it, and of nothing else."""
    async with database.write() as tx:
        files = [structure(1, "autre")], [service(9, "autre", thematiques=["sante--acces-aux-soins"])]
        await replace(tx, read(*(json.dumps(each).encode() for each in files)))
        await replace(tx, read(json.dumps(STRUCTURES).encode(), json.dumps(SERVICES[:1]).encode()))
    assert ["autre--9", "1"] == await ids(database, theme="sante")
    assert ["autre--9", "1"] == await ids(database)


def crossing(**more: Any) -> Crossing:
    return Crossing(Kind.REFERRAL, {"kind": "referral", "id": "00000001-5d1e-4c7a-9b3f-2e6d8c4a1f50", **more}, None)


async def test_a_referral_goes_to_the_structure_of_its_service(database: Database) -> None:
    """A recipient named by a service gets the SIRET of its structure; an unknown one, or one without SIRET, is told where."""
    good = crossing(recipients=[{"service": "valombre--1"}], target_service={"service": "valombre--2"})
    bad = crossing(
        recipients=[{"service": "valombre--404"}, {"service": "valombre--4"}],
        target_service={"service": "valombre--405"},
    )
    async with database.read() as tx:
        await name_recipients(tx, [good, bad])
    assert ([], "99900004500016") == (good.issues, good.document["recipients"][0]["siret"])
    assert [
        ("service_unknown", "/recipients/0/service"),
        ("service_unknown", "/recipients/1/service"),
        ("service_unknown", "/target_service/service"),
    ] == [(issue.code, issue.pointer) for issue in bad.issues]


async def test_a_gateway_without_a_directory_says_nothing_of_services(database_url: str) -> None:
    """Where nothing was imported, a document that names a service is left as it is."""
    opened = Database(database_url)
    async with opened.write() as tx:
        await tx.run_sync(metadata.create_all)
        named = crossing(target_service={"service": "valombre--1"})
        await name_recipients(tx, [named])
    await opened.close()
    assert [] == named.issues


def test_a_record_that_is_wrong_is_left_out_and_counted() -> None:
    """By the field that is wrong, never by its value: another schema, a repeated id, a code of no list, no structure."""
    wrong = [
        service(1),
        service(1),
        service(2, typologie="CCAS"),
        service(3, thematiques=["inventee"]),
        service(4, structure_id="valombre--404"),
        service(5) | {"id": "sans-source"},
        "texte",
    ]
    found = read(json.dumps(STRUCTURES).encode(), json.dumps(wrong).encode())
    assert ["valombre--1"] == list(found.services)
    assert {
        "service: id (repeated)": 1,
        "service: typologie (schema v0)": 1,
        "service: thematiques (enum)": 1,
        "service: structure_id (unknown)": 1,
        "service: id (source--id)": 1,
        "service: record (object)": 1,
    } == dict(found.left_out)
