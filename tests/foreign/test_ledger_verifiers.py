"""
Verifiers that nobody here wrote judge the ledger: Go's sumdb, npm's @sigstore/verify and PyPI's sigstore, at many sizes, on
altered files, and on a log that was rewritten and signed again.
"""

from __future__ import annotations

import asyncio
import json
import random
import shutil
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import ValidationError
from sigstore._internal.merkle import verify_merkle_inclusion
from sigstore._internal.rekor.checkpoint import verify_checkpoint
from sigstore._internal.trust import Keyring, RekorKeyring
from sigstore.errors import VerificationError
from sigstore.models import TransparencyLogEntry
from sigstore_models.common import v1 as common_v1
from sigstore_models.rekor import v1 as rekor_v1

from consent.ledger.checkpoint import Checkpoint
from consent.ledger.event import Event, EventType, LedgerRecord, commit
from consent.ledger.export import export
from consent.ledger.note import Cosigner, Signer
from consent.ledger.proof import Receipt
from consent.ledger.proving import prove
from consent.ledger.sequencer import Sequencer
from consent.ledger.source import Directory
from consent.ledger.store import Ledger
from consent.verify import verify_directory, verify_receipt
from gateway.store.database import Database
from ops.migrations import migrate

SIZES = (1, 2, 3, 4, 7, 255, 256, 257, 1_000, 4_097, 65_535, 65_536, 65_537, 70_000)
FLIPS = 1_040
SIGNER = Signer.from_seed("journal.valombre.example", bytes(range(32)))
WITNESS = Cosigner("temoin.example/w1", Ed25519PrivateKey.from_private_bytes(bytes(range(32, 64))))


def entries_of(size: int, kind: str = "entry") -> list[bytes]:
    """Distinct entries like commitments."""
    return [b"\x01" + sha256(f"{kind} {number}".encode()).digest() for number in range(size)]


def told(receipt: Receipt) -> dict[str, Any]:
    """What a receipt says, as Sigstore's verifiers take it: every field comes from the receipt itself."""
    head = Checkpoint.parse(receipt.checkpoint)[0]
    der = Ed25519PublicKey.from_public_bytes(SIGNER.verifier.public).public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return {
        "key": b64encode(der).decode(),
        "keyId": b64encode(SIGNER.verifier.id).decode(),
        "name": SIGNER.name,
        "checkpoint": receipt.checkpoint.decode(),
        "index": str(receipt.index),
        "size": str(head.size),
        "root": b64encode(head.root).decode(),
        "hashes": [b64encode(step).decode() for step in receipt.path],
        "entry": b64encode(receipt.entry() or b"").decode(),
    }


def sigstore_python(said: dict[str, Any]) -> bool:
    """The verdict of PyPI's sigstore on the inclusion proof and the signed checkpoint."""
    try:
        key = common_v1.PublicKey(raw_bytes=said["key"], key_details=common_v1.PublicKeyDetails.PKIX_ED25519)
        entry = TransparencyLogEntry(
            rekor_v1.TransparencyLogEntry(
                log_index=said["index"],
                log_id=common_v1.LogId(key_id=said["keyId"]),
                kind_version=rekor_v1.KindVersion(kind="trait-dunion", version="1"),
                integrated_time="0",
                inclusion_proof=rekor_v1.InclusionProof(
                    log_index=said["index"],
                    root_hash=said["root"],
                    tree_size=said["size"],
                    hashes=said["hashes"],
                    checkpoint=rekor_v1.Checkpoint(envelope=said["checkpoint"]),
                ),
                canonicalized_body=said["entry"],
            )
        )
        verify_merkle_inclusion(entry)
        verify_checkpoint(RekorKeyring(Keyring([key])), entry)
    except (VerificationError, ValidationError):
        return False
    return True


@pytest.fixture
def sigstore_npm(node: Callable[[list[str], str], str]) -> Callable[[Sequence[dict[str, Any]]], list[bool]]:
    """The verdicts of npm's @sigstore/verify."""

    def judge(all_said: Sequence[dict[str, Any]]) -> list[bool]:
        lines = "".join(json.dumps(said) + "\n" for said in all_said)
        return [json.loads(line)["ok"] for line in node(["rekor.mjs"], lines).splitlines()]

    return judge


