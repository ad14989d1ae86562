"""
The command `tdu`: every group of commands is a file of `ops/commands`, read only when it is asked for.

Results on stdout, progress on stderr.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

COMMANDS: Mapping[str, tuple[str, str]] = {
    "serve": ("serve", "app"),
    "demo": ("demo", "app"),
    "init": ("doctor", "init_app"),
    "migrate": ("doctor", "migrate_app"),
    "doctor": ("doctor", "app"),
    "partner": ("partner", "app"),
    "system": ("system", "app"),
    "connect": ("connect", "app"),
    "exchange": ("exchange", "app"),
    "keys": ("keys", "app"),
    "user": ("user", "app"),
    "convention": ("convention", "app"),
    "gate": ("gate", "app"),
    "adapter": ("adapter", "app"),
    "quarantine": ("quarantine", "app"),
    "ledger": ("ledger", "app"),
    "directory": ("directory", "app"),
    "person": ("person", "app"),
    "schema": ("schema", "app"),
    "bench": ("bench", "app"),
    "faults": ("faults", "app"),
}
"""Each command, the file of `ops/commands` it is in, and its name there."""


class Commands(TyperGroup):
    """Reads a command's file when the command is used: verifying a log does not load a web server."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Name the commands, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Find one command, or None."""
        if cmd_name not in COMMANDS:
            return None
        module, name = COMMANDS[cmd_name]
        command = get_command(getattr(import_module(f"ops.commands.{module}"), name))
        command.name = cmd_name
        return command


app = typer.Typer(
    cls=Commands,
    help="Trait d'union : la passerelle d'interopérabilité du secteur social. / The interoperability gateway of the social sector.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.callback()
def _tdu() -> None:
    """Give the group its help; the commands come from the table."""


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
