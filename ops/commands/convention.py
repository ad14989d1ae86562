"""
`tdu convention`: check a sharing agreement, compare two versions, see what it becomes, print it, sign it; all without any gateway.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from consent.conventions.checks import ConventionRefused
from consent.conventions.compile import compile_convention
from consent.conventions.convention import Convention
from consent.conventions.difference import Change, differences
from consent.conventions.files import ConventionUnreadable, read
from consent.conventions.signature import SignatureInvalid
from consent.conventions.signature import sign as sign_convention
from gateway.titles import field_titles, grouped
from ops.commands import say
from schemas import Kind, code_list

app = typer.Typer(no_args_is_help=True, help="Les conventions de partage. / The sharing agreements.")

File = Annotated[Path, typer.Argument(help="Fichier YAML ou JSON. / YAML or JSON file.", exists=True, dir_okay=False)]
Json = Annotated[bool, typer.Option("--json", help="Pour un programme. / For a program.")]

_NARROWED = {
    "recipient_added": "Une organisation ne reçoit plus ce type de document.",
    "path_added": "Un envoi est supprimé : type de document, émetteur, destinataire, finalité.",
    "fields_added": "Des champs ne peuvent plus sortir.",
    "agreement_no_longer_required": "L'accord de la personne devient nécessaire.",
    "agreement_weakened": "L'accord demandé change de nature, ou doit être mieux prouvé.",
    "break_glass_widened": "L'accès d'urgence est supprimé, ou donne moins, ou moins longtemps.",
    "retention_lengthened": "Des données sont conservées moins longtemps.",
    "nir_entitlement_added": "Une organisation ne peut plus recevoir le NIR.",
    "signature_no_longer_required": "Les requêtes doivent désormais être signées.",
    "channel_added": "Un moyen d'envoyer ou de recevoir est retiré.",
    "volume_raised": "Un émetteur peut transmettre moins de documents.",
    "delegation_added": "Une organisation n'agit plus pour une autre.",
    "validity_extended": "La convention s'applique moins longtemps.",
}
"""The reverse of each widening."""


@app.command("check")
def check(file: File) -> None:
    """Vérifier une convention : tous les défauts, avec ligne et colonne. / Check a convention."""
    convention = read_file(file)
    say.result(
        {
            "id": convention.id,
            "version": convention.version,
            "hash": convention.hash,
            "parties": [{"siret": party.siret, "role": party.role} for party in convention.parties.values()],
            "flows": [flow.id for flow in convention.flows],
        }
    )


@app.command("diff")
def diff(old: File, new: File, as_json: Json = False) -> None:
    """Comparer deux versions : ce qui s'élargit, ce qui se restreint ; sortie 1 si quelque chose s'élargit. / Compare."""
    before, after = read_file(old), read_file(new)
    widened, narrowed = differences(before, after), differences(after, before)
    if as_json:
        say.result({"widened": [_change(each) for each in widened], "narrowed": [_change(each) for each in narrowed]})
    else:
        for each in widened:
            typer.echo(f"ÉLARGIT    {each.message_fr}")
            _tell_change(each, before, after)
        for each in narrowed:
            typer.echo(f"restreint  {_NARROWED[each.code]}")
            _tell_change(each, before, after)
        if not widened and not narrowed:
            typer.echo("Rien ne change pour les personnes.")
    if before.id == after.id and before.hash != after.hash and after.version <= before.version:
        say.stderr.print("Augmentez la version : un autre texte ne peut pas porter la même. / Increase the version.")
    raise typer.Exit(1 if widened else 0)


@app.command("compile")
def compile_file(file: File, as_json: Json = False) -> None:
    """Montrer ce que la convention devient : portées OAuth, routes, champs par flux, durées. / What it becomes."""
    convention = read_file(file)
    compiled = compile_convention(convention, say.settings().durations)
    if as_json:
        masks = {
            flow.id: {name: _titled(flow.kind, patterns) for name, patterns in mask.items()}
            for flow, mask in zip(convention.flows, compiled.as_json()["field_masks"].values(), strict=True)
        }
        say.result(compiled.as_json() | {"field_masks": masks})
        return
    typer.echo(
        f"{compiled.id}, version {compiled.version}\n{compiled.hash}\n\nPortées OAuth, quand elle est en vigueur"
    )
    for siret, scopes in compiled.scopes.items():
        typer.echo(f"  {convention.parties[siret].name} : {' '.join(scopes)}")
    typer.echo("\nRoutes d'un document qui ne nomme aucun destinataire")
    for route in compiled.routes:
        ends = f"{convention.parties[route.sender].name} vers {convention.parties[route.recipient].name}"
        typer.echo(f"  {_kind(route.kind)}, {ends} : {' '.join(sorted(route.purposes))}")
    for flow in convention.flows:
        mask = compiled.field_masks[flow.id]
        without = f", dont {len(mask.without_agreement)} sans accord de la personne" if mask.without_agreement else ""
        urgent = f", {len(mask.in_emergency)} en urgence" if mask.in_emergency else ""
        typer.echo(f"\nFlux « {flow.id} » : {len(mask.at_most)} champs au plus{without}{urgent}")
        for group in grouped(flow.kind, mask.at_most):
            typer.echo(f"  {group.label}")
            for within, titles in group.fields.items():
                typer.echo(f"    {f'{within} : ' if within else ''}{', '.join(titles)}")
    typer.echo("\nDestructions programmées")
    for code, months in compiled.purges.items():
        asked = compiled.retention.get(code)
        why = ", durée de la passerelle" if asked is None else f" ; {asked} mois dans la convention"
        typer.echo(f"  {code_list('retention_class')[code].label_fr} : {months} mois{why if asked != months else ''}")
    typer.echo("\nCanaux et volumes")
    typer.echo(f"  {' ; '.join(code_list('channel')[code].label_fr for code in compiled.channels)}")
    if compiled.signed_requests:
        typer.echo("  requêtes signées (RFC 9421)")
    for name, documents in compiled.as_json()["limits"].items():
        typer.echo(f"  au plus {documents} documents {_UNITS[name]} et par émetteur")


@app.command("print")
def print_file(
    file: File,
    html: Annotated[Path | None, typer.Option(help="Page à imprimer. / Page to print.")] = None,
    pdf: Annotated[Path | None, typer.Option(help="La même en PDF. / The same as PDF.")] = None,
    register: Annotated[
        Path | None, typer.Option(help="Fiche du registre (RGPD art. 30), .html ou .json. / Entry of the register.")
    ] = None,
) -> None:
    """Imprimer la convention en français, et sa fiche du registre des traitements. / Print it, and its register entry."""
    # Checking and signing load neither a PDF library nor a template engine.
    from gateway.printing.html import convention_html, register_html  # noqa: PLC0415
    from gateway.printing.pdf import convention_pdf  # noqa: PLC0415
    from gateway.printing.register import register_entry  # noqa: PLC0415
    from gateway.printing.sheet import sheet  # noqa: PLC0415

    convention = read_file(file)
    if html is None and pdf is None and register is None:
        html = file.with_suffix(".html")
    if html is not None:
        html.write_text(convention_html(sheet(convention)), encoding="utf-8")
    if pdf is not None:
        pdf.write_bytes(convention_pdf(sheet(convention)))
    if register is not None:
        entry = register_entry(convention)
        as_json = register.suffix == ".json"
        text = json.dumps(entry, ensure_ascii=False, indent=2) + "\n" if as_json else register_html(entry)
        register.write_text(text, encoding="utf-8")
    say.result({"written": [str(path) for path in (html, pdf, register) if path is not None]})


@app.command("sign")
def sign(
    file: File,
    key: Annotated[Path, typer.Option(help="Clé privée PEM (EC P-256 ou Ed25519). / Private key.", exists=True)],
    siret: Annotated[str, typer.Option(help="La partie qui signe. / The party that signs.")],
    kid: Annotated[str, typer.Option(help="Nom de la clé enregistrée. / Name of the registered key.")] = "1",
) -> None:
    """Signer une convention ; la signature (JWS) sort sur stdout, à envoyer à …/sign. / Sign a convention."""
    convention = read_file(file)
    try:
        jws = sign_convention(dict(convention.document), key.read_bytes(), siret, kid)
    except SignatureInvalid as error:
        say.fail(error.message_fr, error.message_en)
    say.result({"jws": jws})


def read_file(file: Path) -> Convention:
    """Read a convention, or say everything that is wrong with it, with its place, and stop."""
    try:
        return read(file.read_bytes())
    except ConventionUnreadable as error:
        say.fail(f"{file.name}:{error.line}:{error.column} : {error.message_fr}", error.message_en)
    except ConventionRefused as error:
        for issue in error.issues:
            place = f"{file.name}:{issue.line}:{issue.column}" if issue.line else file.name
            say.stderr.print(
                f"{place} {issue.pointer} : {issue.message_fr}", f"[dim]{issue.message_en}[/dim]", sep="\n"
            )
        say.fail(f"{len(error.issues)} point(s) à corriger.", f"{len(error.issues)} fault(s) to correct.")


def _change(change: Change) -> dict[str, Any]:
    return {"code": change.code, "where": list(change.where), "details": list(change.details)}


def _tell_change(change: Change, before: Convention, after: Convention) -> None:
    """Where a change is, with names instead of numbers, and what it is about: fields by their titles, durations, dates."""
    parties = {siret: party.name for each in (before, after) for siret, party in each.parties.items()}
    if change.code == "validity_extended":
        typer.echo(f"           {before.document['validity']['until']} devient {after.document['validity']['until']}")
        return
    typer.echo("           " + ", ".join(_word(part, parties) for part in change.where))
    if change.code == "retention_lengthened":
        typer.echo(
            f"             {_months(before, change.where[0])} mois devient {_months(after, change.where[0])} mois"
        )
    if change.code == "volume_raised":
        before_and_after = [getattr(each.limits, change.where[0]) or "sans limite" for each in (before, after)]
        typer.echo(f"             {before_and_after[0]} devient {before_and_after[1]}")
    if change.code in ("fields_added", "break_glass_widened"):
        for group in grouped(Kind(change.where[0]), change.details):
            for within, titles in group.fields.items():
                typer.echo(f"             {group.label} : {f'{within} : ' if within else ''}{', '.join(titles)}")


def _months(convention: Convention, retention_class: str) -> int:
    """How long a class of data is kept; a class without rule is not kept beyond the exchange."""
    return {str(rule["class"]): int(rule["months"]) for rule in convention.document["retention"]}.get(
        retention_class, 0
    )


def _word(part: str, parties: dict[str, str]) -> str:
    if part in parties:
        return parties[part]
    if part in _UNITS:
        return _UNITS[part]
    known = next((codes[part] for codes in map(code_list, _LISTS) if part in codes), None)
    return known.label_fr if known else part


_LISTS = ("document_kind", "purpose", "retention_class", "channel")

_UNITS = {"per_day": "par jour", "per_minute": "par minute"}
"""The limits of a convention, in words."""


def _titled(kind: Kind, patterns: Sequence[str]) -> list[dict[str, str]]:
    titles = field_titles(kind)
    return [
        {"pattern": pattern, "title": titles[pattern].title, "within": ", ".join(titles[pattern].within)}
        for pattern in patterns
    ]


def _kind(kind: Kind) -> str:
    return code_list("document_kind")[kind].label_fr
