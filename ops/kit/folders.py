"""
From the word a person types, the name of an adapter or the path of its folder, to the adapter.
"""

from __future__ import annotations

from pathlib import Path

from adapters import registry
from adapters.base import Adapter
from adapters.exam import folder_of
from adapters.mapping.engine import MappingAdapter
from adapters.mapping.loading import FILE
from adapters.mapping.problems import MappingRefused
from ops.commands import say


def find_adapter(word: str, missing: list[str] | None = None) -> Adapter:
    """
    The adapter of that name, or the one of that folder; stops with sentences when there is none or when it cannot be used.

    Given a list `missing`, tables without a file are put in it instead, and read as empty.
    """
    folder = Path(word)
    try:
        if (folder / FILE).is_file():
            return _with_a_class(folder.resolve()) or MappingAdapter(folder.resolve(), missing=missing)
        return _named(word, missing)
    except MappingRefused as refused:
        for problem in refused.problems:
            say.stderr.print(
                f"{problem.file}:{problem.line}:{problem.column} {problem.message_fr}", markup=False, soft_wrap=True
            )
        count = len(refused.problems)
        say.fail(
            f"{count} chose{'s' if count > 1 else ''} à corriger dans cette correspondance.",
            f"{count} thing{'s' if count > 1 else ''} to correct in this mapping: {refused.problems[0].message_en}",
        )
    except registry.UnknownAdapter as error:
        say.fail(f"{error.message_fr} Ou donnez un dossier qui contient {FILE}.", error.message_en, 2)


def _named(name: str, missing: list[str] | None) -> Adapter:
    try:
        return registry.get(name)
    except MappingRefused:
        folder = Path(registry.__file__).parent / name.replace("-", "_")
        if missing is None or not (folder / FILE).is_file():
            raise
        return MappingAdapter(folder, name, missing)


def _with_a_class(folder: Path) -> Adapter | None:
    """
    The known adapter of a folder whose mapping is only a part of it, the rest being a class; None for a mapping alone.
    """
    name = folder.name.replace("_", "-")
    if not (folder / "adapter.py").is_file() or name not in registry.ADAPTERS:
        return None
    known = registry.get(name)
    return known if real_folder(known).resolve() == folder else None


def real_folder(adapter: Adapter) -> Path:
    """
    The folder of an adapter on this machine's disk.
    """
    return Path(str(folder_of(adapter)))


def enclosing(file: Path, missing: list[str] | None = None) -> Adapter | None:
    """
    The adapter in whose folder a file is, or None; `missing`: see `find_adapter`.
    """
    for folder in file.resolve().parents:
        if (folder / FILE).is_file():
            return find_adapter(str(folder), missing)
    return None
