"""The tree keeps its prescribed shape, and no file of it carries an address of a machine or of a package registry."""

import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = {".ci", ".github", "adapters", "consent", "gateway", "helm", "ops", "requirements", "schemas", "tests"}
ROOT_FILES = {
    ".dockerignore",
    ".editorconfig",
    ".gitignore",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "Makefile",
    "NOTICE",
    "README.md",
    "SECURITY.md",
    "publiccode.yml",
    "pyproject.toml",
}
HOUSES = ("schemas", "adapters", "consent", "gateway", "ops")
# Folders of somebody's machine; none of them is an address of the gateway or a path of its image.
MACHINE_PATH = re.compile(r"(?<![\w.])/(?:work|root|tmp|home|Users)/[\w.]")
REGISTRY = re.compile(
    r"--(?:extra-)?index-url|--find-links|--trusted-host|files\.pythonhosted\.org|/simple/?\b(?=[\"'\s])"
    r"|registry\.npmjs\.org|deb\.debian\.org"
)
PINNED = re.compile(r"[a-z0-9][a-z0-9._-]*==[^\s;]+( ; [^\\]+)? \\")
HASH = re.compile(r"    --hash=sha256:[0-9a-f]{64}( \\)?")
LINK = re.compile(r"(?<!\!)\[[^\]]*\]\(([^)#\s]+)(?:#[^)\s]*)?\)")


@cache
def project_files() -> tuple[str, ...]:
    """The files that git tracks, and the new ones that it does not ignore."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode()
    return tuple(sorted(name for name in listed.split("\0") if name and (ROOT / name).is_file()))


def text_of(name: str) -> str:
    """The text of a file; empty for one that is no text (windows-1252 samples are read as such)."""
    raw = (ROOT / name).read_bytes()
    return "" if b"\0" in raw else raw.decode("utf-8", errors="replace")


def lines_with(pattern: re.Pattern[str]) -> list[str]:
    """Where a pattern stands, as file:line; this file holds the patterns themselves."""
    own = Path(__file__).relative_to(ROOT).as_posix()
    return [
        f"{name}:{number}"
        for name in project_files()
        if name != own
        for number, line in enumerate(text_of(name).splitlines(), 1)
        if pattern.search(line)
    ]


def test_only_the_prescribed_folders_stand_at_the_top() -> None:
    """The project's owner prescribed the top level: no other folder, no other file."""
    folders = {name.partition("/")[0] for name in project_files() if "/" in name}
    files = {name for name in project_files() if "/" not in name}
    assert (FOLDERS, ROOT_FILES) == (folders, files)


@pytest.mark.parametrize("folder", [*HOUSES, "helm/trait-dunion"])
def test_each_house_has_a_readme(folder: str) -> None:
    """Documentation lives where the code is."""
    assert f"{folder}/README.md" in project_files()


def test_no_package_marker_under_the_tests() -> None:
    """An __init__.py under tests/ would make `import gateway` find the tests."""
    assert [] == [name for name in project_files() if name.startswith("tests/") and name.endswith("/__init__.py")]


def test_test_files_have_names_of_their_own() -> None:
    """Without packages, two test files of the same name would be one module."""
    names = [Path(name).name for name in project_files() if name.startswith("tests/") and name.endswith(".py")]
    names = [name for name in names if name != "conftest.py"]
    assert [] == sorted({name for name in names if names.count(name) > 1})


def test_no_name_says_nothing() -> None:
    """A module called after everything and nothing hides what it does."""
    vague = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "managers", "core"}
    parts = {name: {Path(part).stem for part in Path(name).parts} for name in project_files() if name.endswith(".py")}
    assert [] == sorted(name for name, words in parts.items() if words & vague)


def test_no_path_of_a_machine() -> None:
    """A path of somebody's machine works on that machine only."""
    assert [] == lines_with(MACHINE_PATH)


def test_no_address_of_a_package_registry() -> None:
    """Where packages come from is the machine's own setting."""
    assert [] == lines_with(REGISTRY)


@pytest.mark.parametrize("name", ["build", "runtime", "dev"])
def test_requirements_hold_exact_versions_and_hashes_only(name: str) -> None:
    """Every line is a pinned package or one of its hashes, and every package has a hash."""
    lines = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    assert [] == [line for line in lines if not PINNED.fullmatch(line) and not HASH.fullmatch(line)]
    packages = [number for number, line in enumerate(lines) if PINNED.fullmatch(line)]
    assert len(packages) == len([number for number in packages if HASH.fullmatch(lines[number + 1])])


def test_links_between_documents_lead_somewhere() -> None:
    """Every relative link of every Markdown file leads to a file or a folder of the project."""
    broken = [
        f"{name} -> {target}"
        for name in project_files()
        if name.endswith(".md")
        for target in LINK.findall(text_of(name))
        if "://" not in target
        and not target.startswith("mailto:")
        and not (ROOT / name).parent.joinpath(target).exists()
    ]
    assert [] == broken


def test_the_licence_is_the_whole_apache_text() -> None:
    """The licence text is complete, from its title to its appendix."""
    lines = [line.strip() for line in text_of("LICENSE").splitlines() if line.strip()]
    assert ("Apache License", "limitations under the License.", 9) == (
        lines[0],
        lines[-1],
        len([line for line in lines if re.match(r"[1-9]\. ", line)]),
    )
