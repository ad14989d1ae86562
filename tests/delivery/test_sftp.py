"""
SFTP, seen by the partner: a real SSH server that shuts each account in its own directory.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from ops.services.depot import Depot, depot_open

pytestmark = pytest.mark.anyio

NAME = "depot.valombre.example"
QUICK = {"first_seconds": 1, "longest_seconds": 1}


@pytest.fixture
async def depot(tmp_path: Path) -> AsyncIterator[Depot]:
    """A server that listens on this machine."""
    async with depot_open(tmp_path / "ssh") as depot:
        yield depot


async def served(world: Any, depot: Depot, adapter: str = "shared-json", **settings: Any) -> Any:
    """A recipient whose files are dropped, its key accepted by the server; its account is its name."""
    recipient = await world.recipient(adapter)
    await world.allow(recipient, depot.port)
    asked = {
        "host": NAME,
        "port": depot.port,
        "username": recipient.client_id,
        "directory": "depot",
        "host_key": depot.host_key,
    }
    body = {"transport": "sftp", "settings": asked | settings, "policy": QUICK}
    shown = await recipient.done("PUT", f"/v1/endpoints/{recipient.client_id}", json=body)
    depot.keys[recipient.client_id] = shown["settings"]["public_key"]
    return recipient


async def dropped(depot: Depot, recipient: Any, count: int, eventually: Any) -> list[Path]:
    """The files of a recipient, once there are as many as expected."""

    async def is_there() -> bool:
        return len([name for name in depot.files(recipient.client_id) if name.startswith("tdu-")]) == count

    await eventually(is_there)
    return sorted(depot.directory(recipient.client_id).glob("tdu-*"))


async def test_a_file_appears_whole_and_its_answer_acknowledges(world: Any, depot: Depot, eventually: Any) -> None:
    """One file a delivery, named by it; once acknowledged both are gone, and the ledger has both events."""
    recipient = await served(world, depot)
    delivery = await world.send(recipient)
    [file] = await dropped(depot, recipient, 1, eventually)
    await world.becomes(delivery, "leased")
    assert f"tdu-{delivery}.json" == file.name
    assert "rsa" == json.loads(file.read_bytes())["rights"][0]["right"]

    (file.parent / f"{file.name}.ack").touch()
    await world.becomes(delivery, "acknowledged")
    assert [] == await dropped(depot, recipient, 0, eventually)
    assert ["disclosure_made", "disclosure_acknowledged"] == [
        event.type.value for event in await world.events(delivery)
    ]
    [attempt] = (await recipient.done("GET", f"/v1/deliveries/{delivery}"))["attempts"]
    assert ("sftp", "waits", "dropped") == (attempt["transport"], attempt["outcome"], attempt["code"])


async def test_a_partner_gets_its_own_format(world: Any, depot: Depot, eventually: Any) -> None:
    """A system that speaks CSV finds a CSV file, that renaming it acknowledges."""
    recipient = await served(world, depot, "webrsa-orientation")
    delivery = await world.send(recipient)
    [file] = await dropped(depot, recipient, 1, eventually)
    assert ".csv" == file.suffix and b";" in file.read_bytes().splitlines()[0]
    file.rename(file.parent / f"{file.name}.ack")
    await world.becomes(delivery, "acknowledged")


async def test_a_refusal_in_unreadable_words_is_other(world: Any, depot: Depot, eventually: Any) -> None:
    """A nack whose word is none of the mailbox's closes the delivery all the same."""
    recipient = await served(world, depot)
    delivery = await world.send(recipient)
    [file] = await dropped(depot, recipient, 1, eventually)
    (file.parent / f"{file.name}.nack").write_bytes(b"\xff\xfe perdu")
    await world.becomes(delivery, "rejected")
    assert "other" == (await world.row(delivery)).last_error


@pytest.mark.parametrize(
    ("spoil", "code"),
    [("key", "authentication"), ("host_key", "host_key"), ("port", "unreachable"), ("directory", "sftp_2")],
)
async def test_what_is_wrong_is_told_apart(world: Any, depot: Depot, spoil: str, code: str) -> None:
    """A key that is not accepted, a server that is another, nobody there, no such directory: each its code."""
    changed: dict[str, Any] = {}
    if spoil == "host_key":
        changed["host_key"] = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    if spoil == "directory":
        changed["directory"] = "ailleurs"
    recipient = await served(world, depot, **changed)
    if spoil == "key":
        depot.keys.clear()
    if spoil == "port":
        await world.allow(recipient, 9)
        path, body = f"/v1/endpoints/{recipient.client_id}", {"host": NAME, "port": 9, "username": "x"}
        body |= {"host_key": depot.host_key}
        await recipient.done("PUT", path, json={"transport": "sftp", "settings": body})
    told = await recipient.done("POST", f"/v1/endpoints/{recipient.client_id}/test")
    assert ("failed", code) == (told["outcome"], told["code"])


async def test_a_test_leaves_nothing_behind(world: Any, depot: Depot) -> None:
    """The file of the test comes and goes."""
    recipient = await served(world, depot)
    told = await recipient.done("POST", f"/v1/endpoints/{recipient.client_id}/test")
    assert "taken" == told["outcome"] and [] == depot.files(recipient.client_id)


async def test_keys_are_replaced_without_a_gap(world: Any, depot: Depot) -> None:
    """After a rotation the server that only knows the old key still lets us in, until its time is over."""
    recipient = await served(world, depot)
    path = f"/v1/endpoints/{recipient.client_id}"
    made = await recipient.done("POST", f"{path}/secret", json={})
    assert made["public_key"] != depot.keys[recipient.client_id]
    assert "taken" == (await recipient.done("POST", f"{path}/test"))["outcome"]
    depot.keys[recipient.client_id] = made["public_key"]
    assert "taken" == (await recipient.done("POST", f"{path}/test"))["outcome"]
    shown = json.dumps(await recipient.done("GET", path))
    assert made["public_key"] in shown and "PRIVATE" not in shown


async def test_settings_are_checked(world: Any, depot: Depot) -> None:
    """No inner host, no odd port, no account or directory that is none, and a host key that can be read."""
    recipient = await world.recipient()
    good = {"host": NAME, "username": "depot", "host_key": depot.host_key}
    for wrong in (
        {"host": "127.0.0.1"},
        {"host": "localhost"},
        {"port": 2222},
        {"port": "vingt-deux"},
        {"username": "a b"},
        {"directory": ""},
        {"directory": "a\nb"},
        {"host_key": "ssh-ed25519 AAAA"},
        {"host_key": None},
        {"password": "x"},
    ):
        body = {"transport": "sftp", "settings": good | wrong}
        problem = await recipient.refused("PUT", f"/v1/endpoints/{recipient.client_id}", 422, json=body)
        assert "endpoint_invalid" == problem["code"], wrong
