"""
The offline verifier: a whole exported log, or one receipt, checked without the gateway, its database or its secrets.

Needs the standard library and `cryptography` only. Exit codes of a report: 0 valid, 1 something was altered, 2 nothing
usable to verify. What is verified is the public C2SP formats; any other implementation of them must agree.

What it cannot show: that everything that happened was logged (the receipt given at the time shows that), and, without an
earlier state or a witness, that the operator did not rewrite the whole history and sign it again. The report says so.
"""

from collections.abc import Sequence
from pathlib import Path

from consent.ledger.audit import audit
from consent.ledger.checkpoint import Checkpoint, OpenCheckpoint, open_checkpoint
from consent.ledger.commitment import DisclosureInvalid
from consent.ledger.merkle import ProofInvalid
from consent.ledger.note import COSIGNATURE, ED25519, NoteInvalid, Verifier
from consent.ledger.proof import Receipt, ReceiptInvalid, verify
from consent.ledger.report import INVALID, UNUSABLE, VALID, Finding, Report

__all__ = ["Finding", "Report", "verify_directory", "verify_receipt"]

_MAX_TEXT = 1_000_000


class _Verdict(Exception):
    """Verification cannot go on: the outcome is known."""

    def __init__(self, outcome: str, finding: Finding) -> None:
        super().__init__(finding.code)
        self.report = Report(outcome, (finding,))


def verify_directory(
    directory: Path,
    vkey: str | None = None,
    *,
    seen: bytes | None = None,
    state: Path | None = None,
    witnesses: Sequence[str] = (),
) -> Report:
    """
    Verify an exported log: signature, every entry, every tile at every level, the root, and that it continues what was seen.

    `vkey` is the log's public key, obtained elsewhere; without it the file `vkey` of the directory is taken, with a warning.
    What was seen before is the checkpoint `seen`, or what the file `state` keeps (one or the other, else ValueError); after
    a valid verification `state` receives the new checkpoint. `witnesses` are the public keys of witnesses whose cosignatures
    are to be verified. Never raises for what the log holds; OSError when `state` cannot be read or written.
    """
    if seen is not None and state is not None:
        raise ValueError("give the state seen before once")
    try:
        log, warnings, findings = _log_key(directory, vkey)
        opened = _open(_read(directory / "checkpoint"), log, _witness_keys(witnesses))
        earlier = _seen(_kept(state) if seen is None else seen, log)
    except _Verdict as verdict:
        return verdict.report
    signed = opened.checkpoint
    if earlier is None:
        warnings.append(Finding("never_seen"))
    elif earlier.size > signed.size:
        findings.append(Finding("rollback", "checkpoint", index=earlier.size))
        earlier = None
    result = audit(directory, signed, earlier)
    findings += result.findings
    if not findings and state is not None:
        _keep(state, signed.note)
    return Report(
        INVALID if findings else VALID,
        tuple(findings),
        (*warnings, *result.warnings),
        origin=signed.origin,
        size=signed.size,
        root=signed.root.hex(),
        cosigned=opened.cosigned,
        checked={"entries": result.entries, "files": result.files},
    )


def verify_receipt(raw: bytes, vkey: str, *, entry: bytes | None = None, witnesses: Sequence[str] = ()) -> Report:
    """
    Verify a receipt (`.tlog-proof`): the event or entry it carries is in the log that the signed checkpoint describes.

    `entry` is the log entry to look for; without it, the one the receipt carries, or the one its disclosed event and opening
    give. With both they must agree. A receipt whose event was erased verifies the same, and shows no event.
    Never raises for what the receipt holds.
    """
    try:
        log, witness_keys = _key(vkey, ED25519), _witness_keys(witnesses)
        receipt = Receipt.parse(raw)
        disclosure, carried = receipt.disclosure(), receipt.entry()
        shown = None if disclosure is None else disclosure.read()
        if entry is not None and carried is not None and entry != carried:
            raise _Verdict(INVALID, Finding("entry_not_this"))
        wanted = carried if entry is None else entry
        if wanted is None:
            raise _Verdict(UNUSABLE, Finding("nothing_to_check"))
        opened = verify(receipt, wanted, log, witness_keys)
    except _Verdict as verdict:
        return verdict.report
    except ReceiptInvalid:
        return Report(INVALID, (Finding("receipt_malformed"),))
    except DisclosureInvalid:
        return Report(INVALID, (Finding("event_unreadable"),))
    except NoteInvalid as error:
        return Report(INVALID, (Finding(error.code, "checkpoint"),))
    except ProofInvalid:
        return Report(INVALID, (Finding("inclusion", index=receipt.index),))
    return Report(
        VALID,
        warnings=() if witnesses else (Finding("never_seen"),),
        origin=opened.checkpoint.origin,
        size=opened.checkpoint.size,
        root=opened.checkpoint.root.hex(),
        index=receipt.index,
        event=shown,
        cosigned=opened.cosigned,
        checked={"entries": 1},
    )


def _log_key(directory: Path, vkey: str | None) -> tuple[Verifier, list[Finding], list[Finding]]:
    """The log's key, with the warnings and findings about where it comes from."""
    beside = _read(directory / "vkey")
    if vkey is not None:
        key = _key(vkey, ED25519)
        differs = beside is not None and beside != f"{key.vkey}\n".encode()
        return key, [], [Finding("vkey_differs", "vkey")] if differs else []
    if beside is None:
        raise _Verdict(UNUSABLE, Finding("vkey_missing", "vkey"))
    key = _key(beside.decode("utf-8", "replace").removesuffix("\n"), ED25519)
    return key, [Finding("vkey_not_independent", "vkey")], []


def _key(vkey: str, kind: int) -> Verifier:
    try:
        key = Verifier.parse(vkey)
    except NoteInvalid:
        raise _Verdict(UNUSABLE, Finding("vkey_malformed")) from None
    if key.kind != kind:
        raise _Verdict(UNUSABLE, Finding("vkey_role"))
    return key


def _witness_keys(vkeys: Sequence[str]) -> list[Verifier]:
    return [_key(vkey, COSIGNATURE) for vkey in vkeys]


def _open(raw: bytes | None, log: Verifier, witnesses: Sequence[Verifier]) -> OpenCheckpoint:
    if raw is None:
        raise _Verdict(UNUSABLE, Finding("checkpoint_missing", "checkpoint"))
    try:
        return open_checkpoint(raw, log, witnesses)
    except NoteInvalid as error:
        raise _Verdict(INVALID, Finding(error.code, "checkpoint")) from None


def _seen(note: bytes | None, log: Verifier) -> Checkpoint | None:
    if note is None:
        return None
    try:
        return open_checkpoint(note, log).checkpoint
    except NoteInvalid:
        raise _Verdict(UNUSABLE, Finding("seen_unusable")) from None


def _read(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            return file.read(_MAX_TEXT + 1)
    except OSError:
        return None


def _kept(state: Path | None) -> bytes | None:
    """The state kept from the last verification; None the first time. A state that exists must be read: no quiet restart."""
    if state is None or not state.exists():
        return None
    return state.read_bytes()


def _keep(state: Path, note: bytes) -> None:
    temporary = state.with_name(f".{state.name}.tmp")
    temporary.write_bytes(note)
    temporary.replace(state)
