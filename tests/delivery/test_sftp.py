"""
SFTP, seen by the partner: a real SSH server that shuts each account in its own directory.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncssh
import pytest

pytestmark = pytest.mark.anyio

NAME = "depot.valombre.example"
QUICK = {"first_seconds": 1, "longest_seconds": 1}


@dataclass
class Depot:
    """A partner's SSH server: accounts, their keys, and the directory each is shut in."""

    root: Path
    host_key: str
    port: int = 0
    keys: dict[str, str] = field(default_factory=dict)

    def directory(self, account: str) -> Path:
        """Where the files of an account are."""
        path = self.root / account / "depot"
        path.mkdir(parents=True, exist_ok=True)
        return path

    def files(self, account: str) -> list[str]:
        """The names in the directory of an account, hidden ones too."""
        return sorted(path.name for path in self.directory(account).iterdir())


@pytest.fixture
async def depot(tmp_path: Path) -> AsyncIterator[Depot]:
    """A server that listens on this machine."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    depot = Depot(tmp_path / "ssh", key.export_public_key().decode().strip())

    class Server(asyncssh.SSHServer):
        def begin_auth(self, username: str) -> bool:
            return True

        def public_key_auth_supported(self) -> bool:
            return True

        def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
            offered = key.export_public_key().decode().split()[:2]
            return offered == depot.keys.get(username, "").split()[:2]

    def shut_in(chan: asyncssh.SSHServerChannel[bytes]) -> asyncssh.SFTPServer:
        account = chan.get_extra_info("username")
        depot.directory(account)
        return asyncssh.SFTPServer(chan, chroot=str(depot.root / account).encode())

    server = await asyncssh.listen("127.0.0.1", 0, server_factory=Server, server_host_keys=[key], sftp_factory=shut_in)
    depot.port = server.get_port()
    async with server:
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


async def test_a_refusal_says_why(world: Any, depot: Depot, eventually: Any) -> None:
    """The word of a nack is the reason; a word that is none of the mailbox's is “other”."""
    recipient = await served(world, depot)
    first, second = [await world.send(recipient) for _ in range(2)]
    files = {file.name: file for file in await dropped(depot, recipient, 2, eventually)}
    (files[f"tdu-{first}.json"].parent / f"tdu-{first}.json.nack").write_text("unknown_person\n")
    (files[f"tdu-{second}.json"].parent / f"tdu-{second}.json.nack").write_bytes(b"\xff\xfe perdu")
    for delivery, reason in ((first, "unknown_person"), (second, "other")):
        await world.becomes(delivery, "rejected")
        assert reason == (await world.row(delivery)).last_error


async def test_what_one_person_waits_for_is_dropped_in_order(world: Any, depot: Depot, eventually: Any) -> None:
    """The next file about a person appears once the first is answered; other people's do not wait."""
    recipient, person = await served(world, depot), world.person()
    first, second = await world.send(recipient, person), await world.send(recipient, person)
    other = await world.send(recipient)
    files = await dropped(depot, recipient, 2, eventually)
    assert {f"tdu-{first}.json", f"tdu-{other}.json"} == {file.name for file in files}
    (files[0].parent / f"tdu-{first}.json.ack").touch()
    await world.becomes(first, "acknowledged")
    await world.becomes(second, "leased")
    files = await dropped(depot, recipient, 2, eventually)
    assert f"tdu-{second}.json" in {file.name for file in files}


async def test_an_account_answers_for_its_own_files_only(world: Any, depot: Depot, eventually: Any) -> None:
    """An acknowledgement of somebody else's delivery changes nothing; the server shows each account its own directory."""
    recipient, other = await served(world, depot), await served(world, depot)
    delivery = await world.send(recipient)
    await dropped(depot, recipient, 1, eventually)
    (depot.directory(other.client_id) / f"tdu-{delivery}.json.ack").touch()

    async def forgotten() -> bool:
        return depot.files(other.client_id) == []

    await eventually(forgotten)
    assert "leased" == (await world.row(delivery)).state


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
