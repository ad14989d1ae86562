"""
Connections: what a client may cost before the application is called, on uvicorn's own parser.

uvicorn bounds neither the size of a request's head nor the time it takes, and a client that goes on sending the body of a
request already answered keeps its connection for ever. Here a head has `PATIENCE` seconds and `HEAD_BYTES`, and so many
seconds are left to a body whose request is answered; then the connection is closed. While a body is being read the
application watches over it (`gateway.http.bodies`).

A reverse proxy remains the better place, since it keeps slow clients away from the process altogether. It must give up on
slow heads (nginx: `client_header_timeout 10s; large_client_header_buffers 4 8k;`), receive bodies whole
(`proxy_request_buffering on; client_body_timeout 10s; client_max_body_size 50m;`), give up on slow readers
(`proxy_buffering on; send_timeout 10s;`) and limit the connections of one address (`limit_conn`). Where large flows are sent
(`/v1/inbound/cnaf-rsa`) it passes them on as they come (`proxy_request_buffering off; client_max_body_size 2000m;`): gathered,
they would stand in the clear on its disk. Without one, uvicorn's `limit_concurrency` is what bounds the connections of all
clients together.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

PATIENCE: Final = 10.0
"""Seconds."""

HEAD_BYTES: Final = 32_768
"""A request line and its headers; counted by pieces received, so that what is refused may be one piece longer."""


class PatientProtocol(HttpToolsProtocol):
    """
    uvicorn's HTTP/1.1 protocol, with an end to its patience: `uvicorn.run(app, http=PatientProtocol)`.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Take what uvicorn gives its protocols."""
        super().__init__(*args, **kwargs)
        self._end: asyncio.TimerHandle | None = None
        self._in_head = self._in_body = False
        self._head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Give a new connection the time of one head."""
        super().connection_made(transport)
        self._begin_to_wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take a piece; whatever it left unfinished has little time, and a head little room."""
        was_in_head = self._in_head
        super().data_received(data)
        if was_in_head and self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES and not self.transport.is_closing():
                self.send_400_response("Request head too large.")
        answering = self.cycle is not None and not self.cycle.response_complete
        if not answering and self._end is None:
            self._begin_to_wait()

    def on_message_begin(self) -> None:
        """Begin to count a head."""
        super().on_message_begin()
        self._in_head, self._head_bytes = True, 0

    def on_headers_complete(self) -> None:
        """Leave the body to the application."""
        self._in_head, self._in_body = False, True
        self._stop_waiting()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Wait for nothing more."""
        self._in_body = False
        self._stop_waiting()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Give the rest of a body that nobody reads any more, or of a next head, its time."""
        super().on_response_complete()
        if (self._in_head or self._in_body) and self._end is None:
            self._begin_to_wait()

    def _begin_to_wait(self) -> None:
        self._end = self.loop.call_later(PATIENCE, self.timeout_keep_alive_handler)

    def _stop_waiting(self) -> None:
        if self._end is not None:
            self._end.cancel()
            self._end = None
