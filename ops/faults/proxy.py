"""
A TCP proxy that misbehaves on demand, to put between a client and its server: no privilege needed, one event loop.

    async with FaultProxy("127.0.0.1", 5672) as proxy:
        proxy.fault(Fault.HALF_ACK)      # from now on: what is asked is done, and never told
        proxy.heal()
"""

from __future__ import annotations

import asyncio
import socket
import struct
from enum import Enum

_CHUNK = 65_536


class Fault(Enum):
    """What the proxy does to connections, those that are open and those to come."""

    NONE = "everything passes"
    BLACKHOLE = "bytes are accepted on both sides and go nowhere"
    DROP_UP = "what the client says is lost"
    DROP_DOWN = "what the server says is lost"
    HALF_ACK = "a request passes, and from it on the connection's replies are lost: done, never told"
    REFUSE = "open connections are cut, new ones are reset"


class FaultProxy:
    """
    Forwards connections to one server, with a fault, a delay or a cut when told.

    A connection that lost bytes is cut when the fault is healed: TCP never delivers what follows a hole.
    """

    def __init__(self, host: str, port: int) -> None:
        """`host` and `port` are the server's; the proxy's own port is `port`, chosen by the system on entering."""
        self._server_address = (host, port)
        self._fault = Fault.NONE
        self._delay = 0.0
        self._cut_after: int | None = None
        self._links: set[_Link] = set()
        self._listener: asyncio.Server
        self.port = 0

    async def __aenter__(self) -> FaultProxy:
        self._listener = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._listener.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._listener.close()
        links = list(self._links)
        self.cut()
        await asyncio.gather(*(link.finished.wait() for link in links))
        await self._listener.wait_closed()

    def fault(self, fault: Fault) -> None:
        """Begin a fault, in place of the one under way."""
        self._fault = fault
        for link in list(self._links):
            link.begin(fault)

    def delay(self, seconds: float) -> None:
        """Hold each piece that passes for a time, in both directions, order kept."""
        self._delay = seconds

    def cut_after(self, count: int) -> None:
        """Reset each connection once `count` more bytes of its client have passed, wherever that falls in a message."""
        self._cut_after = count
        for link in self._links:
            link.cut_after = count

    def cut(self) -> None:
        """Reset every open connection, once; new ones are served."""
        for link in list(self._links):
            link.cut()

    def strand(self) -> None:
        """Leave every open connection silent until the fault is healed, and serve new ones: a firewall that forgot them."""
        for link in self._links:
            link.begin(Fault.BLACKHOLE)

    def heal(self) -> None:
        """End whatever is wrong, and cut the connections that lost bytes."""
        self._fault, self._delay, self._cut_after = Fault.NONE, 0.0, None
        for link in list(self._links):
            link.cut_after = None
            if link.lost_bytes:
                link.cut()
            else:
                link.begin(Fault.NONE)

    @property
    def hold(self) -> float:
        """How many seconds each piece is held."""
        return self._delay

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._fault is Fault.REFUSE:
            _reset(writer)
            return
        try:
            up_reader, up_writer = await asyncio.open_connection(*self._server_address)
        except OSError:
            _reset(writer)
            return
        link = _Link(self, (reader, writer), (up_reader, up_writer))
        link.cut_after = self._cut_after
        link.begin(self._fault)
        self._links.add(link)
        try:
            await link.run()
        finally:
            self._links.discard(link)
            link.finished.set()


Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _Link:
    """One connection through the proxy."""

    def __init__(self, proxy: FaultProxy, client: Stream, server: Stream) -> None:
        self._proxy = proxy
        self._client = client
        self._server = server
        self._fault = Fault.NONE
        self._asked = False
        self._over = asyncio.Event()
        self.lost_bytes = False
        self.cut_after: int | None = None
        self.finished = asyncio.Event()

    def begin(self, fault: Fault) -> None:
        self._fault, self._asked = fault, False
        if fault is Fault.REFUSE:
            self.cut()

    def cut(self) -> None:
        self._over.set()
        _reset(self._client[1])
        _reset(self._server[1])

    async def run(self) -> None:
        try:
            await asyncio.gather(
                self._pump(self._client[0], self._server[1], upwards=True),
                self._pump(self._server[0], self._client[1], upwards=False),
            )
        finally:
            self._client[1].close()
            self._server[1].close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, upwards: bool) -> None:
        try:
            while data := await reader.read(_CHUNK):
                if self._proxy.hold:
                    await asyncio.sleep(self._proxy.hold)
                if self._passes(upwards):
                    writer.write(self._cap(data) if upwards else data)
                    await writer.drain()
                else:
                    self.lost_bytes = True
                if self.cut_after == 0:
                    self.cut()
            if self._fault is not Fault.NONE:
                self.lost_bytes = True  # the end of the stream is not told either
                await self._over.wait()
            elif not writer.is_closing():
                writer.write_eof()
        except OSError:
            self.cut()

    def _passes(self, upwards: bool) -> bool:
        if self._fault is Fault.HALF_ACK:
            self._asked = self._asked or upwards
            return upwards or not self._asked
        lost = {Fault.BLACKHOLE: True, Fault.DROP_UP: upwards, Fault.DROP_DOWN: not upwards}
        return not lost.get(self._fault, False)

    def _cap(self, data: bytes) -> bytes:
        if self.cut_after is None:
            return data
        data = data[: self.cut_after]
        self.cut_after -= len(data)
        return data


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close a connection with RST, as a dead machine's kernel does, not with FIN."""
    if writer.transport.is_closing():
        return
    raw: socket.socket | None = writer.get_extra_info("socket")
    if raw is not None:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
