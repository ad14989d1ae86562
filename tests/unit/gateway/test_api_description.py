"""The API describes itself completely: French titles, bodies by the published schemas, problems."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.app import assemble, create_app
from gateway.http.description import BODIES
from gateway.keys import Keys, generate
from gateway.settings import Settings


@pytest.fixture
def description(tmp_path: Path) -> dict[str, Any]:
    """The description of an application that was never started."""
    settings = Settings(data_dir=tmp_path)
    generate(settings)
    return create_app(assemble(settings, Keys.load(settings))).openapi()


def test_every_operation_has_a_title_of_its_own_and_its_problems(description: dict[str, Any]) -> None:
    """No title is made from the name of a function, and each refusal is described as a problem."""
    assert "3.1.0" == description["openapi"]
    for path, operations in description["paths"].items():
        for method, operation in operations.items():
            made_up = operation["operationId"].split("_" + path.strip("/").split("/")[0])[0].replace("_", " ").title()
            assert (path, method, True) == (path, method, operation["summary"] != made_up)
            assert "4XX" in operation["responses"]


def test_every_described_body_belongs_to_a_route_that_exists(description: dict[str, Any]) -> None:
    """The table of bodies names no address that was renamed, and each is a POST or a PUT."""
    assert set() == BODIES.keys() - description["paths"].keys()
    for path in BODIES:
        operations = description["paths"][path]
        assert "requestBody" in (operations.get("post") or operations["put"])
