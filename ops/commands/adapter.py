"""
`tdu adapter`: make an adapter, try it on one's own files, sit the exam; nothing is sent or kept.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from adapters import registry
from adapters.base import Adapter, AdapterError
from adapters.coverage import measure, report_text
from adapters.exam import Sitting, sit
from adapters.mapping.engine import MappingAdapter
from adapters.mapping.loading import FILE
from ops.commands import say
from ops.commands.certifying import certify, signer
from ops.commands.functions import functions
from ops.kit import certificate, scaffold, showing, trying
from ops.kit.acceptance import accept, unwritten
from ops.kit.covering import uncovered
from ops.kit.folders import find_adapter, real_folder
from schemas import Kind, validate

app = typer.Typer(no_args_is_help=True, help="Les formats des partenaires. / The partners' formats.")

Name = Annotated[
    str,
    typer.Argument(
        help="Nom d'un adaptateur, ou dossier qui contient mapping.yaml. / Name of an adapter, or a folder."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Pour un programme. / For a program.")]


@app.command("list")
def list_adapters() -> None:
    """Lister les formats connus. / List the known formats."""
    for name, adapter in registry.ADAPTERS.items():
        typer.echo(f"{name:24} {adapter.title}")


@app.command("new")
def new(
    name: Annotated[
        str, typer.Argument(help="Nom du format : minuscules, chiffres, tirets. / Lower case, digits, dashes.")
    ],
    form: Annotated[str, typer.Option("--format", help=", ".join(scaffold.FORMATS))] = "csv",
    source: Annotated[
        Path | None,
        typer.Option(
            "--from",
            help="Partir de la première ligne d'un fichier CSV ou XLSX. / Start from a file's first line.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    into: Annotated[
        Path | None, typer.Option(help="Dossier où le créer. / Folder to make it in.", file_okay=False)
    ] = None,
    package: Annotated[
        bool, typer.Option("--package", help="Dans un paquet à part, à installer. / In a package of its own.")
    ] = False,
) -> None:
    """Créer le dossier d'un nouveau format, puis lui faire passer l'examen. / Make the folder of a new format."""
    if not scaffold.NAME.fullmatch(name) or name in registry.ADAPTERS:
        say.fail(
            "Ce nom est déjà pris, ou n'est pas fait de minuscules, chiffres et tirets.",
            "This name is taken, or is not made of lower case, digits and dashes.",
            2,
        )
    if form not in scaffold.FORMATS:
        known = ", ".join(scaffold.FORMATS)
        say.fail(f"Formats possibles : {known}.", f"Possible formats: {known}.", 2)
    place = into or (Path.cwd() if package else scaffold.home() or Path.cwd())
    try:
        if package:
            place = scaffold.package(name, place)
        folder = scaffold.draft(name, source, place) if source else scaffold.make(name, form, place)
        scaffold.write_schema(folder.parent)
        if package:
            scaffold.as_module(folder)
    except FileExistsError as error:
        say.fail(f"{error} existe déjà.", f"{error} already exists.", 2)
    except AdapterError as error:
        say.fail(error.message_fr, error.message_en)
    showing.made(folder)
    if source:
        showing.next_steps(name if scaffold.home() == folder.parent else str(folder), folder, source)
        raise typer.Exit
    adapter = _new_adapter(name, folder)
    if adapter is not None:
        list(accept(adapter, folder))
        raise typer.Exit(showing.exam(sit(Sitting(adapter, folder))))


@app.command("try")
def try_adapter(
    first: Annotated[
        str, typer.Argument(metavar="[ADAPTATEUR] FICHIER", help="Adaptateur (nom ou dossier), puis fichier.")
    ],
    second: Annotated[str | None, typer.Argument(hidden=True)] = None,
    row: Annotated[
        int | None,
        typer.Option(min=1, help="Expliquer le n-ième enregistrement. / Explain the n-th record."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Traduire un fichier et dire d'où vient chaque valeur ; l'adaptateur se devine s'il n'est pas donné. / Translate a file."""
    file = Path(second if second is not None else first)
    if not file.is_file():
        say.fail(f"{file} n'est pas un fichier.", f"{file} is not a file.", 2)
    missing: list[str] = []
    adapter = find_adapter(first, missing) if second is not None else trying.guess(file, missing)
    if missing:
        trying.tables_to_write(adapter, file, missing)
    if row is not None and isinstance(adapter, MappingAdapter):
        showing.explained(trying.explained(adapter, file, row), file, row, as_json=as_json)
        raise typer.Exit(0)
    translation = trying.translated(adapter, file)
    shown = translation.documents if row is None else translation.documents[row - 1 : row]
    documents = [translated.document for translated in shown]
    issues = [*translation.issues, *uncovered(translation.documents)]
    faults = sum(bool(validate(Kind(each.document["kind"]), each.document)) for each in translation.documents)
    if as_json:
        told = [asdict(issue) for issue in issues]
        counted = translation.records.as_document() if translation.records else None
        say.result({"documents": documents, "issues": told, "records": counted})
        raise typer.Exit(1 if faults else 0)
    say.result(documents)
    showing.issues(issues, file)
    showing.unmapped(translation.unmapped)
    showing.unknown(translation, file)
    showing.records(translation.records, file)
    say.stderr.print(f"{len(translation.documents)} documents, {len(issues)} remarques, {faults} non conformes.")
    raise typer.Exit(1 if faults else 0)


