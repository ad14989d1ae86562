"""
What a source brought, taken in by `gateway.exchange.receive` as if its system had sent it.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from adapters import registry as adapters
from adapters.base import FileRefused, Streaming
from gateway import attachments, verdicts
from gateway.auth.caller import Caller
from gateway.auth.registry import get_system
from gateway.auth.rights import Rights
from gateway.errors import Problem, busy, not_found
from gateway.exchange import receive
from gateway.flows import task
from gateway.flows.body import Kept
from gateway.quarantine import set_aside
from gateway.services import Services
from gateway.sources.base import Source
from gateway.store.idempotency import Attempt
from gateway.versions import STALE, number_taken

_log = logging.getLogger(__name__)

_LATER: Final = frozenset(
    {"conflict", "convention_outdated", "internal_error", "too_many_requests", "unavailable", "volume_exceeded"}
)
"""Refusals that say nothing of the message itself: it is brought again."""


@dataclass(frozen=True, slots=True)
class Sender:
    """A system in whose name the gateway takes in what it brought, with what the conventions open to it now."""

    caller: Caller
    name: str


async def sender(source: Source, rights: Rights, services: Services) -> Sender:
    """Who the documents of a source are from; raises `Problem` not_found for a system that was disabled since."""
    async with services.database.read() as tx:
        system = await get_system(tx, source.client_id)
        if system is None or system.disabled:
            raise not_found()
        granted = await rights.own(tx, system)
    name = await services.names.of(source.partner)
    assert name is not None
    caller = Caller(
        client_id=source.client_id,
        partner=source.partner,
        system=source.client_id,
        scopes=granted.scopes,
        roles=frozenset({"partner"}),
        token_id=source.way,
        channel="inbound",
    )
    return Sender(caller, name)


async def take_in(raw: bytes, adapter: str, who: Sender, services: Services) -> dict[str, Any]:
    """
    Take one message in; durable when it returns what became of it. Bringing it again changes nothing.

    Raises `Problem`: `is_final` says whether the message itself is refused, and it is then in quarantine, unless it is a status
    that a newer one replaced.
    """
    if isinstance(adapters.get(adapter), Streaming) and len(raw) > services.settings.sync_file_bytes:
        return await _for_a_task(raw, adapter, who, services)
    digest = services.vault.request_digest(who.caller.client_id.encode(), adapter.encode(), raw)
    attempt = Attempt(who.caller.client_id, digest.hex(), digest)
    try:
        body = await _received(raw, adapter, who, attempt, services)
        if body["invalid"]:
            await set_aside(raw, adapter, "document_invalid", who.caller, services)
        return body
    except FileRefused as refusal:
        told = verdicts.refused(refusal)
        told.extra["quarantine"] = await set_aside(raw, adapter, refusal.code, who.caller, services)
        raise told from refusal
    except Problem as problem:
        if is_final(problem) and problem.code != STALE:  # what a newer status replaced has nothing to be examined
            problem.extra["quarantine"] = await set_aside(raw, adapter, problem.code, who.caller, services)
        raise


async def _received(raw: bytes, adapter: str, who: Sender, attempt: Attempt, services: Services) -> dict[str, Any]:
    """
    Hand a message to `receive`, again when a number that we gave its status was taken by another one in the meantime.

    Raises `Problem`: stale_status when it is the system itself that numbers, and this status is older than what was sent.
    """
    organisation = {"siret": who.caller.partner, "name": who.name}
    for _ in range(5):
        try:
            acceptance = await receive(
                raw,
                adapter=adapters.get(adapter),
                sender=organisation,
                caller=who.caller,
                attempt=attempt,
                services=services,
            )
        except Problem as problem:
            if not number_taken(problem):
                raise
        else:
            return dict(acceptance.body)
    raise busy()


async def _for_a_task(raw: bytes, adapter: str, who: Sender, services: Services) -> dict[str, Any]:
    """Keep a large file, which a task takes in piece by piece as those that are sent; durable when it returns."""

    def attempt(came: Kept) -> Attempt:
        digest = services.vault.request_digest(who.caller.client_id.encode(), adapter.encode(), came.digest("sha-512"))
        return Attempt(who.caller.client_id, digest.hex(), digest)

    told, _ = await task.accept(adapter, _once(raw), who.caller, attempt, services)
    return {"exchanges": [], "flow": told}


async def attach(exchange_id: str, files: Sequence[bytes], who: Sender, services: Services) -> None:
    """Give a document the files that it announced; one that is not of a kind that may be attached is left out, and told in the log."""

    def attempt(digest: str) -> Attempt:
        key = services.vault.request_digest(b"attachment", exchange_id.encode(), digest.encode())
        return Attempt(who.caller.client_id, key.hex(), key)

    for content in files:
        try:
            await attachments.receive(exchange_id, _once(content), who.caller, attempt, services)
        except Problem as problem:
            if not is_final(problem):
                raise
            _log.info("source.file_left_out", extra={"client_id": who.caller.client_id, "code": problem.code})


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content


def is_final(problem: Problem) -> bool:
    """Whether a message would be refused again for the same reason."""
    return problem.code not in _LATER
