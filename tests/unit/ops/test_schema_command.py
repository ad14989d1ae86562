"""
`tdu schema` as people and programs use it: reports, streams, the project's own files, versions, and no value ever shown.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import schemas
from ops.cli import app
from ops.language import history, own_files
from schemas import Kind, code_list, schema, schema_versions, validate

FOLDER = Path(schemas.__file__).parent
MINIMAL = json.loads((FOLDER / "status" / "v1" / "valid" / "minimal.json").read_bytes())
WRONG_KEY = "284073999000163"
SECRETS = ("269054958815780", "ROUVIÈRE-LANSAC")


def tdu(*arguments: object) -> Result:
    """What `tdu schema …` prints, and its exit code."""
    return CliRunner().invoke(app, ["schema", *map(str, arguments)])


def written(folder: Path, name: str, *documents: dict[str, Any]) -> Path:
    """A file of one document a line."""
    path = folder / name
    path.write_text(
        "".join(json.dumps(document, ensure_ascii=False) + "\n" for document in documents), encoding="utf-8"
    )
    return path


def test_valid_documents_say_nothing_on_stdout() -> None:
    """Exit 0, the count on stderr, nothing to correct on stdout."""
    done = tdu("check", *sorted((FOLDER / "referral" / "v1" / "valid").glob("*.json")))

    assert (0, "") == (done.exit_code, done.stdout)
    assert "0 à corriger" in done.stderr


def test_each_problem_has_its_file_line_column_pointer_and_sentence(tmp_path: Path) -> None:
    """All the problems of a document at once, in French, with the nearest code, in the order of the text."""
    path = tmp_path / "a.json"
    path.write_text(json.dumps(MINIMAL | {"status": "acepted", "schema_version": 1}, indent=1), encoding="utf-8")
    done = tdu("check", path)

    assert 1 == done.exit_code
    first, second = done.stdout.splitlines()
    line = path.read_text(encoding="utf-8").splitlines().index(' "status": "acepted",') + 1
    assert "a.json:3:20 /schema_version : « Version du schéma » : il faut ici un texte." == first
    assert second.startswith(f"a.json:{line}:12 /status : « Statut » : ce code n'est pas l'un des ")
    assert second.endswith("(/schemas/codes/referral_status.json). Vouliez-vous dire « accepted » (Acceptée) ?")


def test_a_program_reads_the_same_as_the_api(tmp_path: Path) -> None:
    """`--json` gives each problem with the code, pointer, place and two sentences that `validate` gives."""
    document = MINIMAL | {"status": "acepted", "unknown": True}
    path = written(tmp_path, "a.json", document)
    report = json.loads(tdu("check", path, "--json").stdout)
    (expected, second) = validate(Kind.STATUS, document, path.read_bytes())

    assert {"documents": 1, "valid": 0, "invalid": 1, "problems": 2, "kinds": {"status": 1}} == {
        key: report[key] for key in ("documents", "valid", "invalid", "problems", "kinds")
    }
    assert {
        "file": "a.json",
        "code": expected.code,
        "pointer": expected.pointer,
        "message_fr": expected.message_fr,
        "message_en": expected.message_en,
        "suggestion": expected.suggestion,
        "line": expected.line,
        "column": expected.column,
    } == report["first"][0]
    assert second.code == report["first"][1]["code"]


def test_a_stream_is_counted_by_rule_and_place(tmp_path: Path) -> None:
    """Items of a list count together, the first problems are shown with their line, the others are counted."""
    faulty = MINIMAL | {"reasons": [{"scheme": "x", "code": "y"}] * 3}
    path = written(tmp_path, "flow.ndjson", MINIMAL, faulty, MINIMAL, faulty, {"kind": "nothing"})
    report = json.loads(tdu("check", path, "--json", "--first", "4").stdout)

    assert (5, 2, 3, 7) == tuple(report[key] for key in ("documents", "valid", "invalid", "problems"))
    assert {"status": 4, "?": 1} == report["kinds"]
    assert {"code": "enum", "pointer": "/reasons/*/scheme", "count": 6} == report["counts"][0]
    assert [2, 2, 2, 4] == [problem["line"] for problem in report["first"]]
    assert "/reasons/0/scheme" == report["first"][0]["pointer"]


def test_a_wrong_key_is_told_and_refuses_nothing(tmp_path: Path) -> None:
    """A NIR whose key is wrong is valid: exit 0, and the place to check with the person, on a screen and for a program."""
    path = written(tmp_path, "flow.ndjson", MINIMAL, MINIMAL | {"subject": {"nir": WRONG_KEY}})
    done, report = tdu("check", path), json.loads(tdu("check", path, "--json").stdout)

    assert (0, 0) == (done.exit_code, report["problems"])
    assert done.stdout.startswith("flow.ndjson:2:")
    assert "/subject/nir : à vérifier : La clé de ce NIR n'est pas la bonne" in done.stdout
    assert "1 point(s) à vérifier" in done.stderr
    assert [{"code": "nir_key_wrong", "pointer": "/subject/nir", "count": 1}] == report["warning_counts"]
    assert WRONG_KEY not in done.stdout + done.stderr + json.dumps(report)


def test_any_file_may_be_read_line_by_line(tmp_path: Path) -> None:
    """`--lines` reads a file of another extension as one document a line; without it, it is one document."""
    path = written(tmp_path, "flow.txt", MINIMAL, MINIMAL)

    assert 0 == tdu("check", path, "--lines").exit_code
    assert ["extra_data"] == [found["code"] for found in json.loads(tdu("check", path, "--json").stdout)["first"]]


def test_what_is_left_out_is_said(tmp_path: Path) -> None:
    """On a screen, problems over the number asked for are counted, with the table of all the rules broken."""
    path = written(tmp_path, "flow.ndjson", *[MINIMAL | {"status": "x"}] * 5)
    lines = tdu("check", path, "--first", "2").stdout.splitlines()

    assert ["flow.ndjson:1", "flow.ndjson:2"] == [line[:13] for line in lines[:2]]
    assert lines[2].startswith("… et 3 autres")
    assert any("enum" in line and "/status" in line and "5" in line for line in lines[3:])


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("option", ["--json", "--lines"])
def test_no_value_of_a_document_is_shown(tmp_path: Path, secret: str, option: str) -> None:
    """A NIR or a name, as value, as property name, as kind or in broken JSON, never comes out."""
    hostile = [
        MINIMAL | {key: secret for key in MINIMAL if key != "kind"},
        MINIMAL | {secret: secret},
        {"kind": secret},
    ]
    path = written(tmp_path, "flow.ndjson", *hostile)
    with path.open("a", encoding="utf-8") as more:
        more.write(f'{{"a": "{secret}\n')
    done = tdu("check", path, option)

    assert 1 == done.exit_code
    assert secret not in done.stdout + done.stderr


def measured(path: Path, *, terminal: bool = False) -> tuple[dict[str, Any], str, int]:
    """Check a file in a process of its own: its report, its stderr, and the most memory it took, in kB."""
    command = [sys.executable, "-m", "ops.cli", "schema", "check", str(path), "--json", "--first", "3"]
    environment = os.environ | ({"TTY_COMPATIBLE": "1", "COLUMNS": "120"} if terminal else {"TTY_COMPATIBLE": "0"})
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    output, errors = process.stdout.read(), process.stderr.read().decode()
    _, _, usage = os.wait4(process.pid, 0)
    process.stdout.close()
    process.stderr.close()
    process.returncode = 0
    return json.loads(output), errors, usage.ru_maxrss


def test_100_000_lines_are_checked_in_the_memory_of_one(tmp_path: Path) -> None:
    """A hundred times more lines: the report counts them all, the memory is the same."""
    good, bad = (json.dumps(each) + "\n" for each in (MINIMAL, MINIMAL | {"status": "x"}))
    small, large = tmp_path / "small.ndjson", tmp_path / "large.ndjson"
    for path, repeats in ((small, 100), (large, 10_000)):
        with path.open("w", encoding="utf-8") as lines:
            for _ in range(repeats):
                lines.write(good * 9 + bad)
    (_, _, little), (report, _, much) = measured(small), measured(large)

    assert (100_000, 90_000, 10_000) == tuple(report[key] for key in ("documents", "valid", "invalid"))
    assert [{"code": "enum", "pointer": "/status", "count": 10_000}] == report["counts"]
    assert [10, 20, 30] == [problem["line"] for problem in report["first"]]
    assert much < little + 5_000


def test_a_bar_advances_on_stderr_where_a_person_looks(tmp_path: Path) -> None:
    """On a terminal stderr has a bar that reaches 100 %; elsewhere it has no bar, and stdout never has one."""
    path = written(tmp_path, "flow.ndjson", *[MINIMAL] * 200)
    shown, hidden = measured(path, terminal=True), measured(path)

    assert "flow.ndjson" in shown[1]
    assert "100%" in shown[1]
    assert "%" not in hidden[1]
    assert shown[0] == hidden[0]


def test_the_projects_own_files_are_in_order() -> None:
    """`--all` looks at every schema, example, code list and crosswalk that is published, and finds no fault."""
    done = tdu("check", "--all", "--json")
    found = json.loads(done.stdout)

    assert (0, []) == (done.exit_code, found["faults"])
    assert len(schema_versions()) == found["schemas"]
    assert len(list(FOLDER.glob("*/v1/valid/*.json"))) == found["valid_examples"]
    assert len(list(FOLDER.glob("*/v1/invalid/*.json"))) == found["invalid_examples"]
    assert len(list((FOLDER / "codes").glob("*.csv"))) == found["code_lists"]
    assert found["shown_examples"] > 600


def test_a_fault_in_the_projects_own_files_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a stricter schema, a code list without labels and a crosswalk to another list, each fault is named."""
    monkeypatch.setattr(own_files, "schema", lambda name, _major=1: {**schema(name), "maxProperties": 1})
    monkeypatch.setattr(own_files, "crosswalk", lambda *_: {"nowhere": ()} | {"x": [type("Way", (), {"code": "y"})]})
    lists = {"purpose": code_list("purpose"), "urgency": {}}
    monkeypatch.setattr(own_files, "code_list", lambda name: lists.get(name, code_list(name)))
    found = {fault.file.split()[0]: fault.message_en for fault in own_files.check_own_files().faults}

    assert found["referral/v1/schema.json"].endswith("breaks its schema")
    assert "codes/urgency.csv" in found
    assert found["codes/crosswalks/right--openfisca_variable.csv"] == "the code x is not in its list"


