"""
`tdu adapter functions`: every word that a rule may say, with a sentence and an example that is true.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from adapters.mapping.engine import MappingAdapter
from adapters.mapping.examples import Example, functions, keys
from adapters.mapping.grammar import mapping_schema
from adapters.mapping.steps import FUNCTIONS
from ops.cli import app

MAPPING = """title: Essai
source: {format: csv}
tables: {motif: reason, droit: right, urgence: urgency}
documents:
  - kind: referral
    key: N
    fields:
      reference: N
"""


def tdu(*arguments: str) -> Result:
    """What `tdu adapter functions …` prints, and its exit code."""
    return CliRunner().invoke(app, ["adapter", "functions", *arguments])


def loaded(folder: Path, line: str) -> MappingAdapter:
    """The adapter of a mapping with one more line; raises `MappingRefused` when the line is not well written."""
    (folder / "tables").mkdir()
    for name in ("motif", "droit", "urgence"):
        (folder / "tables" / f"{name}.csv").write_text("partner_value,shared_value,note\n", encoding="utf-8")
    (folder / "mapping.yaml").write_text(f"{MAPPING}      {line}\n", encoding="utf-8")
    return MappingAdapter(folder)


def test_every_function_and_key_is_listed() -> None:
    """What the program knows, no more and no less, each with a sentence in both languages."""
    rule, condition = (mapping_schema()["$defs"][name]["properties"] for name in ("rule", "condition"))
    assert list(FUNCTIONS) == [each.name for each in functions()]
    assert {*rule, *condition} == {each.name for each in keys()}
    assert all(each.help_fr and each.help_en for each in (*functions(), *keys()))
    assert {*FUNCTIONS, *rule, *condition} <= {line.split()[0] for line in tdu().stdout.splitlines()}


@pytest.mark.parametrize("example", keys(), ids=lambda each: each.name)
def test_the_example_of_a_key_can_be_written_in_a_mapping(example: Example, tmp_path: Path) -> None:
    """The line is accepted as it is, and it does use the key."""
    assert loaded(tmp_path, example.written).mapping.documents[0].fields[1].target.text in example.written
    assert f"{example.name}: " in example.written


@pytest.mark.parametrize("example", functions(), ids=lambda each: each.name)
def test_the_example_of_a_function_can_be_written_in_a_mapping(example: Example, tmp_path: Path) -> None:
    """As a rule of the mapping, whatever place it fills."""
    assert loaded(tmp_path, f"local.fields.essai: {{from: TEXTE, {example.written}}}").fields["/TEXTE"]


def test_what_an_example_gives_is_what_the_function_gives() -> None:
    """Computed when it is shown: a repair is told beside it."""
    assert "do: {zeros: 7} : « 55990 » donne « 0055990 » (signalé)" in tdu("zeros").stdout
    assert "« 00/03/1972 » donne « 1972-03-00 »\n" in tdu("date_naissance").stdout
    found = json.loads(tdu("zéros", "--json").stdout)
    assert ["zeros", "sans_zeros"] == [each["name"] for each in found["functions"]] and [] == found["keys"]
    assert 1 == tdu("introuvable").exit_code
