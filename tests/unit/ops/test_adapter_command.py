"""
`tdu adapter` as a newcomer uses it: make, try, correct, accept, pass the exam, certify.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from typer.testing import CliRunner, Result

import adapters
from adapters.exam import Sitting, sit
from adapters.mapping.engine import MappingAdapter
from consent.ledger.note import Signer
from ops.cli import app
from ops.kit import certificate, scaffold

FOLDER = Path(adapters.__file__).parent


def tdu(*arguments: object) -> Result:
    """What `tdu adapter …` prints, and its exit code."""
    return CliRunner().invoke(app, ["adapter", *map(str, arguments)])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder made by `tdu adapter new mon-logiciel`, with a README of its own."""
    made = tdu("new", "mon-logiciel", "--into", tmp_path)
    assert 0 == made.exit_code, made.output
    readme = "## En français\n\nExport du menu Éditions.\n\n## In English\n\nAn export.\n"
    (tmp_path / "mon_logiciel" / "README.md").write_text(readme, encoding="utf-8")
    return tmp_path / "mon_logiciel"


def test_a_new_adapter_passes_and_the_next_level_is_said(tmp_path: Path) -> None:
    """The folder is made, the exam is passed, and what the next level asks for is named."""
    made = tdu("new", "mon-logiciel", "--into", tmp_path)
    assert 0 == made.exit_code
    assert "niveau bronze" in made.stdout and "Pour le niveau suivant" in made.stdout
    assert "« Quel logiciel, quelle version, quel export" in made.stdout
    assert "mapping.yaml" in made.stderr
    schema = json.loads((tmp_path / "mapping.schema.json").read_text(encoding="utf-8"))
    assert "$schema=../mapping.schema.json" in (tmp_path / "mon_logiciel" / "mapping.yaml").read_text(encoding="utf-8")
    assert schema == json.loads(tdu("schema").stdout)


