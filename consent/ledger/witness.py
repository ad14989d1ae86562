"""
Witnesses: what a log asks of them, and how one decides before it puts its name under a log's head.

A witness keeps, per log, the last head it cosigned, and cosigns only what continues it: a log that shows two histories is
found out by whoever compares. The protocol is one request, `add-checkpoint`; HTTP stays outside.

Pure. Source: C2SP tlog-witness; the cosignature is C2SP tlog-cosignature (type 0x04).
"""

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol, Self

from consent.ledger.checkpoint import Checkpoint, EmptyTreeInvalid, open_checkpoint
from consent.ledger.merkle import HASH_SIZE, ProofInvalid, verify_consistency
from consent.ledger.note import Cosigner, Note, NoteInvalid, Verifier, decode_base64, encode_base64

ADD_CHECKPOINT = "add-checkpoint"
SIZE_TYPE = "text/x.tlog.size"
TEXT_TYPE = "text/plain; charset=utf-8"
MAX_SUBMISSION = 256_000
"""Bytes: a proof, and a checkpoint with some thirty signatures of the largest known kind."""

_OLD = re.compile("old (0|[1-9][0-9]{0,18})", re.ASCII)


class SubmissionInvalid(ValueError):
    """A request to a witness, or the answer of one, does not follow the format."""


