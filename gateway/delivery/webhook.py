"""
Webhook: we call the partner's system, and its answer is the acknowledgement.

    2xx                     it has it
    400, 413, 415, 422      it cannot take this one: tried again a few times, then set aside
    410                     it wants no call any more: suspended at once
    anything else           it is in no state to answer: it rests, then is tried again (a redirection is not followed)

`Retry-After` is heard, up to an hour. A system that already reads the calls of rdv-insertion gets ours in that form
(`gateway.delivery.rdv_insertion_form`) when its endpoint says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from time import monotonic
from typing import Any, Final

import orjson

from gateway.delivery import rdv_insertion_form
from gateway.delivery.base import Answer, Configuration, Endpoint, Outcome, Result, invalid, only
from gateway.delivery.signing import MessageSigner, new_secret, secrets_in_force
from gateway.handover import Handover, Parcel
from gateway.outgoing import Reply, SafeClient
from gateway.outgoing_addresses import OutgoingFailed, OutgoingRefused, check
from gateway.store.database import instant

DELIVERED: Final = "org.trait-dunion.delivery.v1"
TEST: Final = "org.trait-dunion.test.v1"
SUSPENDED: Final = "org.trait-dunion.endpoint-suspended.v1"

_ITS_OWN_FAULT: Final = frozenset({400, 413, 415, 422})
_LONGEST_PAUSE: Final = timedelta(hours=1)
_FORMS: Final = ("standard", rdv_insertion_form.NAME)
_NOT_KNOWN: Final = frozenset({401, 403})
_AT_ONCE: Final = 8
"""Calls under way to one system."""


class WebhookTransport:
    """The contract `gateway.delivery.base.Transport` over HTTPS."""

    batch = 4 * _AT_ONCE
    patience = timedelta(0)
    look_every = None

    def __init__(self, client: SafeClient, signer: MessageSigner, clock: Callable[[], datetime]) -> None:
        """`client` is the only way out; `signer` signs every call."""
        self._client = client
        self._signer = signer
        self._clock = clock

    def configure(self, asked: Mapping[str, Any], current: Endpoint) -> Configuration:
        """
        See `Transport.configure`: takes `url`, `notice_url` for what concerns the endpoint itself, and `form` of the calls.

        The secret is made once, and kept when only the addresses change.
        """
        only(asked, "url", "notice_url", "form")
        if asked.get("form", _FORMS[0]) not in _FORMS:
            raise invalid(f"« form » vaut : {', '.join(_FORMS)}", f"“form” is one of: {', '.join(_FORMS)}")
        for name in ("url", "notice_url"):
            if name in asked or name == "url":
                _checked(asked.get(name), current)
        if current.transport == "webhook" and current.secrets:
            return Configuration(dict(asked), current.secrets, {})
        secret = new_secret()
        return Configuration(dict(asked), {"secret": secret}, {"secret": secret})

    def rotate(self, current: Endpoint, overlap: timedelta) -> Configuration:
        """
        See `Transport.rotate`: the secret in force goes on signing beside the new one.

        Rotating again meanwhile replaces the new one, whose answer may have been lost, and not the one that the partner has.
        """
        now = self._clock()
        kept, until = current.secrets, now + overlap
        previous = secrets_in_force(kept, now)[-1]
        if previous != kept["secret"]:
            until = min(until, datetime.fromisoformat(kept["previous_until"]))
        secret, last = new_secret(), until.isoformat(timespec="seconds")
        sealed = {"secret": secret, "previous": previous, "previous_until": last}
        return Configuration(current.settings, sealed, {"secret": secret, "previous_until": last})

    async def hand_over(self, endpoint: Endpoint, handed: Handover) -> Mapping[str, Outcome]:
        """See `Transport.hand_over`; some calls at once."""
        turn = asyncio.Semaphore(_AT_ONCE)

        async def carry(parcel: Parcel) -> Outcome:
            async with turn:
                ident = parcel.taken.delivery_id
                return await self._call(endpoint, endpoint.settings["url"], ident, DELIVERED, parcel.shown())

        outcomes = await asyncio.gather(*(carry(parcel) for parcel in handed.parcels))
        return {parcel.taken.delivery_id: outcome for parcel, outcome in zip(handed.parcels, outcomes, strict=True)}

    async def collect(self, endpoint: Endpoint) -> Sequence[Answer]:
        """See `Transport.collect`: nobody answers later."""
        return ()

    async def test(self, endpoint: Endpoint) -> Outcome:
        """See `Transport.test`: an event of type `TEST`, signed as the others."""
        now = self._clock()
        data = {"client_id": endpoint.client_id, "sent_at": instant(now)}
        return await self._call(endpoint, endpoint.settings["url"], f"test-{int(now.timestamp() * 1000)}", TEST, data)

    async def tell_suspended(self, endpoint: Endpoint) -> Outcome | None:
        """Tell the partner's other address, if it gave one, that this one is not called any more."""
        if "notice_url" not in endpoint.settings:
            return None
        data = {"client_id": endpoint.client_id, "reason": endpoint.last_error}
        ident = f"suspended-{int(self._clock().timestamp() * 1000)}"
        return await self._call(endpoint, endpoint.settings["notice_url"], ident, SUSPENDED, data)

    async def close(self) -> None:
        """See `Transport.close`: the client belongs to the process."""

    async def _call(self, endpoint: Endpoint, url: str, ident: str, kind: str, data: Mapping[str, Any]) -> Outcome:
        now, began = self._clock(), monotonic()
        send = self._as_rdv_insertion if endpoint.settings.get("form") == rdv_insertion_form.NAME else self._standard
        try:
            reply = await send(endpoint, url, ident, kind, data, now)
        except OutgoingRefused as error:
            return Outcome(Result.FAILED, error.code, milliseconds=_since(began))
        except OutgoingFailed as error:
            return Outcome(Result.FAILED, error.code, milliseconds=_since(began))
        code, took = f"http_{reply.status}", _since(began)
        if 200 <= reply.status < 300:
            return Outcome(Result.TAKEN, code, reply.body, took)
        if reply.status in _ITS_OWN_FAULT:
            return Outcome(Result.REFUSED, code, reply.body, took)
        pause = _pause(reply.headers.get("retry-after", ""))
        return Outcome(Result.FAILED, code, reply.body, took, retry_after=pause, gone=reply.status == 410)

    async def _standard(
        self, endpoint: Endpoint, url: str, ident: str, kind: str, data: Mapping[str, Any], now: datetime
    ) -> Reply:
        body = orjson.dumps({"type": kind, "timestamp": instant(now), "data": data})
        shared = secrets_in_force(endpoint.secrets, now)
        headers = self._signer.headers("POST", url, body, ident=ident, shared=shared, now=now)
        return await self._client.request("POST", url, headers=headers, content=body, allowance=endpoint.allowance)

    async def _as_rdv_insertion(
        self, endpoint: Endpoint, url: str, ident: str, kind: str, data: Mapping[str, Any], now: datetime
    ) -> Reply:
        """One header holds one signature: while a secret replaces another, the older one is tried where the newer is not known."""
        body, allowed = rdv_insertion_form.message(kind, data, now), endpoint.allowance
        for secret in secrets_in_force(endpoint.secrets, now):
            headers = rdv_insertion_form.headers(ident, secret, body)
            reply = await self._client.request("POST", url, headers=headers, content=body, allowance=allowed)
            if reply.status not in _NOT_KNOWN:
                break
        return reply


def _checked(url: object, current: Endpoint) -> None:
    if not isinstance(url, str):
        raise invalid("Donnez l'adresse « url » à appeler, en https", "Give the address “url” to call, in https")
    try:
        check(url, current.allowance)
    except OutgoingRefused as refused:
        raise invalid(refused.message_fr.rstrip("."), refused.message_en.rstrip(".")) from refused


def _pause(text: str) -> timedelta | None:
    """Read `Retry-After` in seconds; a date says nothing to a clock that may differ."""
    if text.isascii() and text.isdigit() and len(text) < 10:
        return min(timedelta(seconds=int(text)), _LONGEST_PAUSE)
    return None


def _since(began: float) -> int:
    return int((monotonic() - began) * 1000)
