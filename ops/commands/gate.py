"""
`tdu gate`: explain a decision of the gate from files, without any gateway; take the recorded ones again and compare.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from consent.agreement import Agreement, Objection
from consent.conventions.collection import Conventions
from consent.conventions.convention import Convention
from consent.gate import Decision, Request, decide
from gateway.explanation import OUTCOMES, STEP_TITLES, explained
from gateway.titles import grouped
from ops.commands import say
from ops.commands.convention import read_file
from schemas import Document, Kind, MalformedJson, code_list, parse_json, validate

if TYPE_CHECKING:
    from gateway.replay import Replayed

app = typer.Typer(no_args_is_help=True, help="La porte : ce qui peut sortir. / The gate: what may leave.")

Json = Annotated[bool, typer.Option("--json", help="Pour un programme. / For a program.")]


@app.command("explain")
def explain(
    conventions: Annotated[
        list[Path], typer.Argument(help="Conventions, YAML ou JSON. / Conventions.", exists=True, dir_okay=False)
    ],
    kind: Annotated[Kind, typer.Option(help="Genre du document. / Kind of document.")],
    purpose: Annotated[str, typer.Option(help="Finalité. / Purpose.")],
    sender: Annotated[str, typer.Option("--from", help="SIRET de l'émetteur. / SIRET of the sender.")],
    recipient: Annotated[str, typer.Option("--to", help="SIRET du destinataire. / SIRET of the recipient.")],
    as_signed: Annotated[
        bool,
        typer.Option("--as-signed", help="Comme si toutes les parties avaient signé. / As if all parties had signed."),
    ] = False,
    consent: Annotated[
        list[Path] | None,
        typer.Option(
            help="Accord de la personne, JSON ; répétable. / The person's agreement; repeatable.", exists=True
        ),
    ] = None,
    objection: Annotated[
        bool, typer.Option("--objection", help="La personne s'est opposée. / The person objected.")
    ] = False,
    at: Annotated[
        datetime | None, typer.Option(help="Instant de la décision, en UTC ; par défaut maintenant. / Instant, in UTC.")
    ] = None,
    channel: Annotated[str | None, typer.Option(help="Canal (api, inbound, mailbox…). / Channel.")] = None,
    as_json: Json = False,
) -> None:
    """Dire si un envoi passerait, étape par étape, et quels champs ; sortie 1 s'il est refusé. / Explain a decision."""
    known = [read_file(file).in_state("valid" if as_signed else "proposed") for file in conventions]
    now = at.replace(tzinfo=UTC) if at else datetime.now(UTC)
    request = Request(kind, purpose, sender, recipient, now, channel)
    objections = [Objection("1", None, None, now, now + timedelta(days=1))] if objection else []
    decision = decide(request, _collected(known), [_agreement(file) for file in consent or ()], objections)
    if as_json:
        say.result(explained(decision) | {"sender": sender, "purpose": purpose})
    else:
        _tell(request, decision, known)
    raise typer.Exit(0 if decision.permit else 1)


@app.command("replay")
def replay(
    event: Annotated[
        str | None, typer.Argument(help="Identifiant d'un événement du journal. / Id of an event.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Toutes les décisions du journal. / Every decision.")] = False,
    as_json: Json = False,
) -> None:
    """Rejouer une décision avec ce qui valait ce jour-là ; sortie 1 si elle diffère. / Take a decision again and compare."""
    if (event is None) == (not every):
        say.fail("Donnez un événement, ou --all.", "Give an event, or --all.", 2)
    found = say.run(_replay(event))
    counts = Counter(each.outcome.value for each in found)
    if as_json:
        listed = found if event else [each for each in found if each.outcome.value == "different"]
        say.result({"decisions": len(found), "outcomes": dict(counts), "replayed": [each.to_json() for each in listed]})
    else:
        _tell_replays(found, every)
    raise typer.Exit(1 if counts["different"] else 0)


