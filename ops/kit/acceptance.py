"""
Writes what an adapter gives for its samples, for a person to read again: the expected files of the exam.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from adapters.base import Adapter, AdapterError
from adapters.exam import Sitting
from adapters.samples import not_written, told_by

_EXTENSIONS = {
    "text/csv": "csv",
    "text/plain": "txt",
    "application/json": "json",
    "application/x-ndjson": "ndjson",
    "application/xml": "xml",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
}


def accept(adapter: Adapter, folder: Path, only: str | None = None) -> Iterator[Path]:
    """
    Write `shared.json` and `issues.json` of each case that has a `partner.*`, and each `back.*` that is there, from what the
    adapter does today; when no case has a `back.*` yet, those without a remark get one (`unwritten` says why others do not).
    Gives the files that changed.
    """
    sitting = Sitting(adapter, folder)
    first_time = adapter.kinds_out and not any(case.back is not None for case in sitting.cases)
    for case in sitting.cases:
        if only not in {None, case.name}:
            continue
        place = folder / "samples" / case.name
        documents, told = case.shared, dict[str, Any]()
        if case.partner is not None:
            translation, refusal = sitting.translated(case.partner)
            told = told_by(translation, refusal)
            documents = [each.document for each in translation.documents] if translation else None
            yield from _write(place / "shared.json", None if documents is None else _json(documents))
            yield from _write(place / "issues.json", _json(told) if told else None)
        first = first_time and not not_written(adapter, documents, told)
        if documents and (case.back is not None or first):
            try:
                written = adapter.to_partner(documents)
            except AdapterError:
                continue
            yield from _write(next(place.glob("back.*"), place / f"back.{_extension(adapter)}"), written)


def unwritten(adapter: Adapter, folder: Path) -> Iterator[str]:
    """
    Why each case has no `back.*`, in French then English, when no case of an adapter that writes has one.
    """
    sitting = Sitting(adapter, folder)
    if not adapter.kinds_out or any(case.back is not None for case in sitting.cases):
        return
    for case in sitting.cases:
        if reason := not_written(adapter, case.shared, case.told):
            yield f"{case.name} : pas de back.*, {reason[0]}. / no back.*: {reason[1]}."


def _extension(adapter: Adapter) -> str:
    return _EXTENSIONS.get(adapter.output_media_type.partition(";")[0], "bin")


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=2).encode() + b"\n"


def _write(file: Path, content: bytes | None) -> Iterator[Path]:
    before = file.read_bytes() if file.is_file() else None
    if before == content:
        return
    if content is None:
        file.unlink()
    elif before is not None and file.stem != "back" and json.loads(before) == json.loads(content):
        return  # the same documents, perhaps laid out by hand; what is written again is compared byte for byte
    else:
        file.write_bytes(content)
    yield file
