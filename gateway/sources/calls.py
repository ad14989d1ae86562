"""
Calls to a partner's system that is asked, with their failures as the collector knows them.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import orjson

from gateway.outgoing import Reply, SafeClient
from gateway.outgoing_addresses import Allowance, OutgoingFailed, OutgoingRefused, check
from gateway.sources.base import PullFailed, invalid


async def call(
    client: SafeClient,
    method: str,
    url: str,
    headers: Mapping[str, str],
    allowance: Allowance,
    *,
    content: bytes = b"",
    limit: int = 5_000_000,
    deadline: float = 30.0,
) -> Reply:
    """Send one request and give its reply, whatever its status; raises `PullFailed` when there is none."""
    try:
        return await client.request(
            method, url, headers=headers, content=content, allowance=allowance, limit=limit, deadline=deadline
        )
    except (OutgoingFailed, OutgoingRefused) as error:
        raise PullFailed(error.code) from error


def parsed(reply: Reply) -> Any:
    """Read a reply as JSON; raises `PullFailed` for any status but 2xx (with the pause that it asks for), and for what is no JSON."""
    if not 200 <= reply.status < 300:
        pause = reply.headers.get("retry-after", "")
        seconds = int(pause) if pause.isascii() and pause.isdigit() and len(pause) < 6 else 0
        raise PullFailed(f"http_{reply.status}", timedelta(seconds=min(seconds, 3600)))
    if reply.truncated:
        raise PullFailed("answer_too_large")
    try:
        return orjson.loads(reply.body)
    except ValueError as error:
        raise PullFailed("not_json") from error


def checked_url(asked: Mapping[str, Any], name: str, allowance: Allowance) -> str:
    """Give the address of a setting, without its last slash, as far as its text may be called; raises `Problem` source_invalid."""
    url = asked.get(name)
    if not isinstance(url, str):
        raise invalid(f"Donnez « {name} », en https", f"Give “{name}”, in https")
    try:
        check(url, allowance)
    except OutgoingRefused as refused:
        raise invalid(refused.message_fr.rstrip("."), refused.message_en.rstrip(".")) from refused
    return url.rstrip("/")


def secret(asked: Mapping[str, Any], kept: Mapping[str, Any], name: str) -> str:
    """Give a secret, the one so far when it is not given again; raises `Problem` source_invalid."""
    found = asked.get(name, kept.get(name))
    if not (isinstance(found, str) and found.isascii() and found.isprintable() and 0 < len(found) <= 500):
        raise invalid(f"Donnez « {name} »", f"Give “{name}”")
    return found


def only(asked: Mapping[str, Any], *known: str) -> None:
    """Demand that settings name nothing else than what exists; raises `Problem` source_invalid."""
    if not asked.keys() <= set(known):
        names = ", ".join(known)
        raise invalid(f"Réglages possibles ici : {names}", f"Possible settings here: {names}")
