"""
Which addresses that a partner gave may be called: a partner must not make the gateway knock where only the gateway can reach
(SSRF), whatever the name resolves to, and whenever.

    check        what an address must look like; at configuration time too
    addresses    a name is resolved once, and refused if any answer is not public; the connection goes to what was checked

What is on a private network is reached only where the operator allowed it, for one partner: `Allowance`.

    OutgoingRefused     the address is not acceptable: nothing was sent
    OutgoingFailed      the other side could not be reached, or did not answer as it should
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final
from urllib.parse import urlsplit

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Gives every address of a name, as `getaddrinfo` does; raises `OSError` when there is none."""

HTTPS: Final = 443

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


def _literal(host: str) -> Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _refused(message_fr: str, message_en: str) -> OutgoingRefused:
    return OutgoingRefused("address_refused", message_fr + ".", message_en + ".")
