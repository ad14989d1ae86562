"""
A partner's SSH server, for the tests: accounts that enter by their keys, each shut in a directory of its own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import asyncssh


@dataclass(slots=True)
class Depot:
    """What a partner's SFTP server keeps: the public keys of its accounts, and their files under `root`."""

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


@asynccontextmanager
async def depot_open(root: Path) -> AsyncIterator[Depot]:
    """A server that listens on this machine until the block ends."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    depot = Depot(root, key.export_public_key().decode().strip())

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
