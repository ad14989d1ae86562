"""
A partner's own file, tried on an adapter: which one reads it, what it gives, why it is refused; nothing is kept.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import NoReturn

import typer

from adapters import registry
from adapters.base import Adapter, AdapterError, Context, Translation, fictitious_id
from adapters.mapping.engine import Explained, MappingAdapter
from adapters.tables import HEADER
from ops.commands import say
from ops.kit.covering import uncovered_by
from ops.kit.folders import enclosing
from ops.kit.showing import place


def guess(file: Path, missing: list[str] | None = None) -> Adapter:
    """
    The adapter in whose folder the file is, else the only one that does not refuse it; `missing`: see `find_adapter`.
    """
    if found := enclosing(file, missing):
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
        document_id=fictitious_id,
    )


def translated(adapter: Adapter, file: Path) -> Translation:
    """
    What a file gives; says where it is refused, and ends the command.
    """
    try:
        return adapter.to_shared(file.read_bytes(), _context())
    except AdapterError as error:
        _refused(file, error)


def tables_to_write(adapter: Adapter, file: Path, missing: Sequence[str]) -> NoReturn:
    """
    Give the whole text of each table without a file, from the values of a partner's file (those of the records that are
    refused too, since they come back corrected), and end the command.
    """
    seen = translated(adapter, file).unmapped
    lists = {table.name: table.code_list for table in adapter.tables}
    for name in missing:
        counts = Counter[str]()
        for each in seen:
            if each.table == name:
                counts[each.value] += each.count
        typer.echo(
            f"\nIl manque tables/{name}.csv : collez-y ce qui suit, un code de la liste {lists[name]} au milieu de chaque ligne "
            f"(vide : laissée exprès). Les codes et leurs libellés : « tdu schema codes {lists[name]} ».\n"
            f"{len(counts)} valeur(s), vue(s) {counts.total()} fois, enregistrements refusés compris.\n"
        )
        text = StringIO()
        rows = csv.writer(text, delimiter=";", lineterminator="\n")
        rows.writerow(HEADER)
        rows.writerows((value, "", "") for value, _ in counts.most_common())
        typer.echo(text.getvalue(), nl=False)
    count = len(missing)
    say.fail(
        f"{count} table{'s' if count > 1 else ''} à écrire avant d'essayer ce fichier.",
        f"{count} table{'s' if count > 1 else ''} to write before this file can be tried.",
    )


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
    remarks = (replace(issue, line=found.line) for issue in uncovered_by(found.documents))
    return replace(found, issues=(*found.issues, *remarks))


def _refused(file: Path, error: AdapterError) -> NoReturn:
    say.fail(f"{place(file, error.line, error.column)} : {error.message_fr}", error.message_en)
