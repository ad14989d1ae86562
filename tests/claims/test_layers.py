"""The houses import each other in one direction only, and the tool that says so really says so."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HOUSES = ("schemas", "adapters", "consent", "gateway", "ops")


def check_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run import-linter in a folder, as `make check` does."""
    program = (
        "import sys; from importlinter.cli import lint_imports_command as check; check(['--no-cache', '--no-logo'])"
    )
    return subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=False)


def small_tree(folder: Path) -> Path:
    """Five empty houses under the project's own layers contract."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    layers = next(contract for contract in settings["contracts"] if contract["type"] == "layers")
    for house in HOUSES:
        (folder / house).mkdir()
        (folder / house / "__init__.py").touch()
    (folder / ".importlinter").write_text(
        "[importlinter]\nroot_packages =\n    " + "\n    ".join(settings["root_packages"]) + "\n"
        f"[importlinter:contract:1]\nname = {layers['name']}\ntype = layers\nlayers =\n    "
        + "\n    ".join(layers["layers"]),
        encoding="utf-8",
    )
    return folder


def test_the_houses_keep_their_direction() -> None:
    """ops, then gateway, then adapters and consent that never see each other, then schemas; every contract is kept."""
    checked = check_imports(ROOT)
    assert 0 == checked.returncode, checked.stdout
    assert "0 broken" in checked.stdout


def test_the_contract_holds_for_houses_that_respect_it(tmp_path: Path) -> None:
    """Imports that go down are accepted: the next test fails for its import and for nothing else."""
    tree = small_tree(tmp_path)
    (tree / "gateway" / "crossing.py").write_text("import adapters\nimport consent\n")
    checked = check_imports(tree)
    assert 0 == checked.returncode, checked.stdout


@pytest.mark.parametrize(
    ("importer", "imported"),
    [
        ("adapters", "consent"),
        ("consent", "adapters"),
        ("schemas", "adapters"),
        ("consent", "gateway"),
        ("gateway", "ops"),
    ],
)
def test_an_import_against_the_direction_is_found(tmp_path: Path, importer: str, imported: str) -> None:
    """One forbidden import anywhere breaks the contract, and the report names both houses."""
    tree = small_tree(tmp_path)
    (tree / importer / "crossing.py").write_text(f"import {imported}\n")
    checked = check_imports(tree)
    assert (1, True) == (checked.returncode, f"{importer} is not allowed to import {imported}" in checked.stdout)