async def _replay(event: str | None) -> list[Replayed]:
    # Explaining from files needs no database: only this command reads what opens one.
    from gateway.replay import UnknownDecision, replay, replay_all  # noqa: PLC0415
    from gateway.store.crypto import Vault  # noqa: PLC0415
    from gateway.store.database import Database  # noqa: PLC0415

    settings = say.settings()
    vault = Vault(say.keys(settings).ring)
    database = Database(settings.database)
    try:
        async with database.read() as tx:
            if event is None:
                return [each async for each in replay_all(tx, vault)]
            return await replay(tx, event, vault)
    except UnknownDecision:
        say.fail(
            "Aucun événement de cet identifiant n'est une décision de la porte : donnez celui d'un échange accepté ou refusé, d'une "
            "remise, d'un avis de retrait ou d'une simulation (« tdu exchange show », « /console/ledger »).",
            "No event of this id is a decision of the gate: give that of an accepted or refused exchange, a disclosure, a notice of "
            "withdrawal or a simulation.",
            2,
        )
    finally:
        await database.close()


def _collected(known: list[Convention]) -> Conventions:
    try:
        return Conventions(known)
    except ValueError:
        say.fail("La même version d'une convention est donnée deux fois.", "The same version is given twice.", 2)


def _agreement(file: Path) -> Agreement:
    try:
        document = parse_json(file.read_bytes())
    except MalformedJson as error:
        say.fail(f"{file.name}:{error.line}:{error.column} : {error.message_fr}", error.message_en, 2)
    for issue in (issues := validate(Kind.CONSENT, document)):
        say.stderr.print(
            f"{file.name} {issue.pointer} : {issue.message_fr}", f"[dim]{issue.message_en}[/dim]", sep="\n"
        )
    if issues:
        say.fail(f"{len(issues)} point(s) à corriger dans l'accord.", f"{len(issues)} fault(s) in the agreement.", 2)
    agreement: Document = document
    return Agreement.from_document(agreement)


def _tell(request: Request, decision: Decision, known: list[Convention]) -> None:
    names = {siret: party.name for convention in known for siret, party in convention.parties.items()}
    kinds, purposes = code_list("document_kind"), code_list("purpose")
    purpose = purposes[request.purpose].label_fr if request.purpose in purposes else request.purpose
    typer.echo(f"Document     {kinds[request.kind].label_fr}\nFinalité     {purpose}")
    typer.echo(f"Émetteur     {names.get(request.sender, request.sender)}")
    typer.echo(f"Destinataire {names.get(request.recipient, request.recipient)}")
    typer.echo(f"Instant      {request.at:%d/%m/%Y %H:%M} UTC\n")
    for step in decision.steps:
        typer.echo(f"{step.number}. {STEP_TITLES[step.name][0]} ({step.article}) : {OUTCOMES[step.outcome][0]}")
    if not decision.permit:
        typer.echo("\nREFUSÉ")
        for reason in decision.reasons:
            typer.echo(f"  {reason.message_fr} ({reason.article} ; {reason.code})")
        return
    assert decision.convention is not None
    typer.echo(f"\nPERMIS par la convention {decision.convention.id}, version {decision.convention.version}", nl=False)
    typer.echo(f", flux « {decision.convention.flow} »\n  {decision.basis}")
    typer.echo(f"  {len(decision.fields)} champs peuvent sortir :")
    for group in grouped(decision.kind, decision.fields):
        typer.echo(f"\n  {group.label}")
        for within, titles in group.fields.items():
            typer.echo(f"    {f'{within} : ' if within else ''}{', '.join(titles)}")


def _tell_replays(found: list[Replayed], every: bool) -> None:
    shown = [each for each in found if not every or each.outcome.value == "different"]
    for each in shown:
        recipient = f", destinataire {each.recipient}" if each.recipient else ""
        rules = "" if each.same_rules else " ; les règles du programme ont changé depuis"
        differences = f" : {', '.join(each.differences)}" if each.differences else ""
        typer.echo(
            f"{each.event_id} {each.event_type}{recipient} : {_OUTCOMES[each.outcome.value]}{differences}{rules}"
        )
    if every:
        counts = Counter(each.outcome.value for each in found)
        told = ", ".join(f"{counts[outcome]} {title}" for outcome, title in _OUTCOMES.items())
        typer.echo(f"{len(found)} décisions rejouées : {told}.")


_OUTCOMES: dict[str, str] = {
    "same": "même réponse",
    "different": "RÉPONSE DIFFÉRENTE",
    "erased": "personne effacée, rien à rejouer",
    "forgotten": "l'événement, ou un accord d'alors, est au terme de sa conservation : rien à rejouer",
}
