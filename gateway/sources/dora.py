"""
Dora: what became of the orientations, asked from the last change on (`GET /api/emplois/orientations/status/?updated_after=`).

The bound is included and the clocks differ: three seconds are asked for again, and what was taken is recognised. Pages may come in any
order: a run is read whole, then taken from its oldest change on, each with the bound that it allows.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode

import orjson

from gateway.delivery.base import Configuration
from gateway.outgoing import SafeClient
from gateway.sources import calls
from gateway.sources.base import Found, PullFailed, Source, every

_PATH: Final = "/api/emplois/orientations/status/"
_PAGE: Final = 100
_MOST: Final = 1000
"""Pages of one run: a system that always has one more would never be done."""
_TOLERANCE: Final = timedelta(seconds=3)


class DoraConnector:
    """The contract `gateway.sources.base.Connector` for Dora."""

    def __init__(self, client: SafeClient) -> None:
        """`client` is the only way out."""
        self._client = client

    def configure(self, asked: Mapping[str, Any], current: Source) -> Configuration:
        """See `Connector.configure`: takes `api_url`, `token` and `every_seconds`."""
        calls.only(asked, "api_url", "token", "every_seconds")
        url = calls.checked_url(asked, "api_url", current.allowance)
        kept = current.secrets if current.way == "dora" else {}
        return Configuration(
            {"api_url": url, **every(asked, usual=300)}, {"token": calls.secret(asked, kept, "token")}, {}
        )

    async def pull(self, source: Source) -> AsyncIterator[Found]:
        """See `Connector.pull`: one message a change."""
        rows = [row async for row in self._rows(source)]
        for at, row in sorted(rows, key=lambda each: each[0]):
            yield Found(orjson.dumps({"results": [row]}), "dora-status", cursor={"updated_after": at.isoformat()})

    async def look(self, source: Source) -> int:
        """See `Connector.look`: the first page of the changes since the last one taken."""
        return len((await self._page(source, 1))["results"])

    async def _page(self, source: Source, page: int) -> dict[str, Any]:
        # The number of the page, and not the address of the next one that the answer gives: it could lead anywhere.
        asked = {"page_size": str(_PAGE), "page": str(page)}
        if "updated_after" in source.cursor:
            since = datetime.fromisoformat(source.cursor["updated_after"]) - _TOLERANCE
            asked["updated_after"] = since.isoformat()
        headers = {"Authorization": f"Token {source.secrets['token']}", "Accept": "application/json"}
        url = f"{source.settings['api_url']}{_PATH}?{urlencode(asked)}"
        found = calls.parsed(await calls.call(self._client, "GET", url, headers, source.allowance))
        if not isinstance(found, dict) or not isinstance(found.get("results"), list):
            raise PullFailed("not_dora")
        return found

    async def _rows(self, source: Source) -> AsyncIterator[tuple[datetime, Mapping[str, Any]]]:
        for page in range(1, _MOST + 1):
            found = await self._page(source, page)
            for row in found["results"]:
                yield _changed_at(row), row
            if not found.get("next"):
                return
        raise PullFailed("too_many_pages")


def _changed_at(row: Any) -> datetime:
    try:
        at = datetime.fromisoformat(row["updated_at"])
    except (KeyError, TypeError, ValueError) as error:
        raise PullFailed("not_dora") from error
    if at.tzinfo is None:
        raise PullFailed("not_dora")
    return at
