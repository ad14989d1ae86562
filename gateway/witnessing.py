"""
Asking the witnesses: every signed head is shown to each of them, and their cosignatures are put under it.

Each witness is followed on its own, so that a slow or absent one delays no other. A witness that has seen another history,
signed by our own key, is believed: nothing more is signed.

Source: C2SP tlog-witness.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy.exc import SQLAlchemyError

from consent.ledger.checkpoint import Checkpoint, open_checkpoint
from consent.ledger.integration import continues
from consent.ledger.mark import SequencerRefused
from consent.ledger.note import Note, NoteInvalid, Verifier
from consent.ledger.policy import Party, Policy
from consent.ledger.publication import add_cosignatures, witnessed_size
from consent.ledger.sequencer import Sequencer
from consent.ledger.store import Ledger
from consent.ledger.witness import (
    ADD_CHECKPOINT,
    MAX_SUBMISSION,
    Submission,
    SubmissionInvalid,
    accepted_line,
    known_size,
    origin_digest,
)
from gateway.quorum import Quorum
from gateway.store.database import Database

if TYPE_CHECKING:
    import httpx

_log = logging.getLogger(__name__)

GRACE: Final = 0.4
"""Seconds that a head waits for its quorum before it is published without: a receipt is due within one second."""

_PATIENCE: Final = 5.0
"""Seconds given to one request."""

_FIRST_LOOK: Final = 2.0
"""Seconds that the first signature waits for what the witnesses hold."""

_IDLE: Final = 10.0
"""Seconds after which the last head is looked at again: another process may have signed it, and died."""

_LONGEST_PAUSE: Final = 30.0
"""Seconds between two attempts at a witness that does not answer."""


class WitnessRefused(Exception):
    """A witness answered something else than a cosignature."""


@dataclass(slots=True)
class _Followed:
    """One witness: the size it is known to have cosigned last, the last head it cosigned for us, and its failures in a row."""

    name: str
    party: Party
    known: int = 0
    done: int = -1
    failures: int = 0


class Witnessing:
    """
    Follows the witnesses of a policy for the sequencer of this process.

    `run` is a loop of the process; `before_signing` and `before_publication` are called by the sequencer.
    """

    def __init__(self, database: Database, quorum: Quorum, log: Verifier, clock: Callable[[], datetime]) -> None:
        """The witnesses are those of the quorum's policy that have an address; `log` is the key that signs the heads."""
        self._database = database
        self._quorum = quorum
        self._log = log
        self._clock = clock
        self._policy = quorum.policy or Policy()
        self._witnesses = [
            _Followed(name.decode("utf-8", "replace"), party)
            for name, party in self._policy.witnesses.items()
            if party.url is not None
        ]
        self._changed = asyncio.Condition()
        self._signed = self._witnessed = -1
        self._away = False
        self._examined = False
        self._refused: SequencerRefused | None = None

    async def before_signing(self) -> None:
        """
        Stop the sequencer when a witness holds a head that contradicts this log.

        The first time every witness is asked what it holds; one that does not answer stops nothing. Raises SequencerRefused.
        """
        if self._witnesses and not self._examined:
            with suppress(TimeoutError):
                async with asyncio.timeout(_FIRST_LOOK), self._client() as client:
                    await asyncio.gather(*(self._examine(client, witness) for witness in self._witnesses))
            self._examined = True
        if self._refused is not None:
            raise self._refused

    async def before_publication(self, head: Checkpoint) -> None:
        """Show a signed head to the witnesses; wait for the quorum, unless it is known to be away. Raises SequencerRefused."""
        async with self._changed:
            self._signed = max(self._signed, head.size)
            self._changed.notify_all()
            if not self._away and self._quorum.needed:
                with suppress(TimeoutError):
                    async with asyncio.timeout(GRACE):
                        await self._changed.wait_for(lambda: self._refused is not None or self._witnessed >= head.size)
        if self._refused is not None:
            raise self._refused
        if self._quorum.needed and not self._away and self._witnessed < head.size:
            self._away = True
            _log.warning("ledger.quorum_away", extra={"size": head.size})

    async def beside(self, sequencer: Sequencer, stop: asyncio.Event) -> None:
        """Run the sequencer and follow the witnesses; when one of both is refused, both end. Raises SequencerRefused."""
        await _together(sequencer.run(stop), self.run(stop))

    async def run(self, stop: asyncio.Event) -> None:
        """Follow every witness until `stop` is set. Raises SequencerRefused when one of them holds a contradiction."""
        if not self._witnesses:
            await stop.wait()
            return
        async with self._client() as client:
            await _together(self._end(stop), *(self._follow(client, witness, stop) for witness in self._witnesses))

    async def _end(self, stop: asyncio.Event) -> None:
        """Wake those who wait for a head when there will be none."""
        await self._begin(stop)
        await stop.wait()
        async with self._changed:
            self._changed.notify_all()

    async def _begin(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                return await self._quorum.begin()
            except (SQLAlchemyError, OSError):
                await _rest(stop, 1.0)
        return None

    async def _follow(self, client: httpx.AsyncClient, witness: _Followed, stop: asyncio.Event) -> None:
        import httpx  # noqa: PLC0415 - only where there are witnesses

        while not stop.is_set():
            try:
                await self._catch_up(client, witness)
            except (httpx.HTTPError, WitnessRefused, SubmissionInvalid, NoteInvalid, SQLAlchemyError, OSError) as error:
                witness.failures += 1
                self._tell(witness, error)
                await _rest(stop, min(0.2 * 2**witness.failures, _LONGEST_PAUSE))
                continue
            finally:
                if self._refused is not None:
                    raise self._refused
            async with self._changed:
                with suppress(TimeoutError):
                    async with asyncio.timeout(_IDLE):
                        await self._changed.wait_for(lambda: stop.is_set() or self._signed > witness.done)

    async def _catch_up(self, client: httpx.AsyncClient, witness: _Followed) -> None:
        """Have the last signed head cosigned, whichever process signed it."""
        async with self._database.read() as tx:
            head = await Ledger().head(tx)
        if head is None or head.size <= witness.done:
            return
        note = Note.parse(head.note)
        if not note.lines_by([witness.party.key]):
            line = await self._ask(client, witness, head)
            async with self._database.write() as tx:
                await add_cosignatures(tx, head.size, [line], self._policy, self._log, self._clock())
        if witness.failures:
            _log.info("ledger.witness_back", extra={"witness": witness.name})
        witness.done, witness.failures = head.size, 0
        await self._count(head.size)

    async def _count(self, size: int) -> None:
        """Tell who waits when the head of this size has its quorum."""
        async with self._database.read() as tx:
            witnessed = await witnessed_size(tx)
        if witnessed < size:
            return
        async with self._changed:
            self._witnessed = max(self._witnessed, witnessed)
            self._changed.notify_all()
        if self._away:
            self._away = False
            _log.info("ledger.quorum_back", extra={"size": size})

    async def _ask(self, client: httpx.AsyncClient, witness: _Followed, head: Checkpoint) -> str:
        """Ask one witness for its line under `head`; a second time when it tells which size it knows."""
        for _ in range(2):
            proof: list[bytes] = []
            if 0 < witness.known < head.size:
                async with self._database.read() as tx:
                    proof = await Ledger().consistency(tx, witness.known, head.size)
            body = Submission(witness.known, tuple(proof), head.note).encode()
            answer = await client.post(f"{_prefix(witness)}/{ADD_CHECKPOINT}", content=body)
            if answer.status_code == 200:
                line, _ = accepted_line(head.note, answer.content, witness.party.key)
                witness.known = head.size
                return line
            if answer.status_code != 409 or (size := known_size(answer.content)) > head.size:
                break
            witness.known = size
        await self._examine(client, witness)
        raise WitnessRefused(f"HTTP {answer.status_code}")

    async def _examine(self, client: httpx.AsyncClient, witness: _Followed) -> None:
        """
        Read what a witness last cosigned: if our own key signed it and our log does not continue it, we are a fork.

        A witness cannot stop a gateway by its word alone: only a head that bears our signature counts.
        """
        import httpx  # noqa: PLC0415 - only where there are witnesses

        try:
            answer = await client.get(f"{_prefix(witness)}/{origin_digest(self._log.name)}/checkpoint")
            if answer.status_code != 200 or len(answer.content) > MAX_SUBMISSION:
                return
            theirs = open_checkpoint(answer.content, self._log).checkpoint
            async with self._database.read() as tx:
                await continues(tx, await Ledger().head(tx), theirs)
        except (httpx.HTTPError, NoteInvalid, SQLAlchemyError, OSError) as error:
            self._tell(witness, error)
        except SequencerRefused as refused:
            _log.critical("ledger.witness_contradicts", extra={"witness": witness.name})
            async with self._changed:
                self._refused = refused
                self._changed.notify_all()

    def _tell(self, witness: _Followed, error: Exception) -> None:
        """Log a failure, the first ones and then ever more rarely."""
        if witness.failures & (witness.failures - 1) == 0:
            extra = {"witness": witness.name, "error": type(error).__name__, "failures": witness.failures}
            _log.warning("ledger.witness_failed", extra=extra)

    def _client(self) -> httpx.AsyncClient:
        import httpx  # noqa: PLC0415 - only where there are witnesses

        return httpx.AsyncClient(timeout=_PATIENCE, trust_env=False)


def _prefix(witness: _Followed) -> str:
    return (witness.party.url or "").rstrip("/")


async def _rest(stop: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)


async def _together(*works: Coroutine[Any, Any, None]) -> None:
    """Run works until all are done; when one fails or this is cancelled, the others are ended before this returns."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
