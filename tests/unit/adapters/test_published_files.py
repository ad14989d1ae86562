"""
What is written by program is up to date: the coverage page, the JSON Schema of mapping files, the list of functions.
"""

from pathlib import Path

import jsonschema

import adapters
from adapters.coverage import measure, report_text
from adapters.mapping.grammar import mapping_schema
from adapters.mapping.steps import FUNCTIONS
from adapters.registry import ADAPTERS
from ops.kit.scaffold import schema_text

FOLDER = Path(adapters.__file__).parent
HINT = "faites « tdu adapter report --write »"


def test_the_coverage_page_is_up_to_date() -> None:
    """`adapters/COVERAGE.md` is what the program counts today."""
    found = report_text(measure(adapter) for adapter in ADAPTERS.values())
    assert (FOLDER / "COVERAGE.md").read_text(encoding="utf-8") == found, HINT


def test_the_schema_for_editors_is_up_to_date_and_a_schema() -> None:
    """`adapters/mapping.schema.json` is the schema that the loader checks with, and the reference validator knows it."""
    assert (FOLDER / "mapping.schema.json").read_text(encoding="utf-8") == schema_text(), HINT
    jsonschema.Draft202012Validator.check_schema(mapping_schema())


def test_the_readme_lists_every_function() -> None:
    """The table of functions of `mapping/README.md` is the one of the program."""
    text = (FOLDER / "mapping" / "README.md").read_text(encoding="utf-8")
    listed = text.partition("<!-- functions -->")[2].partition("<!-- /functions -->")[0]
    rows = [f"| `{name}` | {function.help_fr} | {function.help_en} |" for name, function in FUNCTIONS.items()]
    assert listed.strip().splitlines()[2:] == rows
