"""
i-Milo, of the missions locales: its events carry numbers only; each says which case file to read, and is acknowledged once that is taken.

    DOSSIER, created or changed     the case file is a referral
    RDV                             the case file with the event: a status of the person's referral
    SESSION, and what is gone       nothing to read about a person: acknowledged
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from functools import partial
from typing import Any, Final
from urllib.parse import quote

import orjson

from gateway.delivery.base import Configuration
from gateway.outgoing import SafeClient
from gateway.sources import calls
from gateway.sources.base import Found, PullFailed, Settled, Source, every

_KEY: Final = "X-Gravitee-Api-Key"
_GONE: Final = frozenset({"DELETE", "ARCHIVE"})


class IMiloConnector:
    """The contract `gateway.sources.base.Connector` for i-Milo."""

    def __init__(self, client: SafeClient) -> None:
        """`client` is the only way out."""
        self._client = client

    def configure(self, asked: Mapping[str, Any], current: Source) -> Configuration:
        """See `Connector.configure`: takes `api_url`, `api_key` and `every_seconds`."""
        calls.only(asked, "api_url", "api_key", "every_seconds")
        url = calls.checked_url(asked, "api_url", current.allowance)
        kept = current.secrets if current.way == "i-milo" else {}
        return Configuration(
            {"api_url": url, **every(asked, usual=60)}, {"api_key": calls.secret(asked, kept, "api_key")}, {}
        )

    async def pull(self, source: Source) -> AsyncIterator[Found]:
        """See `Connector.pull`: until the list of events holds nothing new."""
        seen: set[str] = set()
        while new := [each for each in await self._events(source) if str(each["identifiant"]) not in seen]:
            for event in new:
                seen.add(str(event["identifiant"]))
                raw = await self._read(source, event)
                settle = partial(self._acknowledge, source, str(event["identifiant"]))
                if raw is None:
                    await settle(Settled(taken=False))
                else:
                    yield Found(raw, "i-milo", settle=settle)

    async def look(self, source: Source) -> int:
        """See `Connector.look`: the list of events, which stays as it is."""
        return len(await self._events(source))

    async def _events(self, source: Source) -> list[dict[str, Any]]:
        found = calls.parsed(await self._call(source, "GET", "/operateurs/events"))
        if not isinstance(found, list) or not all(isinstance(each, dict) and "identifiant" in each for each in found):
            raise PullFailed("not_i_milo")
        return found

    async def _read(self, source: Source, event: Mapping[str, Any]) -> bytes | None:
        """The case file that an event names, with the event when it is an appointment's; None when there is nothing to take."""
        kind, action = event.get("type"), event.get("action")
        if kind not in {"DOSSIER", "RDV"} or (kind == "DOSSIER" and action in _GONE):
            return None
        reply = await self._call(source, "GET", f"/sue/dossiers/{quote(str(event.get('idDossier')), safe='')}")
        if reply.status == 404:
            return None
        file = calls.parsed(reply)
        if not isinstance(file, dict):
            raise PullFailed("not_i_milo")
        return orjson.dumps(file | {"evenement": event} if kind == "RDV" else file)

    async def _acknowledge(self, source: Source, event: str, _settled: Settled) -> None:
        reply = await self._call(source, "POST", f"/operateurs/events/{quote(event, safe='')}/ack")
        if not (200 <= reply.status < 300 or reply.status == 404):
            raise PullFailed(f"http_{reply.status}")

    async def _call(self, source: Source, method: str, path: str) -> Any:
        headers = {_KEY: source.secrets["api_key"], "Accept": "application/json"}
        url = source.settings["api_url"] + path
        return await calls.call(self._client, method, url, headers, source.allowance)
