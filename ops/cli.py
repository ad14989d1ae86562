"""
The command `tdu`: every group of commands is a file of `ops/commands`. Results on stdout, progress on stderr.
"""

from __future__ import annotations

import typer

from ops.commands import adapter, convention, demo, doctor, ledger, partner, schema, serve

app = typer.Typer(
    name="tdu",
    help="Trait d'union : la passerelle d'interopérabilité du secteur social. / The interoperability gateway of the social sector.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
)

app.command("serve")(serve.serve)
app.command("demo")(demo.demo)
app.command("init")(doctor.init)
app.command("migrate")(doctor.migrate)
app.command("doctor")(doctor.doctor)
app.add_typer(partner.app, name="partner")
app.add_typer(partner.systems, name="system")
app.add_typer(convention.app, name="convention")
app.add_typer(adapter.app, name="adapter")
app.add_typer(ledger.app, name="ledger")
app.add_typer(schema.app, name="schema")


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
