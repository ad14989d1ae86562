"""
The gateway calls an address that a partner gave only where that is safe: 60 addresses, and real servers that misbehave.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from time import monotonic

import pytest

from gateway.outgoing import SafeClient
from gateway.outgoing_addresses import PUBLIC, Allowance, OutgoingFailed, OutgoingRefused, addresses, check, is_public
from ops.services.authority import Authority

pytestmark = pytest.mark.anyio

NAME = "webhook.valombre.example"
HERE = "127.0.0.0/8"

UNSAFE = [
    "http://webhook.valombre.example/",
    "ftp://webhook.valombre.example/",
    "file:///etc/passwd",
    "gopher://webhook.valombre.example/",
    "//webhook.valombre.example/",
    "webhook.valombre.example",
    "",
    "https://",
    "https:///path",
    "https://webhook.valombre.example:8443/",
    "https://webhook.valombre.example:80/",
    "https://webhook.valombre.example:0/",
    "https://webhook.valombre.example:99999/",
    "https://webhook.valombre.example:port/",
    "https://user@webhook.valombre.example/",
    "https://user:word@webhook.valombre.example/",
    "https://webhook.valombre.example@127.0.0.1/",
    "https://webhook.valombre.example/#fragment",
    "https://webhook.valombre.example\\@127.0.0.1/",
    "https://webhook.valombre.example/a b",
    "https://webhook.valombre.example/\r\nHost: 127.0.0.1",
    "https://webhook.valombre.example/\tx",
    "https://webhook.valombre.example/\x00",
    "https://wébhook.valombre.example/",
    "https://webhook。valombre。example/",
    "https://１２７.0.0.1/",
    "https://127.0.0.1/",
    "https://127.1/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0177.0.0.1/",
    "https://0/",
    "https://[::1]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[fe80::1%25eth0]/",
    "https://[::1",
    "https://8.8.8.8/",
    "https://localhost/",
    "https://intranet/",
    "https://webhook.valombre.example./",
    "https://-webhook.valombre.example/",
    "https://web_hook.valombre.example/",
    "https://webhook..example/",
    "https://webhook.valombre.1/",
    "https://" + "a" * 64 + ".example/",
    "https://webhook.valombre.example/" + "a" * 2000,
]

NOT_PUBLIC = [
    "0.0.0.0", "10.1.2.3", "100.64.0.1", "127.0.0.1", "127.8.8.8", "169.254.169.254", "172.16.0.1",
    "172.31.255.255", "192.0.0.8", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.51.100.7",
    "203.0.113.9", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255", "::", "::1", "::127.0.0.1",
    "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::1", "100::1", "2001:db8::1", "2001::1", "2002:7f00:1::",
    "3fff::1", "5f00::1", "fc00::1", "fd12::1", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1",
]  # fmt: skip


@pytest.mark.parametrize("url", UNSAFE)
def test_an_address_that_could_mislead_is_refused(url: str) -> None:
    """What is not a plain public https address on port 443 is refused with a sentence in both languages, not repeated."""
    with pytest.raises(OutgoingRefused) as refused:
        check(url)

    assert refused.value.message_fr.endswith(".") and refused.value.message_en.endswith(".")
    assert len(url) < 9 or url not in refused.value.message_fr + refused.value.message_en


def test_a_plain_address_is_accepted_and_read_once() -> None:
    """The parts that were checked are those that will be called."""
    target = check("https://Webhook.Valombre.example/recevoir?de=tdu&x=%20")

    assert ("webhook.valombre.example", 443, "/recevoir?de=tdu&x=%20") == (target.host, target.port, target.path)
    assert "/" == check("https://webhook.valombre.example").path


@pytest.mark.parametrize("address", NOT_PUBLIC)
async def test_a_name_that_leads_inside_is_refused(address: str) -> None:
    """One address that is not public is enough, among public ones too."""
    assert not is_public(address)
    with pytest.raises(OutgoingRefused):
        await addresses(NAME, 443, PUBLIC, answering("9.9.9.9", address))


async def test_public_addresses_are_accepted() -> None:
    """Ordinary addresses of both families pass, each once."""
    found = await addresses(NAME, 443, PUBLIC, answering("9.9.9.9", "2a01:e0a::1", "9.9.9.9"))

    assert ["9.9.9.9", "2a01:e0a::1"] == found


async def test_only_what_the_operator_allowed_is_open() -> None:
    """An allowance opens its networks, its ports and the figures in them, and nothing beside."""
    allowance = Allowance.of(["10.12.0.0/16"], [8443])

    assert 8443 == check("https://10.12.3.4:8443/", allowance).port
    assert ["10.12.3.4"] == await addresses(NAME, 443, allowance, answering("10.12.3.4"))
    for url in ("https://10.13.0.1/", "https://10.12.3.4:9443/", "http://10.12.3.4/"):
        with pytest.raises(OutgoingRefused):
            check(url, allowance)
    with pytest.raises(OutgoingRefused):
        await addresses(NAME, 443, allowance, answering("10.12.3.4", "10.13.0.1"))
    with pytest.raises(ValueError, match="does not appear to be"):
        Allowance.of(["everywhere"], [])


async def test_a_request_reaches_its_server_under_its_name(authority: Authority) -> None:
    """The body and the headers arrive, with the name in Host, and the reply comes back whole."""
    async with listening(authority, NAME, _echo) as port:
        client = SafeClient(authority.file, answering("127.0.0.1"))
        reply = await client.request(
            "POST", f"https://{NAME}:{port}/ici", headers={"X-Test": "1"}, content=b"abc", allowance=allowing(port)
        )
        await client.close()

    assert 200 == reply.status and not reply.truncated
    seen = reply.body.decode().lower()
    assert seen.startswith("post /ici http/1.1") and f"host: {NAME}:{port}" in seen and "x-test: 1" in seen
    assert "content-length: 3" in seen and seen.endswith("abc")


async def test_a_name_that_changes_its_address_changes_nothing(authority: Authority) -> None:
    """A name is resolved once a connection, so that what was checked is what is called; an inner answer is refused later too."""
    answers = iter([["127.0.0.1"], ["127.0.0.1"], ["10.0.0.1"]])
    asked: list[str] = []

    async def rebinding(host: str, _port: int) -> Sequence[str]:
        asked.append(host)
        return next(answers)

    async with listening(authority, NAME, _closing) as port:
        client = SafeClient(authority.file, rebinding)
        for _ in range(2):
            reply = await client.request("GET", f"https://{NAME}:{port}/", allowance=allowing(port))
            assert 204 == reply.status
        with pytest.raises(OutgoingRefused):
            await client.request("GET", f"https://{NAME}:{port}/", allowance=allowing(port))
        await client.close()

    assert [NAME] * 3 == asked


async def test_a_connection_of_one_allowance_serves_no_other(authority: Authority) -> None:
    """A partner without allowance does not pass through the open connection of one that has it."""
    async with listening(authority, NAME, _echo) as port:
        client = SafeClient(authority.file, answering("127.0.0.1"))
        assert 200 == (await client.request("GET", f"https://{NAME}:{port}/", allowance=allowing(port))).status
        with pytest.raises(OutgoingRefused):
            await client.request("GET", f"https://{NAME}:{port}/", allowance=Allowance.of([], [port]))
        await client.close()


async def test_a_redirection_is_an_answer_and_is_not_followed(authority: Authority) -> None:
    """A server that sends elsewhere is told as it answered: nothing else is called."""

    async def redirecting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 307 Elsewhere\r\nLocation: https://10.0.0.1/\r\nContent-Length: 0\r\n\r\n")

    async with listening(authority, NAME, redirecting) as port:
        client = SafeClient(authority.file, answering("127.0.0.1"))
        reply = await client.request("GET", f"https://{NAME}:{port}/", allowance=allowing(port))
        await client.close()

    assert 307 == reply.status and "https://10.0.0.1/" == reply.headers["location"]


async def test_a_certificate_for_another_name_is_refused(authority: Authority) -> None:
    """The certificate must be that of the name, and of an authority that is known."""
    async with listening(authority, "autre.example", _echo) as port:
        for file in (authority.file, None):
            client = SafeClient(file, answering("127.0.0.1"))
            with pytest.raises(OutgoingFailed, match="tls"):
                await client.request("GET", f"https://{NAME}:{port}/", allowance=allowing(port))
            await client.close()


async def test_a_long_reply_is_cut(authority: Authority) -> None:
    """No more than the limit is kept of a reply that does not end."""

    async def flooding(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        while True:
            writer.write(b"x" * 10_000)
            await writer.drain()

    async with listening(authority, NAME, flooding) as port:
        client = SafeClient(authority.file, answering("127.0.0.1"))
        reply = await client.request("GET", f"https://{NAME}:{port}/", allowance=allowing(port))
        await client.close()

    assert reply.truncated and 64_000 == len(reply.body)


async def test_a_server_that_drips_is_left(authority: Authority) -> None:
    """One deadline holds for the whole exchange, however regularly bytes arrive."""

    async def dripping(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.05)

    async with listening(authority, NAME, dripping) as port:
        client = SafeClient(authority.file, answering("127.0.0.1"))
        began = monotonic()
        with pytest.raises(OutgoingFailed, match="too_slow"):
            await client.request("GET", f"https://{NAME}:{port}/", allowance=allowing(port), deadline=0.5)
        assert monotonic() - began < 5
        await client.close()


async def test_what_is_not_there_or_speaks_otherwise_is_told_apart(authority: Authority) -> None:
    """No name, nobody at the port, and a server that does not speak HTTP: three codes."""

    async def babbling(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"bonjour\r\n\r\n")
        await writer.drain()
        writer.close()

    async def nowhere(_host: str, _port: int) -> Sequence[str]:
        raise OSError("no such name")

    async with listening(authority, NAME, babbling) as port:
        client = SafeClient(authority.file, answering("127.0.0.1"))
        with pytest.raises(OutgoingFailed, match="protocol"):
            await client.request("GET", f"https://{NAME}:{port}/", allowance=allowing(port))
        await client.close()
    client = SafeClient(authority.file, answering("127.0.0.1"))
    with pytest.raises(OutgoingFailed, match="unreachable"):
        await client.request("GET", f"https://{NAME}:{port}/", allowance=allowing(port))
    with pytest.raises(OutgoingFailed, match="unresolved"):
        await SafeClient(None, nowhere).request("GET", f"https://{NAME}/")
    await client.close()


async def test_proxies_of_the_environment_are_not_used(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy variable would send the request, and the choice of its address, elsewhere."""
    for variable in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    async with listening(authority, NAME, _echo) as port:
        client = SafeClient(authority.file, answering("127.0.0.1"))
        assert 200 == (await client.request("GET", f"https://{NAME}:{port}/", allowance=allowing(port))).status
        await client.close()


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """One authority for the servers of this file."""
    return Authority(tmp_path_factory.mktemp("authority"))


def answering(*found: str) -> Callable[[str, int], Awaitable[Sequence[str]]]:
    """A resolver that always gives the same addresses."""

    async def resolve(_host: str, _port: int) -> Sequence[str]:
        return found

    return resolve


def allowing(port: int) -> Allowance:
    """What an operator would allow for a server on this machine."""
    return Allowance.of([HERE], [port])


@asynccontextmanager
async def listening(authority: Authority, name: str, handler: Handler) -> AsyncIterator[int]:
    """A TLS server on this machine; gives its port."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await handler(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=authority.context(name))
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer each request with what it was."""
    while True:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            (int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if b"content-length" in line), 0
        )
        body = head + await reader.readexactly(length)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        await writer.drain()


async def _closing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer once and close: the next request needs a new connection."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
    await writer.drain()
    writer.close()