@app.command("accept")
def accept_samples(
    name: Name,
    case: Annotated[str | None, typer.Option(help="Un seul cas. / One case only.")] = None,
) -> None:
    """Écrire ce que l'adaptateur donne pour ses exemples, à relire avant de l'enregistrer. / Write what the samples give."""
    adapter = find_adapter(name)
    folder = real_folder(adapter)
    for file in accept(adapter, folder, case):
        typer.echo(file.relative_to(folder))
    for reason in unwritten(adapter, folder):
        say.stderr.print(reason, markup=False, soft_wrap=True)


@app.command("exam")
def exam(
    name: Annotated[str, typer.Argument(help="Nom, dossier, ou all. / Name, folder, or all.")],
    as_json: Json = False,
    large: Annotated[
        bool,
        typer.Option(
            "--large",
            help="Poser aussi les questions à 50 Mo et celle de la vitesse. / Ask the 50 MB and speed questions too.",
        ),
    ] = False,
    write: Annotated[
        Path | None, typer.Option("--certificate", help="Écrire le certificat, signé. / Write the signed certificate.")
    ] = None,
    record: Annotated[
        bool, typer.Option("--record", help="L'inscrire au journal des preuves. / Record it in the ledger.")
    ] = False,
) -> None:
    """Faire passer l'examen : questions, niveau, et ce qu'il reste à écrire. / Sit the exam."""
    found = list(registry.ADAPTERS.values()) if name == "all" else [find_adapter(name)]
    key = signer(name) if write or record else None
    results = [sit(Sitting(adapter, large=large)) for adapter in found]
    if as_json:
        say.result([showing.as_json(result) for result in results] if name == "all" else showing.as_json(results[0]))
    codes = [0 if as_json and result.passed else 1 if as_json else showing.exam(result) for result in results]
    if key and not any(codes):
        certify(found[0], results[0], key, write, record=record)
    elif key:
        say.stderr.print("Pas de certificat : l'examen n'est pas passé. / No certificate: the exam was not passed.")
    raise typer.Exit(max(codes))


@app.command("verify")
def verify_certificate(
    name: Name,
    file: Annotated[Path, typer.Argument(help="Certificat signé. / Signed certificate.", exists=True, dir_okay=False)],
    vkey: Annotated[str, typer.Option(help="Clé publique du journal. / The ledger's public key.")],
) -> None:
    """Vérifier un certificat : signature, et fichiers inchangés. / Verify a certificate: signature, same files."""
    adapter = find_adapter(name)
    try:
        say.result(certificate.verify(file.read_bytes(), vkey, adapter, real_folder(adapter)))
    except certificate.CertificateRefused as error:
        say.fail(
            f"Ce certificat ne vaut pas pour ces fichiers : {error.message_fr}.",
            f"This certificate does not hold: {error.message_en}.",
        )


@app.command("report")
def report(
    name: Annotated[
        str | None, typer.Argument(help="Nom ou dossier ; tous par défaut. / Name or folder; all by default.")
    ] = None,
    file: Annotated[
        Path | None, typer.Argument(help="Fichier du partenaire. / The partner's file.", exists=True, dir_okay=False)
    ] = None,
    as_json: Json = False,
    write: Annotated[
        bool,
        typer.Option("--write", help="Écrire adapters/COVERAGE.md. / Write adapters/COVERAGE.md."),
    ] = False,
) -> None:
    """Dire ce que portent et perdent les formats, ou ce que devient chaque élément d'un fichier. / Say what is carried, lost."""
    if write:
        _write_coverage()
    elif name is None:
        showing.formats([measure(adapter) for adapter in registry.ADAPTERS.values()], as_json=as_json)
    elif file is None:
        showing.elements(find_adapter(name), as_json=as_json)
    else:
        translation = trying.translated(find_adapter(name), file)
        showing.coverage(translation, as_json=as_json)
        showing.unmapped(translation.unmapped)


app.command("functions")(functions)


@app.command("schema")
def schema() -> None:
    """Écrire le JSON Schema de mapping.yaml, pour les éditeurs. / Print the JSON Schema of mapping.yaml."""
    typer.echo(scaffold.schema_text(), nl=False)


def _new_adapter(name: str, folder: Path) -> Adapter | None:
    """
    The adapter of a new folder; None for a Python one that is not where Python finds it.
    """
    if (folder / FILE).is_file():
        return MappingAdapter(folder.resolve())
    return registry.discover().get(name) if scaffold.home() == folder.parent else None


def _write_coverage() -> None:
    folder = scaffold.home()
    if folder is None:
        say.fail(
            "Cette commande écrit dans une copie du projet.", "This command writes in a checkout of the project.", 2
        )
    text = report_text(measure(adapter) for adapter in registry.ADAPTERS.values())
    file = folder / "COVERAGE.md"
    before = file.read_text(encoding="utf-8") if file.is_file() else ""
    file.write_text(text, encoding="utf-8")
    named, count = ", ".join(registry.ADAPTERS), len(registry.ADAPTERS)
    done = "inchangé" if text == before else "écrit"
    say.stderr.print(
        f"{file} {done} : ce que portent et perdent {count} formats ({named}). / What formats carry.", markup=False
    )
