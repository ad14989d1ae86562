"""A client that is slow, or never finishes, is hung up on; meanwhile the others are served."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from gateway.http import bodies, connections
from gateway.http.connections import HEAD_BYTES, PatientProtocol

SLACK = 6
"""Seconds that a loaded machine may add."""


class Line:
    """A connection on which bytes are written one by one, as a hostile client would."""

    def __init__(self, address: str) -> None:
        place = urlsplit(address)
        self.socket = socket.create_connection((place.hostname, place.port), timeout=30)
        self.begun = time.monotonic()

    def trickle(self, start: bytes, piece: bytes, every: float) -> tuple[bytes, float]:
        """Write `start`, then `piece` again and again until the other side answers or hangs up: what it said, after how long."""
        with self.socket:
            self.socket.sendall(start)
            self.socket.settimeout(every)
            answer = b""
            while True:
                try:
                    got = self.socket.recv(65_536)
                    answer += got
                    if not got:
                        break
                except TimeoutError:
                    pass
                except ConnectionError:
                    break
                if piece:
                    try:
                        self.socket.sendall(piece)
                    except ConnectionError:
                        break
            return answer, time.monotonic() - self.begun


def _head(desk: Any, path: str, media_type: str, more: str) -> bytes:
    """The head of a POST of the CAF, with a proof for it alone."""
    proven = "".join(f"{name}: {value}\r\n" for name, value in desk.proven("caf", "POST", path).items())
    return f"POST {path} HTTP/1.1\r\nHost: passerelle\r\n{proven}Content-Type: {media_type}\r\n{more}\r\n\r\n".encode()


@pytest.mark.parametrize("desk", ["embedded"], indirect=True)
def test_a_body_that_does_not_come_is_given_up(desk: Any, story: Any) -> None:
    """Stalled, trickled, chunked or announced: after its time each gets a problem, and forty of them hold nobody up."""
    before = desk.counts()

    def announced() -> bytes:
        return _head(desk, "/v1/referrals", "application/json", "Content-Length: 100000") + b"{"

    def chunked() -> bytes:
        return _head(desk, "/v1/consents", "application/json", "Transfer-Encoding: chunked") + b"1\r\n{\r\n"

    # Each with a proof of its own: one is used once.
    cases = [
        case
        for _ in range(10)
        for case in ((announced(), b""), (announced(), b" "), (chunked(), b""), (chunked(), b"1\r\n \r\n"))
    ]
    with ThreadPoolExecutor(len(cases)) as crowd:
        waiting = [crowd.submit(Line(desk.gateway.address).trickle, start, piece, 1.0) for start, piece in cases]
        begun = time.monotonic()
        assert 200 == desk.call("caf", "GET", "/v1/exchanges").status_code
        assert time.monotonic() - begun < SLACK
        for answer, seconds in (each.result() for each in waiting):
            assert answer.startswith(b"HTTP/1.1 408 "), answer[:300]
            assert b"connection: close" in answer.lower()
            problem = json.loads(answer[answer.index(b"{") :])
            assert ("too_slow", 408) == (problem["code"], problem["status"])
            assert bodies.PATIENCE - 1 < seconds < bodies.PATIENCE + SLACK
    assert before == desk.counts()


@pytest.mark.parametrize("desk", ["embedded"], indirect=True)
def test_a_body_announced_too_large_is_refused_before_it_is_sent(desk: Any) -> None:
    """The length that the client announces is believed when it condemns it."""
    start = _head(desk, "/v1/inbound/cnaf-rsa", "application/xml", "Content-Length: 2000000001\r\nConnection: close")
    answer, seconds = Line(desk.gateway.address).trickle(start, b"", 0.2)
    assert answer.startswith(b"HTTP/1.1 413 ") and seconds < SLACK


@pytest.mark.parametrize("desk", ["embedded"], indirect=True)
def test_a_connection_cut_in_the_middle_of_a_body_takes_nothing_in(desk: Any, new_referral: Any) -> None:
    """A document whose end did not come is no document, even if what came could be read as one."""
    before, document = desk.counts(), json.dumps(new_referral()).encode()
    for _ in range(5):
        start = _head(desk, "/v1/referrals", "application/json", f"Content-Length: {len(document) + 1}")
        with Line(desk.gateway.address).socket as line:
            line.sendall(start + document)
    assert 200 == desk.http.get("/readyz").status_code
    assert before == desk.counts()


@pytest.mark.parametrize("desk", ["embedded"], indirect=True)
def test_the_gateway_itself_hangs_up_on_a_head_that_does_not_end(desk: Any) -> None:
    """`tdu serve` runs the patient protocol, and not only the tests below."""
    answer, seconds = Line(desk.gateway.address).trickle(b"GET /healthz HTTP/1.1\r\nX: ", b"a", 0.5)
    assert b"" == answer
    assert connections.PATIENCE - 1 < seconds < connections.PATIENCE + SLACK


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A server of the gateway's protocol, impatient for the test, whose application answers without reading the body."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await asyncio.sleep(0.8 if scope["path"] == "/long" else 0)
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
            await send({"type": "http.response.body", "body": b"ok"})

    monkeypatch.setattr(connections, "PATIENCE", 0.5)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        config = uvicorn.Config(answer, http=PatientProtocol, lifespan="off", log_config=None, timeout_keep_alive=60)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        thread.join()


@pytest.mark.parametrize(
    ("start", "piece", "status"),
    [
        (b"", b"", b""),
        (b"", b"\r\n", b""),
        (b"GET / HTTP/1.1\r\nHost: passerelle\r\n", b"", b""),
        (b"GET / HTTP/1.1\r\nHost: passerelle\r\nX: ", b"a", b""),
        (b"GET /" + b"a" * (HEAD_BYTES + 300_000), b"a", b"400"),
        (b"GET / HTTP/1.1\r\nHost: passerelle\r\nX: " + b"a" * (HEAD_BYTES + 300_000), b"", b"400"),
        (b"POST / HTTP/1.1\r\nHost: passerelle\r\nContent-Length: 100000\r\n\r\n", b"a", b"200"),
        (b"POST / HTTP/1.1\r\nHost: passerelle\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n", b"200"),
        (b"GET / HTTP/1.1\r\nHost: passerelle\r\n\r\n", b"\r\n", b"200"),
        (b"GET / HTTP/1.1\r\nHost: passerelle\r\n\r\nGET / HTTP/1.1\r\nX: ", b"a", b"200"),
    ],
    ids=[
        "silent",
        "only line ends",
        "head without end",
        "head a byte at a time",
        "endless address",
        "endless header",
        "body after the answer",
        "chunks after the answer",
        "line ends after the answer",
        "second head without end",
    ],
)
def test_a_request_that_does_not_end_is_hung_up_on(patient: str, start: bytes, piece: bytes, status: bytes) -> None:
    """However a client drags out a request, the connection ends after the server's patience, and costs no more memory."""
    answer, seconds = Line(patient).trickle(start, piece, 0.1)
    assert status == answer[9:12]
    assert seconds < connections.PATIENCE + SLACK


def test_patience_is_not_counted_against_the_answer(patient: str) -> None:
    """A request that came at once may wait for its answer longer than a head may take, and the connection serves another."""
    with Line(patient).socket as line:
        for path in (b"/long", b"/"):
            line.sendall(b"GET " + path + b" HTTP/1.1\r\nHost: passerelle\r\n\r\n")
            answer = b""
            while not answer.endswith(b"ok"):
                got = line.recv(1024)
                assert got, "hung up on too early"
                answer += got
            time.sleep(0.6)
