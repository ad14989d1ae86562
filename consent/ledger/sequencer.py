"""
The sequencer: the one process that integrates what waits, marks what it signed, and publishes it.

A database lock makes it single, wherever and however often it is started.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from typing import Protocol

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from consent.ledger.checkpoint import Checkpoint
from consent.ledger.integration import continues, integrate
from consent.ledger.mark import Mark, SequencerRefused
from consent.ledger.note import Signer
from consent.ledger.publication import publish, unpublished
from consent.ledger.store import Ledger

log = logging.getLogger(__name__)


class Witnesses(Protocol):
    """Those who cosign heads, as the sequencer sees them. Both raise SequencerRefused when one of them holds another history."""

    async def before_signing(self) -> None:
        """Called before each signature."""

    async def before_publication(self, head: Checkpoint) -> None:
        """Called with a signed head; returns once it is cosigned, or when nobody can be waited for any longer."""


class Sequencer:
    """
    Runs `integrate` again and again: every `interval` seconds, and sooner when nudged.

    An event that commits is under a published checkpoint within one second while the database answers. A database error is
    logged and tried again, more and more slowly up to 5 seconds; `failures` counts those in a row, for readiness checks.
    SequencerRefused ends `run`: whoever started it must then report the gateway as not ready.
    Two sequencers on one database are harmless: the lock lets one work at a time. Two on two copies of a database are stopped
    by the mark where they share it, and by any witness.
    """

    def __init__(
        self,
        transaction: Callable[[], AbstractAsyncContextManager[AsyncConnection]],
        signer: Signer,
        *,
        mark: Mark | None = None,
        witnesses: Witnesses | None = None,
        set_aside: Callable[[], Awaitable[object]] | None = None,
        interval: float = 0.2,
        limit: int = 4096,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """
        `transaction` opens one durable write transaction, committed when its block ends without error.

        `set_aside` is awaited between signing a head and publishing it: what must be safe outside the database before
        anybody can hold a receipt of it.
        """
        self._transaction = transaction
        self._signer = signer
        self._mark = mark
        self._witnesses = witnesses
        self._set_aside = set_aside
        self._interval = interval
        self._limit = limit
        self._clock = clock
        self._compared = False
        self._nudged = asyncio.Event()
        self.failures = 0

    def nudge(self) -> None:
        """Ask for integration soon; call it after a commit, from the event loop that runs the sequencer."""
        self._nudged.set()

    async def catch_up(self) -> Checkpoint | None:
        """Integrate and publish, group after group, until nothing waits; the last checkpoint signed, None when nothing waited."""
        last = None
        while (checkpoint := await self._step()) is not None:
            last = checkpoint
        return last

    async def _step(self) -> Checkpoint | None:
        """Sign one group and publish its head; when nothing waits, the head of a sequencer that died before it could publish."""
        if self._witnesses is not None:
            await self._witnesses.before_signing()
        async with self._marked() as mark:  # held from before the signature until it says so
            async with self._transaction() as tx:
                if (
                    not self._compared
                ):  # a restored database is told as soon as it is started, and not at its next event
                    await continues(tx, await Ledger().head(tx), mark)
                    self._compared = True
                signed = await integrate(tx, self._signer, self._clock(), self._limit, mark)
                head = signed or await unpublished(tx)
                if head is not None and signed is None:
                    await continues(tx, head, mark)
            if head is not None and self._mark is not None:
                await asyncio.to_thread(self._mark.raise_to, head)
        if head is not None:
            if self._set_aside is not None:
                await self._set_aside()
            if self._witnesses is not None:
                await self._witnesses.before_publication(head)
            async with self._transaction() as tx:
                await publish(tx, head, self._clock())
        return signed

    @asynccontextmanager
    async def _marked(self) -> AsyncIterator[Checkpoint | None]:
        if self._mark is None:
            yield None
            return
        async with self._mark.held() as mark:
            yield mark

    async def run(self, stop: asyncio.Event | None = None) -> None:
        """
        Work until `stop` is set, finishing the transaction under way, or until cancelled.

        Cancelling is safe at any moment too: a transaction is whole or has no effect.
        """
        stop = stop or asyncio.Event()
        while not stop.is_set():
            try:
                await self.catch_up()
                self.failures = 0
            except (SQLAlchemyError, OSError) as error:
                self.failures += 1
                kind = type(error).__name__  # the text of a database error may hold values
                log.warning(
                    "the ledger could not be sequenced", extra={"event": "ledger.sequencer_failed", "error": kind}
                )
            except SequencerRefused as refused:
                extra = {
                    "event": "ledger.sequencer_refused",
                    "detail": refused.message_en,
                    "detail_fr": refused.message_fr,
                }
                log.critical("the ledger refuses to be signed", extra=extra)
                raise
            await self._pause(stop)

    async def _pause(self, stop: asyncio.Event) -> None:
        """Rest a moment, so that nudges make groups, then wait for a nudge or the interval."""
        interval = min(self._interval * 2**self.failures, max(5.0, self._interval))
        await asyncio.sleep(interval / 10)
        nudged, stopped = asyncio.create_task(self._nudged.wait()), asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({nudged, stopped}, timeout=interval, return_when=asyncio.FIRST_COMPLETED)
        finally:
            nudged.cancel()
            stopped.cancel()
            self._nudged.clear()
