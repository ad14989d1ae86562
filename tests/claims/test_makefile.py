"""The one-command doors: `make` alone explains itself, each target does what its line says, and nothing else is needed."""

import os
import re
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TARGETS = ("install", "demo", "test", "check", "bench", "faults", "screenshots", "serve", "help")


def make(*arguments: str) -> str:
    """What make prints for these arguments, as a user sees it."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    done = subprocess.run(["make", *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    return done.stdout


def last_command(*arguments: str) -> list[str]:
    """The words of the last command that make would run; `-n` runs nothing."""
    return make("-n", *arguments).splitlines()[-1].split()


def environment_step(folder: Path, python: Path, *, path: str) -> subprocess.CompletedProcess[str]:
    """Run the step that makes the environment, in an empty folder, with a chosen interpreter."""
    script = str(ROOT / "ops" / "environment.sh")
    return subprocess.run(
        ["/bin/sh", script, "python"],
        cwd=folder,
        env={"PATH": path, "PYTHON": str(python)},
        capture_output=True,
        text=True,
        check=False,
    )


def fake_python(folder: Path, lines: str) -> Path:
    """An interpreter that answers as we say."""
    program = folder / "fake-python"
    program.write_text(f"#!/bin/sh\n{lines}\n", encoding="utf-8")
    program.chmod(0o755)
    return program


@pytest.mark.parametrize("target", TARGETS)
def test_help_explains_each_target_in_french_then_in_english(target: str) -> None:
    """Every promised target has its line, French first, English below; `make` alone prints the same."""
    lines = make().splitlines()
    places = [number for number, line in enumerate(lines) if re.match(rf"  make {target}\s+\w", line)]
    assert 1 == len(places)
    assert re.match(r"\s{20}\w", lines[places[0] + 1])
    assert make("help").splitlines() == lines


def test_no_target_is_left_out_of_the_help() -> None:
    """What can be asked for and what is explained are the same."""
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert phony is not None
    assert sorted(TARGETS) == sorted(phony[1].split())


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        (("demo",), []),
        (("demo", "KEEP=1"), ["--keep"]),
        (("demo", "JSON=1"), ["--json"]),
        (("demo", "KEEP=1", "JSON=1"), ["--keep", "--json"]),
        (("demo", "KEEP=0"), []),
    ],
)
def test_demo_passes_its_options_on(arguments: tuple[str, ...], options: list[str]) -> None:
    """KEEP=1 and JSON=1 become the options of `tdu demo`."""
    assert [".venv/bin/tdu", "demo", *options] == last_command(*arguments)


def test_tests_run_with_real_servers() -> None:
    """`make test` goes through the finder of servers, leaves measures out and passes PYTEST_ARGS on."""
    words = last_command("test", "PYTEST_ARGS=-k gate")
    assert ".venv/bin/python -m ops.services -- .venv/bin/python -m pytest" in " ".join(words)
    assert ["-k", "gate"] == words[-2:]
    assert '"not bench"' in " ".join(words)


def test_continuous_integration_checks_then_tests() -> None:
    """`.ci/run` is what anybody can run: the checks, then the tests, stopping at the first failure."""
    script = ROOT / ".ci" / "run"
    text = script.read_text(encoding="utf-8")
    assert script.stat().st_mode & stat.S_IXUSR
    assert text.startswith("#!/usr/bin/env bash\n")
    assert "\nset -euo pipefail\n" in text
    assert ["make check", "make test"] == [line for line in text.splitlines() if line.startswith("make ")]


def test_the_documents_name_only_targets_that_exist() -> None:
    """A `make something` in a document is a target of the Makefile."""
    named = {
        (path.name, target)
        for path in ROOT.glob("*.md")
        for target in re.findall(r"(?:`|^    |^\$ )make ([a-z]+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert [] == sorted(pair for pair in named if pair[1] not in TARGETS)


def test_an_old_python_is_refused_with_what_to_do(tmp_path: Path) -> None:
    """Below Python 3.11 the installation stops before anything is made, in French then in English."""
    python = fake_python(tmp_path, '[ "$1" = --version ] && echo "Python 3.9.2"; exit 1')
    done = environment_step(tmp_path, python, path=os.environ["PATH"])
    french, english = done.stderr.splitlines()
    assert (1, "", False) == (done.returncode, done.stdout, (tmp_path / ".venv").exists())
    assert french.startswith("Erreur : il faut Python 3.11 ou plus récent (trouvé : Python 3.9.2)")
    assert english.startswith("Error: Python 3.11 or newer is needed (found: Python 3.9.2)")


def test_a_python_without_venv_says_which_package_to_install(tmp_path: Path) -> None:
    """Where apt-get cannot be used, the package to install is named and nothing is half made."""
    python = fake_python(
        tmp_path,
        'case "$2" in\n"import ensurepip"*) exit 1 ;;\n*version_info\\[0\\]*) echo python3.12-venv ;;\nesac\nexit 0',
    )
    commands = tmp_path / "commands"
    commands.mkdir()
    for name in ("id", "grep", "head"):
        (commands / name).symlink_to(shutil.which(name) or "")
    done = environment_step(tmp_path, python, path=str(commands))
    assert (1, False) == (done.returncode, (tmp_path / ".venv").exists())
    assert "Installez le paquet python3.12-venv" in done.stderr
    assert "Install the package python3.12-venv" in done.stderr
