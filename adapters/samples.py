"""
The samples of an adapter, one folder a case: `partner.*`, `shared.json`, `back.*`, `issues.json`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.resources.abc import Traversable
from typing import Any

from adapters.base import Adapter, AdapterError, FileRefused, Translation
from schemas import Document, Issue

Sentence = tuple[str, str]
"""A sentence in French, then in English."""


class Case:
    """
    One sample: what the partner sends, what it becomes, what is written again, what the sender is told. Each part may
    be missing; a case without `shared.json` is a file that is refused.
    """

    def __init__(self, folder: Traversable) -> None:
        self.folder = folder
        self.name = folder.name
        self._files = {file.name.partition(".")[0]: file for file in folder.iterdir() if file.is_file()}

    def __repr__(self) -> str:
        return f"Case({self.name})"

    @property
    def partner(self) -> bytes | None:
        """
        What the partner sends.
        """
        return self._read("partner")

    @property
    def back(self) -> bytes | None:
        """
        What the documents become again.
        """
        return self._read("back")

    @property
    def shared(self) -> list[Document] | None:
        """
        The shared documents; None for a file that is refused.
        """
        raw = self._read("shared")
        return None if raw is None else list(json.loads(raw))

    @property
    def told(self) -> dict[str, Any]:
        """
        What the sender is told: `refused`, `issues`, `unknown`, each optional; and `set_aside`, the records that no
        rule takes, by rank and line.
        """
        raw = self._read("issues")
        return {} if raw is None else dict(json.loads(raw))

    def _read(self, part: str) -> bytes | None:
        file = self._files.get(part)
        return file.read_bytes() if file else None


def cases(folder: Traversable) -> list[Case]:
    """
    The cases of an adapter's folder, by name.
    """
    samples = folder / "samples"
    found = samples.iterdir() if samples.is_dir() else ()
    return sorted((Case(each) for each in found if each.is_dir()), key=lambda case: case.name)


def told_by(translation: Translation | None, refusal: AdapterError | None) -> dict[str, Any]:
    """
    What a translation or a refusal tells, as `issues.json` writes it.
    """
    told: dict[str, Any] = {}
    if isinstance(refusal, FileRefused):
        names = ("code", "message_fr", "message_en", "line", "column", "quarantine")
        told["refused"] = {name: getattr(refusal, name) for name in names}
    if translation and translation.issues:
        told["issues"] = [plain_issue(issue) for issue in translation.issues]
    if translation and translation.records and translation.records.set_aside:
        told["set_aside"] = [
            {"record": int(each.reference or 0)} | ({"line": each.line} if each.line else {})
            for each in translation.records.set_aside
        ]
    if translation and (unknown := {line.path: line.count for line in translation.coverage.unknown}):
        told["unknown"] = unknown
    return told


def not_written(adapter: Adapter, documents: Sequence[Document] | None, told: Mapping[str, Any]) -> Sentence | None:
    """
    Why a sample cannot be the first whose documents are written again (`back.*`), in French and in English; None when it
    can. A sample with remarks is not an ordinary one: what is written again would lack what they tell.
    """
    if not documents:
        return "aucun document, il n'y a rien à réécrire", "no document, there is nothing to write again"
    if issues := told.get("issues"):
        codes = ", ".join(sorted({issue["code"] for issue in issues}))
        return (
            f"il a des remarques à la lecture ({len(issues)} : {codes}), et back.* n'est écrit que pour un exemple qui n'en a pas",
            f"it has remarks when read ({len(issues)}: {codes}), and back.* is written only for a sample that has none",
        )
    if unknown := told.get("unknown"):
        return (
            f"il a des éléments inconnus ({', '.join(list(unknown)[:5])}) : reprenez-les, ou écartez-les avec leur raison",
            f"it has unknown elements ({', '.join(list(unknown)[:5])}): carry them, or leave them out with a reason",
        )
    try:
        adapter.to_partner(documents)
    except AdapterError as error:
        return f"l'écriture est refusée : {error.message_fr}", f"writing is refused: {error.message_en}"
    return None


def plain_issue(issue: Issue) -> dict[str, object]:
    """
    An issue as it is written in `issues.json`: without its empty parts.
    """
    return {name: value for name, value in asdict(issue).items() if value is not None}


def differences(expected: Any, found: Any, pointer: str = "") -> list[str]:
    """
    The JSON pointers at which two values differ, those of what is missing included.
    """
    if isinstance(expected, Mapping) and isinstance(found, Mapping):
        names = dict.fromkeys((*expected, *found))
        return [
            each for name in names for each in differences(expected.get(name), found.get(name), f"{pointer}/{name}")
        ]
    if isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        return [
            each
            for index, (one, other) in enumerate(zip(expected, found, strict=True))
            for each in differences(one, other, f"{pointer}/{index}")
        ]
    return [] if expected == found and type(expected) is type(found) else [pointer or "/"]
