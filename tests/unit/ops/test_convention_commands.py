"""`tdu convention` and `tdu gate explain`: what a signatory, a lawyer or an IT department learns from the files alone."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from consent.conventions.compile import compile_convention
from consent.conventions.difference import _SENTENCES as WIDENINGS
from consent.conventions.files import read
from ops.cli import app
from ops.commands.convention import _NARROWED as NARROWINGS
from schemas import Kind, fields

CAF, DEPARTEMENT, ASSOCIATION = "99900001100018", "99900002900010", "99900003700013"
_MODELS = files("consent") / "models"
_FLOW = "categories: [identity, nir, partner_identifier, contact, address, family, situation, needs, rights, orientation, professional]"


def _run(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, list(words))
    return result.exit_code, result.stdout


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """The model convention of a CAF and a département, as a file."""
    path = tmp_path / "convention.yaml"
    path.write_bytes((_MODELS / "tznr-caf-departement.yaml").read_bytes())
    return path


def _changed(model: Path, *changes: tuple[str, str]) -> Path:
    text = model.read_text(encoding="utf-8").replace("\nversion: 1", "\nversion: 2")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    path = model.with_name("nouvelle.yaml")
    path.write_text(text, encoding="utf-8")
    return path


CASES: dict[str, tuple[tuple[tuple[str, str], ...], str, str]] = {
    "a field is added": (((_FLOW, _FLOW.replace("]", ", amounts]")),), "fields_added", "Quotient familial"),
    "data are kept longer": (
        (("attachments, months: 6", "attachments, months: 9"),),
        "retention_lengthened",
        "6 mois devient 9 mois",
    ),
    "a recipient is added": (
        (("id: suites-caf\n    kind: status", "id: suites-caf\n    kind: referral"), ("[status, rights]", "[rights]")),
        "path_added",
        "CAF de Valombre, Département de Valombre",
    ),
    "the convention lasts longer": (
        (("until: 2030-12-31", "until: 2031-12-31"),),
        "validity_extended",
        "2030-12-31 devient 2031-12-31",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_widening_is_told_and_ends_with_1(model: Path, case: str) -> None:
    """Each widening has its code, its French sentence and its place; the way back is a narrowing, which ends with 0."""
    changes, code, told = CASES[case]
    new = _changed(model, *changes)
    status, text = _run("convention", "diff", str(model), str(new))
    _, found = _run("convention", "diff", str(model), str(new), "--json")
    back = [_run("convention", "diff", str(new), str(model), *more) for more in ((), ("--json",))]
    assert 1 == status
    assert code in {change["code"] for change in json.loads(found)["widened"]}
    assert f"ÉLARGIT    {WIDENINGS[code][0]}" in text
    assert told in text
    assert code in {change["code"] for change in json.loads(back[1][1])["narrowed"]}
    assert f"restreint  {NARROWINGS[code]}" in back[0][1]


def test_what_an_agreement_protected_is_told(tmp_path: Path) -> None:
    """An agreement that is no longer required, and somebody who may now receive the NIR, are widenings too."""
    text = (_MODELS / "tznr-caf-association.yaml").read_text(encoding="utf-8")
    old, new = tmp_path / "ancienne.yaml", tmp_path / "nouvelle.yaml"
    old.write_text(text, encoding="utf-8")
    wider = text.replace("\nversion: 1", "\nversion: 2").replace('rgpd: "6.1.a"', 'rgpd: "6.1.e"', 1)
    wider = wider.replace("agreement: required\n    agreement_types: [consent, accord]", "agreement: not_required", 1)
    wider = wider.replace("nir_entitled: false", "nir_entitled: true", 1)
    wider += '\nnir:\n  - party: "99900001100018"\n    ground: Décret n° 2019-341\n'
    new.write_text(wider, encoding="utf-8")
    status, found = _run("convention", "diff", str(old), str(new), "--json")
    codes = {change["code"] for change in json.loads(found)["widened"]}
    assert (1, True) == (status, {"agreement_no_longer_required", "nir_entitlement_added"} <= codes)


def test_nothing_that_widens_ends_with_0(model: Path) -> None:
    """The same text written otherwise changes nothing; one with less only narrows."""
    reworded = _changed(model, ("title: Aller vers", "title: Aller  vers"))
    less = ("convention", "diff", str(model))
    assert (0, "Rien ne change pour les personnes.\n") == _run(*less, str(reworded))
    narrower = _changed(model, (_FLOW, _FLOW.replace("contact, ", "")))
    status, text = _run(*less, str(narrower))
    assert (0, False, True) == (status, "ÉLARGIT" in text, "Téléphones" in text)


def test_every_widening_has_its_reverse() -> None:
    """No change is told without a sentence when it is read the other way."""
    assert WIDENINGS.keys() == NARROWINGS.keys()


def test_what_the_convention_becomes(model: Path) -> None:
    """Scopes, routes, fields by flow with their French titles, retention: the compiled convention, readable and as JSON."""
    _, printed = _run("convention", "compile", str(model), "--json")
    found: dict[str, Any] = json.loads(printed)
    compiled = compile_convention(read(model.read_bytes()))
    labels = fields(Kind.REFERRAL)
    mask = found["field_masks"]["orientation"]["at_most"]
    assert compiled.as_json()["scopes"] == found["scopes"]
    assert list(compiled.field_masks["orientation"].at_most) == [each["pattern"] for each in mask]
    assert {("Nom de naissance", "Personne concernée")} == {
        (each["title"], each["within"]) for each in mask if each["pattern"] == "/subject/birth_name"
    }
    assert all(each["title"] == labels[each["pattern"]].title_fr for each in mask if not each["pattern"].endswith("*"))
    assert {"proactive": 12, "exchange_trace": 36, "objection": 24, "referral": 24, "attachments": 6} == found[
        "retention"
    ]
    _, text = _run("convention", "compile", str(model))
    for told in (
        "Portées OAuth",
        "Personne concernée, Adresse : ",
        f"Flux « bilan » : {len(compiled.field_masks['bilan'].at_most)} champs",
        "Pièces jointes : 6 mois",
        "Orientation et suites : 12 mois ; 24 mois dans la convention",
        "Preuve de l'accord : 36 mois, durée de la passerelle",
    ):
        assert told in text


def test_a_convention_that_wants_signed_requests_says_so_everywhere(model: Path) -> None:
    """What it becomes, the page to sign and the comparison say it; to take it away is a widening."""
    signed = _changed(model, ("\nvalidity:", "\nsigned_requests: true\nvalidity:"))
    page = model.with_name("page.html")
    assert 0 == _run("convention", "print", str(signed), "--html", str(page))[0]
    said = "Chaque requête qui envoie ou relève au titre de la convention est signée (RFC 9421)."
    assert said in page.read_text(encoding="utf-8")
    assert "requêtes signées (RFC 9421)" in _run("convention", "compile", str(signed))[1]
    found = [json.loads(_run("convention", "compile", str(each), "--json")[1]) for each in (model, signed)]
    assert [False, True] == [each["signed_requests"] for each in found]
    assert (0, True) == _told(_run("convention", "diff", str(model), str(signed)), "restreint  Les requêtes doivent")
    assert (1, True) == _told(_run("convention", "diff", str(signed), str(model)), "ÉLARGIT    Les requêtes n'ont plus")


def _told(result: tuple[int, str], sentence: str) -> tuple[int, bool]:
    return result[0], sentence in result[1]


def _explain(model: Path, *more: str, to: str = DEPARTEMENT) -> tuple[int, str]:
    question = ("--kind", "referral", "--purpose", "inform_about_rights", "--from", CAF, "--to", to)
    return _run("gate", "explain", str(model), *question, *more)


def test_the_gate_explains_itself_step_by_step(model: Path) -> None:
    """Seven numbered steps with their articles, then the fields by category; unsigned, it stops at the second step."""
    status, text = _explain(model, "--as-signed")
    unsigned = _explain(model)
    assert (0, 1) == (status, unsigned[0])
    for number, article in enumerate(("CRPA L114-8 II", "RGPD art. 5(2)", "RGPD art. 6(1)", "RGPD art. 21"), start=1):
        assert any(line.startswith(f"{number}. ") and article in line for line in text.splitlines())
    assert "7. Il reste quelque chose à transmettre" in text
    assert "PERMIS par la convention tznr-valombre-caf-departement, version 1, flux « orientation »" in text
    assert "\n  Identité de la personne\n    Personne concernée : Date de naissance" in text
    assert "2. Une convention en vigueur prévoit cet envoi pour cette finalité" in unsigned[1].splitlines()[-4]
    assert "convention_not_signed" in unsigned[1]


def test_the_person_s_word_counts(model: Path, tmp_path: Path) -> None:
    """With the association: refused without an agreement, cut to what the agreement names with it, refused by an objection."""
    convention = tmp_path / "association.yaml"
    convention.write_bytes((_MODELS / "tznr-caf-association.yaml").read_bytes())
    consent = json.loads(
        (Path(__file__).parents[3] / "schemas/consent/v1/valid/minimal.json").read_text(encoding="utf-8")
    )
    scope = consent["scopes"][0] | {
        "purposes": ["inform_about_rights"],
        "kinds": ["referral"],
        "categories": ["rights"],
        "recipients": [ASSOCIATION],
    }
    dates = {"collected_at": "2026-03-01T09:00:00+01:00", "valid_from": "2026-03-01T09:00:00+01:00"}
    consent |= {"state": "given", "scopes": [scope], "valid_until": "2029-03-01T09:00:00+01:00"} | dates
    consent.pop("duration", None)
    agreed = tmp_path / "accord.json"
    agreed.write_text(json.dumps(consent), encoding="utf-8")
    asked = ("--as-signed", "--at", "2026-11-23", "--json")
    without = _explain(convention, *asked, to=ASSOCIATION)
    given = _explain(convention, *asked, "--consent", str(agreed), to=ASSOCIATION)
    objecting = _explain(convention, *asked, "--consent", str(agreed), "--objection", to=ASSOCIATION)
    categories = {each["category"] for each in json.loads(given[1])["fields"]}
    assert [(1, "agreement_missing"), (1, "objection")] == [
        (status, json.loads(text)["reasons"][0]["code"]) for status, text in (without, objecting)
    ]
    assert (0, {"exchange", "rights"}) == (given[0], categories)
    agreed.write_text("{}", encoding="utf-8")
    assert 2 == _explain(convention, *asked, "--consent", str(agreed), to=ASSOCIATION)[0]
