"""
The offline verifier: a whole static log, or one receipt, checked without the gateway, its database or its secrets.

Needs the standard library and `cryptography` only. Exit codes of a report: 0 valid, 1 something was altered, 2 nothing
usable to verify. What is verified is the public C2SP formats; any other implementation of them must agree.

What it cannot show: that everything that happened was logged (the receipt given at the time shows that), and, without an
earlier state or a witness, that the operator did not rewrite the whole history and sign it again. The report says so.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from consent.ledger.audit import audit
from consent.ledger.checkpoint import Checkpoint, OpenCheckpoint, open_checkpoint
from consent.ledger.commitment import Disclosure, DisclosureInvalid
from consent.ledger.files import flush, write_durably
from consent.ledger.findings import Finding
from consent.ledger.merkle import ProofInvalid
from consent.ledger.note import COSIGNATURE, ED25519, NoteInvalid, Verifier
from consent.ledger.policy import Policy, PolicyInvalid
from consent.ledger.proof import Receipt, ReceiptInvalid, disclosure_of, verify_entry
from consent.ledger.report import INVALID, UNUSABLE, VALID, Report
from consent.ledger.source import Directory, Source

__all__ = ["Finding", "Report", "verify_directory", "verify_log", "verify_receipt"]

_MAX_TEXT = 1_000_000


class _Verdict(Exception):
    """Verification cannot go on: the outcome is known."""

    def __init__(self, outcome: str, finding: Finding) -> None:
        super().__init__(finding.code)
        self.report = Report(outcome, (finding,))


@dataclass(frozen=True, slots=True)
class _Trust:
    """Whose word is taken: the keys of logs, those of witnesses, and how many of these are enough."""

    logs: tuple[Verifier, ...]
    witnesses: tuple[Verifier, ...]
    policy: Policy

    @classmethod
    def read(cls, vkey: str | None, witnesses: Sequence[str], policy: bytes | None) -> "_Trust":
        """What the caller gave. Raises _Verdict."""
        try:
            read = Policy() if policy is None else Policy.parse(policy)
        except PolicyInvalid as error:
            raise _Verdict(UNUSABLE, Finding("policy_malformed", index=error.line)) from None
        keys = [log.key for log in read.logs] if vkey is None else [_key(vkey, ED25519)]
        more = [key for key in (_key(witness, COSIGNATURE) for witness in witnesses) if key not in read.keys]
        return cls(tuple(keys), (*read.keys, *more), read)

    def open(self, raw: bytes) -> OpenCheckpoint:
        """Verify a checkpoint by a key of its own origin. Raises NoteInvalid, _Verdict when no log is trusted."""
        if not self.logs:
            raise _Verdict(UNUSABLE, Finding("policy_without_log"))
        origin = Checkpoint.parse(raw)[0].origin
        *others, last = [log for log in self.logs if log.name == origin] or self.logs
        for log in others:
            with suppress(NoteInvalid):
                return open_checkpoint(raw, log, self.witnesses)
        return open_checkpoint(raw, last, self.witnesses)

    def missing(self, opened: OpenCheckpoint) -> list[Finding]:
        """The finding that the quorum is not there, if it is not."""
        if self.policy.satisfied(opened.witnessed):
            return []
        return [Finding("quorum_missing", index=len(opened.witnessed))]

    @property
    def watched(self) -> bool:
        """Whether a quorum is asked for, which no history rewritten behind the witnesses' backs has."""
        return self.policy.quorum is not None


def verify_directory(directory: Path, vkey: str | None = None, **options: Any) -> Report:
    """Verify an exported log; see `verify_log` for `options`."""
    return verify_log(Directory(directory), vkey, **options)


def verify_log(
    source: Source,
    vkey: str | None = None,
    *,
    seen: bytes | None = None,
    state: Path | None = None,
    witnesses: Sequence[str] = (),
    policy: bytes | None = None,
    disclosure: bytes | None = None,
) -> Report:
    """
    Verify a static log: signature, every entry, every tile at every level, the root, and that it continues what was seen.

    `vkey` is the log's public key, obtained elsewhere, or is in `policy`; without either the log's own file `vkey` is taken,
    with a warning. What was seen before is the checkpoint `seen`, or what the file `state` keeps (one or the other, else
    ValueError); after a valid verification `state` receives the new checkpoint. Cosignatures by `witnesses` (public keys) are
    verified and reported; those of `policy` (a C2SP tlog-policy) must make its quorum. `disclosure` is an event shown with its
    opening, `{"event", "opening"}`: its commitment must be in the log. Never raises for what the log holds; OSError when
    `state` cannot be read or written.
    """
    if seen is not None and state is not None:
        raise ValueError("give the state seen before once")
    try:
        trust = _Trust.read(vkey, witnesses, policy)
        trust, warnings, findings = _with_own_key(source, vkey, trust)
        opened = _opened(source.read("checkpoint", _MAX_TEXT + 1), trust)
        earlier = _seen(_kept(state) if seen is None else seen, opened.checkpoint.origin, trust)
        shown = None if disclosure is None else _shown(disclosure)
    except _Verdict as verdict:
        return verdict.report
    signed = opened.checkpoint
    findings += trust.missing(opened)
    if earlier is None and not trust.watched:
        warnings.append(Finding("never_seen"))
    if earlier is not None and earlier.size > signed.size:
        findings.append(Finding("rollback", "checkpoint", index=earlier.size))
        earlier = None
    result = audit(source, signed, earlier, None if shown is None else shown.entry())
    findings += result.findings
    if shown is not None and result.index is None:
        findings.append(Finding("not_in_log"))
    if not findings and state is not None:
        _keep(state, signed.note)
    return Report(
        INVALID if findings else VALID,
        tuple(findings),
        (*warnings, *result.warnings),
        origin=signed.origin,
        size=signed.size,
        root=signed.root.hex(),
        index=result.index,
        event=None if shown is None or result.index is None else shown.read(),
        cosigned=opened.cosigned,
        checked={"entries": result.entries, "files": result.files}
        | ({"index_roots": result.roots} if result.roots else {}),
    )


