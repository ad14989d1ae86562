"""
The memory of what is published: a copy of the schemas and codes as partners last received them, and what has changed since.

Inside `v1` nothing that a partner relies on may break: `make check` compares the working files with the copy in
`schemas/published`, and the copy is only ever replaced by something compatible.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from io import StringIO
from pathlib import Path
from typing import Any, Final

import schemas
from schemas import code_list, code_lists, schema, schema_versions
from schemas.compatibility import Change, diff

FOLDER: Final = Path(schemas.__file__).parent / "published"
_CODES: Final = "codes.csv"

Schemas = Mapping[str, Mapping[str, Any]]


class BreakingChange(Exception):
    """
    What would be published breaks those who use what is published already.
    """


def changes(folder: Path = FOLDER) -> dict[str, list[Change]]:
    """
    What changed since the last publication, by name of schema (`referral/v1`) or of code list (`codes/purpose`).
    """
    before, after = _published(folder), _current()
    found: dict[str, list[Change]] = {}
    for name, old in before.items():
        if name not in after:
            found[name] = [_change("schema_removed", True)]
        elif differences := diff(_whole(old, before), _whole(after[name], after)):
            found[name] = differences
    for name, change in _code_changes(folder):
        found.setdefault(f"codes/{name}", []).append(change)
    return found


def unpublished(folder: Path = FOLDER) -> list[str]:
    """
    The names of the schemas that were never published.
    """
    return sorted(_current().keys() - _published(folder).keys())


def publish(folder: Path = FOLDER) -> list[Path]:
    """
    Keep the working schemas and codes as the published ones, and say which files changed. Raises BreakingChange.
    """
    if any(change.breaking for found in changes(folder).values() for change in found):
        raise BreakingChange
    texts = {f"{name}.json": _text(found) for name, found in _current().items()} | {_CODES: _codes_text()}
    written = []
    for name, text in texts.items():
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            written.append(path)
    return written


def _current() -> Schemas:
    return {f"{name}/v{major}": schema(name, major) for name, majors in schema_versions().items() for major in majors}


def _published(folder: Path) -> Schemas:
    return {
        f"{path.parent.name}/{path.stem}": json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(folder.glob("*/v*.json"))
    }


def _whole(root: Mapping[str, Any], beside: Schemas) -> Mapping[str, Any]:
    """
    A schema with the others of its time inside, so that its references lead to them and not to those of today.
    """
    others = {found["$id"]: found for found in beside.values() if found["$id"] != root["$id"]}
    return {**root, "$defs": {**root.get("$defs", {}), **others}}


def _code_changes(folder: Path) -> Iterator[tuple[str, Change]]:
    path = folder / _CODES
    rows = csv.DictReader(StringIO(path.read_text(encoding="utf-8"))) if path.exists() else ()
    for row in rows:
        name, code = row["list"], row["code"]
        if name not in code_lists() or code not in code_list(name):
            yield name, _change("code_removed", True, code)


def _codes_text() -> str:
    text = StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["list", "code"])
    rows.writerows((name, code) for name in code_lists() for code in code_list(name))
    return text.getvalue()


def _text(found: Mapping[str, Any]) -> str:
    return json.dumps(found, ensure_ascii=False, indent=1) + "\n"


def _change(code: str, breaking: bool, place: str = "") -> Change:
    return Change(code, place, breaking, *_SENTENCES[code])


_SENTENCES: Final = {
    "schema_removed": ("Schéma retiré : ses documents ne peuvent plus être échangés.", "Schema removed: its documents can no longer be exchanged."),
    "code_removed": ("Code retiré : les documents et les lecteurs qui s'en servent ne le trouvent plus.", "Code removed: documents and readers that use it no longer find it."),
}  # fmt: skip
