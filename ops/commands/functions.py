"""
`tdu adapter functions`: what a rule of `mapping.yaml` may say, each word with its sentence and an example that was run.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import Annotated

import typer

from adapters.mapping.examples import Example, keys
from adapters.mapping.examples import functions as known
from ops.commands import say
from schemas.identity import fold


def functions(
    word: Annotated[
        str, typer.Argument(metavar="[MOT]", help="Seulement ce qui parle de ce mot. / Only what is about this word.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Pour un programme. / For a program.")] = False,
) -> None:
    """Lister les fonctions (do:) et les clés d'une règle de mapping.yaml, avec un exemple. / List functions and keys of a rule."""
    found = {"functions": _about(word, known()), "keys": _about(word, keys())}
    if as_json:
        say.result({name: [asdict(each) for each in examples] for name, examples in found.items()})
    elif not any(found.values()):
        say.fail(f"Rien ne parle de « {word} ».", f"Nothing is about “{word}”.")
    for title, name in (("Fonctions (do:) · Functions", "functions"), ("Clés d'une règle · Keys of a rule", "keys")):
        if found[name] and not as_json:
            say.rows([(each.name, _shown(each)) for each in found[name]], title=title)


def _about(word: str, examples: Iterable[Example]) -> list[Example]:
    return [each for each in examples if fold(word) in fold(f"{each.name} {each.help_fr} {each.help_en}")]


def _shown(example: Example) -> str:
    said = f"{example.help_fr} · {example.help_en} — {example.written}"
    if not example.of:
        return said
    told = " (signalé)" if example.told else ""
    return f"{said} : {_quoted(example.of)} donne {_quoted(example.gives)}{told}"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False) if "\n" in text else f"« {text} »"
