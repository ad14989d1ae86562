"""
The only way out to an address that a partner gave: webhooks, key sets, SFTP. A partner must not make the gateway knock where
only the gateway can reach (SSRF), whatever the name resolves to, and whenever.

    check        what an address must look like; at configuration time too
    addresses    a name is resolved once, and refused if any answer is not public; the connection goes to what was checked
    SafeClient   HTTPS requests under these rules: no redirection, no proxy, one deadline for everything, replies cut short

What is on a private network is reached only where the operator allowed it, for one partner: `Allowance`.

    OutgoingRefused     the address is not acceptable: nothing was sent
    OutgoingFailed      the other side could not be reached, or did not answer as it should
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import httpcore

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Gives every address of a name, as `getaddrinfo` does; raises `OSError` when there is none."""

HTTPS: Final = 443
REPLY_LIMIT: Final = 64_000
"""Bytes of a reply that are read; what follows is not."""
DEADLINE: Final = 15.0
"""Seconds for a whole exchange: name, connection, request and reply."""

# `is_global` alone lets through 192.0.0.8, 64:ff9b::7f00:1, 2002:7f00:1::, ::127.0.0.1 and fec0::1 (Python 3.11).
_DENIED: Final = tuple(
    map(ip_network, (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24",
        "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24",
        "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4", "255.255.255.255/32", "::/96", "::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64",
        "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
    ))
)  # fmt: skip
_NAME: Final = re.compile(r"(?=.{4,253}$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+(?=[a-z0-9-]*[a-z])[a-z0-9-]{1,63}")
_UNPRINTED: Final = re.compile(r"[^\x21-\x7e]|\\")


class OutgoingRefused(Exception):
    """The address is not one the gateway may call; says why in French and in English, never repeating the address."""

    def __init__(self, code: str, message_fr: str, message_en: str) -> None:
        super().__init__(code)
        self.code, self.message_fr, self.message_en = code, message_fr, message_en


class OutgoingFailed(Exception):
    """The other side did not answer: `code` is one of unresolved, unreachable, tls, too_slow, protocol."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Allowance:
    """What the operator, and nobody else, lets one partner have us reach beside public addresses and port 443."""

    networks: frozenset[Network] = frozenset()
    ports: frozenset[int] = frozenset()

    @classmethod
    def of(cls, networks: Iterable[str], ports: Iterable[int]) -> Allowance:
        """Read an allowance from texts (`10.12.0.0/16`); raises `ValueError`."""
        return cls(frozenset(map(ip_network, networks)), frozenset(ports))

    def covers(self, address: Address) -> bool:
        """Whether an address is in a network that the operator allowed."""
        return any(address in network for network in self.networks)


PUBLIC: Final = Allowance()
"""Public addresses only: what every partner has."""


@dataclass(frozen=True, slots=True)
class Target:
    """An address that passed `check`: its parts, never parsed again by somebody who may read them otherwise."""

    host: str
    port: int
    path: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Reply:
    """What the other side answered: names of `headers` in lower case, at most the asked number of bytes of its body."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    truncated: bool


def check(url: str, allowance: Allowance = PUBLIC) -> Target:
    """Say whether an address may be called, as far as its text tells; raises `OutgoingRefused`."""
    if _UNPRINTED.search(url) or len(url) > 2000:
        raise _refused(
            "Écrivez l'adresse en ASCII, sans espace ni barre oblique inverse", "Write it in ASCII, no space"
        )
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", HTTPS if parts.port is None else parts.port
    except ValueError as error:
        raise _refused("L'adresse ne se lit pas", "The address cannot be read") from error
    if parts.scheme != "https":
        raise _refused("L'adresse doit commencer par https://", "The address must start with https://")
    if "@" in parts.netloc or "#" in url:
        raise _refused("Retirez de l'adresse le compte et le fragment", "Remove user and fragment from the address")
    check_host(host, port, allowance, HTTPS)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(host, port, path)


def check_host(host: str, port: int, allowance: Allowance, usual_port: int) -> None:
    """Say whether a name and a port may be called; an address in figures must be in the allowance. Raises `OutgoingRefused`."""
    if port != usual_port and port not in allowance.ports:
        raise _refused(
            f"Seul le port {usual_port} est ouvert : demandez à l'exploitant d'en permettre un autre",
            f"Only port {usual_port} is open: ask the operator to allow another",
        )
    literal = _literal(host)
    if not (allowance.covers(literal) if literal else _NAME.fullmatch(host)):
        raise _refused(
            "L'adresse doit porter un nom de domaine complet et public",
            "The address must have a complete public domain name",
        )


def is_public(text: str) -> bool:
    """Whether an address is on the public internet: neither private, nor a way to a private one, nor several machines."""
    address = ip_address(text.split("%", 1)[0])
    return address.is_global and not address.is_multicast and not any(address in network for network in _DENIED)


