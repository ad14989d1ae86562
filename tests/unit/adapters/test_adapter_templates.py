"""
A new adapter works from its first minute: each template, made under another name, passes the exam.
"""

from pathlib import Path

import pytest

from adapters.exam import Sitting, sit
from adapters.mapping.engine import MappingAdapter
from adapters.quality import Level
from adapters.testing import EXAM_CONTEXT
from ops.kit import scaffold
from ops.kit.acceptance import accept


@pytest.mark.parametrize("form", [form for form in scaffold.FORMATS if form != "python"])
def test_a_new_folder_passes_the_exam_at_once(form: str, tmp_path: Path) -> None:
    """Nothing to write, nothing to correct: the exam is passed; silver waits for a README of its own, in both languages."""
    folder = scaffold.make("mon-logiciel", form, tmp_path)
    adapter = MappingAdapter(folder)
    changed = {file.name for file in accept(adapter, folder)}
    result = sit(Sitting(adapter))

    assert adapter.name == "mon-logiciel" and adapter.title == "Mon logiciel"
    assert changed == {"shared.json"}  # the identifiers, which depend on the adapter's name
    assert [answer for answer in result.answers if answer.findings] == []
    assert result.level is Level.BRONZE
    assert ["readme_in_both_languages"] == [step.where for step in result.next_steps]

    readme = folder / "README.md"
    text = readme.read_text(encoding="utf-8")
    readme.write_text(
        text.replace("Quel logiciel, quelle version, quel export", "Export du menu Éditions"), encoding="utf-8"
    )
    assert Level.BRONZE is sit(Sitting(adapter)).level
    readme.write_text("## En français\n\nExport du menu Éditions.\n\n## In English\n\nAn export.\n", encoding="utf-8")
    assert Level.SILVER is sit(Sitting(adapter)).level


def test_a_folder_is_never_written_over(tmp_path: Path) -> None:
    """A name that is taken is refused before anything is written."""
    scaffold.make("mon-logiciel", "csv", tmp_path)
    with pytest.raises(FileExistsError):
        scaffold.make("mon-logiciel", "xml", tmp_path)


def test_a_draft_names_every_column_and_reads_nothing_else(tmp_path: Path) -> None:
    """From a partner's file: usual names are proposed, the others are to be decided, no cell of a person is copied."""
    source = tmp_path / "export.csv"
    source.write_text(
        "N° dossier;Nom de naissance;Prénom;Date de naissance;Tél.;Zone\nSECRET-1;OLIVARDE;Zoé;12/05/1961;0199000123;Est\n",
        encoding="cp1252",
    )
    folder = scaffold.draft("mon-logiciel", source, tmp_path)
    adapter = MappingAdapter(folder)

    written = "".join(file.read_text(encoding="utf-8") for file in folder.rglob("*") if file.is_file())
    assert "SECRET-1" not in written and "OLIVARDE" not in written
    assert set(adapter.fields) == {
        "/N° dossier",
        "/Nom de naissance",
        "/Prénom",
        "/Date de naissance",
        "/Tél.",
        "/Zone",
    }
    assert adapter.fields["/Zone"].reason == "À décider, avec le partenaire"
    findings = [finding.message_fr for answer in sit(Sitting(adapter)).answers for finding in answer.findings]
    assert any("posez samples/<cas>/partner.*" in finding for finding in findings)
    read = [dict(found.document) for found in adapter.to_shared(source.read_bytes(), EXAM_CONTEXT).documents]
    mapping = folder / "mapping.yaml"
    text = mapping.read_text(encoding="utf-8")
    assert "\ndirection: in # both" in text and not adapter.kinds_out
    mapping.write_text(text.replace("direction: in #", "direction: both #"), encoding="utf-8")
    adapter = MappingAdapter(folder)
    again = adapter.to_shared(adapter.to_partner(read), EXAM_CONTEXT).documents
    assert ["SECRET-1"] == [found.document["reference"] for found in again]


def test_what_is_written_again_is_accepted_byte_for_byte(tmp_path: Path) -> None:
    """The exam compares `back.*` byte for byte: the same JSON laid out otherwise is accepted anew, `shared.json` is left as it is."""
    folder = scaffold.make("mon-logiciel", "json", tmp_path)
    adapter = MappingAdapter(folder)
    list(accept(adapter, folder))
    [back], [shared, *_] = list(folder.rglob("back.json")), sorted(folder.rglob("shared.json"))
    right = back.read_bytes()
    for file in (back, shared):
        file.write_bytes(file.read_bytes() + b"\n")
    laid_out = shared.read_bytes()

    assert [back] == list(accept(adapter, folder))
    assert right == back.read_bytes() and laid_out == shared.read_bytes()
