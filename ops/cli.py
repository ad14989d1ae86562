"""
The command `tdu`: every group of commands is a file of `ops/commands`, read only when it is asked for.

Results on stdout, progress on stderr.
"""

from __future__ import annotations

import gc
from collections.abc import Mapping
from importlib import import_module
from typing import Any, NamedTuple

import typer
from typer import rich_utils
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command


class Entry(NamedTuple):
    """A command: the file of `ops/commands` it is in, its name there, and its title, which the list of commands shows."""

    module: str
    name: str
    title: str


# The fixed strings of Typer's help, in French first. Its sentences of error stay in English: they are only translated by a
# compiled catalogue chosen by the environment's LANGUAGE, which the processes that a command starts would inherit.
rich_utils.COMMANDS_PANEL_TITLE = "Commandes / Commands"
rich_utils.ERRORS_PANEL_TITLE = "Erreur / Error"
rich_utils.REQUIRED_LONG_STRING = "[obligatoire]"
rich_utils.DEFAULT_STRING = "[défaut : {}]"
rich_utils.ABORTED_TEXT = "Abandonné. / Aborted."
rich_utils.RICH_HELP = "L'aide : [blue]{command_path} {help_option}[/] / Help"

COMMANDS: Mapping[str, Entry] = {
    "serve": Entry("serve", "app", "Démarrer la passerelle (réglages : variables TDU_…). / Start the gateway."),
    "demo": Entry(
        "demo",
        "app",
        "Raconter le travail principal avec trois partenaires fictifs. / Tell the main job with three fictitious partners.",
    ),
    "init": Entry(
        "doctor",
        "init_app",
        "Créer les clés qui manquent et préparer la base. / Make the missing keys and prepare the database.",
    ),
    "migrate": Entry(
        "doctor", "migrate_app", "Mettre la base à la dernière version. / Bring the database to the newest version."
    ),
    "doctor": Entry(
        "doctor",
        "app",
        "Dire ce qui ne va pas : réglages, clés, base, bus. / Say what is wrong: settings, keys, database, bus.",
    ),
    "partner": Entry("partner", "app", "Les organisations de l'échange. / The organisations in the exchange."),
    "system": Entry("system", "app", "Les logiciels des organisations. / The organisations' software."),
    "connect": Entry("connect", "app", "Chez le partenaire : essayer le raccordement. / Try the connection."),
    "exchange": Entry("exchange", "app", "Suivre et rejouer les échanges. / Follow and replay exchanges."),
    "keys": Entry("keys", "app", "Les clés de la passerelle. / The gateway's own keys."),
    "user": Entry("user", "app", "Les personnes de la console. / The people of the console."),
    "convention": Entry("convention", "app", "Les conventions de partage. / The sharing agreements."),
    "gate": Entry("gate", "app", "La porte : ce qui peut sortir. / The gate: what may leave."),
    "adapter": Entry("adapter", "app", "Les formats des partenaires. / The partners' formats."),
    "quarantine": Entry("quarantine", "app", "Les fichiers refusés, gardés pour aider. / Refused files, kept to help."),
    "ledger": Entry("ledger", "app", "Le journal des preuves. / The ledger of proofs."),
    "directory": Entry("directory", "app", "L'annuaire des services. / The directory of services."),
    "person": Entry("person", "app", "Les droits d'une personne. / A person's rights."),
    "schema": Entry("schema", "app", "Le langage commun. / The shared language."),
    "bench": Entry(
        "bench",
        "app",
        "Mesurer ; les chiffres d'un même passage se comparent entre eux. / Measure; figures of one run compare.",
    ),
    "faults": Entry("faults", "app", "Les pannes provoquées. / Faults made on purpose."),
}
"""Each command; a test says that the titles are those that the files give themselves."""


class Commands(TyperGroup):
    """Reads a command's file when the command is used: neither the list of commands nor verifying a log loads a web server."""

    def __init__(self, **attributes: Any) -> None:
        """Hold the titles; `attributes` are Typer's."""
        titles = {name: TyperCommand(name, help=entry.title) for name, entry in COMMANDS.items()}
        super().__init__(**{**attributes, "commands": titles})

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command that was typed, whole."""
        name, titled, rest = super().resolve_command(ctx, args)
        if name is None:
            return name, titled, rest
        entry = COMMANDS[name]
        gc.disable()  # what is read here stays: the collector would look through it again and again, and find nothing
        try:
            command = get_command(getattr(import_module(f"ops.commands.{entry.module}"), entry.name))
        finally:
            gc.enable()
        command.name = name
        return name, command, rest


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