@pytest.mark.parametrize("arguments", [("Mon Logiciel",), ("cnaf-rsa",), ("x", "--format", "pdf")])
def test_a_name_or_a_format_that_cannot_be_is_refused(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """Before anything is written, with what is possible."""
    refused = tdu("new", *arguments, "--into", tmp_path)
    assert (2, []) == (refused.exit_code, list(tmp_path.iterdir()))


def test_a_draft_from_a_partner_s_file_says_what_to_write_next(tmp_path: Path) -> None:
    """The mapping names every column; what to do next is told in order, with commands that work as they are; then the exam asks for a sample."""
    export = tmp_path / "export.csv"
    export.write_text("N° dossier;Nom;Prénom;Zone\n1;X;Y;Est\n", encoding="utf-8")
    made = tdu("new", "mon-logiciel", "--from", export, "--into", tmp_path)
    folder = tmp_path / "mon_logiciel"
    assert 0 == made.exit_code
    commands = [
        f"tdu adapter try {folder} {export} --row 1",
        f"tdu adapter accept {folder}",
        f"tdu adapter exam {folder}",
    ]
    places = [made.stderr.index(command) for command in commands]
    assert sorted(places) == places
    assert "Zone: À décider" in (folder / "mapping.yaml").read_text(encoding="utf-8")
    exam = tdu("exam", folder)
    assert 1 == exam.exit_code and "posez samples/<cas>/partner.*" in exam.stdout
    marks = [line[0] for line in exam.stdout.splitlines() if line[:2] in {"✗ ", "✓ ", "– "}]
    assert (1, 2) == (marks.count("✗"), marks.count("✓")) and "aucun exemple à regarder" in exam.stdout
    assert "niveau aucun" in exam.stdout
    assert "– réécrit à l'octet près" in exam.stdout and "sans objet : ce format ne s'écrit pas" in exam.stdout


@pytest.mark.parametrize(
    ("column", "hint"),
    [
        (
            "Civilité",
            "proche : subject.title (Personne concernée › Civilité) ; une table, codes : tdu schema codes title",
        ),
        ("Motif de la demande", "proche : reasons[scheme=reason].code"),
        ("Code de la commune", "proche : subject.address.cog_commune"),
        ("Allocation", "proche : rights[].right et special_rights[].right"),
        ("Demande", "proche : rights[].right et special_rights[].right"),
        ("Droit", "codes : tdu schema codes right, right_special"),
        ("AAH demandée", "proche : special_rights[].right"),
        ("Date de la demande", "proche : created_at (Date d'établissement), do: minuit"),
        ("Date limite", "proche : deadline"),
        ("Date de fin", "do: date_fr"),
        ("Revu le", "une date ; places qui en prennent une : tdu schema places referral --search date"),
        ("Statut", "when: {from: Statut, is: …}"),
        ("Etat du dossier", "when: {from: Etat du dossier, is: …}"),
        ("Date accord usager", "« - kind: consent » ; places : tdu schema places consent"),
        ("XZ_42", ""),
    ],
)
def test_a_draft_names_the_nearest_place_of_a_column(tmp_path: Path, column: str, hint: str) -> None:
    """As a comment beside it, for a person to check; nothing when nothing looks like it, and the file says how to look."""
    export = tmp_path / "export.csv"
    export.write_text(f"Dossier;{column}\n1;X\n", encoding="utf-8")
    tdu("new", "mon-logiciel", "--from", export, "--into", tmp_path)
    text = (tmp_path / "mon_logiciel" / "mapping.yaml").read_text(encoding="utf-8")
    line = next(line for line in text.splitlines() if line.lstrip().startswith(column))
    assert hint in line and ("#" in line) == bool(hint)
    assert "tdu schema places referral --search" in text
    assert 0 == tdu("try", tmp_path / "mon_logiciel", export).exit_code


def test_a_wide_answer_is_not_cut_in_a_narrow_window(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Eighty columns or twenty: each line of `try`, `report` and the exam is whole."""
    monkeypatch.setenv("COLUMNS", "20")
    file = folder / "samples" / "remarques" / "partner.csv"
    rows = tdu("try", folder, file, "--row", 1).stdout.splitlines()
    assert any(row.split() == ["subject.birth_date", "mapping.yaml:16", "NAISSANCE", "1998-05-25"] for row in rows)
    assert any(
        "/subject/birth_date" in row and "/NAISSANCE" in row for row in tdu("report", folder).stdout.splitlines()
    )
    assert any("tables/motif.csv" in row and "FAIM" in row for row in tdu("try", folder, file).stderr.splitlines())


def test_a_certificate_without_the_gateway_s_key_says_to_make_it(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the exam is sat: the command that makes the key, and that an exam alone needs none."""
    monkeypatch.setenv("TDU_DATA_DIR", str(tmp_path / "nowhere"))
    refused = tdu("exam", folder, "--certificate", tmp_path / "certificat.txt")
    assert (2, "") == (refused.exit_code, refused.stdout)
    assert "Faites d'abord « tdu init »" in refused.stderr
    assert not (tmp_path / "certificat.txt").exists()


def test_a_row_is_explained_rule_by_rule(folder: Path) -> None:
    """What was read, which line of the mapping gave each value, and what is told with its line and column."""
    file = folder / "samples" / "remarques" / "partner.csv"
    shown = tdu("try", file, "--row", 1)
    assert 0 == shown.exit_code
    assert "TARAVEL" in shown.stdout and "subject.birth_date" in shown.stdout and "mapping.yaml:16" in shown.stdout
    assert "partner.csv, ligne 2, colonne 29 /TELEPHONE : Des zéros" in shown.stderr

    found = json.loads(tdu("try", folder, file, "--row", 1, "--json").stdout)
    given = {each["target"]: (each["value"], each["line"]) for each in found["given"]}
    assert ("1998-05-25", 16) == given["subject.birth_date"]
    assert ["zero_restored", "code_unknown"] == [issue["code"] for issue in found["issues"]]
    assert 2 == tdu("try", folder, file, "--row", 9).exit_code


def test_a_whole_file_shows_its_documents_its_remarks_and_its_unmapped_values(folder: Path) -> None:
    """Documents on stdout; on stderr each remark with its place, then the values without a code and how many times."""
    shown = tdu("try", folder, folder / "samples" / "remarques" / "partner.csv")
    assert 1 == len(json.loads(shown.stdout))
    assert "Valeurs sans code commun, absentes de la table" in shown.stderr and "FAIM" in shown.stderr
    assert "Laissées exprès sans code (dans la table) : 1 valeur(s), vue(s) 1 fois." in shown.stderr
    assert "INTERNE" not in shown.stderr
    assert "1 documents, 3 remarques, 0 non conformes." in shown.stderr


@pytest.fixture
def losing(folder: Path) -> Path:
    """A file of three records: one is taken, one has no date of birth, one the mapping's `when` leaves out (line 4)."""
    mapping = folder / "mapping.yaml"
    text = mapping.read_text(encoding="utf-8")
    mapping.write_text(
        text.replace("    key: DOSSIER", "    when: { from: MOTIFS, not: RIEN }\n    key: DOSSIER"), encoding="utf-8"
    )
    file = folder / "samples" / "perdus" / "partner.csv"
    file.parent.mkdir()
    head = "DOSSIER;NOM;PRENOMS;NAISSANCE;TELEPHONE;COURRIEL;MOTIFS;OBSERVATIONS;IBAN"
    rows = ["A-1;UN;Ana;12/05/1961;;;BILAN;;", "A-2;DEUX;Ana;bientôt;;;BILAN;;", "A-3;TROIS;Ana;12/05/1961;;;RIEN;;"]
    file.write_text("\n".join([head, *rows, ""]), encoding="utf-8")
    return file


def without_sentences(records: dict[str, Any]) -> dict[str, Any]:
    """The counts of the records of a file, without the sentences that tell them."""
    return {name: value for name, value in records.items() if not name.startswith("message")}


def test_the_records_that_give_no_document_are_counted_and_told(folder: Path, losing: Path) -> None:
    """`try` and `report` say how many were read, taken over and left out, and the line of the one that no rule takes."""
    shown = tdu("try", folder, losing)
    assert "3 enregistrement(s) lu(s) : 1 repris, 1 refusé(s), 1 écarté(s) par « when »." in shown.stderr
    reason = "partner.csv, ligne 4 : l'enregistrement 3 ne donne aucun document, aucune règle ne le prend (« when »"
    assert reason in shown.stderr
    one, refused = tdu("try", folder, losing, "--row", 3), tdu("try", folder, losing, "--row", 2)
    assert reason in one.stderr and "l'enregistrement n'est pas repris" not in one.stderr
    assert one.stdout.startswith("partner.csv, enregistrement 3, ligne 4\n")
    assert reason not in refused.stderr and "Aucun document : l'enregistrement n'est pas repris." in refused.stderr
    expected = {"read": 3, "used": 1, "refused": 1, "set_aside_count": 1, "set_aside": [{"record": "3", "line": 4}]}
    found = json.loads(tdu("try", folder, losing, "--json").stdout)
    assert (1, expected) == (len(found["documents"]), without_sentences(found["records"]))
    assert "required_missing" in {issue["code"] for issue in found["issues"]}
    assert expected == without_sentences(json.loads(tdu("report", folder, losing, "--json").stdout)["records"])
    assert "1 écarté(s) par « when »" in tdu("report", folder, losing).stdout


def test_the_exam_wants_the_records_that_no_rule_takes_to_be_told(folder: Path, losing: Path) -> None:
    """`issues.json` says which they are; without that, the sample fails."""
    tdu("accept", folder)
    told = losing.with_name("issues.json")
    assert [{"record": 3, "line": 4}] == json.loads(told.read_text(encoding="utf-8"))["set_aside"]
    assert 0 == tdu("exam", folder).exit_code
    told.write_text(told.read_text(encoding="utf-8").replace('"line": 4', '"line": 3'), encoding="utf-8")
    failed = tdu("exam", folder)
    assert 1 == failed.exit_code and "/set_aside/0/line" in failed.stdout


def test_the_tables_to_write_are_given_all_at_once_ready_to_paste(folder: Path) -> None:
    """Two tables without a file: the values of the partner's file for each; pasted as they are, they can be read."""
    mapping = folder / "mapping.yaml"
    text = mapping.read_text(encoding="utf-8").replace("  motif: reason", "  ville: reason\n  motif: reason")
    mapping.write_text(text, encoding="utf-8")
    table, file = folder / "tables" / "motif.csv", folder / "samples" / "remarques" / "partner.csv"
    table.unlink()
    row = file.read_text(encoding="utf-8").splitlines()[1].split(";")
    row[3], row[6] = "bientôt", "DENTS"  # refused for want of a birth date: its value is to be written in the table too
    file.write_text(file.read_text(encoding="utf-8") + ";".join(row) + "\n", encoding="utf-8")
    told = tdu("try", folder, file)
    head = "partner_value;shared_value;note\n"
    assert 1 == told.exit_code and "2 tables à écrire" in told.stderr and "manque" not in told.stderr
    first, second = told.stdout.split("\nIl manque ")[1:]
    assert first.startswith("tables/ville.csv") and first.endswith(f"\n\n{head}") and "0 valeur(s)" in first
    rows = [f"{value};;\n" for value in ("DENTS", "FAIM", "INTERNE")]
    assert second.startswith("tables/motif.csv") and second.endswith(f"\n\n{head}{''.join(rows)}")
    assert "3 valeur(s), vue(s) 3 fois, enregistrements refusés compris" in second
    table.write_text(f"{head}{''.join(rows)}", encoding="windows-1252")
    (folder / "tables" / "ville.csv").write_text(head, encoding="utf-8")
    assert 0 == tdu("try", folder, file).exit_code


def test_the_adapter_of_a_file_is_found_when_only_one_reads_it(tmp_path: Path) -> None:
    """A file that stands in no adapter's folder: the only format that accepts it, or the list of those that exist."""
    file = tmp_path / "export.csv"
    file.write_bytes(
        (FOLDER / "webrsa_orientation" / "samples" / "orientations-both-ways" / "partner.csv").read_bytes()
    )
    assert "webrsa-orientation" in tdu("try", file).stderr
    file.write_text("bonjour", encoding="utf-8")
    unknown = tdu("try", file)
    assert 2 == unknown.exit_code and "Aucun format ne lit" in unknown.stderr


def test_a_fault_of_the_mapping_is_said_with_its_line(folder: Path) -> None:
    """Line, column, sentence, nearest word; and nothing is translated."""
    file = folder / "mapping.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("birth_name", "birthname"), encoding="utf-8")
    said = tdu("exam", folder)
    assert 1 == said.exit_code
    assert (
        "mapping.yaml:14:7 Le schéma commun n'a pas cette place. Vouliez-vous dire « subject.birth_name »"
        in said.stderr
    )


def test_a_change_fails_the_exam_until_it_is_accepted(folder: Path) -> None:
    """The exam says which case and where; `accept` writes what the adapter gives, to be read again."""
    file = folder / "mapping.yaml"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("{ from: NOM, ", "{ from: NOM, do: minuscules, "), encoding="utf-8")
    failed = tdu("exam", folder)
    assert 1 == failed.exit_code and "/0/subject/birth_name" in failed.stdout
    accepted = tdu("accept", folder, "--case", "deux-personnes").stdout.splitlines()
    assert ["samples/deux-personnes/shared.json", "samples/deux-personnes/back.csv"] == accepted
    assert 1 == tdu("exam", folder).exit_code
    tdu("accept", folder)
    assert 0 == tdu("exam", folder).exit_code


def test_a_sample_that_is_not_written_again_says_why(folder: Path) -> None:
    """With only samples that have remarks or are refused, `accept` writes no `back.csv`: it says why, and the exam too."""
    shutil.rmtree(folder / "samples" / "deux-personnes")
    for back in folder.glob("samples/*/back.csv"):
        back.unlink()
    said = tdu("accept", folder).stderr
    assert "remarques : pas de back.*, il a des remarques à la lecture (3 : " in said and "code_unknown" in said
    assert "rien à réécrire" in said
    exam = " ".join(tdu("exam", folder).stdout.split())
    assert "remarques : il a des remarques à la lecture (3 : " in exam and "– réécrit à l'octet près" in exam


def test_a_dropped_column_must_say_why(folder: Path) -> None:
    """A column of a sample that the mapping does not name fails the exam, by its name."""
    file = folder / "mapping.yaml"
    file.write_text(file.read_text(encoding="utf-8").partition("ignored:")[0], encoding="utf-8")
    failed = tdu("exam", folder)
    assert 1 == failed.exit_code and "/IBAN n'est ni repris, ni écarté avec sa raison" in failed.stdout


def test_the_reports_are_for_people_and_for_programs(folder: Path) -> None:
    """All formats, one format, one file; `--json` for programs."""
    file = folder / "samples" / "remarques" / "partner.csv"
    formats = json.loads(tdu("report", "--json").stdout)
    assert {"cnaf-rsa", "shared-json", "webrsa-orientation"} <= {each["adapter"] for each in formats}
    assert 9 == len(json.loads(tdu("report", folder, "--json").stdout)["elements"])
    assert 2 == json.loads(tdu("report", folder, file, "--json").stdout)["totals"]["mapped"] // 5
    assert "Couverture" in tdu("report").stdout and "IBAN" in tdu("report", folder).stdout


def test_the_exam_is_for_programs_too(folder: Path) -> None:
    """Every answer with its findings, the level, the next steps."""
    found: dict[str, Any] = json.loads(tdu("exam", folder, "--json").stdout)
    assert (True, "silver", 14) == (found["passed"], found["level"], len(found["answers"]))
    assert "https://json-schema.org/draft/2020-12/schema" == json.loads(tdu("schema").stdout)["$schema"]


def test_a_certificate_holds_for_these_files_and_no_others(folder: Path) -> None:
    """Signed as a note of the ledger; a changed file, another key or another adapter is refused."""
    adapter = MappingAdapter(folder)
    signer = Signer("gateway.example", Ed25519PrivateKey.generate())
    context = Sitting(adapter).context
    text = certificate.certificate_text(adapter, folder, sit(Sitting(adapter)), context.now)
    raw = certificate.sign(text, signer).encode()

    said = certificate.verify(raw, signer.vkey, adapter, folder)
    assert ("mon-logiciel", "silver", "14/14") == (said["adapter"], said["level"], said["questions"])
    other = Signer("gateway.example", Ed25519PrivateKey.generate()).vkey
    for wrong, key, why in (
        (raw.replace(b"silver", b"gold"), signer.vkey, "signature est fausse"),
        (raw, other, "pas signé par cette clé"),
        (raw[:40], signer.vkey, "coupé"),
        (raw, signer.vkey[:-4], "clé publique"),
    ):
        with pytest.raises(certificate.CertificateRefused) as refused:
            certificate.verify(wrong, key, adapter, folder)
        assert why in refused.value.message_fr
    (folder / "tables" / "motif.csv").write_text("partner_value,shared_value,note\n", encoding="utf-8")
    with pytest.raises(ValueError, match="changed"):
        certificate.verify(raw, signer.vkey, adapter, folder)


def test_a_certificate_is_signed_by_the_gateway_and_recorded(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`exam --certificate --record`: the file verifies with the ledger's key, and the ledger has one more event."""
    data = tmp_path / "data"
    monkeypatch.setenv("TDU_DATA_DIR", str(data))
    for command in ("init", "migrate"):
        assert 0 == CliRunner().invoke(app, [command]).exit_code

    def events() -> int:
        with closing(sqlite3.connect(data / "trait-dunion.sqlite")) as database:
            return int(database.execute("SELECT count(*) FROM ledger_events").fetchone()[0])

    before, file = events(), tmp_path / "certificate.txt"
    done = tdu("exam", folder, "--certificate", file, "--record")
    assert (0, before + 1) == (done.exit_code, events())
    vkey = done.stderr.rpartition("clé : ")[2].strip()
    assert 0 == tdu("verify", folder, file, "--vkey", vkey).exit_code
    (folder / "README.md").write_text("autre", encoding="utf-8")
    assert 1 == tdu("verify", folder, file, "--vkey", vkey).exit_code


@pytest.mark.parametrize("name", ["carnet_de_bord", "ccas_suivi", "departement_dossiers"])
def test_the_commands_of_a_documented_example_work(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each command that the README gives, in French and in English, ends well from the project's folder."""
    monkeypatch.chdir(FOLDER.parent)
    commands = re.findall(r"`tdu adapter ([^`]+)`", (FOLDER / name / "README.md").read_text(encoding="utf-8"))
    assert 4 == len(commands)
    for command in sorted(set(commands)):
        done = tdu(*shlex.split(command))
        assert 0 == done.exit_code, f"{command}: {done.output}"


def test_brackets_of_a_sentence_are_shown(folder: Path) -> None:
    """What is wrong with a mapping is shown with its brackets, in French and in English."""
    mapping = folder / "mapping.yaml"
    text = mapping.read_text(encoding="utf-8")
    mapping.write_text(text.replace("do: date_naissance", "do: minuit, rang", 1), encoding="utf-8")
    told = tdu("exam", folder).stderr
    assert 2 == told.count("do: [minuit, rang]")


def test_columns_that_a_mapping_does_not_name_are_told(folder: Path) -> None:
    """`try` says that something of the file is not used, `report` in French what to do about it."""
    file = folder / "samples" / "remarques" / "partner.csv"
    head, *rows = file.read_text(encoding="utf-8").splitlines()
    file.write_text("\n".join([f"{head};Date accord", *(f"{row};03/06/2026" for row in rows), ""]), encoding="utf-8")
    assert "que ce format ne nomme pas, rien n'en est repris : /*." in tdu("try", folder, file).stderr
    assert "nommez-le sous « fields » ou « ignored »" in tdu("report", folder, file).stdout


def test_the_coverage_that_is_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which file, whether it changed, and of which formats."""
    monkeypatch.setattr(scaffold, "home", lambda: tmp_path)
    first, again = tdu("report", "--write"), tdu("report", "--write")
    assert f"{tmp_path / 'COVERAGE.md'} écrit : " in first.stderr and "cnaf-rsa" in first.stderr
    assert f"{tmp_path / 'COVERAGE.md'} inchangé : " in again.stderr
    assert (FOLDER / "COVERAGE.md").read_text("utf-8") == (tmp_path / "COVERAGE.md").read_text("utf-8")