async def addresses(host: str, port: int, allowance: Allowance, resolve: Resolve) -> list[str]:
    """
    Resolve a name once and give the addresses to connect to, in their order.

    Raises `OutgoingRefused` if a single one is neither public nor allowed, `OutgoingFailed` when there is none.
    """
    try:
        found = list(dict.fromkeys(await resolve(host, port)))
    except (OSError, UnicodeError) as error:
        raise OutgoingFailed("unresolved") from error
    if not found:
        raise OutgoingFailed("unresolved")
    for text in found:
        if not is_public(text) and not allowance.covers(ip_address(text.split("%", 1)[0])):
            raise _refused(
                "Ce nom mène à une adresse qui n'est pas publique : demandez à l'exploitant de la permettre",
                "This name leads to an address that is not public: ask the operator to allow it",
            )
    return found


async def system_resolver(host: str, port: int) -> Sequence[str]:
    """Resolve as the machine does."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


class SafeClient:
    """
    Sends HTTPS requests to addresses that partners gave. One per process; safe to use concurrently; `close` it.

    The certificate is checked against the name, while the connection goes to the address that was checked: a name that
    resolves to another address a moment later changes nothing.
    """

    def __init__(self, ca_file: Path | None = None, resolve: Resolve = system_resolver) -> None:
        """`ca_file`: authorities of the operator's own (PEM), beside the usual ones."""
        self.resolve = resolve
        self._tls = ssl.create_default_context()
        if ca_file:
            self._tls.load_verify_locations(ca_file)
        self._pools: dict[Allowance, httpcore.AsyncConnectionPool] = {}

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes = b"",
        allowance: Allowance = PUBLIC,
        limit: int = REPLY_LIMIT,
        deadline: float = DEADLINE,
    ) -> Reply:
        """
        Send one request and read at most `limit` bytes of its reply, whatever its status; a redirection is a reply.

        Takes at most `deadline` seconds. Raises `OutgoingRefused` (nothing was sent) or `OutgoingFailed`.
        """
        target = check(url, allowance)
        shown = target.host if ":" not in target.host else f"[{target.host}]"
        host = shown if target.port == HTTPS else f"{shown}:{target.port}"
        sent = [
            ("Host", host),
            ("Accept-Encoding", "identity"),
            ("User-Agent", "trait-dunion"),
            *(headers or {}).items(),
        ]
        if method in {"PATCH", "POST", "PUT"}:
            sent.append(("Content-Length", str(len(content))))
        address = httpcore.URL(scheme="https", host=target.host, port=target.port, target=target.path)
        try:
            async with (
                asyncio.timeout(deadline),
                self._pool(allowance).stream(method, address, headers=sent, content=content) as response,
            ):
                return await _read(response, limit)
        except TimeoutError as error:
            raise OutgoingFailed("too_slow") from error
        except httpcore.ConnectError as error:
            raise OutgoingFailed("tls" if _is_tls(error) else "unreachable") from error
        except (httpcore.ProtocolError, httpcore.UnsupportedProtocol) as error:
            raise OutgoingFailed("protocol") from error
        except (httpcore.NetworkError, httpcore.TimeoutException, OSError) as error:
            raise OutgoingFailed("unreachable") from error

    async def close(self) -> None:
        """Close every connection."""
        for pool in self._pools.values():
            await pool.aclose()
        self._pools.clear()

    def _pool(self, allowance: Allowance) -> httpcore.AsyncConnectionPool:
        """One pool an allowance: a connection that one partner may use must not serve another."""
        if allowance not in self._pools:
            self._pools[allowance] = httpcore.AsyncConnectionPool(
                self._tls,
                max_connections=100,
                max_keepalive_connections=20,
                keepalive_expiry=30,
                network_backend=_CheckedNetwork(allowance, self.resolve),
            )
        return self._pools[allowance]


class _CheckedNetwork(httpcore.AsyncNetworkBackend):
    """Opens connections to checked addresses only; TLS still sees the name."""

    def __init__(self, allowance: Allowance, resolve: Resolve) -> None:
        self._allowance, self._resolve, self._network = allowance, resolve, httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 (the signature is httpcore's)
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        failure: httpcore.ConnectError | None = None
        for address in await addresses(host, port, self._allowance, self._resolve):
            try:
                return await self._network.connect_tcp(address, port, timeout, local_address, socket_options)
            except httpcore.ConnectError as error:
                failure = error
        raise failure or OutgoingFailed("unresolved")


async def _read(response: httpcore.Response, limit: int) -> Reply:
    body = bytearray()
    async for chunk in response.aiter_stream():
        body += chunk
        if len(body) > limit:
            break
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
    return Reply(response.status, headers, bytes(body[:limit]), len(body) > limit)


def _literal(host: str) -> Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _is_tls(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _refused(message_fr: str, message_en: str) -> OutgoingRefused:
    return OutgoingRefused("address_refused", message_fr + ".", message_en + ".")
