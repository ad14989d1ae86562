"""
The files of a document, for a transport that carries them with it: decided on and recorded as when their recipient fetches them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gateway import attachment_handover
from gateway.attachments import READY
from gateway.delivery.base import Endpoint, caller_of
from gateway.errors import Problem
from gateway.services import Services


class Awaited(Exception):
    """A file that the document announces has not come yet, or is still examined: to be tried again."""


@dataclass(frozen=True, slots=True)
class File:
    """A file that is ready to leave: its name and media type as the document says them, its size in bytes."""

    ident: str
    name: str
    media_type: str
    size: int


class Attached:
    """Gives the files of deliveries under lease; keeps nothing, safe to use concurrently."""

    def __init__(self, services: Services) -> None:
        """`services` of the process."""
        self._services = services

    async def files(self, endpoint: Endpoint, delivery_id: str) -> Sequence[File]:
        """
        The files that may leave with a delivery; one in which a virus was found is left out.

        Raises `Awaited`.
        """
        caller = caller_of(endpoint)
        told = await attachment_handover.of_delivery(delivery_id, caller, self._services, caller.channel)
        if any(each["state"] in ("awaited", "receiving", "quarantined") for each in told):
            raise Awaited
        ready = [each for each in told if each["state"] in READY]
        return [File(each["id"], each["name"], each["media_type"], each["size"]) for each in ready]

    async def content(self, endpoint: Endpoint, file: File) -> bytes:
        """The bytes of a file, 50 MB at most, once their disclosure is durable; raises `Awaited` when it may not leave any more."""
        caller = caller_of(endpoint)
        try:
            _, pieces = await attachment_handover.hand_over(file.ident, caller, self._services, caller.channel)
        except Problem as problem:
            raise Awaited from problem
        content = bytearray()
        async for piece in pieces:
            content += piece
        return bytes(content)
