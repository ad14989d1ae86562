"""
What HubEE holds for a partner's system: its notifications, one at a time.

    a case for it (role SI)      its files are downloaded and checked first: from IN_PROGRESS on, the hub deletes them
    an event of a case           what the other side did

Only then, once all that is durable here: the hub is told (SI_RECEIVED, or SI_INTG_ERROR for what we could not read), and the
notification is deleted. The queue is the organisation's: another process's notification, or another organisation's that
the same editor serves, is neither read nor deleted.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Final

import orjson

from gateway.delivery.base import Configuration
from gateway.hubee.access import Access, AccessInvalid, adapter_of, configured
from gateway.hubee.client import Hub, Tokens
from gateway.hubee.elsewhere import document_of, remember
from gateway.hubee.names import delivery_of
from gateway.outgoing import SafeClient
from gateway.sources.base import Found, Settled, Source, every, invalid
from gateway.store.database import Database

_AT_ONCE: Final = 25
_NOT_TAKEN: Final = frozenset({"HUBEE_NOTIFIED", "SENT"})
_FORM: Final = "FormulaireQF"
_LEFT_OUT: Final = frozenset({"events", "recipient"})


class HubeeConnector:
    """The contract `gateway.sources.base.Connector` for HubEE."""

    def __init__(self, client: SafeClient, database: Database, clock: Callable[[], datetime]) -> None:
        """`client` is the only way out; `database` keeps what our documents are called in the hub."""
        self._client, self._database, self._clock = client, database, clock
        self._tokens = Tokens(clock)

    def configure(self, asked: Mapping[str, Any], current: Source) -> Configuration:
        """See `Connector.configure`: the account, and `every_seconds`."""
        kept = current.secrets if current.way == "hubee" else {}
        try:
            return configured(asked, kept, current.allowance, every(asked, usual=60))
        except AccessInvalid as error:
            raise invalid(error.message_fr, error.message_en) from error

    async def pull(self, source: Source) -> AsyncIterator[Found]:
        """See `Connector.pull`: until nothing is left that is for this source."""
        hub, seen, left = self._hub(source), set[str](), 0
        # What is left in the queue stays at its head: as many more are asked for, or they would hide those behind.
        while new := [each for each in await hub.notifications(_AT_ONCE + left) if each["id"] not in seen]:
            for notification in new:
                seen.add(notification["id"])
                left += 1
                async for found in self._read(hub, notification):
                    left -= found.settle is not None
                    yield found

    async def look(self, source: Source) -> int:
        """See `Connector.look`: the first notifications of the queue, another organisation's and another process's too."""
        return len(await self._hub(source).notifications(_AT_ONCE))

    def _hub(self, source: Source) -> Hub:
        access = Access.of(source.settings, source.secrets, source.partner, source.allowance)
        return Hub(self._client, access, self._tokens)

    async def _read(self, hub: Hub, notification: Mapping[str, Any]) -> AsyncIterator[Found]:
        ident, case_id = str(notification["id"]), notification.get("caseId")
        if not isinstance(case_id, str):
            return
        case = await hub.case(case_id)
        if not hub.access.concerns(case.get("recipient")) or case.get("processCode") != notification["processCode"]:
            return
        files = await self._files(hub, case_id, case)
        if files is None:
            return
        event_id = notification.get("eventId")
        if isinstance(event_id, str):
            event = await hub.event(case_id, event_id)
            record = await self._record(hub, case, files) | {"Event": event, "Rank": _rank(case, event_id)}
            yield Found(orjson.dumps([record]), "hubee", settle=partial(_event_settled, hub, ident, case_id, event_id))
            return
        settle = partial(self._case_settled, hub, ident, case)
        adapter = adapter_of(str(notification["processCode"]))
        if adapter == "hubee":
            record = await self._record(hub, case, files)
            yield Found(orjson.dumps([record]), adapter, settle=settle, files=tuple(files.values()))
            return
        # Each file is a flow of its own; the hub is told after the last one. A case without a usable file is told to be so.
        for rank, content in enumerate(files.values() or [b""], 1):
            yield Found(content, adapter, settle=settle if rank >= len(files) else None)

    async def _files(self, hub: Hub, case_id: str, case: Mapping[str, Any]) -> dict[str, bytes] | None:
        """The files of a case by their numbers, each noted in it with its digest; None while one is on its way to the hub."""
        described = [each for each in case.get("attachments") or [] if isinstance(each, dict)]
        if any(each.get("status") == "PENDING" for each in described):
            return None
        files: dict[str, bytes] = {}
        for each in described:
            if each.get("status") == "RECEIVED":
                content = files[str(each["id"])] = await hub.attachment(case_id, each)
                each["Digest"] = hashlib.sha256(content).hexdigest()
        return files

    async def _record(self, hub: Hub, case: Mapping[str, Any], files: Mapping[str, bytes]) -> dict[str, Any]:
        """What the adapter reads of a case: itself, the form that is one of its files, the referral that it answers."""
        # What comes to us goes where our conventions say: the hub's recipient is ourselves.
        record: dict[str, Any] = {"Case": {name: value for name, value in case.items() if name not in _LEFT_OUT}}
        for each in case.get("attachments") or []:
            if case.get("processCode") == _FORM and each.get("mimeType") == "application/json" and each["id"] in files:
                record[_FORM] = _json(files[each["id"]])
        delivery = delivery_of(str(case.get("externalId", "")))
        document = await document_of(self._database, delivery, hub.access.partner) if delivery else None
        return record | ({"Referral": document} if document else {})

    async def _case_settled(self, hub: Hub, notification: str, case: Mapping[str, Any], settled: Settled) -> None:
        case_id = str(case["id"])
        for document in settled.documents:
            await remember(self._database, document, hub.access.partner, case_id, self._clock())
        if hub.access.role == "SI" and case.get("status") in _NOT_TAKEN:
            await hub.set_case_status(case_id, "SI_RECEIVED" if settled.taken else "SI_INTG_ERROR")
        await hub.delete_notification(notification)


async def _event_settled(hub: Hub, notification: str, case_id: str, event_id: str, _settled: Settled) -> None:
    await hub.acknowledge_event(case_id, event_id)
    await hub.delete_notification(notification)


def _rank(case: Mapping[str, Any], event_id: str) -> int:
    """The place of an event among those of its case, from 1."""
    events: Sequence[Any] = case.get("events") or []
    places = [rank for rank, each in enumerate(events, 1) if isinstance(each, dict) and each.get("id") == event_id]
    return places[0] if places else len(events) + 1


def _json(content: bytes) -> Any:
    """A file as JSON; what is none is left to the adapter to miss."""
    try:
        return orjson.loads(content)
    except ValueError:
        return None