def verify_receipt(
    raw: bytes,
    vkey: str | None = None,
    *,
    entry: bytes | None = None,
    witnesses: Sequence[str] = (),
    policy: bytes | None = None,
    disclosure: bytes | None = None,
) -> Report:
    """
    Verify a receipt (`.tlog-proof`): the event or entry it carries is in the log that the signed checkpoint describes.

    `entry` is the log entry to look for; without it, the one that `disclosure` (`{"event", "opening"}`) opens, the one the
    receipt carries, or the one its disclosed event and opening give. What is given several times must agree. A receipt whose
    event was erased verifies the same, and shows no event. The log's key is `vkey`, or is in `policy`.
    Never raises for what the receipt holds.
    """
    try:
        trust = _Trust.read(vkey, witnesses, policy)
        receipt = Receipt.parse(raw)
        shown = receipt.disclosure() if disclosure is None else _shown(disclosure)
        event = None if shown is None else shown.read()
        given = [
            each for each in (entry, receipt.entry(), None if shown is None else shown.entry()) if each is not None
        ]
        if not given:
            raise _Verdict(UNUSABLE, Finding("nothing_to_check"))
        if len(set(given)) > 1:
            raise _Verdict(INVALID, Finding("entry_not_this"))
        opened = trust.open(receipt.checkpoint)
        verify_entry(receipt, given[0], opened.checkpoint)
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
    findings = trust.missing(opened)
    return Report(
        INVALID if findings else VALID,
        tuple(findings),
        warnings=() if opened.witnessed else (Finding("never_seen"),),
        origin=opened.checkpoint.origin,
        size=opened.checkpoint.size,
        root=opened.checkpoint.root.hex(),
        index=receipt.index,
        event=event,
        cosigned=opened.cosigned,
        checked={"entries": 1},
    )


def _with_own_key(source: Source, vkey: str | None, trust: _Trust) -> tuple[_Trust, list[Finding], list[Finding]]:
    """The keys to use, with the warnings and findings about the key that lies beside the log."""
    beside = source.read("vkey", _MAX_TEXT + 1)
    if vkey is not None:
        known = [f"{key.vkey}\n".encode() for key in trust.logs]
        return trust, [], [Finding("vkey_differs", "vkey")] if beside is not None and beside not in known else []
    if trust.logs:
        return trust, [], []
    if beside is None:
        raise _Verdict(UNUSABLE, Finding("vkey_missing", "vkey"))
    key = _key(beside.decode("utf-8", "replace").removesuffix("\n"), ED25519)
    own = _Trust((key,), trust.witnesses, trust.policy)
    return own, [Finding("vkey_not_independent", "vkey")], []


def _key(vkey: str, kind: int) -> Verifier:
    try:
        key = Verifier.parse(vkey)
    except NoteInvalid:
        raise _Verdict(UNUSABLE, Finding("vkey_malformed")) from None
    if key.kind != kind:
        raise _Verdict(UNUSABLE, Finding("vkey_role"))
    return key


def _opened(raw: bytes | None, trust: _Trust) -> OpenCheckpoint:
    if raw is None:
        raise _Verdict(UNUSABLE, Finding("checkpoint_missing", "checkpoint"))
    try:
        return trust.open(raw)
    except NoteInvalid as error:
        raise _Verdict(INVALID, Finding(error.code, "checkpoint")) from None


def _shown(raw: bytes) -> Disclosure:
    """An event shown apart from any receipt."""
    try:
        disclosure = disclosure_of(raw)
        if disclosure is not None:
            disclosure.read()
            disclosure.entry()
            return disclosure
    except (ReceiptInvalid, DisclosureInvalid):
        pass
    raise _Verdict(UNUSABLE, Finding("disclosure_malformed"))


def _seen(note: bytes | None, origin: str, trust: _Trust) -> Checkpoint | None:
    """What was seen of this log before. Raises _Verdict when it cannot be relied on."""
    if note is None:
        return None
    with suppress(NoteInvalid):
        seen = trust.open(note).checkpoint
        if seen.origin == origin:
            return seen
    raise _Verdict(UNUSABLE, Finding("seen_unusable"))


def _kept(state: Path | None) -> bytes | None:
    """The state kept from the last verification; None the first time. A state that exists must be read: no quiet restart."""
    if state is None or not state.exists():
        return None
    return state.read_bytes()


def _keep(state: Path, note: bytes) -> None:
    state.parent.mkdir(parents=True, exist_ok=True)
    write_durably(state, note)
    flush(state.parent)
