"""
A partner's HTTPS server, for the tests and the campaigns of faults: keeps what it is called for, and answers as it is told to.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

Response = tuple[int, dict[str, str], bytes]


@dataclass(slots=True)
class Call:
    """One request that arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes = field(repr=False)

    @property
    def event(self) -> dict[str, Any]:
        """The body as JSON."""
        return dict(json.loads(self.body))


@dataclass(slots=True)
class Receiver:
    """What a system that is called does: `answer` says what it answers to each call, once `before` was awaited."""

    name: str
    port: int = 0
    calls: list[Call] = field(default_factory=list)
    answer: Callable[[Call], Response] = lambda _call: (204, {}, b"")
    before: Callable[[Call], Awaitable[None]] | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"https://{self.name}:{self.port}/recevoir"

    def ids(self) -> list[str]:
        """The deliveries that it was called for, in order."""
        return [call.event["data"]["id"] for call in self.calls]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                method, path, _ = head[0].split(" ", 2)
                headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                call = Call(method, path, headers, body)
                self.calls.append(call)
                if self.before is not None:
                    await self.before(call)
                status, more, content = self.answer(call)
                lines = [f"HTTP/1.1 {status} x", f"Content-Length: {len(content)}"]
                lines += [f"{name}: {value}" for name, value in more.items()]
                writer.write("\r\n".join([*lines, "", ""]).encode() + content)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError, asyncio.CancelledError):
            writer.close()


@asynccontextmanager
async def receiving(receiver: Receiver, context: ssl.SSLContext) -> AsyncIterator[Receiver]:
    """The receiver listens on this machine until the block ends, under the certificate of `context`."""
    tasks: set[asyncio.Task[Any]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if task := asyncio.current_task():
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        await receiver.serve(reader, writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
        left = list(tasks)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
