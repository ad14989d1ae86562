"""
Where an auditor's answer stands in the log that everybody sees: it was not made for one auditor alone, nor with an old index.

An answer brings its own checkpoints. Held against the static files that anybody can fetch, they are seen to be heads of the same
log, and each page to have been made with the last root of the index under its checkpoint: an older one leaves out what came after.
"""

from collections.abc import Iterable

from consent.ledger.checkpoint import open_checkpoint
from consent.ledger.findings import Finding
from consent.ledger.lists import Covered
from consent.ledger.note import NoteInvalid, Verifier
from consent.ledger.proving import NotProvable, entries, root_at
from consent.ledger.source import Source

Head = tuple[int, bytes, int]
"""What a page was proved from: the size and root of its checkpoint, and the place of the index's root in the log."""

_MAX_NOTE = 1_000_000


def standing(heads: Iterable[Head], source: Source, log: Verifier) -> list[Finding]:
    """
    What speaks against an answer whose pages were proved from `heads`, in the static log of `source`; nothing when it stands.

    The files are taken as they are: whether they are all there and unaltered is for `verify_log` to say.
    """
    try:
        known = open_checkpoint(source.read("checkpoint", _MAX_NOTE) or b"", log).checkpoint
    except NoteInvalid as error:
        return [Finding(error.code, "checkpoint")]
    findings = []
    for size, root, place in sorted(set(heads)):
        if size > known.size:
            findings.append(Finding("answer_ahead", index=size))
            continue
        try:
            if root_at(source, size) != root:
                findings.append(Finding("answer_fork", index=size))
            elif any(Covered.parse(entry) is not None for entry in entries(source, place + 1, size)):
                findings.append(Finding("answer_stale", index=place))
        except NotProvable:
            findings.append(Finding("log_incomplete", index=size))
    return findings
