"""A witness cosigns one history of a log and no other: the protocol, its answers, and what it remembers."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consent.ledger.checkpoint import Checkpoint, open_checkpoint
from consent.ledger.merkle import consistency_ranges, leaf_hash, range_hashes, tree_root
from consent.ledger.note import Cosigner, Note, Signer, Verifier
from consent.ledger.witness import (
    MAX_SUBMISSION,
    SIZE_TYPE,
    Answer,
    Submission,
    SubmissionInvalid,
    Witness,
    accepted_line,
    known_size,
    origin_digest,
)
from consent.ledger.witness_memory import MAX_EVIDENCE, SqliteMemory

LOG = Signer.from_seed("passerelle.example/journal", bytes(range(32)))
COSIGNER = Cosigner("temoin.example/w1", Ed25519PrivateKey.from_private_bytes(bytes(range(32, 64))))
OTHER = Signer.from_seed("autre.example/journal", bytes(32))
ENTRIES = [b"a", b"b", b"c", *(str(number).encode() for number in range(97))]
FORK = [b"a", b"z", *ENTRIES[2:]]
TIME = 1_700_000_000


def head(size: int, entries: list[bytes] = ENTRIES, signer: Signer = LOG) -> bytes:
    """The signed head of a log of the first `size` entries."""
    return Checkpoint(signer.name, size, tree_root([leaf_hash(entry) for entry in entries[:size]])).signed(signer).note


def proof(old: int, new: int, entries: list[bytes] = ENTRIES) -> tuple[bytes, ...]:
    """The consistency proof between two sizes."""
    if old in (0, new):
        return ()
    leaves = [leaf_hash(entry) for entry in entries]
    return tuple(range_hashes(consistency_ranges(old, new), lambda h, p: tree_root(leaves[p << h : (p + 1) << h])))


def submission(old: int, new: int, entries: list[bytes] = ENTRIES) -> bytes:
    """A request from an honest log that has these entries."""
    return Submission(old, proof(old, new, entries), head(new, entries)).encode()


@pytest.fixture
def memory(tmp_path: Path) -> SqliteMemory:
    """An empty memory in a file."""
    return SqliteMemory(tmp_path / "witness.sqlite")


@pytest.fixture
def witness(memory: SqliteMemory) -> Witness:
    """A witness of two logs."""
    return Witness(COSIGNER, [LOG.verifier, OTHER.verifier], memory, lambda: TIME)


def test_the_cosignature_of_the_worked_example_is_byte_for_byte(witness: Witness) -> None:
    """Asked for the head of the published example at its time, the witness answers the published line."""
    answer = witness.add_checkpoint(submission(0, 3))
    line = (
        "— temoin.example/w1 "
        "k1OJhAAAAABlU/EA/1knYn3LAZE765MGkNSubawtBsUqHodV5+B/5Yg/kRMDvHLr8OFdzIa7tm+YbuSJ6WlHCW6r3ZC7vAl/QpVdCQ==\n"
    )
    assert Answer(200, line) == answer


def test_the_example_request_is_read_back() -> None:
    """A request is one spelling: what is read is what was written."""
    raw = submission(2, 3)
    assert raw.startswith(b"old 2\n")
    assert raw == Submission.parse(raw).encode()


def test_a_log_is_followed_from_head_to_head(witness: Witness) -> None:
    """Each head that continues the last one is cosigned, the same one again too, and monitors read the last."""
    sizes = [0, 0, 1, 2, 2, 3, 8, 64, 100]
    for old, new in zip([0, *sizes], sizes, strict=False):
        answer = witness.add_checkpoint(submission(old, new))
        assert 200 == answer.status
        line, time = accepted_line(head(new), answer.body.encode(), COSIGNER.verifier)
        assert (answer.body, TIME) == (line, time)
        latest = witness.latest(origin_digest(LOG.name))
        assert latest == Note.parse(head(new)).with_lines([line])
        assert open_checkpoint(latest, LOG.verifier, [COSIGNER.verifier]).cosigned == {"temoin.example/w1": TIME}


def test_an_old_size_that_is_not_the_last_is_told_the_last(witness: Witness) -> None:
    """Whoever does not know asks with `old 0` and reads the size; nothing changes."""
    witness.add_checkpoint(submission(0, 3))
    for old in (0, 2, 4):
        answer = witness.add_checkpoint(submission(old, 8))
        assert (409, "3\n", SIZE_TYPE) == (answer.status, answer.body, answer.media_type)
        assert 3 == known_size(answer.body.encode())
    assert 200 == witness.add_checkpoint(submission(3, 8)).status


def test_a_rollback_is_not_cosigned(witness: Witness) -> None:
    """A smaller head than the last one is answered with the last size, whatever old size it claims."""
    witness.add_checkpoint(submission(0, 8))
    assert 409 == witness.add_checkpoint(submission(0, 3)).status
    assert 409 == witness.add_checkpoint(submission(3, 3)).status
    assert 400 == witness.add_checkpoint(Submission(8, (), head(3)).encode()).status


def test_a_fork_signed_with_the_right_key_is_refused_and_kept_as_evidence(
    witness: Witness, memory: SqliteMemory
) -> None:
    """Another history of the same size, or a longer one that does not continue, is refused; the signed proof of it stays."""
    witness.add_checkpoint(submission(0, 3))
    same_size, longer = head(3, FORK), head(8, FORK)
    assert 422 == witness.add_checkpoint(submission(3, 3, FORK)).status
    assert 422 == witness.add_checkpoint(submission(3, 8, FORK)).status
    assert 409 == witness.add_checkpoint(submission(0, 3, FORK)).status
    assert [same_size, longer] == memory.evidence(LOG.name)
    assert witness.latest(origin_digest(LOG.name)) is not None
    assert 200 == witness.add_checkpoint(submission(3, 8)).status


def test_a_wrong_proof_is_refused(witness: Witness) -> None:
    """A proof too short, too long, altered, or given where none is due."""
    witness.add_checkpoint(submission(0, 3))
    right = proof(3, 8)
    wrong = [(), right[:-1], (*right, bytes(32)), (bytes(32), *right[1:])]
    for steps in wrong:
        assert 422 == witness.add_checkpoint(Submission(3, steps, head(8)).encode()).status
    assert 422 == witness.add_checkpoint(Submission(3, (bytes(32),), head(3)).encode()).status
    other = head(2, [b"x", b"y"], OTHER)
    assert 422 == witness.add_checkpoint(Submission(0, (bytes(32),), other).encode()).status


def test_only_the_key_of_the_log_is_trusted(witness: Witness, memory: SqliteMemory) -> None:
    """An unknown origin is not found; another key under the right name, or an altered signature, is forbidden."""
    stranger = Signer.from_seed("inconnu.example", bytes(32))
    impostor = Signer.from_seed(LOG.name, bytes(32))
    assert 404 == witness.add_checkpoint(Submission(0, (), head(3, signer=stranger)).encode()).status
    assert 403 == witness.add_checkpoint(Submission(0, (), head(3, signer=impostor)).encode()).status
    altered = head(3).replace(b"\n3\n", b"\n4\n")
    assert 403 == witness.add_checkpoint(Submission(0, (), altered).encode()).status
    assert memory.last(LOG.name) is None
    assert memory.evidence(LOG.name) == []


def test_an_empty_tree_with_a_root_of_its_own_is_refused(witness: Witness) -> None:
    """Size 0 has one root."""
    wrong = head(3).replace(b"\n3\n", b"\n0\n")
    assert 422 == witness.add_checkpoint(Submission(0, (), wrong).encode()).status


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"old 0\n",
        b"old 00\n\n" + head(3),
        b"old -1\n\n" + head(3),
        b"old 0 \n\n" + head(3),
        b"size 0\n\n" + head(3),
        b"old 0\nAAAA\n\n" + head(3),
        b"old 0\n" + b"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n" * 64 + b"\n" + head(3),
        b"old 0\n\n" + head(3)[:-1],
        b"old 0\n\n" + head(3) + b"x" * MAX_SUBMISSION,
        b"old 0\n\xff\n\n" + head(3),
    ],
)
def test_a_malformed_request_is_refused(witness: Witness, raw: bytes) -> None:
    """A request that does not follow the format is answered 400, and nothing is kept."""
    assert 400 == witness.add_checkpoint(raw).status
    assert witness.latest(origin_digest(LOG.name)) is None


def test_what_was_cosigned_outlives_the_witness(memory: SqliteMemory, tmp_path: Path) -> None:
    """A witness started again on its file goes on from what it cosigned."""
    Witness(COSIGNER, [LOG.verifier], memory, lambda: TIME).add_checkpoint(submission(0, 8))
    again = Witness(COSIGNER, [LOG.verifier], SqliteMemory(tmp_path / "witness.sqlite"), lambda: TIME)
    assert 409 == again.add_checkpoint(submission(0, 3)).status
    assert 200 == again.add_checkpoint(submission(8, 64)).status


def test_requests_at_once_never_roll_back(memory: SqliteMemory) -> None:
    """Eight threads race to cosign heads of many sizes: each success is larger than what was cosigned before it."""
    granted: list[int] = []

    class Recording(SqliteMemory):
        def advance(self, origin: str, decide: object) -> None:  # type: ignore[override]
            def recorded(last: bytes | None) -> bytes:
                note: bytes = decide(last)  # type: ignore[operator]
                granted.append(Checkpoint.parse(note)[0].size)
                return note

            super().advance(origin, recorded)

    racing = Witness(COSIGNER, [LOG.verifier], Recording(memory._path), lambda: TIME)

    def climb(start: int) -> None:
        known = 0
        for size in range(start, 100, 8):
            while known < size:
                answer = racing.add_checkpoint(submission(known, size))
                known = size if 200 == answer.status else known_size(answer.body.encode())

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(climb, range(1, 9)))
    assert granted == sorted(granted)
    assert len(granted) > 8
    last = memory.last(LOG.name)
    assert last is not None
    assert granted[-1] == Checkpoint.parse(last)[0].size


def test_evidence_is_bounded(memory: SqliteMemory) -> None:
    """Whoever holds a log's key cannot fill the witness's disk with forks."""
    for number in range(MAX_EVIDENCE + 5):
        note = Checkpoint(LOG.name, 3, number.to_bytes(32, "big")).signed(LOG).note
        memory.keep_evidence(LOG.name, note)
        memory.keep_evidence(LOG.name, note)
    assert MAX_EVIDENCE == len(memory.evidence(LOG.name))


def test_two_logs_are_followed_apart(witness: Witness) -> None:
    """The size of one log says nothing of another."""
    assert 200 == witness.add_checkpoint(submission(0, 8)).status
    assert 200 == witness.add_checkpoint(Submission(0, (), head(3, signer=OTHER)).encode()).status
    assert witness.latest(origin_digest("inconnu.example")) is None


def test_an_answer_of_another_witness_is_not_taken() -> None:
    """Only the line of the witness that was asked counts, and only if it verifies and bears a time."""
    note = Note.parse(head(3))
    other = Cosigner("autre.example", Ed25519PrivateKey.from_private_bytes(bytes(32)))
    line = COSIGNER.cosign(note.text, TIME)
    both = (other.cosign(note.text, TIME) + line).encode()
    assert (line, TIME) == accepted_line(head(3), both, COSIGNER.verifier)
    for answer in (b"", other.cosign(note.text, TIME).encode(), b"no signature", line.encode()[:-1]):
        with pytest.raises(SubmissionInvalid):
            accepted_line(head(3), answer, COSIGNER.verifier)
    with pytest.raises(SubmissionInvalid):
        accepted_line(head(8), line.encode(), COSIGNER.verifier)
    for answer in (b"-1\n", b"x", b"01\n", b""):
        with pytest.raises(SubmissionInvalid):
            known_size(answer)


def test_lines_are_added_to_a_note_once() -> None:
    """A cosignature that is there already is not added again, nor is one of the same key with another time."""
    note = Note.parse(head(3))
    line, later = COSIGNER.cosign(note.text, TIME), COSIGNER.cosign(note.text, TIME + 1)
    once = note.with_lines([line])
    assert once == head(3) + line.encode()
    assert once == Note.parse(once).with_lines([line, later])
    assert head(3) == note.with_lines([])
    assert [line] == Note.parse(once).lines_by([COSIGNER.verifier])
    assert [] == Note.parse(once).lines_by([Verifier(LOG.name, 4, LOG.verifier.public)])
