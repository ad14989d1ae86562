"""
A partner ships its own package: once installed, its adapter is found by its entry point, under the same contract.
"""

import os
import subprocess
import sys
import textwrap
import venv
from pathlib import Path

import pytest

import adapters
from adapters.mapping.engine import MappingAdapter
from adapters.registry import AdapterConflict, Adapters, discover
from ops.kit import scaffold
from ops.kit.acceptance import accept

ROOT = Path(adapters.__file__).parent.parent


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment in which a partner's package, made by `tdu adapter new --package`, is really installed."""
    folder = tmp_path_factory.mktemp("partner")
    root = scaffold.package("acme-social", folder)
    made = scaffold.make("acme-social", "csv", root)
    scaffold.as_module(made)
    assert list(accept(MappingAdapter(made), made))
    (root / "acme_python").mkdir()
    (root / "acme_python" / "__init__.py").write_text(
        textwrap.dedent(
            '''
            """A Python adapter that reads what WebRSA writes, under a name of its own."""
            from adapters.webrsa_orientation.adapter import WebrsaOrientation

            class Acme(WebrsaOrientation):
                name = "acme-python"
                title = "Acme (Python)"
            '''
        ),
        encoding="utf-8",
    )
    project = (root / "pyproject.toml").read_text(encoding="utf-8")
    project = project.replace(
        'acme-social = "acme_social"', 'acme-social = "acme_social"\nacme-python = "acme_python:Acme"'
    )
    project = project.replace('packages = ["acme_social"]', 'packages = ["acme_social", "acme_python"]')
    (root / "pyproject.toml").write_text(project, encoding="utf-8")
    environment = folder / "environment"
    venv.create(environment, with_pip=False)
    target = next((environment / "lib").glob("python*")) / "site-packages"
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check",
         "--target", target, root],
        check=True, capture_output=True,
    )  # fmt: skip
    return target


def run(installed: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`tdu` beside the partner's package."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join((str(installed), str(ROOT)))}
    return subprocess.run(
        [sys.executable, "-c", "from ops.cli import main; main()", "adapter", *arguments],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_an_installed_package_adds_its_adapters(installed: Path) -> None:
    """A folder with a mapping and a class, each found by its entry point and listed with those of the project."""
    listed = run(installed, "list").stdout
    assert "acme-social " in listed and "acme-python " in listed and "cnaf-rsa " in listed


def test_an_installed_adapter_sits_the_exam_and_translates(installed: Path) -> None:
    """The same commands, by the name of its entry point."""
    file = installed / "acme_social" / "samples" / "deux-personnes" / "partner.csv"
    tried = run(installed, "try", "acme-social", str(file))
    assert 0 == tried.returncode and '"birth_name": "OLIVARDE"' in tried.stdout
    exam = run(installed, "exam", "acme-social")
    assert (0, True) == (exam.returncode, "niveau bronze" in exam.stdout)


def test_two_adapters_of_one_name_are_a_conflict() -> None:
    """Which of the two would answer is not left to the order of installation."""
    folders = dict(discover()._folders)
    point = next(iter(folders))
    with pytest.raises(AdapterConflict):
        Adapters(folders, {point: None})
