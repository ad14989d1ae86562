"""
`tdu schema places` and `tdu schema codes`: a person finds where a value goes, and which code to write in a table.
"""

from __future__ import annotations

import json
import re
import shlex

import pytest
from typer.testing import CliRunner, Result

from adapters import registry
from adapters.mapping import places
from adapters.mapping.engine import MappingAdapter
from adapters.mapping.fillable import fillable
from adapters.mapping.grammar import KINDS
from adapters.mapping.targets import parse_target
from ops.cli import app
from schemas import Kind, code_list, code_lists


def tdu(*arguments: str) -> Result:
    """What `tdu schema …` prints, and its exit code."""
    return CliRunner().invoke(app, ["schema", *arguments])


@pytest.mark.parametrize("kind", KINDS)
def test_each_place_that_is_listed_can_be_written_in_a_mapping(kind: Kind) -> None:
    """What the list gives is copied as it is: each target is well written, and the schema has it."""
    listed = fillable(kind)

    assert len(listed) > 80
    for place in listed:
        assert places.find(kind, parse_target(place.target).pattern) is not None, place.target


def test_each_place_that_a_shipped_format_fills_is_listed() -> None:
    """Nothing that a mapping fills is missing from the list, but what the gateway gives by itself."""
    listed = {kind: {parse_target(place.target).pattern for place in fillable(kind)} for kind in KINDS}
    filled = [
        (rule.kind, each.target.pattern)
        for adapter in registry.ADAPTERS.values()
        if isinstance(adapter, MappingAdapter)
        for rule in adapter.mapping.documents
        for each in rule.fields
        if not each.fields
        and each.const is None
        and (node := places.find(rule.kind, each.target.pattern))
        and node.leaf
    ]

    assert len(filled) > 100
    for kind, pattern in filled:
        found = places.find(kind, pattern)
        assert found is not None
        assert found.pattern in {places.find(kind, each).pattern for each in listed[kind]}, pattern  # type: ignore[union-attr]


def test_a_place_has_its_french_name_first_its_type_when_it_is_needed_and_its_codes() -> None:
    """One line each, whole even in a narrow window: names from the outside in, then what goes there."""
    shown = tdu("places", "referral").stdout.splitlines()
    of = {line.split()[0]: line for line in shown}

    assert "Personne concernée › Civilité · Title — texte ; codes : liste title" in of["subject.title"]
    assert "date (jour ou mois inconnus admis)" in of["subject.birth_date"]
    assert "birth_name + given_names + birth_date" in of["subject.birth_date"]
    assert "obligatoire dans « Motif » ; codes : liste reason, sauf health" in of["reasons[scheme=reason].code"]
    assert "codes : health, disability, addiction, violence" in of["special_reasons[scheme=reason].code"]
    assert "codes : liste right_special" in of["special_rights[].right"]
    assert max(map(len, shown)) > 200


def test_required_places_are_told() -> None:
    """A consent says what it cannot do without; an optional place says nothing."""
    listed = {place.target: place.required for place in fillable(Kind.CONSENT)}

    assert "obligatoire" == listed["collected_at"]
    assert "obligatoire dans « Retrait »" == listed["withdrawal.at"]
    assert "" == listed["subject.used_name"]


def test_places_are_searched_without_case_or_accents() -> None:
    """A word as it is typed finds its places, in every kind or in one."""
    found = json.loads(tdu("places", "consent", "--search", "TELEPHONE", "--json").stdout)

    assert "subject.phones[]" in [place["target"] for place in found]
    assert {"consent"} == {place["kind"] for place in found}
    assert {"referral", "bilan", "consent", "status"} == {
        place["kind"] for place in json.loads(tdu("places", "--search", "téléphone", "--json").stdout)
    }


def test_a_search_that_finds_nothing_says_so() -> None:
    """Exit 1 and a sentence, in French then English."""
    done = tdu("places", "--search", "zzzz")

    assert 1 == done.exit_code
    assert "Rien ne parle de « zzzz »" in done.stderr


def test_a_convention_has_no_places_to_fill() -> None:
    """Exit 2: no file of a partner gives a convention."""
    assert 2 == tdu("places", "convention").exit_code


def test_the_codes_of_a_list_have_their_french_labels() -> None:
    """One code a line: what to write in a table, its label in French, in English."""
    shown = tdu("codes", "right_special").stdout.splitlines()

    assert len(code_list("right_special")) == len(shown)
    assert ["aah", "Allocation aux adultes handicapés · Disabled adult's allowance"] == shown[0].split(maxsplit=1)


def test_the_lists_themselves_are_listed_and_searched() -> None:
    """Without a name, the lists with their titles; a word keeps those about it."""
    everything = tdu("codes").stdout.splitlines()
    some = [line.split()[0] for line in tdu("codes", "--search", "logement").stdout.splitlines()]

    assert len(code_lists()) == len(everything)
    assert "cnaf_demarlog" in some


def test_an_unknown_list_names_the_nearest() -> None:
    """Exit 2, and the name that was meant."""
    done = tdu("codes", "reasn")

    assert 2 == done.exit_code
    assert "Vouliez-vous dire reason ?" in done.stderr


def test_a_place_says_which_category_of_data_it_is() -> None:
    """As conventions and agreements name it: on the line of the place, for a program, and as a word to search."""
    assert "donnée : contact" in tdu("places", "referral", "--search", "téléphones").stdout
    found = json.loads(tdu("places", "referral", "--json").stdout)
    said = {each["target"]: each["category"] for each in found}
    assert ("health", "rights", "address") == (
        said["special_rights[].right"],
        said["rights[].right"],
        said["subject.address.postcode"],
    )
    assert set(said.values()) <= set(code_list("data_category"))
    health = json.loads(tdu("places", "referral", "--search", "health", "--json").stdout)
    assert {each["target"] for each in found if each["category"] == "health"} <= {each["target"] for each in health}


def test_a_word_that_no_place_is_about_is_looked_for_among_the_codes() -> None:
    """What a person searched may be a value: the other command is named."""
    none, code = tdu("places", "--search", "introuvable"), tdu("places", "referral", "--search", "chômage")
    assert (1, 1) == (none.exit_code, code.exit_code)
    assert "« tdu schema codes LISTE --search MOT »" in none.stderr
    [command, *_] = re.findall(r"« tdu schema (codes [^»]+) »", code.stderr)
    assert 0 == tdu(*shlex.split(command)).exit_code
    assert "schema codes" not in tdu("codes", "reason", "--search", "introuvable").stderr
