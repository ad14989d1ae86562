"""
SFTP: we drop a file for each delivery in the partner's directory, and it says beside it that it has it.

    tdu-ID.csv          appears whole: written under a hidden name, then renamed (the extension is that of the format)
    tdu-ID.csv.ack      put there by the partner, empty or not: it has it
    tdu-ID.csv.nack     put there by the partner, with a word of the mailbox's nack: it could not take it

Once an answer is recorded it is removed, with the file if it is still there. A file whose answer does not come in a day is
dropped again, under the same name. The server proves itself by its key, given when the endpoint is set; we by ours.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import partial
from time import monotonic
from typing import Any, Final

import asyncssh

from gateway.delivery.base import Answer, Configuration, Endpoint, Outcome, Result, invalid, only, previous_in_force
from gateway.handover import NACK_REASONS, Handover, Parcel
from gateway.outgoing_addresses import OutgoingFailed, OutgoingRefused, Resolve, addresses, check_host

_PORT: Final = 22
_SECONDS: Final = 60.0
"""For one visit, whatever it has to do: less than a lease lasts."""
_ANSWERS: Final = 500
"""Answers read in one visit."""
_DIRECTORY: Final = re.compile(r"[\w./ -]{1,200}")
_USERNAME: Final = re.compile(r"[\w.@-]{1,64}")
_ANSWER: Final = re.compile(r"tdu-([0-9a-f-]{36})\.[a-z]{2,8}\.(ack|nack)")
_EXTENSIONS: Final = {"text/csv": "csv", "application/xml": "xml", "application/x-ndjson": "json"}


class SftpTransport:
    """The contract `gateway.delivery.base.Transport` over SFTP."""

    batch = 32
    patience = timedelta(days=1)

    def __init__(self, resolve: Resolve, clock: Callable[[], datetime], look_every: timedelta) -> None:
        """`resolve` gives the addresses of a name; `look_every`: how often answers are looked for."""
        self._resolve = resolve
        self._clock = clock
        self.look_every = look_every

    def configure(self, asked: Mapping[str, Any], current: Endpoint) -> Configuration:
        """See `Transport.configure`: takes `host`, `port`, `username`, `directory` and `host_key`; makes our key, once."""
        only(asked, "host", "port", "username", "directory", "host_key")
        settings = {"port": _PORT, "directory": ".", **asked}
        port = settings["port"]
        if isinstance(port, str) and port.isascii() and port.isdigit():
            port = settings["port"] = int(port)
        _demand(isinstance(port, int) and 0 < port < 65_536, "port est un nombre", "port is a number")
        for name, form in (("username", _USERNAME), ("directory", _DIRECTORY)):
            text = settings.get(name)
            _demand(isinstance(text, str) and form.fullmatch(text), f"Donnez {name}", f"Give {name}")
        try:
            check_host(str(settings.get("host", "")), port, current.allowance, _PORT)
            asyncssh.import_public_key(str(settings.get("host_key", "")))
        except OutgoingRefused as refused:
            raise invalid(refused.message_fr.rstrip("."), refused.message_en.rstrip(".")) from refused
        except asyncssh.KeyImportError as error:
            raise invalid(
                "Donnez host_key, la clé publique du serveur, telle que ssh-keyscan l'écrit : « ssh-ed25519 AAAA… »",
                "Give host_key, the public key of the server, as ssh-keyscan writes it: “ssh-ed25519 AAAA…”",
            ) from error
        if current.transport == "sftp" and current.secrets:
            settings["public_key"] = current.settings["public_key"]
            return Configuration(settings, current.secrets, {})
        secret, settings["public_key"] = _new_key()
        return Configuration(settings, {"key": secret}, {})

    def rotate(self, current: Endpoint, overlap: timedelta) -> Configuration:
        """See `Transport.rotate`: both keys are offered to the server until `overlap` has passed."""
        secret, public = _new_key()
        now = self._clock()
        previous = previous_in_force(current.secrets, now) or current.secrets["key"]
        kept = {"key": secret, "previous": previous, "previous_until": (now + overlap).isoformat(timespec="seconds")}
        shown = {"public_key": public, "previous_until": kept["previous_until"]}
        return Configuration({**current.settings, "public_key": public}, kept, shown)

    async def hand_over(self, endpoint: Endpoint, handed: Handover) -> Mapping[str, Outcome]:
        """See `Transport.hand_over`: one visit; what was not dropped before it failed is told so."""
        outcomes: dict[str, Outcome] = {}

        async def drop(sftp: asyncssh.SFTPClient) -> None:
            for parcel in handed.parcels:
                began = monotonic()
                await _drop(sftp, endpoint.settings["directory"], _name(parcel), parcel.content)
                took = int((monotonic() - began) * 1000)
                outcomes[parcel.taken.delivery_id] = Outcome(Result.WAITS, "dropped", milliseconds=took)

        failure = await self._visit(endpoint, drop)
        late = failure or Outcome(Result.FAILED, "interrupted")
        return {parcel.taken.delivery_id: outcomes.get(parcel.taken.delivery_id, late) for parcel in handed.parcels}

    async def collect(self, endpoint: Endpoint) -> Sequence[Answer]:
        """See `Transport.collect`: reads the names in the directory, and the word of each refusal."""
        found: list[Answer] = []

        async def look(sftp: asyncssh.SFTPClient) -> None:
            directory = endpoint.settings["directory"]
            for name in sorted(await sftp.listdir(directory)):
                if (match := _ANSWER.fullmatch(str(name))) and len(found) < _ANSWERS:
                    path = f"{directory}/{name}"
                    refusal = await _word(sftp, path) if match[2] == "nack" else None
                    found.append(Answer(match[1], refusal, partial(self._forget, endpoint, path)))

        await self._visit(endpoint, look)
        return found

    async def test(self, endpoint: Endpoint) -> Outcome:
        """See `Transport.test`: a file appears and goes."""
        began = monotonic()

        async def drop(sftp: asyncssh.SFTPClient) -> None:
            directory = endpoint.settings["directory"]
            await _drop(sftp, directory, "tdu-test.txt", b"Trait d'union\n")
            await sftp.remove(f"{directory}/tdu-test.txt")

        failure = await self._visit(endpoint, drop)
        return failure or Outcome(Result.TAKEN, "dropped", milliseconds=int((monotonic() - began) * 1000))

    async def tell_suspended(self, endpoint: Endpoint) -> Outcome | None:
        """See `Transport.tell_suspended`: there is nowhere else to tell it."""
        return None

    async def close(self) -> None:
        """See `Transport.close`: every visit ends by itself."""

    async def _forget(self, endpoint: Endpoint, path: str) -> None:
        async def remove(sftp: asyncssh.SFTPClient) -> None:
            for each in (path.rpartition(".")[0], path):
                if await sftp.exists(each):
                    await sftp.remove(each)

        await self._visit(endpoint, remove)

    async def _visit(self, endpoint: Endpoint, work: Callable[[asyncssh.SFTPClient], Any]) -> Outcome | None:
        """Do something at the partner's; None when it was done, else what kept it from being done."""
        began = monotonic()
        try:
            async with asyncio.timeout(_SECONDS), self._connected(endpoint) as sftp:
                await work(sftp)
        except OutgoingRefused as error:
            code = error.code
        except OutgoingFailed as error:
            code = error.code
        except asyncssh.HostKeyNotVerifiable:
            code = "host_key"
        except asyncssh.PermissionDenied:
            code = "authentication"
        except asyncssh.SFTPError as error:
            code = f"sftp_{error.code}"
        except TimeoutError:
            code = "too_slow"
        except OSError:
            code = "unreachable"
        except asyncssh.Error:
            code = "protocol"
        else:
            return None
        return Outcome(Result.FAILED, code, milliseconds=int((monotonic() - began) * 1000))

    @asynccontextmanager
    async def _connected(self, endpoint: Endpoint) -> AsyncIterator[asyncssh.SFTPClient]:
        settings, kept = endpoint.settings, endpoint.secrets
        previous = previous_in_force(kept, self._clock())
        keys = [asyncssh.import_private_key(text) for text in (kept["key"], previous) if text]
        host, port = settings["host"], settings["port"]
        found = await addresses(host, port, endpoint.allowance, self._resolve)
        sock = await _connect(found, port)
        connecting = asyncssh.connect(
            sock=sock,
            config=None,  # nothing of this machine's own ssh: neither its configuration nor its agent
            agent_path=None,
            known_hosts=([asyncssh.import_public_key(settings["host_key"])], [], []),
            username=settings["username"],
            client_keys=keys,
            preferred_auth="publickey",
            login_timeout=20,
        )
        async with connecting as connection, connection.start_sftp_client() as sftp:
            yield sftp


