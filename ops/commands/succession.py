"""
`tdu ledger open-new`: another log over the same database.
"""

from __future__ import annotations

import sys
from pathlib import Path

import typer

from consent.ledger.mark import SequencerRefused
from consent.ledger.note import NoteInvalid, Verifier
from ops.commands import say
from ops.succession import open_new


def run(previous: str | None, seen: Path | None, *, yes: bool) -> None:
    """Open the log that the settings name, once it was agreed to; print the old one and the new one."""
    settings = say.settings()
    keys = say.keys(settings)
    if not yes:
        if not sys.stdin.isatty():
            say.fail("Sans terminal pour répondre, ajoutez --yes.", "With no terminal to answer from, add --yes.", 2)
        question = f"Fermer le journal de cette base et ouvrir {settings.origin} ? / Close its log and open this one?"
        if not typer.confirm(question, err=True):
            say.fail("Rien n'a été fait.", "Nothing was done.")
    try:
        key = None if previous is None else Verifier.parse(previous)
        head = None if seen is None else seen.read_bytes()
        opened = say.run(open_new(settings, keys, key, head))
    except SequencerRefused as error:
        say.fail(error.message_fr, error.message_en)
    except (NoteInvalid, FileNotFoundError, FileExistsError) as error:
        say.fail(f"Clé, tête ou fichier inutilisable ({error}).", f"Unusable key, head or file ({error}).", 2)
    say.result(opened.told())
