"""
The questions of the exam about what no sample shows: hostile and damaged files, secrets in sentences, formulas, speed.
"""

import csv
import io
import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Final

from adapters import hostile
from adapters.base import Adapter, AdapterError
from adapters.sitting import Finding, Sitting
from schemas import Document

_FORMULA: Final = re.compile(r"[\s\x00]*[=+\-@|%＝＋－＠]|[\t\r\n\x00]")
SLOWEST: Final = 100
"""How many times the JSON copy of its documents an adapter may take: the formats of the project take 6 to 40."""

_TABULAR: Final = ("text/csv", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet")


def hostile_refused(sitting: Sitting) -> Iterator[Finding]:
    """
    (9) Bombs, entities, noise: an adapter's own refusal, never another answer.
    """
    for name, raw in (*hostile.small().items(), *(hostile.large() if sitting.large else ())):
        try:
            sitting.adapter.to_shared(raw, sitting.context)
        except AdapterError:
            continue
        yield Finding(name, "accepté au lieu d'être refusé", "accepted instead of refused")


def damage_survived(sitting: Sitting) -> Iterator[Finding]:
    """
    (10) A sample cut at every kilobyte, with a byte changed, or written again in another encoding, is translated or
    refused, and nothing else; never with the letters that a mistaken encoding makes.
    """
    for case in sitting.inbound:
        raw = case.partner or b""
        for damaged in hostile.damaged(raw):
            sitting.translated(damaged)
        for encoding, other in hostile.in_other_encodings(raw):
            translation, _ = sitting.translated(other)
            if translation and any("Ã" in text for each in translation.documents for text in _texts(each.document)):
                yield Finding(
                    case.name,
                    f"écrit en {encoding}, le fichier donne des noms abîmés (« Ã© ») au lieu d'être refusé",
                    f"written in {encoding}, the file gives damaged names (“Ã©”) instead of being refused",
                )


def values_kept_secret(sitting: Sitting) -> Iterator[Finding]:
    """
    (11) What the sender is told names no person: no issue and no refusal holds a word of the subject.
    """
    for case in sitting.inbound:
        raw = case.partner or b""
        told = "".join(_sentences(sitting, damaged) for damaged in (raw, *hostile.damaged(raw)))
        subjects = [document["subject"] for document in case.shared or ()]
        if any(value in told for subject in subjects for value in _identifying(subject)):
            yield Finding(
                case.name, "une phrase répète une donnée de la personne", "a sentence repeats data of the person"
            )


def formulas_disarmed(sitting: Sitting) -> Iterator[Finding]:
    """
    (12) What a spreadsheet opens runs nothing: a name that looks like a formula is written so that it is not one, and
    is read again as it was.
    """
    if not sitting.adapter.output_media_type.startswith(_TABULAR) or not sitting.adapter.kinds_out:
        return
    for case in sitting.cases:
        for text in hostile.FORMULAS if case.shared else ():
            documents = [_with_name(document, text) for document in case.shared or ()]
            if any(_FORMULA.match(cell) for cell in _cells(sitting.adapter, documents)):
                yield Finding(
                    case.name,
                    "une cellule écrite serait une formule pour un tableur",
                    "a written cell would be a formula",
                )
                break


def fast_enough(sitting: Sitting) -> Iterator[Finding]:
    """
    (13) On its best sample, reading takes at most a hundred times what a JSON copy of the same documents takes, in the same
    minute on the same machine: asked with the 50 MB questions only, since it measures.
    """
    ratios = []
    for case in sitting.inbound if sitting.large else ():
        translation, _ = sitting.translated(case.partner)
        documents = [each.document for each in translation.documents] if translation else []
        if documents:
            taken = _processor_time(partial(sitting.translated, case.partner))
            ratios.append(taken / _processor_time(partial(_json_copy, documents)))
    if ratios and min(ratios) > SLOWEST:
        yield Finding(
            "to_shared",
            f"lire prend {min(ratios):.0f} fois le temps d'une copie JSON des documents ; {SLOWEST} au plus",
            f"reading takes {min(ratios):.0f} times a JSON copy of the documents; at most {SLOWEST}",
        )


def _json_copy(documents: Sequence[Document]) -> object:
    return json.loads(json.dumps(documents))


def _processor_time(work: Callable[[], object], rounds: int = 5) -> float:
    """
    The least processor time of some rounds, in seconds.
    """
    taken = []
    for _ in range(rounds):
        begun = time.process_time()
        work()
        taken.append(time.process_time() - begun)
    return max(min(taken), 1e-9)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _texts(each)


def _with_name(document: Document, text: str) -> Document:
    return {**document, "subject": {**document.get("subject", {}), "birth_name": text.strip()}}


def _cells(adapter: Adapter, documents: Sequence[Document]) -> Iterator[str]:
    """
    The cells of a written file, as a spreadsheet takes them: one that begins with an apostrophe is a text.
    """
    raw = adapter.to_partner(documents)
    if adapter.output_media_type.startswith("text/csv"):
        delimiter = ";" if b";" in raw.partition(b"\n")[0] else ","
        for row in csv.reader(io.StringIO(raw.decode("utf-8-sig", errors="replace"), newline=""), delimiter=delimiter):
            yield from row
        return
    import openpyxl  # noqa: PLC0415  # a third of a second, that only workbooks need

    sheet: Any = openpyxl.load_workbook(io.BytesIO(raw)).active
    for cells in sheet.iter_rows():
        yield from (f"={cell.value}" if cell.data_type == "f" else f"'{cell.value}" for cell in cells)


def _sentences(sitting: Sitting, raw: bytes) -> str:
    translation, refusal = sitting.translated(raw)
    if refusal:
        return str(refusal)
    issues = translation.issues if translation else ()
    return "".join(f"{issue.pointer} {issue.message_fr} {issue.message_en} {issue.suggestion}" for issue in issues)


def _identifying(subject: Document) -> Iterator[str]:
    names = [subject.get("birth_name"), subject.get("used_name"), *subject.get("given_names", ())]
    numbers = [subject.get("nir"), *(identifier["value"] for identifier in subject.get("identifiers", ()))]
    for value in (*names, *numbers, subject.get("birth_date")):
        if isinstance(value, str) and len(re.sub(r"\W", "", value)) > 3:
            yield value