async def _connect(found: Sequence[str], port: int) -> socket.socket:
    """Open a connection to the first address that answers: those, already checked, and no other."""
    failure: OSError | None = None
    for address in found:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.setblocking(False)
        try:
            async with asyncio.timeout(10):
                await asyncio.get_running_loop().sock_connect(sock, (address, port))
            return sock
        except OSError as error:
            sock.close()
            failure = error
    raise OutgoingFailed("unreachable") from failure


async def _drop(sftp: asyncssh.SFTPClient, directory: str, name: str, content: bytes) -> None:
    """Make a file appear whole."""
    hidden, final = f"{directory}/.{name}.part", f"{directory}/{name}"
    async with sftp.open(hidden, "wb") as file:
        await file.write(content)
    try:
        await sftp.posix_rename(hidden, final)
    except asyncssh.SFTPOpUnsupported:
        if await sftp.exists(final):
            await sftp.remove(final)
        await sftp.rename(hidden, final)


async def _word(sftp: asyncssh.SFTPClient, path: str) -> str:
    async with sftp.open(path, "rb") as file:
        raw: Any = await file.read(100)
    said = raw.decode("ascii", "replace").strip().lower()
    return said if said in NACK_REASONS else "other"


def _name(parcel: Parcel) -> str:
    extension = _EXTENSIONS.get(parcel.media_type.split(";")[0], "txt")
    return f"tdu-{parcel.taken.delivery_id}.{extension}"


def _new_key() -> tuple[str, str]:
    key = asyncssh.generate_private_key("ssh-ed25519", comment="trait-dunion")
    return key.export_private_key().decode(), key.export_public_key().decode().strip()


def _demand(holds: object, message_fr: str, message_en: str) -> None:
    if not holds:
        raise invalid(message_fr, message_en)
