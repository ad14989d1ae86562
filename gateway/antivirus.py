"""
The hook of an antivirus: what partners attach is examined where the operator says, by clamd or by ICAP (RFC 3507).

Nothing infected is ever handed over, and what could not be examined waits in quarantine until it is.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Final, Protocol
from urllib.parse import urlsplit

_SECONDS: Final = 120.0
_NAME: Final = re.compile(r"[^A-Za-z0-9._/-]")


class ScannerAway(Exception):
    """The antivirus did not answer, or not as expected: nothing is known of the file."""


class Scanner(Protocol):
    """Examines one file; safe to use concurrently."""

    async def scan(self, content: AsyncIterator[bytes]) -> str | None:
        """Give the name of what was found, or None for a clean file; raises `ScannerAway`."""


def scanner(address: str) -> Scanner | None:
    """The scanner at `clamd://host:port` or `icap://host:port/service`; None for no address. Raises `ValueError`."""
    if not address:
        return None
    parts = urlsplit(address)
    if parts.scheme == "clamd" and parts.hostname:
        return Clamd(parts.hostname, parts.port or 3310)
    if parts.scheme == "icap" and parts.hostname:
        return Icap(parts.hostname, parts.port or 1344, parts.path.lstrip("/"))
    raise ValueError("an antivirus is at clamd://host:port or icap://host:port/service")


class Clamd:
    """ClamAV's daemon over TCP: the command INSTREAM."""

    def __init__(self, host: str, port: int) -> None:
        """Where the daemon listens; its StreamMaxLength must be above the largest attachment."""
        self._host, self._port = host, port

    async def scan(self, content: AsyncIterator[bytes]) -> str | None:
        """See `Scanner.scan`."""
        try:
            async with asyncio.timeout(_SECONDS):
                reader, writer = await asyncio.open_connection(self._host, self._port)
                try:
                    writer.write(b"zINSTREAM\0")
                    async for chunk in content:
                        writer.write(len(chunk).to_bytes(4) + chunk)
                        await writer.drain()
                    writer.write(bytes(4))
                    await writer.drain()
                    said = (await reader.readuntil(b"\0")).rstrip(b"\0").decode("ascii", "replace")
                finally:
                    writer.close()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            raise ScannerAway(type(error).__name__) from error
        if said == "stream: OK":
            return None
        if said.endswith(" FOUND"):
            return _name(said.removeprefix("stream: ").removesuffix(" FOUND"))
        raise ScannerAway("an answer that is neither OK nor FOUND")


class Icap:
    """An ICAP service in RESPMOD: 204 says clean, a named infection or another content says not."""

    def __init__(self, host: str, port: int, service: str) -> None:
        """Where the server listens, and the name of its service."""
        self._host, self._port, self._service = host, port, service

    async def scan(self, content: AsyncIterator[bytes]) -> str | None:
        """See `Scanner.scan`."""
        request = b"GET /attachment HTTP/1.1\r\nHost: trait-dunion\r\n\r\n"
        response = b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        head = (
            f"RESPMOD icap://{self._host}:{self._port}/{self._service} ICAP/1.0\r\nHost: {self._host}\r\n"
            f"Allow: 204\r\nConnection: close\r\n"
            f"Encapsulated: req-hdr=0, res-hdr={len(request)}, res-body={len(request) + len(response)}\r\n\r\n"
        )
        try:
            async with asyncio.timeout(_SECONDS):
                reader, writer = await asyncio.open_connection(self._host, self._port)
                try:
                    writer.write(head.encode("ascii") + request + response)
                    async for chunk in content:
                        writer.write(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
                        await writer.drain()
                    writer.write(b"0\r\n\r\n")
                    await writer.drain()
                    said = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                finally:
                    writer.close()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            raise ScannerAway(type(error).__name__) from error
        return _read(said)


def _read(said: str) -> str | None:
    """Read the head of an ICAP answer."""
    status, _, rest = said.partition("\r\n")
    found = re.fullmatch(r"ICAP/1\.0 (\d{3})\b.*", status)
    if found and found[1] == "204":
        return None
    if not found or found[1] != "200":
        raise ScannerAway("an answer that is neither 200 nor 204")
    for line in rest.split("\r\n"):
        name, _, value = line.partition(":")
        if name.strip().lower() in ("x-infection-found", "x-virus-id", "x-violations-found"):
            threat = re.search(r"Threat=([^;]+)", value)
            return _name(threat[1] if threat else value)
    return "content-replaced"


def _name(text: str) -> str:
    return _NAME.sub("", text)[:60] or "unnamed"
