"""
`tdu schema places` and `tdu schema codes`: what a person who writes a mapping looks up, without reading the schemas.
"""

from __future__ import annotations

from dataclasses import asdict
from difflib import get_close_matches
from itertools import groupby
from typing import Annotated

import typer

from adapters.mapping.fillable import Fillable, search
from adapters.mapping.grammar import KINDS
from ops.commands import say
from schemas import Kind, code_list, code_lists
from schemas.catalogue import list_titles
from schemas.identity import fold

_CODES_SHOWN = 12
_LISTS_NAMED = 3

Json = Annotated[bool, typer.Option("--json", help="Pour un programme. / For a program.")]
Words = Annotated[
    str,
    typer.Option("--search", help="Seulement ce qui parle de ces mots. / Only what is about these words."),
]


def places(
    kind: Annotated[
        Kind | None,
        typer.Argument(help="referral, bilan, consent ou status ; tous par défaut. / All of them by default."),
    ] = None,
    words: Words = "",
    as_json: Json = False,
) -> None:
    """Lister où une valeur peut aller (mapping.yaml) : place, nom, type, obligation, codes. / List what a mapping may fill."""
    if kind is not None and kind not in KINDS:
        say.fail("Aucun fichier ne donne une convention.", "No file gives a convention.", 2)
    found = list(search([kind] if kind else KINDS, words.split()))
    if as_json:
        say.result([asdict(place) for place in found])
    elif not found:
        _nothing(
            words,
            _among_codes(words)
            or "Une valeur de votre fichier se cherche parmi les codes : « tdu schema codes », ou « tdu schema codes LISTE --search MOT ».",
        )
    else:
        for name, group in groupby(found, key=lambda place: place.kind):
            say.rows([_row(place) for place in group], title=name)
        say.stderr.print(
            f"{len(found)} place(s). Les codes d'une liste : « tdu schema codes LISTE » ; les catégories de données qu'un accord nomme : « tdu schema codes "
            "data_category ». / place(s); the codes of a list.",
            soft_wrap=True,
        )


def codes(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[LISTE]", help="Nom de la liste ; sans lui, les listes. / Name of the list, or none."),
    ] = None,
    words: Words = "",
    as_json: Json = False,
) -> None:
    """Lister les codes d'une liste commune et leurs libellés, ou les listes. / List the codes of a list with their labels."""
    if name is None:
        found = [(each, *list_titles(each).values()) for each in code_lists()]
    elif name in code_lists():
        found = [(each.code, each.label_fr, each.label_en) for each in code_list(name).values()]
    else:
        near = ", ".join(get_close_matches(name, code_lists(), n=3))
        meant = f" Vouliez-vous dire {near} ?" if near else ""
        say.fail(
            f"Il n'y a pas de liste « {name} ».{meant} « tdu schema codes » les donne toutes.",
            f"There is no list “{name}”. “tdu schema codes” gives them.",
            2,
        )
    found = [row for row in found if all(fold(word) in fold(" ".join(row)) for word in words.split())]
    if as_json:
        say.result([dict(zip(("code", "label_fr", "label_en"), row, strict=True)) for row in found])
    elif not found:
        _nothing(words)
    else:
        say.rows([(code, f"{french} · {english}") for code, french, english in found])


def _row(place: Fillable) -> tuple[str, str]:
    said = [place.type_fr, place.required]
    if place.codes and len(place.codes) <= _CODES_SHOWN:
        said.append(f"codes : {', '.join(place.codes)} (liste {place.code_list})")
    elif place.code_list:
        said.append(f"codes : liste {place.code_list}" + (f", sauf {_left_out(place)}" if place.codes else ""))
    if place.schemes:
        said.append(f"ou scheme={', '.join(place.schemes)}")
    if place.category:
        said.append(f"donnée : {place.category}")
    return place.target, f"{place.title_fr} · {place.title_en} — " + " ; ".join(part for part in said if part)


def _left_out(place: Fillable) -> str:
    left = [code for code in code_list(place.code_list) if code not in place.codes]
    return ", ".join(left) if len(left) <= _CODES_SHOWN else f"{len(left)} (--json donne les permis)"


def _among_codes(words: str) -> str:
    """
    Which command gives the codes that are about these words; "" when no list has one.
    """
    wanted = [fold(word) for word in words.split()]
    lists = [
        name
        for name in code_lists()
        if any(
            all(word in fold(f"{each.code} {each.label_fr} {each.label_en}") for word in wanted)
            for each in code_list(name).values()
        )
    ]
    commands = ", ".join(f"« tdu schema codes {name} --search '{words}' »" for name in lists[:_LISTS_NAMED])
    return f"Des codes en parlent : {commands}." if commands else ""


def _nothing(words: str, besides: str = "") -> None:
    say.fail(
        f"Rien ne parle de « {words} ». Essayez un mot plus court. {besides}".rstrip(),
        f"Nothing is about “{words}”. Try a shorter word."
        + (" Values are looked for by “tdu schema codes”." if besides else ""),
    )
