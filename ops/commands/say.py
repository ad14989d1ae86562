"""
How commands speak: results on stdout, everything else on stderr, errors in French then English.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Coroutine, Sequence
from typing import Any, NoReturn, TypeVar

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape

from gateway.keys import Keys, KeysMissing
from gateway.settings import Settings

T = TypeVar("T")

_WIDEST = 60

stderr = Console(stderr=True, highlight=False, soft_wrap=True)
stdout = Console(highlight=False, soft_wrap=True)


def fail(message_fr: str, message_en: str, code: int = 1) -> NoReturn:
    """Say what went wrong and stop; brackets in a sentence are its own, such as `do: [minuit, rang]`."""
    stderr.print(f"[red]Erreur :[/red] {escape(message_fr)}", f"[dim]{escape(message_en)}[/dim]", sep="\n")
    raise typer.Exit(code)


def result(value: Any) -> None:
    """Print one JSON object, for programs."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2))


def rows(found: Sequence[Sequence[str]], *, title: str = "", to_stderr: bool = False) -> None:
    """
    Print one line for each row, in columns: nothing is cut, in a narrow window or in a file; the last column is as long as it is.
    """
    widths = [min(max(map(len, column)), _WIDEST) for column in zip(*found, strict=True)][:-1]
    if title:
        typer.echo(title, err=to_stderr)
    for row in found:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        typer.echo("  ".join([*cells, row[-1]]).rstrip(), err=to_stderr)


def settings() -> Settings:
    """Read the settings; a wrong variable is named, with its rule and never its value."""
    try:
        return Settings()
    except ValidationError as error:
        faults = ", ".join(f"TDU_{str(fault['loc'][0]).upper()} ({fault['type']})" for fault in error.errors())
        fail(f"Réglages à corriger : {faults}.", f"Settings to correct: {faults}.", 2)


def keys(of: Settings) -> Keys:
    """Read the keys, or say how to make them."""
    try:
        return Keys.load(of)
    except KeysMissing as error:
        fail(
            f"Clé absente ou illisible ({error}). Faites « tdu init ».",
            f"Key missing or unreadable ({error}). Run “tdu init”.",
            2,
        )


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run asynchronous work of a command; a database that is away, or was never prepared, is told in a sentence."""
    try:
        return asyncio.run(work)
    except Exception as error:
        # A command that opens no database has not loaded its library, and does not wait for it here.
        library = sys.modules.get("sqlalchemy.exc")
        if not isinstance(error, ConnectionError) and not (library and isinstance(error, library.DBAPIError)):
            raise
        name = type(error).__name__
        fail(
            f"La base ne répond pas, ou n'est pas préparée ({name}). « tdu doctor » dit ce qu'il en est.",
            f"The database does not answer, or is not prepared ({name}). “tdu doctor” tells more.",
        )
