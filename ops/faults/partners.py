"""
The partners of a campaign: a CAF that sends and insists, a département that takes its mailbox, systems that are called.

They do what the documentation tells partners to do, and nothing more: one `Idempotency-Key` a sending, the same one until the
202; an acknowledgement once what was taken is written down; an answer 2xx to a call, twice if it comes twice.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import time
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import Any, Final

import httpx

from gateway.auth.client import Token, TokenRefused, fetch_token
from ops.demo.partner import KID
from ops.faults.journal import Journal

CAF: Final = "99900001100018"
FLOW: Final = 20
"""Documents of one flow."""
_PAUSE: Final = 0.2
_PATIENCE: Final = httpx.Timeout(10)
_PEOPLE: Final = 50_000
_COME_BACK: Final = frozenset({401, 408, 409, 429, 500, 502, 503, 504})

_numbers = count(1)


@dataclass(slots=True)
class Client:
    """One partner's software: signs in, sends a request again until it is answered."""

    issuer: str
    address: str
    client_id: str
    pem: bytes = field(repr=False)
    http: httpx.AsyncClient = field(repr=False)
    token: Token | None = None
    sent_at: float = 0.0

    async def insist(self, method: str, path: str, *, content: bytes = b"", **headers: str) -> httpx.Response:
        """Send one request until an answer comes that is not "come back"; the same key each time."""
        while True:
            with suppress(httpx.HTTPError, TokenRefused, json.JSONDecodeError):
                self.sent_at = time.monotonic()
                answer = await self.once(method, path, content=content, **headers)
                if answer.status_code not in _COME_BACK:
                    return answer
                if answer.status_code == 401:
                    self.token = None
            await asyncio.sleep(_PAUSE)

    async def once(self, method: str, path: str, *, content: bytes = b"", **headers: str) -> httpx.Response:
        """Send one request, once."""
        if self.token is None or self.token.expires_at < time.time() + 30:
            self.token = await fetch_token(
                self.http, issuer=self.issuer, client_id=self.client_id, private_key_pem=self.pem, kid=KID
            )
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        url = self.address + path
        return await self.http.request(
            method, url, content=content, headers=self.token.headers | named, timeout=_PATIENCE
        )


@dataclass(slots=True)
class Load:
    """What the CAF sends for as long as a campaign lasts: flows to one recipient, single referrals to others."""

    client: Client
    journal: Journal
    flows_to: str
    singles_to: Sequence[str]
    rate: float
    """Documents a second, as long as the gateway follows."""
    poisoned: set[str] = field(default_factory=set)
    """Deliveries whose recipient will never take them."""

    async def run(self, stop: asyncio.Event) -> None:
        """Send until told to stop; what is under way is insisted on to its end."""
        while not stop.is_set():
            began = time.monotonic()
            await self.flow()
            for siret in self.singles_to:
                await self.single(siret)
            sent = FLOW + len(self.singles_to)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), max(0.001, began + sent / self.rate - time.monotonic()))

    async def flow(self) -> None:
        """Send one flow of documents."""
        lines = [json.dumps(referral(self.flows_to)) for _ in range(FLOW)]
        headers = {"Content_Type": "application/x-ndjson", "Idempotency_Key": str(uuid.uuid4())}
        await self._send("/v1/inbound/shared-json", self.flows_to, "\n".join(lines).encode(), headers)

    async def single(self, siret: str, **changes: Any) -> list[str]:
        """Send one referral; gives its delivery."""
        headers = {"Content_Type": "application/json", "Idempotency_Key": str(uuid.uuid4())}
        return await self._send("/v1/referrals", siret, json.dumps(referral(siret, **changes)).encode(), headers)

    async def _send(self, path: str, siret: str, content: bytes, headers: dict[str, str]) -> list[str]:
        # A client of its own: the instant of the sending is that of this request.
        sender = Client(
            self.client.issuer, self.client.address, self.client.client_id, self.client.pem, self.client.http
        )
        sender.token = self.client.token
        answer = await sender.insist("POST", path, content=content, **headers)
        self.client.token = sender.token
        if answer.status_code != 202:
            self.journal.refused[f"{answer.status_code} {answer.text[:200]}"] += 1
            return []
        told = [one for exchange in answer.json()["exchanges"] for one in exchange.get("recipients", ())]
        promised = [one["delivery"] for one in told if one["state"] == "permitted"]
        if len(promised) != content.count(b"\n") + 1:
            self.journal.refused["a 202 that does not permit everything"] += 1
        self.journal.promise(siret, promised, sender.sent_at)
        return promised


async def take_mailbox(client: Client, siret: str, journal: Journal, stop: asyncio.Event) -> None:
    """Take what waits, write it down, acknowledge the lease; until told to stop."""
    while not stop.is_set():
        answer = await client.insist("GET", "/v1/mailbox?limit=400&wait=2")
        if answer.status_code != 200:
            journal.refused[f"mailbox {answer.status_code}"] += 1
            await asyncio.sleep(1)
            continue
        taken = answer.json()
        if not taken["deliveries"]:
            continue
        journal.receive(siret, [(each["id"], each["document_id"]) for each in taken["deliveries"]])
        answer = await client.insist("POST", f"/v1/mailbox/{taken['lease']}/ack")
        if answer.status_code == 200:
            journal.close(answer.json()["acknowledged"])
        elif answer.status_code != 404:  # a lease that ended while nobody answered: its deliveries are offered again
            journal.refused[f"ack {answer.status_code}"] += 1


@dataclass(slots=True)
class Called:
    """A partner's HTTPS server: writes down what it is called for, and answers; `away` for its outages."""

    siret: str
    journal: Journal
    refuses: Callable[[dict[str, Any]], bool] = lambda _data: False
    away: bool = False
    calls_while_away: int = 0
    port: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        with suppress(asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
                length = int(head.partition("content-length:")[2].partition("\r\n")[0])
                status = self._answer(json.loads(await reader.readexactly(length))["data"])
                writer.write(f"HTTP/1.1 {status} x\r\nContent-Length: 0\r\n\r\n".encode())
                await writer.drain()
        writer.close()

    def _answer(self, data: dict[str, Any]) -> int:
        if self.away:
            self.calls_while_away += 1
            return 503
        if self.refuses(data):
            return 422
        self.journal.receive(self.siret, [(data["id"], data["document_id"])])
        return 204


@asynccontextmanager
async def listening(called: Called, context: ssl.SSLContext) -> AsyncIterator[Called]:
    """The server listens until the block ends."""
    server = await asyncio.start_server(called.serve, "127.0.0.1", 0, ssl=context)
    called.port = server.sockets[0].getsockname()[1]
    try:
        yield called
    finally:
        server.close()


def referral(siret: str, **changes: Any) -> dict[str, Any]:
    """A referral about one of many people who do not exist."""
    number = next(_numbers) % _PEOPLE
    name = "".join(chr(97 + int(digit)) for digit in f"{number:05}")
    return {
        "kind": "referral",
        "schema_version": "1.0",
        "id": str(uuid.uuid4()),
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "sender": {"siret": CAF},
        "recipients": [{"siret": siret}],
        "purpose": "inform_about_rights",
        "subject": {
            "birth_name": f"Campagne{name}",
            "given_names": ["Camille"],
            "birth_date": "1980-05-17",
            "sex": "female",
        },
        "rights": [{"right": "rsa", "state": "to_request"}],
    } | changes