@pytest.mark.parametrize(
    ("change", "code", "pattern"),
    [
        ({"additionalProperties": True}, 0, "/"),
        ({"required": [*schema("status")["required"], "comment"]}, 1, "/comment"),
    ],
)
def test_two_versions_are_compared(tmp_path: Path, change: dict[str, Any], code: int, pattern: str) -> None:
    """`diff` follows the references to the shared parts, says what breaks and exits 1 for it."""
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    old.write_text(json.dumps(schema("status")), encoding="utf-8")
    new.write_text(json.dumps({**schema("status"), **change}), encoding="utf-8")
    found = json.loads(tdu("diff", old, new, "--json").stdout)

    assert code == tdu("diff", old, new).exit_code
    assert bool(code) == found["breaking"]
    assert [(pattern.removesuffix("/"), bool(code))] == [
        (each["pattern"], each["breaking"]) for each in found["changes"]
    ]
    assert pattern in tdu("diff", old, new).stdout


def test_a_file_that_is_no_schema_is_refused(tmp_path: Path) -> None:
    """Broken JSON, something that is not an object, and a reference that leads nowhere exit 2 and say so."""
    for name, text, said in (
        ("broken.json", "{", "broken.json:1:2"),
        ("list.json", "[]", "list.json n'est pas un schéma"),
        ("lost.json", '{"$ref": "https://elsewhere.example/a"}', "https://elsewhere.example/a"),
    ):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        done = tdu("diff", path, path)

        assert 2 == done.exit_code
        assert said in done.stderr


