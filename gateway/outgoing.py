"""
The only way out to an address that a partner gave: webhooks, key sets. Where it may lead is said by `gateway.outgoing_addresses`.

    SafeClient   HTTPS requests under these rules: no redirection, no proxy, one deadline for everything, replies cut short
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpcore

from gateway.outgoing_addresses import (
    HTTPS,
    PUBLIC,
    Allowance,
    OutgoingFailed,
    Resolve,
    addresses,
    check,
    system_resolver,
)

REPLY_LIMIT: Final = 64_000
"""Bytes of a reply that are read; what follows is not."""
DEADLINE: Final = 15.0
"""Seconds for a whole exchange: name, connection, request and reply."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What the other side answered: names of `headers` in lower case, at most the asked number of bytes of its body."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    truncated: bool


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


def _is_tls(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return True
        error = error.__cause__ or error.__context__
    return False
