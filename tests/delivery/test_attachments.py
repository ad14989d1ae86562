"""
Attachments: the file that the document announced, whole, examined, sealed, and taken by its recipient only.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import struct
from collections.abc import AsyncIterator
from typing import Any

import pytest
import sqlalchemy as sa

from gateway import attachments
from gateway.antivirus import Clamd, Icap, Scanner, ScannerAway, scanner
from gateway.store.tables import attachment_chunks
from gateway.store.tables import attachments as rows

pytestmark = pytest.mark.anyio

PDF = b"%PDF-1.7\n" + os.urandom(2_500_000)


def announced(content: bytes, **changes: Any) -> dict[str, Any]:
    """What a document says of a file."""
    digest = hashlib.sha256(content).hexdigest()
    return {"name": "piece.pdf", "media_type": "application/pdf", "size": len(content), "sha256": digest} | changes


async def sent(world: Any, *files: dict[str, Any]) -> tuple[Any, str, str]:
    """A recipient that was handed a referral announcing files; the exchange and the delivery."""
    recipient = await world.recipient()
    body = await world.caf.done("POST", "/v1/referrals", json=world.referral(recipient, attachments=list(files)))
    exchange, delivery = body["exchanges"][0]["exchange"], body["exchanges"][0]["recipients"][0]["delivery"]
    await world.becomes(delivery, "available")
    await recipient.done("GET", "/v1/mailbox")
    return recipient, exchange, delivery


async def test_a_file_travels_whole_and_sealed(world: Any) -> None:
    """The recipient gets the very bytes, after a disclosure was recorded; nothing of them is in clear in the database."""
    recipient, exchange, delivery = await sent(world, announced(PDF))
    [awaited] = (await recipient.done("GET", f"/v1/mailbox/{delivery}/attachments"))["attachments"]
    assert ("awaited", None) == (awaited["state"], awaited["id"])
    told = await world.caf.done("POST", f"/v1/exchanges/{exchange}/attachments", content=PDF)
    assert "unscanned" == told["state"]
    assert told["id"] == (await world.caf.done("POST", f"/v1/exchanges/{exchange}/attachments", content=PDF))["id"]

    [listed] = (await recipient.done("GET", f"/v1/mailbox/{delivery}/attachments"))["attachments"]
    assert {"id": told["id"], "sha256": announced(PDF)["sha256"], "state": "unscanned"}.items() <= listed.items()
    before = len(await world.events(delivery))
    answer = await recipient.call("GET", f"/v1/attachments/{told['id']}")
    assert PDF == answer.content and "application/pdf" == answer.headers["content-type"]
    event = (await world.events(delivery))[before]
    assert ("disclosure_made", told["id"]) == (event.type.value, event.body["attachment_id"])
    async with world.runtime.services.database.read() as tx:
        query = sa.select(attachment_chunks.c.sealed).where(attachment_chunks.c.attachment_id == told["id"])
        pieces = list((await tx.execute(query)).scalars())
    assert 3 == len(pieces) and not any(PDF[100:140] in piece for piece in pieces)


async def test_what_was_not_announced_is_refused_and_not_kept(world: Any) -> None:
    """Another digest, another size, another type, an executable that says it is a PDF, too large: nothing stays."""
    script = b"MZ\x90\x00" + bytes(100)
    other = announced(b"%PDF-autre", size=11)
    recipient, exchange, _ = await sent(
        world,
        announced(script),
        announced(b"<html>", media_type="text/html"),
        other,
        announced(b"a\0b", media_type="text/plain"),
    )
    path = f"/v1/exchanges/{exchange}/attachments"
    for content in (script, b"<html>", b"%PDF-autre", b"a\0b", b"%PDF-inconnu"):
        problem = await world.caf.refused("POST", path, 422, content=content)
        assert "attachment_refused" == problem["code"]
    await world.caf.refused("POST", path, 413, content=bytes(1000))
    await recipient.refused("POST", path, 404, content=script)
    async with world.runtime.services.database.read() as tx:
        kept = sa.select(sa.func.count()).select_from(rows).where(rows.c.exchange_id == exchange)
        assert 0 == (await tx.execute(kept)).scalar_one()


async def test_only_a_recipient_of_the_document_takes_it(world: Any) -> None:
    """Another partner, and the recipient after an objection, get the answer of what does not exist."""
    person = world.person()
    recipient, other = await world.recipient(), await world.recipient()
    document = world.referral(recipient, person, attachments=[announced(PDF)])
    body = await world.caf.done("POST", "/v1/referrals", json=document)
    exchange, delivery = body["exchanges"][0]["exchange"], body["exchanges"][0]["recipients"][0]["delivery"]
    told = await world.caf.done("POST", f"/v1/exchanges/{exchange}/attachments", content=PDF)
    await world.becomes(delivery, "available")
    await recipient.refused("GET", f"/v1/attachments/{told['id']}", 404)
    await recipient.done("GET", "/v1/mailbox")
    assert 200 == (await recipient.call("GET", f"/v1/attachments/{told['id']}")).status_code
    await other.refused("GET", f"/v1/attachments/{told['id']}", 404)
    await other.refused("GET", f"/v1/mailbox/{delivery}/attachments", 404)
    await world.withdraw(person)
    await recipient.refused("GET", f"/v1/attachments/{told['id']}", 404)


async def test_what_the_antivirus_finds_is_never_handed_over(world: Any) -> None:
    """Infected: its bytes are deleted and its verdict kept; no answer: it waits in quarantine, and is examined again."""
    recipient, exchange, _ = await sent(world, announced(PDF))
    app = world.http._transport.app  # the application that this client speaks to
    try:
        app.state.scanner = Clamd("127.0.0.1", 9)
        told = await world.caf.done("POST", f"/v1/exchanges/{exchange}/attachments", content=PDF)
        assert "quarantined" == told["state"]
        await recipient.refused("GET", f"/v1/attachments/{told['id']}", 409)
    finally:
        app.state.scanner = None
    services = world.runtime.services
    async with clamd(b"stream: Eicar-Test-Signature FOUND\0") as port:
        assert "infected" == await attachments.examine(told["id"], Clamd("127.0.0.1", port), services)
    await recipient.refused("GET", f"/v1/attachments/{told['id']}", 409)
    async with services.database.read() as tx:
        row = (await tx.execute(sa.select(rows).where(rows.c.id == told["id"]))).one()
        left = sa.select(sa.func.count()).select_from(attachment_chunks)
        assert 0 == (await tx.execute(left.where(attachment_chunks.c.attachment_id == told["id"]))).scalar_one()
    assert "Eicar-Test-Signature" == row.verdict


async def test_clamd_is_spoken_to_as_it_expects() -> None:
    """The bytes go by INSTREAM, framed; clean, found and strange answers are told apart."""
    seen = bytearray()
    async with clamd(b"stream: OK\0", seen) as port:
        assert await Clamd("127.0.0.1", port).scan(pieces()) is None
    assert b"".join([b"abc", b"de"]) == bytes(seen)
    async with clamd(b"INSTREAM size limit exceeded. ERROR\0") as port:
        with pytest.raises(ScannerAway):
            await Clamd("127.0.0.1", port).scan(pieces())


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        (b"ICAP/1.0 204 No Content\r\n\r\n", None),
        (b"ICAP/1.0 200 OK\r\nX-Infection-Found: Type=0; Resolution=2; Threat=Eicar;\r\n\r\n", "Eicar"),
        (b"ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0\r\n\r\n", "content-replaced"),
        (b"ICAP/1.0 500 Server error\r\n\r\n", ScannerAway),
        (b"HTTP/1.1 204 No Content\r\n\r\n", ScannerAway),
    ],
)
async def test_icap_answers_are_told_apart(said: bytes, verdict: Any) -> None:
    """204 is clean; a named infection, or another content in place of the file, is not; anything else is no answer."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"RESPMOD icap://127.0.0.1:")
        await reader.readuntil(b"0\r\n\r\n")
        writer.write(said)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        examined: Scanner = Icap("127.0.0.1", server.sockets[0].getsockname()[1], "avscan")
        if verdict is ScannerAway:
            with pytest.raises(ScannerAway):
                await examined.scan(pieces())
        else:
            assert verdict == await examined.scan(pieces())


def test_the_address_of_an_antivirus_is_checked() -> None:
    """clamd and icap, and nothing else."""
    assert isinstance(scanner("clamd://av.interne:3310"), Clamd) and isinstance(
        scanner("icap://av.interne/avscan"), Icap
    )
    assert scanner("") is None
    with pytest.raises(ValueError, match="antivirus"):
        scanner("http://av.interne")


async def pieces() -> AsyncIterator[bytes]:
    """A file in two pieces."""
    yield b"abc"
    yield b"de"


class clamd:  # noqa: N801 (reads as the program it stands for)
    """A program that takes INSTREAM as clamd does, and answers one thing."""

    def __init__(self, answer: bytes, seen: bytearray | None = None) -> None:
        self.answer, self.seen = answer, seen if seen is not None else bytearray()

    async def __aenter__(self) -> int:
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return int(self.server.sockets[0].getsockname()[1])

    async def __aexit__(self, *_exception: object) -> None:
        self.server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert b"zINSTREAM\0" == await reader.readexactly(10)
        while length := struct.unpack("!L", await reader.readexactly(4))[0]:
            self.seen += await reader.readexactly(length)
        writer.write(self.answer)
        await writer.drain()
        writer.close()
