"""
The description of the messages: valid for those who wrote AsyncAPI, complete for every kind, and silent about anybody.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from gateway.delivery.webhook import DELIVERED, SUSPENDED, TEST
from schemas import Kind, schema

pytestmark = pytest.mark.anyio


async def test_the_official_schema_accepts_the_description(world: Any, npm_installed: Callable[[Path], Path]) -> None:
    """What is served is AsyncAPI 3.0 by the schema of @asyncapi/specs; without a broker no queue is promised."""
    described = (await world.http.get("/asyncapi.json")).json()
    folder = npm_installed(Path(__file__).parent / "node") / "node_modules" / "@asyncapi" / "specs" / "schemas"
    official = json.loads((folder / "3.0.0.json").read_bytes())

    jsonschema.Draft7Validator(official).validate(described)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft7Validator(official).validate(described | {"asyncapi": "2.6.0"})
    broker = bool(world.runtime.services.settings.bus_url)
    assert ({"webhook", "queue", "answers"} if broker else {"webhook"}) == described["channels"].keys()


async def test_every_kind_that_is_delivered_is_described(world: Any) -> None:
    """Each kind's message has the first level of its published schema, and the words that are really sent."""
    text = (await world.http.get("/asyncapi.json")).text
    messages = json.loads(text)["components"]["messages"]
    for kind in (Kind.REFERRAL, Kind.BILAN, Kind.STATUS, Kind.CONSENT):
        document = messages[kind.value]["payload"]["properties"]["data"]["properties"]["document"]
        assert schema(kind)["properties"].keys() == document["properties"].keys()
    for word in (DELIVERED, TEST, SUSPENDED):
        assert word in text
    settings = world.runtime.services.settings
    assert not settings.bus_url or settings.bus_url not in text


async def test_its_page_asks_nothing_from_elsewhere(world: Any) -> None:
    """The page and everything it names are served from here."""
    page = (await world.http.get("/docs/messages")).text
    assert "http" not in page.replace('charset="utf-8"', "")
    for name in ("asyncapi-react-3.2.1.js", "asyncapi-react-3.2.1.css", "messages.js"):
        assert f"/static/{name}" in page and 200 == (await world.http.get(f"/static/{name}")).status_code
