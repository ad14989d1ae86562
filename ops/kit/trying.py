"""
A partner's own file, tried on an adapter: which one reads it, what it gives, why it is refused; nothing is kept.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

from adapters import registry
from adapters.base import Adapter, AdapterError, Context, Translation
from adapters.mapping.engine import Explained, MappingAdapter
from ops.commands import say
from ops.kit.folders import enclosing


def guess(file: Path) -> Adapter:
    """
    The adapter in whose folder the file is, else the only one that does not refuse it.
    """
    if found := enclosing(file):
        return found
    raw, accepting = file.read_bytes(), []
    for adapter in registry.ADAPTERS.values():
        try:
            if adapter.to_shared(raw, _context()).documents:
                accepting.append(adapter)
        except AdapterError:
            continue
    if len(accepting) != 1:
        names = ", ".join(adapter.name for adapter in accepting or registry.ADAPTERS.values())
        say.fail(
            f"{'Plusieurs formats lisent' if accepting else 'Aucun format ne lit'} ce fichier ; dites lequel : {names}.",
            f"{'Several formats read' if accepting else 'No format reads'} this file; say which: {names}.",
            2,
        )
    say.stderr.print(f"{accepting[0].name} ({accepting[0].title})", markup=False)
    return accepting[0]


def _context() -> Context:
    return Context(
        organisation={"siret": "99900001100018", "name": "Essai"},
        purpose="inform_about_rights",
        now=datetime.now(UTC),
        document_id=lambda _key: str(uuid.uuid4()),
    )


def translated(adapter: Adapter, file: Path) -> Translation:
    """
    What a file gives; says where it is refused, and ends the command.
    """
    try:
        return adapter.to_shared(file.read_bytes(), _context())
    except AdapterError as error:
        _refused(file, error)


def explained(adapter: MappingAdapter, file: Path, row: int) -> Explained:
    """
    What one record of a file gives, rule by rule; says what is wrong, and ends the command.
    """
    try:
        found = adapter.explain(file.read_bytes(), _context(), row)
    except AdapterError as error:
        _refused(file, error)
    if found is None:
        say.fail(f"Il n'y a pas d'enregistrement n° {row}.", f"There is no record number {row}.", 2)
    return found


def _refused(file: Path, error: AdapterError) -> NoReturn:
    say.fail(f"{file.name}:{error.line or '?'}:{error.column or '?'} : {error.message_fr}", error.message_en)
