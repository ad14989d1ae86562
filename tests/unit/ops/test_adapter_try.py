"""
`tdu adapter try` on records of which a mapping makes two documents: linked identifiers, and an agreement that covers or not.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import adapters
from ops.cli import app

HEAD = "N;Nom;Prénom;Naissance;Motif;Accord\n"
PERSON = """      subject.birth_name: {from: Nom, required: true}
      subject.given_names[]: {from: Prénom, required: true}
      subject.birth_date: {from: Naissance, do: date_naissance, required: true}
"""
MAPPING = """title: Essai
direction: in
source: {format: csv}
documents:
  - kind: referral
    key: N
    fields:
      reference: N
PERSON      reasons[scheme=reason].code: {const: application_help}
      agreement_id: {from: N, do: {identifiant_de: consent}, when: {from: Accord, filled: true}}
  - kind: consent
    key: N
    when: {from: Accord, filled: true}
    fields:
      reference: N
PERSON      agreement_type: {const: accord}
      state: {const: given}
      collected_by.siret: {context: siret}
      collected_at: {from: Accord, do: minuit, required: true}
      valid_from: {from: Accord, do: minuit, required: true}
      duration: {const: one_year}
      channel: {const: paper}
      evidence.level: {const: document_kept}
      text.version: {const: accord-2026-01}
      text.sha256: {const: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08}
      text.language: {const: fr}
      scopes[1].id: {const: orientation}
      scopes[1].purposes[]: {const: inform_about_rights}
      scopes[1].kinds[]: {const: referral}
      scopes[1].categories[]: [{const: exchange}, {const: identity}, {const: needs}, {const: agreement}]
      scopes[1].recipients[]: {const: "99900003700013"}
ignored:
  Motif: Du texte libre
""".replace("PERSON", PERSON)


def tdu(*arguments: object) -> Result:
    """What `tdu adapter …` prints, and its exit code."""
    return CliRunner().invoke(app, ["adapter", *map(str, arguments)])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A mapping that makes a referral of each record, and an agreement where its date is filled."""
    made = tmp_path / "mon_logiciel"
    made.mkdir()
    (made / "mapping.yaml").write_text(MAPPING, encoding="utf-8")
    return made


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """One record with an agreement, one without."""
    file = tmp_path / "export.csv"
    rows = "1;TARAVEL;Luc;12/05/1961;;03/06/2026\n2;OLIVARDE;Zoé;25/05/1998;;\n"
    file.write_text(HEAD + rows, encoding="utf-8")
    return file


def documents(*arguments: object) -> list[dict[str, Any]]:
    """The documents that a try gives, as JSON."""
    found: list[dict[str, Any]] = json.loads(tdu("try", *arguments, "--json").stdout)["documents"]
    return found


def test_a_document_that_names_another_has_its_identifier_at_each_run(folder: Path, export: Path) -> None:
    """The referral's agreement is the consent printed beneath, with or without `--row`, and again."""
    one, consent, other = documents(folder, export)
    assert (one["agreement_id"], "consent") == (consent["id"], consent["kind"])
    assert "agreement_id" not in other and other["id"] != one["id"]
    assert [one["id"], consent["id"]] == [each["id"] for each in documents(folder, export, "--row", 1)]
    assert one["id"] == documents(folder, export)[0]["id"]


def test_a_last_line_that_is_not_ended_names_its_cure(folder: Path, export: Path, tmp_path: Path) -> None:
    """The refusal says where and which key; a draft made from that file has the key, and reads it."""
    export.write_text(export.read_text(encoding="utf-8").rstrip("\n"), encoding="utf-8")
    refused = tdu("try", folder, export)
    assert 1 == refused.exit_code
    assert "export.csv, ligne 3 : La dernière ligne n'est pas terminée." in refused.stderr
    assert "écrivez open_end: true sous source dans mapping.yaml" in refused.stderr

    tdu("new", "autre", "--from", export, "--into", tmp_path)
    assert "\n  open_end: true # " in (tmp_path / "autre" / "mapping.yaml").read_text(encoding="utf-8")
    assert 2 == len(documents(tmp_path / "autre", export))

    export.write_text(export.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    tdu("new", "encore", "--from", export, "--into", tmp_path)
    assert "open_end" not in (tmp_path / "encore" / "mapping.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("", "", ""),
        ("{const: needs}, ", "", "Il y manque (scopes[].categories) : needs (reasons[].scheme, reasons[].code)."),
        (
            "purposes[]: {const: inform",
            "purposes[]: {const: award_right} #",
            "la finalité inform_about_rights (purposes)",
        ),
        ("kinds[]: {const: referral}", "kinds[]: {const: bilan}", "le genre referral (kinds)"),
        ("      reasons[", "      purpose: {const: follow_up}\n      reasons[", "la finalité follow_up (purposes)"),
    ],
)
def test_an_agreement_that_does_not_cover_the_referral_of_its_record_is_told(
    folder: Path, export: Path, old: str, new: str, said: str
) -> None:
    """What is missing, by category with its places, or the purpose or the kind; nothing when it covers."""
    file = folder / "mapping.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")
    whole, one, other = (
        tdu("try", folder, export),
        tdu("try", folder, export, "--row", 1),
        tdu("try", folder, export, "--row", 2),
    )
    assert (0, 0, 0) == (whole.exit_code, one.exit_code, other.exit_code)
    assert bool(said) == ("Cet accord ne couvre pas" in whole.stderr) == ("Cet accord ne couvre pas" in one.stderr)
    assert said in whole.stderr and said in one.stderr
    assert not said or "export.csv, ligne 2 /scopes" in whole.stderr
    assert "Cet accord" not in other.stderr
    assert bool(said) == ("agreement_does_not_cover" in tdu("try", folder, export, "--json").stdout)


def test_the_same_gap_of_several_records_is_told_once(folder: Path, export: Path) -> None:
    """At the first of them, with their number."""
    file = folder / "mapping.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("{const: needs}, ", ""), encoding="utf-8")
    export.write_text(export.read_text(encoding="utf-8") + "3;KERVADEC;Ana;01/02/1975;;04/06/2026\n", encoding="utf-8")
    told = tdu("try", folder, export).stderr
    assert 1 == told.count("Cet accord ne couvre pas") == told.count("(2 enregistrements, dont celui-ci)")


def test_a_draft_wants_the_three_traits_that_recognise_a_person(tmp_path: Path) -> None:
    """Birth name, given names and birth date are all required; the separator of given names is to be checked."""
    export = tmp_path / "export.csv"
    export.write_text("N;Nom de famille;Prénom(s);Né(e) le\n1;X;Y;12/05/1961\n", encoding="utf-8")
    tdu("new", "autre", "--from", export, "--into", tmp_path)
    lines = (tmp_path / "autre" / "mapping.yaml").read_text(encoding="utf-8").splitlines()
    for place in ("subject.birth_name", "subject.given_names[]", "subject.birth_date"):
        [line] = [each for each in lines if place in each]
        assert "required: true" in line and ("# vérifiez le séparateur" in line) == ("given" in place)


def test_a_sample_of_an_adapter_with_a_class_is_read_by_the_class() -> None:
    """Its folder has a `mapping.yaml` too, which alone would refuse the file."""
    samples = Path(adapters.__file__).parent / "hl7v2" / "samples" / "deux-orientations"
    [file] = samples.glob("partner.*")
    expected = json.loads((samples / "shared.json").read_text(encoding="utf-8"))
    assert [each["subject"] for each in expected] == [each["subject"] for each in documents(file)]
    assert 0 == tdu("exam", samples.parents[1]).exit_code
