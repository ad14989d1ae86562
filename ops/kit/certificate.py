"""
The certificate of an adapter: what the exam found, over exactly these files, as a note that the gateway signs.

The text is for people and programs: one `name: value` a line. Its signature is that of the gateway's ledger, a C2SP signed
note, so that any verifier of such notes checks it; the ledger can keep that it was given.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from adapters.base import Adapter
from adapters.exam import QUESTIONS, Result
from adapters.report import Treatment, count_rules
from consent.ledger.note import Note, Signer, Verifier

TITLE = "trait-dunion adapter certificate v1"


def certificate_text(adapter: Adapter, folder: Path, result: Result, now: datetime) -> str:
    """
    What is certified; `now` carries its offset.
    """
    counts = count_rules(adapter.fields)
    lines = {
        "adapter": adapter.name,
        "level": result.level.value,
        "questions": f"{sum(answer.passed for answer in result.answers)}/{len(QUESTIONS)}",
        "elements": ", ".join(
            f"{counts[t.value]} {t.value}" for t in (Treatment.MAPPED, Treatment.KEPT, Treatment.IGNORED)
        ),
        "files": f"sha256:{folder_digest(folder)}",
        "examiner": f"trait-dunion {version('trait-dunion')}",
        "at": now.astimezone(UTC).isoformat(timespec="seconds"),
    }
    return "\n".join([TITLE, *(f"{name}: {value}" for name, value in lines.items()), ""])


def sign(text: str, signer: Signer) -> str:
    """
    The certificate with the gateway's signature.
    """
    return signer.sign(text)


def verify(raw: bytes, vkey: str, adapter: Adapter, folder: Path) -> dict[str, str]:
    """
    What a certificate says, once its signature verifies and the files are still those that it is about.

    Raises `NoteInvalid` (consent.ledger.note), or `ValueError` when the files or the adapter are others.
    """
    note = Note.parse(raw)
    note.verify([Verifier.parse(vkey)])
    title, *lines = note.text.splitlines()
    said = dict(line.split(": ", 1) for line in lines)
    if title != TITLE or said.get("adapter") != adapter.name:
        raise ValueError("the certificate is about something else")
    if said.get("files") != f"sha256:{folder_digest(folder)}":
        raise ValueError("the files changed since the certificate was given")
    return said


def folder_digest(folder: Path) -> str:
    """
    The SHA-256 of an adapter's files: of the lines `sha256  path` in the order of their paths.
    """
    lines = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {path}\n" for path, file in sorted(_files(folder))]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    for file in folder.rglob("*"):
        if file.is_file() and "__pycache__" not in file.parts:
            yield file.relative_to(folder).as_posix(), file
