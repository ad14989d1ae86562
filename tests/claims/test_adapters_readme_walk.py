"""The example of adapters/README.md works as it is written: from an export of ten columns to the exam passed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"```sh\n(.*?)```", re.DOTALL)


def test_a_newcomer_goes_from_an_export_to_the_exam_by_the_readme_alone(tmp_path: Path) -> None:
    """Each block is typed in order, and none fails: the exam is passed, silver then gold, and a certificate is written."""
    text = (ROOT / "adapters" / "README.md").read_text("utf-8")
    blocks = BLOCK.findall(text.partition("### Un exemple entier")[2].partition("### L'accord, avant")[0])
    command = tmp_path / ".venv" / "bin" / "tdu"
    command.parent.mkdir(parents=True)
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m ops.cli "$@"\n')
    command.chmod(0o755)
    own = {name: value for name, value in os.environ.items() if not name.startswith("TDU_")}
    environment = own | {"XDG_STATE_HOME": str(tmp_path / "state")}
    said = []
    for block in blocks:
        done = subprocess.run(
            ["sh", "-e", "-c", block], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert (block, 0) == (block, done.returncode), done.stderr + done.stdout
        said.append(done.stdout + done.stderr)

    assert 6 == len(blocks)
    assert "Et maintenant · Next" in said[0] and "Personne concernée › Téléphones" in said[0]
    assert "Il manque tables/droit_particulier.csv" in said[2]
    assert "agreement_id  " in said[2] and "Cet accord ne couvre pas" not in said[2]
    assert "3 enregistrement(s) lu(s) : 2 repris, 0 refusé(s), 1 écarté(s) par « when »." in said[2]
    assert "niveau argent" in said[4] and "niveau or" in said[4]
    assert 1 == said[4].count("« tdu adapter report --write » met COVERAGE.md à jour")
    assert "trait-dunion adapter certificate v1" in (tmp_path / "essai" / "certificat.txt").read_text("utf-8")
