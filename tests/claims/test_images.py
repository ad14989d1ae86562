"""The image and the compose file agree with the program: its roles, its settings, its houses; and nothing in them is a real secret."""

import re
import tomllib
from pathlib import Path
from typing import Any

import yaml

from gateway.composition import Role
from gateway.settings import Settings
from ops.services.sources import POSTGRESQL, RABBITMQ

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "ops" / "Dockerfile").read_text(encoding="utf-8")
SERVERS = {"postgresql", "rabbitmq"}


def services() -> dict[str, dict[str, Any]]:
    """The services of the compose file."""
    return yaml.safe_load((ROOT / "ops" / "compose.yaml").read_text(encoding="utf-8"))["services"]


def test_compose_runs_one_process_for_each_role() -> None:
    """Each role but the embedded `all` has its service, beside the two servers and the job that prepares them."""
    roles = {role.value for role in Role if role is not Role.ALL}
    assert roles | SERVERS | {"migrate"} == set(services())
    assert {role: ["serve", "--role", role] for role in roles} == {role: services()[role]["command"] for role in roles}


def test_compose_sets_only_settings_that_exist() -> None:
    """A misspelt TDU_ variable would be ignored in silence."""
    known = {f"TDU_{field.upper()}" for field in Settings.model_fields}
    given = {name for service in services().values() for name in service["environment"] if name.startswith("TDU_")}
    assert set() == given - known
    assert set() == set(re.findall(r"\bTDU_[A-Z_]+", DOCKERFILE)) - known


def test_nothing_starts_before_what_it_needs_answers() -> None:
    """The servers have health checks; the job waits for the database, and every role waits for the job and for the bus."""
    assert [True, True] == ["healthcheck" in services()[name] for name in sorted(SERVERS)]
    waits = {
        name: {on: how["condition"] for on, how in service["depends_on"].items()}
        for name, service in services().items()
        if name not in SERVERS
    }
    for name, conditions in waits.items():
        if name == "migrate":
            assert {"postgresql": "service_healthy"} == conditions
        else:
            assert {"migrate": "service_completed_successfully", "rabbitmq": "service_healthy"} == conditions


def test_compose_holds_no_password_but_the_local_one() -> None:
    """Every password comes from the environment; the default says by its name that it serves a local trial only."""
    text = (ROOT / "ops" / "compose.yaml").read_text(encoding="utf-8")
    passwords = re.findall(r"\$\{\w*PASSWORD\w*(:-[^}]*)?\}", text)
    written = [
        line
        for line in text.splitlines()
        if re.search(r"PASS(WORD)?: (?!\$\{)", line) or re.search(r"//\w+:(?!\$\{)\w+@", line)
    ]
    assert ({":-local-trial-only"}, []) == (set(passwords), written)


def test_the_gateway_is_confined_and_listens_on_this_machine_only() -> None:
    """Read-only, no capability, no new privilege, keys read-only in every role, and one port, on the loopback address."""
    for name, service in services().items():
        if name in SERVERS:
            assert "ports" not in service
            continue
        assert (True, ["ALL"], ["no-new-privileges:true"]) == (
            service["read_only"],
            service["cap_drop"],
            service["security_opt"],
        )
        assert (name == "migrate") == (not service["volumes"][0].endswith(":ro"))
    ports = {name: service["ports"] for name, service in services().items() if "ports" in service}
    assert {"api": ["127.0.0.1:8080:8080"]} == ports


def test_the_servers_are_those_of_the_tests() -> None:
    """What is delivered and what the tests start are the same images, pinned by their tag."""
    assert (POSTGRESQL.image, RABBITMQ.image) == (services()["postgresql"]["image"], services()["rabbitmq"]["image"])


def test_the_image_holds_every_house_and_runs_without_root() -> None:
    """The five packages are copied, libraries come with their hashes, the process is nobody, and its health is watched."""
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"][
        "targets"
    ]["wheel"]["packages"]
    copied = re.findall(r"^COPY (\w+) \1$", DOCKERFILE, re.MULTILINE)
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert (sorted(packages), []) == (sorted(copied), [house for house in packages if f"!{house}" not in ignored])
    assert DOCKERFILE.count("--require-hashes") == 2
    stages = DOCKERFILE.split("\nFROM ")
    assert 3 == len(stages)
    assert re.search(r"^USER 10001:10001$", stages[-1], re.MULTILINE)
    assert "/healthz" in stages[-1]
    assert re.search(r"^ARG PYTHON_IMAGE=python:3\.\d+\.\d+-slim-\w+$", stages[0], re.MULTILINE)