def receipts_of(log: Path, indexes: Sequence[int]) -> list[Receipt]:
    """Receipts made from the static files."""
    return [prove(Directory(log), index) for index in indexes]


def written(folder: Path, receipts: Sequence[Receipt]) -> list[Path]:
    """The receipts as files."""
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{number}.tlog-proof" for number in range(len(receipts))]
    for path, receipt in zip(paths, receipts, strict=True):
        path.write_bytes(receipt.encode())
    return paths


def test_three_programs_accept_tiles_checkpoints_and_proofs_at_every_size(
    tmp_path: Path, publish: Callable[..., bytes], go_audit: Callable[..., Any], sigstore_npm: Callable[..., list[bool]]
) -> None:
    """
    From 1 to 70,000 entries, each size continuing the one before: every tile and entry, and receipts from its whole length.
    """
    log, older = tmp_path / "log", None
    entries, judged = entries_of(SIZES[-1]), list[dict[str, Any]]()
    for size in SIZES:
        note = publish(log, entries[:size], SIGNER, [WITNESS])
        receipts = receipts_of(log, sorted({0, size // 3, size // 2, size - 1}))
        assert (True, size, "") == go_audit(log, SIGNER.vkey, older, written(tmp_path / "receipts", receipts))
        judged += [told(receipt) for receipt in receipts]
        older = tmp_path / f"checkpoint-{size}"
        older.write_bytes(note)
    assert len(judged) > 45
    assert [True] * len(judged) == sigstore_npm(judged)
    assert [True] * len(judged) == [sigstore_python(said) for said in judged]


def test_what_is_not_so_is_refused_by_all(
    tmp_path: Path, publish: Callable[..., bytes], sigstore_npm: Callable[..., list[bool]]
) -> None:
    """Another place, another entry, a step changed, missing or too many, another head: the three programs and ours refuse."""
    publish(tmp_path, entries_of(300), SIGNER)
    [right, other] = receipts_of(tmp_path, [130, 131])
    step, head = bytes(32), Checkpoint.parse(right.checkpoint)[0]
    wrong = [
        replace(right, index=131),
        replace(right, index=300),
        replace(right, extra=other.extra),
        replace(right, path=(step, *right.path[1:])),
        replace(right, path=right.path[:-1]),
        replace(right, path=(*right.path, step)),
        replace(right, checkpoint=right.checkpoint.replace(b"\n300\n", b"\n301\n")),
        replace(right, checkpoint=head.signed(Signer.from_seed(SIGNER.name, bytes(32))).note),
    ]
    said = [told(each) for each in (right, *wrong)]
    expected = [True, *[False] * len(wrong)]
    assert expected == [sigstore_python(each) for each in said]
    assert expected == sigstore_npm(said)
    assert expected == [verify_receipt(each.encode(), SIGNER.vkey).ok for each in (right, *wrong)]


def flips(paths: Sequence[Path], count: int) -> Iterator[tuple[Path, int]]:
    """So many single bits of these files, spread evenly over them and drawn the same each time."""
    chance = random.Random(20261130)
    for number in range(count):
        path = paths[number % len(paths)]
        yield path, chance.randrange(len(path.read_bytes()) * 8)


def same_bytes(before: bytes, after: bytes) -> bool:
    """Whether two files differ only in how the same signature is written: the last base64 digit has two bits to spare."""
    lines = [(one, two) for one, two in zip(before.split(b"\n"), after.split(b"\n"), strict=False) if one != two]
    if len(lines) != 1 or not lines[0][0].startswith("— ".encode()):
        return False
    return b64decode(lines[0][0].split(b" ")[2]) == b64decode(lines[0][1].split(b" ")[2])


def test_a_thousand_single_bit_changes_are_all_detected(
    tmp_path: Path, publish: Callable[..., bytes], go_audit: Callable[..., Any]
) -> None:
    """
    Over tiles of two levels, bundles, the checkpoint and receipts: ours finds every one, Go's every one that is not another
    spelling of the same signature.
    """
    log = tmp_path / "log"
    publish(log, entries_of(300), SIGNER)
    receipts = written(tmp_path / "receipts", receipts_of(log, [0, 130, 299]))
    files = sorted(path for path in (log / "tile").rglob("*") if path.is_file())
    assert ["000", "44", "1", "000", "44"] == [path.name for path in files]
    kinds = [files[:3], files[3:], [log / "checkpoint"], receipts]
    missed, spellings, done = [], 0, 0
    for kind in kinds:
        for path, bit in flips(kind, FLIPS // len(kinds)):
            before = path.read_bytes()
            after = before[: bit // 8] + bytes([before[bit // 8] ^ 1 << bit % 8]) + before[bit // 8 + 1 :]
            path.write_bytes(after)
            accepted, _, _ = go_audit(log, SIGNER.vkey, None, receipts)
            ours = verify_receipt(after, SIGNER.vkey) if path in receipts else verify_directory(log, SIGNER.vkey)
            path.write_bytes(before)
            done += 1
            if accepted and same_bytes(before, after):
                spellings += 1
            elif accepted:
                missed.append((path.name, bit))
            assert not ours.ok, (path.name, bit)
    assert [] == missed
    assert done == FLIPS
    assert spellings < 20
    assert (True, 300, "") == go_audit(log, SIGNER.vkey, None, receipts)


def test_a_fork_signed_with_the_right_key_is_detected_by_a_kept_head(
    tmp_path: Path, publish: Callable[..., bytes], go_audit: Callable[..., Any]
) -> None:
    """Rewritten and signed again the log stands alone, for Go as for us; an older head that somebody kept convicts it."""
    log, kept, state = tmp_path / "log", tmp_path / "kept", tmp_path / "state"
    kept.write_bytes(publish(log, entries_of(300), SIGNER))
    assert verify_directory(log, SIGNER.vkey, state=state).ok
    shutil.rmtree(log)
    rewritten = entries_of(500)
    rewritten[7] = b"\x01" + bytes(32)
    publish(log, rewritten, SIGNER)
    assert (True, 500, "") == go_audit(log, SIGNER.vkey)
    accepted, _, reason = go_audit(log, SIGNER.vkey, kept)
    assert not accepted
    assert "proof" in reason
    assert ["fork"] == [finding.code for finding in verify_directory(log, SIGNER.vkey, state=state).findings]


def test_what_a_gateway_sequences_and_exports_is_accepted(tmp_path: Path, go_audit: Callable[..., Any]) -> None:
    """The log of a database, integrated group after group and exported each time, is the one that Go's auditor reads."""
    assert asyncio.run(_sequenced(tmp_path, go_audit)) == 1_043


async def _sequenced(folder: Path, go_audit: Callable[..., Any]) -> int:
    database, older, size = Database(f"sqlite+aiosqlite:///{folder / 'gateway.sqlite'}"), None, 0
    await migrate(database)
    try:
        for count in (1, 254, 1, 1, 786):
            records = []
            for _ in range(count):
                event = Event(str(uuid4()), EventType.CONTENT_READ, datetime.now(UTC), "99900009400014")
                records.append(LedgerRecord(event, commit(event, UUID(event.id).bytes * 2), b"sealed"))
            async with database.write() as tx:
                await Ledger().append(tx, records)
            await Sequencer(database.write, SIGNER, limit=300).catch_up()
            async with database.read() as tx:
                head = await export(tx, folder / "log", SIGNER.vkey)
                shown = [await Ledger().receipt(tx, one.event.id) for one in (records[0], records[-1])]
            assert head is not None
            receipts = [folder / f"{number}.tlog-proof" for number in range(2)]
            for path, receipt in zip(receipts, shown, strict=True):
                path.write_bytes(receipt or b"")
            size += count
            assert (True, size, "") == go_audit(folder / "log", SIGNER.vkey, older, receipts)
            older = folder / f"checkpoint-{size}"
            older.write_bytes(head.note)
    finally:
        await database.close()
    return size
