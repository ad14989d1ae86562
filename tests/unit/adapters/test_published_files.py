"""
What is written by program is up to date, and the JSON Schema of mapping files means the same to every validator.
"""

from pathlib import Path

import jsonschema

import adapters
from adapters.coverage import measure, report_text
from adapters.mapping.grammar import mapping_schema
from adapters.mapping.steps import FUNCTIONS
from adapters.mapping.yaml_lines import read_yaml
from adapters.registry import ADAPTERS

FOLDER = Path(adapters.__file__).parent
HINT = "faites « tdu adapter report --write »"


def test_the_coverage_page_is_up_to_date() -> None:
    """`adapters/COVERAGE.md` is what the program counts today."""
    found = report_text(measure(adapter) for adapter in ADAPTERS.values())
    assert (FOLDER / "COVERAGE.md").read_text(encoding="utf-8") == found, HINT


def test_the_schema_for_editors_is_a_schema() -> None:
    """The reference validator knows it, and it names the targets with their French titles."""
    jsonschema.Draft202012Validator.check_schema(mapping_schema())
    assert (
        "Nom de naissance" == mapping_schema()["$defs"]["targets_referral"]["properties"]["subject.birth_name"]["title"]
    )


def test_every_mapping_of_the_project_follows_the_schema() -> None:
    """For the reference validator as for the loader's own."""
    validator = jsonschema.Draft202012Validator(mapping_schema())
    for file in FOLDER.glob("*/mapping.yaml"):
        assert [] == list(validator.iter_errors(read_yaml(file.read_text(encoding="utf-8"))[0])), file


def test_the_readme_lists_every_function() -> None:
    """The table of functions of `mapping/README.md` is the one of the program."""
    text = (FOLDER / "mapping" / "README.md").read_text(encoding="utf-8")
    listed = text.partition("<!-- functions -->")[2].partition("<!-- /functions -->")[0]
    rows = [f"| `{name}` | {function.help_fr} | {function.help_en} |" for name, function in FUNCTIONS.items()]
    assert listed.strip().splitlines()[2:] == rows
