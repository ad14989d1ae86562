"""
How `tdu adapter` speaks to people: the exam, the explanation of a record, the coverage of a format or of a file.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.markup import escape

from adapters.base import Adapter, Records, Translation, Unmapped
from adapters.coverage import FormatCoverage
from adapters.exam import Result
from adapters.mapping.engine import Explained
from adapters.mapping.loading import FILE
from adapters.mapping.run import MAX_ISSUES
from adapters.quality import Level
from adapters.report import Treatment, count_rules
from ops.commands import say
from schemas import Issue

_ELEMENTS_SHOWN = 40
_TREATMENTS = {
    Treatment.MAPPED: "repris",
    Treatment.KEPT: "gardé",
    Treatment.IGNORED: "écarté",
    Treatment.GROUP: "groupe",
    Treatment.UNKNOWN: "inconnu",
}
_UNKNOWN = (
    "ni place ni raison dans ce format : nommez-le sous « fields » ou « ignored » de mapping.yaml (« * » : un nom avec des espaces, "
    "des accents ou des chiffres, qui pourrait être une donnée, n'est pas montré ; comparez avec la première ligne du fichier)"
)
_LEVELS = {Level.NONE: "aucun", Level.BRONZE: "bronze", Level.SILVER: "argent", Level.GOLD: "or"}


def made(folder: Path) -> None:
    """Name the files of a new folder."""
    say.stderr.print(f"Créé · made: {folder}", markup=False, soft_wrap=True)
    for file in sorted(folder.rglob("*")):
        if file.is_file() and "__pycache__" not in file.parts:
            say.stderr.print(f"  {file.relative_to(folder)}", markup=False)


def next_steps(adapter: str, folder: Path, file: Path) -> None:
    """After a draft was made from a file: what to do, in order, with the commands as they are to be typed."""
    typed = sys.argv[0] if Path(sys.argv[0]).name == "tdu" else "tdu"
    tdu = "tdu" if shutil.which("tdu") == typed else typed
    steps = (
        f"Relisez {folder / FILE} : donnez une place à chaque colonne d'« ignored », ou une raison.",
        f"  {tdu} schema places referral --search MOT ; {tdu} schema codes LISTE",
        f"Essayez un enregistrement, puis tout le fichier : {tdu} adapter try {adapter} {file} --row 1",
        f"  {tdu} adapter try {adapter} {file}",
        f"Posez des exemples fictifs : {folder / 'samples'}/ordinaire/partner{file.suffix}, puis remarques/ et refus/.",
        f"  {tdu} adapter accept {adapter} ; relisez ce qui est écrit à côté de chaque exemple",
        f"Passez l'examen : {tdu} adapter exam {adapter}",
    )
    say.stderr.print("\nEt maintenant · Next (adapters/README.md) :", markup=False)
    number = 0
    for step in steps:
        number += not step.startswith(" ")
        say.stderr.print(step if step.startswith(" ") else f"{number}. {step}", markup=False)


def exam(result: Result) -> int:
    """Show an exam; gives the exit code, 0 when every question was passed."""
    for answer in result.answers:
        shown = answer.answered and answer.concerns
        mark = "[red]✗[/red]" if answer.findings else "[green]✓[/green]" if shown else "–"
        apart = "" if answer.concerns else " (sans objet : ce format ne s'écrit pas · not written)"
        say.stdout.print(f"{mark} {answer.title_fr} [dim]· {answer.title_en}[/dim]{apart}")
        for finding in answer.findings:
            say.stdout.print(f"    {escape(finding.where)} : {escape(finding.message_fr)}")
    if not all(answer.answered for answer in result.answers if answer.concerns):
        say.stdout.print("– : aucun exemple à regarder, rien n'est montré · no sample to look at, nothing is shown")
    say.stdout.print(f"{result.adapter} : niveau {_LEVELS[result.level]} · level {result.level.value}")
    if result.next_steps:
        say.stdout.print("Pour le niveau suivant · for the next level:")
        for step in result.next_steps:
            say.stdout.print(f"  {escape(step.where)} : {escape(step.message_fr)}")
    if result.level is Level.GOLD:
        say.stdout.print(
            "Une fois ce dossier dans adapters/, « tdu adapter report --write » met COVERAGE.md à jour. · It updates COVERAGE.md."
        )
    return 0 if result.passed else 1


def as_json(result: Result) -> dict[str, Any]:
    """An exam as plain values."""
    return {
        "adapter": result.adapter,
        "passed": result.passed,
        "level": result.level.value,
        "answers": [asdict(answer) for answer in result.answers],
        "next_steps": [asdict(step) for step in result.next_steps],
    }


def explained(found: Explained, file: Path, rank: int, *, as_json: bool) -> None:
    """Show what the record of that rank became, and which rule gave each value."""
    if as_json:
        say.result({**asdict(found), "issues": [asdict(issue) for issue in found.issues]})
        return
    line = f", ligne {found.line}" if found.line else ""
    say.stdout.print(f"{file.name}, enregistrement {rank}{line}", markup=False)
    say.stdout.print(json.dumps(found.record, ensure_ascii=False, indent=2), markup=False)
    rows = [("Place commune", "Règle", "Vient de", "Valeur")]
    for given in found.given:
        value = given.value if isinstance(given.value, str) else json.dumps(given.value, ensure_ascii=False)
        rows.append((given.target, f"{FILE}:{given.line}", given.source or "–", value))
    if found.given:
        say.rows(rows)
    for document in found.documents:
        say.stdout.print(json.dumps(document, ensure_ascii=False, indent=2), markup=False)
    issues(found.issues, file)
    if found.set_aside:
        _set_aside(file, found.line, str(rank))
    elif not found.documents:
        say.stderr.print("Aucun document : l'enregistrement n'est pas repris. / No document.")


def issues(found: Iterable[Issue], file: Path) -> None:
    """Show what the sender is told, with its place."""
    for issue in found:
        where = f"{place(file, issue.line, issue.column)} {issue.pointer}".rstrip()
        say.stderr.print(f"{where} : {issue.message_fr}", markup=False, soft_wrap=True)


def place(file: Path, line: int | None, column: int | None = None) -> str:
    """Where something is in a file, as far as it is known: `export.csv, ligne 2, colonne 29`."""
    named = (("ligne", line), ("colonne", column if line else None))
    return ", ".join([file.name, *(f"{word} {number}" for word, number in named if number)])


def records(found: Records | None, file: Path) -> None:
    """Name each record that no rule takes, then say how many were read, taken over, left out; nothing when not counted."""
    if found is None:
        return
    for source in found.set_aside[:MAX_ISSUES]:
        _set_aside(file, source.line, source.reference or "?")
    say.stderr.print(found.sentences[0])


def _set_aside(file: Path, line: int | None, rank: str) -> None:
    say.stderr.print(
        f"{place(file, line)} : l'enregistrement {rank} ne donne aucun document, aucune règle ne le prend (« when » de "
        "mapping.yaml). / No document: no rule takes this record.",
        markup=False,
        soft_wrap=True,
    )


def unmapped(found: Sequence[Unmapped]) -> None:
    """
    Show the values that no table has, the most frequent first, then how many were left without a code on purpose; this screen
    is the partner's own.
    """
    absent, left = [each for each in found if not each.known], [each for each in found if each.known]
    if absent:
        rows = [("Table", "Élément", "Nombre", "Valeur")]
        rows += [
            (f"tables/{each.table}.csv", each.path, str(each.count), each.value) for each in absent[:_ELEMENTS_SHOWN]
        ]
        say.rows(rows, title="Valeurs sans code commun, absentes de la table", to_stderr=True)
    if len(absent) > _ELEMENTS_SHOWN:
        say.stderr.print(f"… et {len(absent) - _ELEMENTS_SHOWN} autres. / and {len(absent) - _ELEMENTS_SHOWN} more.")
    if left:
        say.stderr.print(
            f"Laissées exprès sans code (dans la table) : {len(left)} valeur(s), vue(s) {sum(each.count for each in left)} fois. "
            "/ Left without a code on purpose."
        )


def unknown(found: Translation, file: Path) -> None:
    """Say that the file has columns or elements that the format does not name: nothing of them is used."""
    lines = found.coverage.unknown
    if lines:
        names = ", ".join(line.path for line in lines[:_ELEMENTS_SHOWN])
        say.stderr.print(
            f"{file.name} : {sum(line.count for line in lines)} valeur(s) que ce format ne nomme pas, rien n'en est repris : {names}. "
            "« tdu adapter report » dit quoi faire. / values that the format does not name; nothing of them is used.",
            markup=False,
        )


def formats(found: Sequence[FormatCoverage], *, as_json: bool) -> None:
    """Show a line for each format."""
    if as_json:
        say.result([each.as_document() for each in found])
        return
    rows: list[tuple[str, ...]] = [("Format", "Sens", "Niveau", "Repris", "Gardés", "Écartés", "Codes", "Perdus")]
    for each in found:
        counts = [str(each.elements[t.value]) for t in (Treatment.MAPPED, Treatment.KEPT, Treatment.IGNORED)]
        lost = str(len(each.lost)) if each.direction == "⇄" else ""
        rows.append((each.adapter.name, each.direction, _LEVELS[each.level], *counts, str(each.codes), lost))
    say.rows(rows, title="Couverture")


def elements(adapter: Adapter, *, as_json: bool) -> None:
    """Show every element of a format and what becomes of it."""
    rules = adapter.fields.values()
    if as_json:
        say.result({"totals": count_rules(adapter.fields), "elements": [asdict(rule) for rule in rules]})
        return
    shown = [rule for rule in rules if rule.treatment is not Treatment.GROUP]
    rows = [(rule.path, _TREATMENTS[rule.treatment], rule.target or rule.reason) for rule in shown]
    say.rows([("Élément", "Traitement", "Vers, ou raison"), *rows], title=_totals(count_rules(adapter.fields)))


def coverage(translation: Translation, *, as_json: bool) -> None:
    """Show what became of each element of a file; the elements of a record that is left out were read, and are counted."""
    found, counted = translation.coverage, translation.records
    if as_json:
        say.result(found.as_document() | {"records": counted.as_document() if counted else None})
        return
    if counted:
        say.stdout.print(counted.sentences[0])
        if counted.used < counted.read:
            say.stdout.print(
                "Les nombres ci-dessous sont ceux du fichier lu, enregistrements non repris compris. "
                "/ The counts below are those of the whole file."
            )
    lines = [line for line in found.lines if line.treatment is not Treatment.GROUP]
    shown = lines[:_ELEMENTS_SHOWN]
    rows = [
        (each.path, _TREATMENTS[each.treatment], str(each.count), each.target or (
            _UNKNOWN if each.treatment is Treatment.UNKNOWN else each.reason))
        for each in shown
    ]  # fmt: skip
    say.rows([("Élément", "Traitement", "Nombre", "Vers, ou raison"), *rows], title=_totals(found.totals()))
    if len(lines) > _ELEMENTS_SHOWN:
        say.stderr.print(
            f"… et {len(lines) - _ELEMENTS_SHOWN} autres : --json les donne tous. / --json gives them all."
        )


def _totals(counts: dict[str, int]) -> str:
    return ", ".join(f"{_TREATMENTS[Treatment(name)]} {count}" for name, count in counts.items())
