"""
Attachments of documents, up to 50 MB: announced by the document with their SHA-256, sent after it, examined, then handed over on
demand by `gateway.attachment_handover`.

    receiving     its bytes are coming, a megabyte at a time, each sealed under the subject's key
    quarantined   complete and as announced; the antivirus has not said yet
    clean         the antivirus found nothing        unscanned   the operator runs no antivirus
    infected      never handed over; only its verdict is kept

Never whole in memory. Erasing the person makes it unreadable, like the document.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import timedelta
from typing import Any, Final

import orjson
import sqlalchemy as sa

from gateway.antivirus import Scanner, ScannerAway
from gateway.auth.caller import Caller
from gateway.errors import Problem, not_found
from gateway.services import Services
from gateway.store import idempotency, subjects
from gateway.store.crypto import DataKey
from gateway.store.database import Transaction, instant
from gateway.store.idempotency import Attempt
from gateway.store.identifiers import time_ordered
from gateway.store.tables import attachment_chunks, attachments, documents, exchanges

LARGEST: Final = 52_428_800
_CHUNK: Final = 1_048_576
READY: Final = ("clean", "unscanned")
"""The states in which a file may be handed over."""

_ABANDONED: Final = timedelta(days=1)
_ZIP: Final = (b"PK\x03\x04",)
TYPES: Final[Mapping[str, tuple[bytes, ...]]] = {
    "application/pdf": (b"%PDF-",),
    "image/jpeg": (b"\xff\xd8\xff",),
    "image/png": (b"\x89PNG\r\n\x1a\n",),
    "image/tiff": (b"II*\x00", b"MM\x00*"),
    "application/vnd.oasis.opendocument.text": _ZIP,
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": _ZIP,
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": _ZIP,
    "text/plain": (),
    "text/csv": (),
}
"""What may be attached, and how such a file begins; a text is UTF-8 without control characters."""


async def receive(
    exchange_id: str,
    content: AsyncIterator[bytes],
    caller: Caller,
    attempt: Callable[[str], Attempt],
    services: Services,
) -> dict[str, Any]:
    """
    Take in one file of a document that the caller sent; gives what is known of it.

    The file is recognised by its SHA-256 among those that the document announced, and must have the size and the type that
    it said. Sending it again is harmless; `attempt` makes of its digest what idempotency compares. Raises `Problem` not_found,
    body_too_large, attachment_refused or idempotency_key_reused: nothing is kept.
    """
    async with services.database.read() as tx:
        query = sa.select(exchanges).where(exchanges.c.id == exchange_id, exchanges.c.sender == caller.partner)
        row = (await tx.execute(query)).first()
        if row is None:
            raise not_found()
        key, document = await _document(tx, row.document_id, row.subject_id, services)
    announced = {each["sha256"]: each for each in document.get("attachments", ())}
    if not announced:
        raise _refused("Ce document n'annonce pas de pièce jointe", "This document announces no attachment")
    largest = min(LARGEST, max(each["size"] for each in announced.values()))
    ident = await _begin(row, caller, services)
    try:
        digest, size, count, head = await _keep(ident, content, key, largest, services)
        said = announced.get(digest)
        if said is None or said["size"] != size:
            raise _refused(
                "Ce fichier n'est pas de ceux que le document annonce : vérifiez son empreinte et sa taille",
                "This file is none of those that the document announces: check its digest and size",
            )
        _demand_type(said["media_type"], head)
        return await _complete(ident, row.document_id, digest, said, count, attempt(digest), services)
    except BaseException:
        await _remove(ident, services)
        raise


async def examine(ident: str, scanner: Scanner | None, services: Services) -> str:
    """Have one complete file examined; gives its state. What the antivirus cannot say of stays in quarantine."""
    async with services.database.read() as tx:
        row = (await tx.execute(sa.select(attachments).where(attachments.c.id == ident))).one()
        keys = await subjects.data_keys(tx, [row.subject_id], services.vault)
    if row.state != "quarantined" or row.subject_id not in keys:
        return str(row.state)
    state, verdict = "unscanned", None
    if scanner is not None:
        try:
            verdict = await scanner.scan(pieces(row, keys[row.subject_id], services))
        except ScannerAway:
            return "quarantined"
        state = "infected" if verdict else "clean"
    async with services.database.write() as tx:
        change = {"state": state, "verdict": verdict, "updated_at": instant(services.clock())}
        await tx.execute(sa.update(attachments).where(attachments.c.id == ident).values(change))
        if verdict:
            await tx.execute(sa.delete(attachment_chunks).where(attachment_chunks.c.attachment_id == ident))
    return state


async def forget(services: Services, limit: int) -> int:
    """Delete what nobody may ask for any more: files never finished, and those whose document is gone."""
    now = services.clock()
    unfinished = sa.and_(attachments.c.state == "receiving", attachments.c.updated_at < instant(now - _ABANDONED))
    orphan = ~sa.exists().where(documents.c.id == attachments.c.document_id)
    async with services.database.read() as tx:
        ids = list((await tx.execute(sa.select(attachments.c.id).where(unfinished | orphan).limit(limit))).scalars())
    for ident in ids:
        await _remove(ident, services)
    return len(ids)


async def examine_waiting(services: Services, scanner: Scanner | None, limit: int) -> int:
    """Have what waits in quarantine examined again; returns how many got their verdict."""
    async with services.database.read() as tx:
        query = sa.select(attachments.c.id).where(attachments.c.state == "quarantined").limit(limit)
        ids = list((await tx.execute(query)).scalars())
    states = [await examine(ident, scanner, services) for ident in ids]
    return sum(1 for state in states if state != "quarantined")


async def pieces(row: Any, key: DataKey, services: Services) -> AsyncIterator[bytes]:
    """Open the bytes of a complete file (its row), a piece at a time."""
    for number in range(row.chunks):
        query = sa.select(attachment_chunks.c.sealed).where(
            attachment_chunks.c.attachment_id == row.id, attachment_chunks.c.number == number
        )
        async with services.database.read() as tx:
            sealed = (await tx.execute(query)).scalar_one()
        yield key.open(sealed, _place(row.id, number))


def shown(row: Any | None, said: Mapping[str, Any]) -> dict[str, Any]:
    """Say what a file is (`said`, by its document), and what became of it; `row` is None while it has not come."""
    told = {name: said[name] for name in ("name", "media_type", "size", "sha256") if name in said}
    if row is None:
        return {"id": None, "state": "awaited", **told}
    return {"id": row.id, "state": row.state, **told}


async def _document(tx: Transaction, document_id: str, subject_id: str, services: Services) -> tuple[DataKey, Any]:
    keys = await subjects.data_keys(tx, [subject_id], services.vault)
    sealed = (await tx.execute(sa.select(documents.c.sealed).where(documents.c.id == document_id))).scalar_one_or_none()
    if subject_id not in keys or sealed is None:
        raise not_found()
    return keys[subject_id], orjson.loads(keys[subject_id].open(sealed, f"documents/{document_id}"))


async def _begin(row: Any, caller: Caller, services: Services) -> str:
    at = instant(services.clock())
    values = {
        "id": time_ordered(),
        "exchange_id": row.id,
        "document_id": row.document_id,
        "subject_id": row.subject_id,
        "sender": caller.partner,
        "state": "receiving",
        "chunks": 0,
        "created_at": at,
        "updated_at": at,
    }
    async with services.database.write() as tx:
        await tx.execute(sa.insert(attachments).values(values))
    return str(values["id"])


async def _keep(
    ident: str, content: AsyncIterator[bytes], key: DataKey, largest: int, services: Services
) -> tuple[str, int, int, bytes]:
    """Seal the bytes as they come, each piece in a transaction of its own; gives digest, size, pieces and the first bytes."""
    digest, size, count, head, waiting = hashlib.sha256(), 0, 0, b"", bytearray()

    async def write(piece: bytes) -> None:
        sealed = key.seal(piece, _place(ident, count))
        async with services.database.write() as tx:
            row = {"attachment_id": ident, "number": count, "sealed": sealed}
            await tx.execute(sa.insert(attachment_chunks).values(row))

    async for chunk in content:
        digest.update(chunk)
        size += len(chunk)
        if size > largest:
            raise Problem(
                "body_too_large",
                "Le fichier est plus grand que ce que le document annonce : 50 Mo au plus.",
                "The file is larger than the document announces: 50 MB at most.",
            )
        head += bytes(chunk[: 4096 - len(head)]) if len(head) < 4096 else b""
        waiting += chunk
        while len(waiting) >= _CHUNK:
            await write(bytes(waiting[:_CHUNK]))
            count += 1
            del waiting[:_CHUNK]
    if waiting:
        await write(bytes(waiting))
        count += 1
    return digest.hexdigest(), size, count, head


async def _complete(
    ident: str, document_id: str, digest: str, said: Mapping[str, Any], count: int, attempt: Attempt, services: Services
) -> dict[str, Any]:
    blind, now = services.vault.blind("attachment", digest), services.clock()
    async with services.database.write() as tx:
        answered = await idempotency.earlier_answer(tx, attempt)
        same = sa.select(attachments).where(attachments.c.document_id == document_id, attachments.c.digest == blind)
        earlier = (await tx.execute(same)).first()
        if earlier is None:
            change = {"digest": blind, "size": said["size"], "chunks": count, "state": "quarantined"}
            change["updated_at"] = instant(now)
            await tx.execute(sa.update(attachments).where(attachments.c.id == ident).values(change))
            earlier = (await tx.execute(same)).one()
        if answered is None:  # its name may be somebody's: it is told again from the document, and not kept
            await idempotency.keep_answer(tx, attempt, {"id": earlier.id}, now, 201)
    if earlier.id != ident:
        await _remove(ident, services)
    return shown(earlier, said)


async def _remove(ident: str, services: Services) -> None:
    async with services.database.write() as tx:
        await tx.execute(sa.delete(attachment_chunks).where(attachment_chunks.c.attachment_id == ident))
        await tx.execute(sa.delete(attachments).where(attachments.c.id == ident))


def _demand_type(declared: str, head: bytes) -> None:
    """Demand that a file begins as its type says; raises `Problem` attachment_refused."""
    if declared not in TYPES:
        raise _refused(f"Types de fichier acceptés : {', '.join(TYPES)}", f"Types accepted: {', '.join(TYPES)}")
    begins = TYPES[declared]
    if begins and head.startswith(begins):
        return
    if not begins and not any(byte < 32 and byte not in b"\t\r\n\f" for byte in head):
        try:
            head.decode("utf-8")
            return
        except UnicodeDecodeError as error:
            if error.end >= len(head) - 3:  # a character cut by the end of what was looked at
                return
    raise _refused("Le contenu n'est pas du type annoncé", "The content is not of the announced type")


def _place(ident: str, number: int) -> str:
    return f"attachments/{ident}/{number}"


def _refused(message_fr: str, message_en: str) -> Problem:
    return Problem("attachment_refused", message_fr + ".", message_en + ".")
