"""
The interface v1 of HubEE (folders 1.2.7) as a client: a token for each account, then folders, cases, events, attachments.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import quote, urlencode

import orjson

from gateway.hubee.access import Access
from gateway.outgoing import Reply, SafeClient
from gateway.sources.base import PullFailed
from gateway.sources.calls import call, parsed

_BASE: Final = "/teledossiers/v1"
_HEADERS: Final = {"editorName": "Trait d'union", "applicationName": "Trait d'union", "softwareVersion": "1.0"}
_LARGEST: Final = 52_428_800
_SLOW: Final = 300.0
"""Seconds for a file: the hub itself gives itself as long."""
_EARLY: Final = timedelta(seconds=30)
"""Before its end, a token is no longer used: it must last as long as the call."""


class Hub:
    """The hub as one account sees it; raises `PullFailed` for whatever is not the answer that was expected."""

    def __init__(self, client: SafeClient, access: Access, tokens: Tokens) -> None:
        """`tokens` are shared by the calls of a process."""
        self._client, self.access, self._tokens = client, access, tokens

    async def notifications(self, limit: int) -> list[dict[str, Any]]:
        """What waits for the account, of its own processes only: the queue is that of the whole organisation."""
        query = [("maxResult", str(limit)), *(("processCode", code) for code in self.access.processes)]
        found = await self._json("GET", f"/notifications?{urlencode(query)}")
        if not isinstance(found, list):
            raise PullFailed("not_hubee")
        mine = [each for each in found if isinstance(each, dict) and each.get("processCode") in self.access.processes]
        return [each for each in mine if isinstance(each.get("id"), str)]

    async def delete_notification(self, ident: str) -> None:
        """Say that a notification was dealt with; one that is gone already is no fault."""
        await self._call("DELETE", f"/notifications/{_part(ident)}", missing=True)

    async def case(self, ident: str) -> dict[str, Any]:
        """One case, its events with it."""
        return _object(await self._json("GET", f"/cases/{_part(ident)}"))

    async def set_case_status(self, ident: str, status: str) -> None:
        """Move a case to another state; the hub refuses a step that its process does not have."""
        await self._call("PATCH", f"/cases/{_part(ident)}", {"status": status})

    async def event(self, case: str, ident: str) -> dict[str, Any]:
        """One event of a case."""
        return _object(await self._json("GET", f"/cases/{_part(case)}/events/{_part(ident)}"))

    async def add_event(self, case: str, event: Mapping[str, Any]) -> None:
        """Tell the other side something about a case."""
        await self._call("POST", f"/cases/{_part(case)}/events", event)

    async def acknowledge_event(self, case: str, ident: str) -> None:
        """Say that an event was received."""
        await self._call("PATCH", f"/cases/{_part(case)}/events/{_part(ident)}", {"status": "RECEIVED"})

    async def attachment(self, case: str, described: Mapping[str, Any]) -> bytes:
        """
        The bytes of one attachment of a case: as large as was said, and with the digest that the hub gives with them.

        Raises `PullFailed` attachment_altered otherwise: nothing of it may be used.
        """
        path = f"/cases/{_part(case)}/attachments/{_part(str(described.get('id')))}"
        reply = await self._call("GET", path, limit=_LARGEST, deadline=_SLOW)
        given = reply.headers.get("digest", "").removeprefix("SHA-256=").strip()
        right = base64.b64encode(hashlib.sha256(reply.body).digest()).decode()
        if reply.truncated or len(reply.body) != described.get("size") or given != right:
            raise PullFailed("attachment_altered")
        return reply.body

    async def create_folder(self, folder: Mapping[str, Any]) -> dict[str, Any]:
        """File a folder without its files; nobody is told of it yet."""
        return _object(await self._json("POST", "/folders", folder))

    async def folder(self, ident: str) -> dict[str, Any] | None:
        """A folder filed before; None when the hub has it no more."""
        reply = await self._call("GET", f"/folders/{_part(ident)}", missing=True)
        return None if reply.status == 404 else _object(parsed(reply))

    async def put_attachment(self, folder: str, ident: str, content: bytes) -> None:
        """Send the bytes of one attachment, with their digest."""
        digest = base64.b64encode(hashlib.sha256(content).digest()).decode()
        headers = {"Content-Type": "application/octet-stream", "digest": digest}
        path = f"/folders/{_part(folder)}/attachments/{_part(ident)}"
        await self._call("PUT", path, content=content, headers=headers, deadline=_SLOW)

    async def complete_folder(self, ident: str) -> None:
        """Say that a folder has all its files: the hub then tells the recipients."""
        await self._call("PATCH", f"/folders/{_part(ident)}", {"globalStatus": "HUBEE_COMPLETED"})

    async def _json(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        return parsed(await self._call(method, path, body))

    async def _call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        content: bytes = b"",
        headers: Mapping[str, str] | None = None,
        missing: bool = False,
        limit: int = 5_000_000,
        deadline: float = 30.0,
    ) -> Reply:
        sent = orjson.dumps(body) if body is not None else content
        more = {**_HEADERS, **({"Content-Type": "application/json"} if body is not None else {}), **(headers or {})}
        for again in (False, True):
            token = await self._tokens.of(self._client, self.access, fresh=again)
            reply = await call(
                self._client,
                method,
                self.access.api_url + _BASE + path,
                {**more, "Authorization": f"Bearer {token}"},
                self.access.allowance,
                content=sent,
                limit=limit,
                deadline=deadline,
            )
            if reply.status != 401:
                break
        if not (200 <= reply.status < 300 or (missing and reply.status == 404)):
            raise PullFailed(f"http_{reply.status}")
        return reply


class Tokens:
    """The tokens of the accounts of a process, each asked for again before its end."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        """`clock` says when a token ends."""
        self._clock = clock
        self._kept: dict[tuple[str, str, str], tuple[str, datetime]] = {}

    async def of(self, client: SafeClient, access: Access, *, fresh: bool = False) -> str:
        """Give the token of an account; `fresh`: the one at hand was refused."""
        place, now = (access.token_url, access.client_id, access.role), self._clock()
        kept = self._kept.get(place)
        if kept and not fresh and kept[1] > now:
            return kept[0]
        secret = base64.b64encode(f"{access.client_id}:{access.client_secret}".encode()).decode()
        headers = {"Authorization": f"Basic {secret}", "Content-Type": "application/x-www-form-urlencoded"}
        form = urlencode({"grant_type": "client_credentials", "scope": access.role}).encode()
        reply = await call(client, "POST", access.token_url, headers, access.allowance, content=form)
        if reply.status != 200:
            raise PullFailed(f"token_{reply.status}")
        given = _object(parsed(reply))
        token, seconds = given.get("access_token"), given.get("expires_in", 300)
        if not isinstance(token, str) or not isinstance(seconds, int):
            raise PullFailed("not_hubee")
        self._kept[place] = (token, now + timedelta(seconds=seconds) - _EARLY)
        return token


def _part(text: str) -> str:
    return quote(text, safe="")


def _object(found: Any) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise PullFailed("not_hubee")
    return found
