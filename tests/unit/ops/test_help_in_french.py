"""
What the command line says by itself is in French first.
"""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from ops.cli import app


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--help"], "Commandes / Commands"),
        (["adapter", "verify", "--help"], "[obligatoire]"),
        (["adapter", "new", "--help"], "[défaut : csv]"),
        (["adapter", "try"], "Erreur / Error"),
        (["adapter", "try"], "L'aide : tdu adapter try --help"),
    ],
)
def test_the_fixed_words_of_help_and_errors_are_french_first(arguments: list[str], said: str) -> None:
    """Titles of panels, what is required, the default, and where help is."""
    done = CliRunner().invoke(app, arguments, prog_name="tdu", env={"COLUMNS": "160"})
    assert said in done.output