def test_what_is_published_is_kept_and_still_whole() -> None:
    """Every schema has its published copy, and the working schemas and codes break nothing of it."""
    assert [] == history.unpublished()
    assert 0 == tdu("history").exit_code


def published(folder: Path, name: str, **changes: Any) -> None:
    """A publication in which one schema had other properties than today."""
    history.publish(folder)
    path = folder / f"{name}.json"
    found = json.loads(path.read_text(encoding="utf-8"))
    found["properties"] |= changes
    path.write_text(json.dumps(found), encoding="utf-8")


def test_a_property_that_partners_had_cannot_go(tmp_path: Path) -> None:
    """What was published and is no longer there breaks, wherever the part is used, and cannot be published."""
    published(tmp_path, "person/v1", nickname={"type": "string", "x-category": "identity"})
    found = history.changes(tmp_path)

    assert {("person/v1", "/nickname"), ("referral/v1", "/subject/nickname")} <= {
        (name, change.pattern) for name, changes in found.items() for change in changes if change.breaking
    }
    with pytest.raises(history.BreakingChange):
        history.publish(tmp_path)


def test_an_addition_breaks_nothing_and_is_published(tmp_path: Path) -> None:
    """An optional property added since is a change that passes; once published there is no change left."""
    history.publish(tmp_path)
    path = tmp_path / "status" / "v1.json"
    found = json.loads(path.read_text(encoding="utf-8"))
    del found["properties"]["comment"]
    path.write_text(json.dumps(found), encoding="utf-8")

    assert [("property_added", "/comment", False)] == [
        (change.code, change.pattern, change.breaking) for change in history.changes(tmp_path)["status/v1"]
    ]
    assert [path] == history.publish(tmp_path)
    assert {} == history.changes(tmp_path)


def test_a_code_or_a_schema_that_partners_had_cannot_go(tmp_path: Path) -> None:
    """A code that was published, even in an open list, and a whole schema, are missed."""
    history.publish(tmp_path)
    with (tmp_path / "codes.csv").open("a", encoding="utf-8") as codes:
        codes.write("purpose,spy_on_people\n")
    (tmp_path / "rumour").mkdir()
    (tmp_path / "rumour" / "v1.json").write_text('{"$id": "https://trait-dunion.example/schemas/rumour/v1.json"}')
    found = history.changes(tmp_path)

    assert [("code_removed", "spy_on_people", True)] == [
        (change.code, change.pattern, change.breaking) for change in found["codes/purpose"]
    ]
    assert ["schema_removed"] == [change.code for change in found["rumour/v1"]]


def test_nothing_published_is_not_taken_for_nothing_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a publication the check fails, so that an emptied folder cannot let a breaking change pass."""
    monkeypatch.setattr(history, "unpublished", partial(history.unpublished, tmp_path))
    done = tdu("history")

    assert 1 == done.exit_code
    assert "tdu schema publish" in done.stderr