@dataclass(frozen=True, slots=True)
class Submission:
    """A request to cosign `checkpoint` (the note, verbatim), with the proof that it continues the head of size `old`."""

    old: int
    proof: tuple[bytes, ...]
    checkpoint: bytes

    def encode(self) -> bytes:
        """The body of the request."""
        lines = [f"old {self.old}", *(encode_base64(step) for step in self.proof), "", ""]
        return "\n".join(lines).encode() + self.checkpoint

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """Read the body of a request; nothing is verified yet. Raises SubmissionInvalid."""
        head, blank, checkpoint = raw.partition(b"\n\n")
        if not blank or len(raw) > MAX_SUBMISSION:
            raise SubmissionInvalid("no proof followed by an empty line and a checkpoint")
        try:
            first, *lines = head.decode("ascii").split("\n")
            proof = tuple(decode_base64(line) for line in lines)
        except (UnicodeDecodeError, NoteInvalid):
            raise SubmissionInvalid("a line of the proof is not strict base64") from None
        old = _OLD.fullmatch(first)
        if old is None or len(proof) > 63 or any(len(step) != HASH_SIZE for step in proof):
            raise SubmissionInvalid("the proof is not an old size followed by at most 63 hashes of 32 bytes")
        return cls(int(old[1]), proof, checkpoint)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a witness answers: the HTTP status, the body and its media type."""

    status: int
    body: str
    media_type: str = TEXT_TYPE


class Refused(Exception):
    """A witness does not cosign; `answer` says why. `contradicts` when two heads signed by the log cannot both be true."""

    def __init__(self, answer: Answer, *, contradicts: bool = False) -> None:
        super().__init__(answer.body.strip())
        self.answer = answer
        self.contradicts = contradicts


class Memory(Protocol):
    """
    What a witness remembers, durably: per origin, the last note it cosigned, and what contradicted it.
    """

    def advance(self, origin: str, decide: Callable[[bytes | None], bytes]) -> None:
        """
        Replace the last note of `origin` by what `decide` makes of it, atomically; durable when this returns.

        Two requests never decide on the same last note. When `decide` raises, nothing changes and the error passes.
        """

    def last(self, origin: str) -> bytes | None:
        """The last note cosigned for `origin`; None when there is none."""

    def keep_evidence(self, origin: str, note: bytes) -> None:
        """Keep a signed head that contradicts the last one cosigned."""


class Witness:
    """
    Cosigns the heads of the logs it knows, each continuing the one before.
    """

    def __init__(self, cosigner: Cosigner, logs: Sequence[Verifier], memory: Memory, clock: Callable[[], int]) -> None:
        """`logs` are the keys of the logs, whose names are their origins; `clock` gives POSIX seconds."""
        self._cosigner = cosigner
        self._logs: Mapping[str, Verifier] = {log.name: log for log in logs}
        self._by_digest = {origin_digest(origin): origin for origin in self._logs}
        self._memory = memory
        self._clock = clock
        if len(self._logs) < len(logs):
            raise ValueError("two logs have the same origin")

    def add_checkpoint(self, raw: bytes) -> Answer:
        """
        Answer one `add-checkpoint` request; what is cosigned is durable before this returns. Blocking, safe to call from threads.
        """
        try:
            submission = Submission.parse(raw)
            checkpoint, note = Checkpoint.parse(submission.checkpoint)
        except EmptyTreeInvalid as error:
            return Answer(422, f"{error}\n")
        except (SubmissionInvalid, NoteInvalid) as error:
            return Answer(400, f"{error}\n")
        log = self._logs.get(checkpoint.origin)
        if log is None:
            return Answer(404, "this witness does not know this log\n")
        line = ""

        def decide(last: bytes | None) -> bytes:
            nonlocal line
            judge(submission, log, None if last is None else Checkpoint.parse(last)[0])
            line = self._cosigner.cosign(note.text, max(1, self._clock()))
            return f"{note.text}\n{''.join(note.lines_by([log]))}{line}".encode()

        try:
            self._memory.advance(checkpoint.origin, decide)
        except Refused as refused:
            if refused.contradicts:
                self._memory.keep_evidence(checkpoint.origin, submission.checkpoint)
            return refused.answer
        return Answer(200, line)

    def latest(self, digest: str) -> bytes | None:
        """What monitors read: the last note cosigned for the log whose `origin_digest` is given; None when there is none."""
        origin = self._by_digest.get(digest)
        return None if origin is None else self._memory.last(origin)


def judge(submission: Submission, log: Verifier, last: Checkpoint | None) -> Checkpoint:
    """
    Decide whether a head may be cosigned after `last`: signed by the log's key, and continuing what was cosigned before.

    Returns the head. Raises Refused with the status of C2SP tlog-witness: 403, 400, 409 or 422.
    """
    try:
        head = open_checkpoint(submission.checkpoint, log).checkpoint
    except NoteInvalid as error:
        raise Refused(Answer(403, f"{error}\n")) from None
    if submission.old > head.size:
        raise Refused(Answer(400, "the old size is larger than the checkpoint's\n"))
    known = 0 if last is None else last.size
    # Two heads of one size are told apart whatever the old size: no proof could reconcile them.
    fork = last is not None and last.size == head.size and last.root != head.root
    if submission.old != known:
        raise Refused(Answer(409, f"{known}\n", SIZE_TYPE), contradicts=fork)
    try:
        _prove(submission, head, last)
    except ProofInvalid as error:
        raise Refused(Answer(422, f"{error}\n"), contradicts=True) from None
    return head


def _prove(submission: Submission, head: Checkpoint, last: Checkpoint | None) -> None:
    if last is None or last.size == 0:
        if submission.proof:
            raise ProofInvalid("nothing is to be proved from the empty tree")
        return
    verify_consistency(last.size, head.size, last.root, head.root, submission.proof)


def origin_digest(origin: str) -> str:
    """The name under which a witness publishes the last head of a log: the hex SHA-256 of its origin."""
    return sha256(origin.encode()).hexdigest()


def accepted_line(checkpoint: bytes, answer: bytes, witness: Verifier) -> tuple[str, int]:
    """
    Take from a witness's answer its own line under `checkpoint`, verified, and the time it states (POSIX seconds).

    Lines by other keys are ignored. Raises SubmissionInvalid when there is none that verifies.
    """
    text = Checkpoint.parse(checkpoint)[1].text
    with suppress(NoteInvalid):
        note = Note.parse(f"{text}\n".encode() + answer)
        time = note.verify([witness])[witness]
        if time:
            return note.lines_by([witness])[0], time
    raise SubmissionInvalid("the answer does not hold a cosignature of this witness that verifies")


def known_size(answer: bytes) -> int:
    """The size of the last head a witness cosigned, from its answer 409. Raises SubmissionInvalid."""
    found = re.fullmatch(rb"(0|[1-9][0-9]{0,18})\n?", answer)
    if found is None:
        raise SubmissionInvalid("the answer does not hold a size")
    return int(found[1])
