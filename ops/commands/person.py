"""
`tdu person`: give a person what is known about them, or erase them. Who it is stands in a file or comes by standard input, never
on the command line, where every process of the machine could read it.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, TypeVar

import orjson
import typer

from gateway.auth.caller import Caller
from gateway.auth.registry import get_partner
from gateway.composition import Role, assemble, running
from gateway.errors import Problem
from gateway.person import finding
from gateway.person.account import Account, account
from gateway.person.erasure import Asked, certificate_of, erase_all
from gateway.person.page import account_page
from gateway.runtime import Runtime
from gateway.services import Services
from ops.commands import say
from schemas import Document, MalformedJson, code_list, parse_json

app = typer.Typer(no_args_is_help=True, help="Les droits d'une personne. / A person's rights.")

_T = TypeVar("_T")
_MOST = 10_000_000

Criteria = Annotated[
    Path,
    typer.Argument(
        help='Fichier JSON {"subject": {…}}, une personne par ligne ; - : entrée standard. / JSON file, one person a line.',
        allow_dash=True,
    ),
]


@app.command("export")
def export(
    criteria: Criteria = Path("-"),
    to: Annotated[
        Path | None, typer.Option(help="Dossier où écrire le compte, sa page et sa preuve. / Where to write it.")
    ] = None,
) -> None:
    """Tout ce qui est connu d'une personne, et à qui (RGPD art. 15). / Everything known about a person, and to whom."""
    [body] = _read(criteria, one=True)
    found = say.run(_in_gateway(lambda services, caller, sender: _account(body, services, caller, sender)))
    if to is None:
        say.result(found.told)
        return
    to.mkdir(parents=True, exist_ok=True, mode=0o700)
    files = {
        "compte.json": orjson.dumps(found.told, option=orjson.OPT_INDENT_2),
        "compte.html": account_page(found.told).encode(),
        "reponse.ndjson": found.answer,
    }
    for name, content in files.items():
        (path := to / name).touch(mode=0o600)
        path.write_bytes(content)
    say.result({"directory": str(to), "files": sorted(files), "disclosures": len(found.told["disclosures"])})


@app.command("erase")
def erase(
    criteria: Criteria = Path("-"),
    reason: Annotated[
        str, typer.Option(help=f"Pourquoi : {', '.join(code_list('erasure_reason'))}.")
    ] = "person_request",
    forget_objections: Annotated[
        bool, typer.Option(help="Ne pas garder les oppositions en cours. / Do not keep the objections in force.")
    ] = False,
    certificates: Annotated[
        Path | None,
        typer.Option(help="Dossier où écrire les certificats (.tlog-proof). / Where to write certificates."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Ne pas demander. / Do not ask.")] = False,
) -> None:
    """Effacer des personnes, pour de bon (RGPD art. 17). / Erase people, for good."""
    if reason not in code_list("erasure_reason"):
        allowed = ", ".join(code_list("erasure_reason"))
        say.fail(f"Motifs possibles : {allowed}.", f"Possible reasons: {allowed}.", 2)
    bodies = _read(criteria)
    if not yes and not _agreed(len(bodies), criteria):
        say.fail("Rien n'a été effacé.", "Nothing was erased.")

    async def work(services: Services, caller: Caller, sender: Document) -> list[dict[str, Any] | None]:
        people = [finding.asked(body, sender, services) for body in bodies]
        everybody = [Asked(subject, partner, reason, not forget_objections) for subject, partner in people]
        done = await erase_all(everybody, sender, caller, services)
        if certificates is not None:
            certificates.mkdir(parents=True, exist_ok=True)
            for each in filter(None, done):
                (certificates / f"{each['id']}.tlog-proof").write_bytes(await certificate_of(each["id"], services))
        return done

    done = say.run(_in_gateway(work))
    say.result(done)
    if None in done:
        unknown = done.count(None)
        say.fail(f"{unknown} personne(s) inconnue(s) : rien à effacer.", f"{unknown} unknown: nothing to erase.")


async def _account(body: dict[str, Any], services: Services, caller: Caller, sender: Document) -> Account:
    subject, partner = finding.asked(body, sender, services)
    return await account(subject, partner, caller, services)


async def _in_gateway(work: Callable[[Services, Caller, Document], Awaitable[_T]]) -> _T:
    """Do some work with a gateway's services, as its operator; what it refuses is told."""
    settings = say.settings()
    runtime = assemble(settings, say.keys(settings))
    services, operator = runtime.services, settings.operator_siret
    try:
        async with _loops(runtime):
            async with services.database.read() as tx:
                known = await get_partner(tx, operator)
            sender = {"siret": operator, "name": known.name if known else "Exploitant de la passerelle"}
            caller = Caller("tdu", operator, "tdu", frozenset(), frozenset(), "")
            return await work(services, caller, sender)
    except Problem as problem:
        places = "".join(f" [{issue.pointer} : {issue.message_fr}]" for issue in problem.issues)
        say.fail(problem.detail_fr + places, problem.detail_en)


@asynccontextmanager
async def _loops(runtime: Runtime) -> AsyncIterator[None]:
    """Number the events of this command here when nobody else may be doing it: the embedded gateway may be stopped."""
    if runtime.services.settings.embedded:
        async with running(runtime, Role.SEQUENCER):
            yield
        return
    try:
        yield
    finally:
        await runtime.services.database.close()


def _read(criteria: Path, *, one: bool = False) -> list[dict[str, Any]]:
    """The people of a file or of the standard input: one JSON object, or one a line."""
    raw = sys.stdin.buffer.read(_MOST + 1) if str(criteria) == "-" else criteria.read_bytes()
    try:
        try:
            bodies = [parse_json(raw, max_bytes=_MOST)]
        except MalformedJson:
            if one:
                raise
            bodies = [parse_json(line, max_bytes=_MOST) for line in raw.splitlines() if line.strip()]
    except MalformedJson as error:
        say.fail(error.message_fr, error.message_en, 2)
    if not bodies or not all(isinstance(body, dict) and body.keys() <= {"subject", "partner"} for body in bodies):
        say.fail(
            'Attendu : {"subject": {…}} et, avec un pseudonyme, "partner".',
            'Expected: {"subject": {…}} and, with a pseudonym, "partner".',
            2,
        )
    return bodies


def _agreed(count: int, criteria: Path) -> bool:
    """Ask before what cannot be undone; the standard input cannot both give people and answer."""
    if str(criteria) == "-" or not sys.stdin.isatty():
        say.fail("Sans terminal pour répondre, ajoutez --yes.", "With no terminal to answer from, add --yes.", 2)
    return typer.confirm(f"Effacer {count} personne(s) pour de bon ? / Erase {count} for good?", err=True)
