"""
Public test files of other projects, when their folder stands beside the project: translated, or refused for the right reason.
"""

import csv
import json
from collections.abc import Iterator
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import pytest
import yaml
from lxml import etree

from adapters.base import FileRefused
from adapters.cnaf_rsa.adapter import CnafRsa
from adapters.cnaf_rsa.fictitious import fictitious_flow
from adapters.registry import get
from adapters.testing import EXAM_CONTEXT
from schemas import Kind, validate

FOLDER = Path(__file__).parents[3].parent / "shared" / "samples"
FLOWS = sorted(FOLDER.glob("*/caf_msa/RSABEM.xml"))
SCHEMAS = sorted(FOLDER.glob("*/caf_msa/vrsb0801.xsd"))


@pytest.mark.parametrize("path", FLOWS, ids=lambda path: path.name)
def test_the_miscounted_flow_is_read_once_its_total_is_right(path):
    """Two households without a claimant: an adult with duties in each gets a referral."""
    raw = path.read_bytes().replace(b"<NBTOTDOSRSATRANSM>00000001", b"<NBTOTDOSRSATRANSM>00000002")
    kinds = [found.document["kind"] for found in CnafRsa().to_shared(raw, EXAM_CONTEXT).documents]
    assert kinds == ["bilan", "referral", "bilan", "referral"]


@pytest.mark.parametrize("path", SCHEMAS, ids=lambda path: path.name)
def test_the_list_of_elements_is_that_of_the_public_schema(path):
    """Every place where the schema allows an element is in the list, and no other."""
    xsd = "{http://www.w3.org/2001/XMLSchema}"
    declared = {element.get("name"): element for element in etree.parse(str(path)).getroot().findall(f"{xsd}element")}

    def places(element, above):
        name = element.get("name") or element.get("ref")
        here = f"{above}/{name}"
        yield here
        kind = declared.get(element.get("ref"), element).find(f"{xsd}complexType")
        for child in () if kind is None else kind.findall(f"{xsd}sequence/{xsd}element"):
            yield from places(child, here)

    ours = [path for path in CnafRsa().fields if "/InfoDemandeRSA" not in path and "/NBTOTDEM" not in path]
    assert list(places(declared["Racine"], "")) == ours


@pytest.mark.parametrize("path", SCHEMAS, ids=lambda path: path.name)
def test_the_invented_flow_is_valid_for_the_public_schema(path):
    """Several hundred fictitious households validate against `vrsb0801.xsd`."""
    validator = etree.XMLSchema(etree.parse(str(path)))
    validator.validate(etree.fromstring(fictitious_flow(300, 5)))
    assert [entry.message for entry in validator.error_log] == []


def own_samples():
    """The project's own samples that should be as true to the format as real files."""
    with as_file(files("adapters.cnaf_rsa") / "samples") as folder:
        return [
            case / "partner.xml"
            for case in sorted(folder.iterdir())
            if not case.name.startswith(("refused", "warnings", "instruction"))
        ]


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda path: path.name)
@pytest.mark.parametrize("sample", own_samples(), ids=lambda path: path.parent.name)
def test_the_samples_of_the_project_are_true_to_the_format(sample, schema):
    """Each accepted sample validates against the public schema."""
    validator = etree.XMLSchema(etree.parse(str(schema)))
    validator.validate(etree.parse(str(sample)))
    assert [entry.message for entry in validator.error_log] == []


def _table() -> list[dict[str, str]]:
    """What is expected of each file: a line each, read by `file`, a path or a pattern."""
    with (Path(__file__).parent / "partner_samples.csv").open(encoding="utf-8", newline="") as table:
        return list(csv.DictReader(table))


def _messages(line: dict[str, str]) -> Iterator[bytes]:
    """
    The messages that a line is about: whole files, the `part` of a YAML file that wraps them, or the record that the
    line's `part` describes in JSON, where `@` is the file, `@other/file` another one and `@name` a part of a YAML file.
    """
    for path in sorted(FOLDER.glob(line["file"])):
        raw, part = path.read_bytes(), line["part"]
        if part.startswith("{"):
            yield json.dumps(_filled(json.loads(part), path)).encode()
        else:
            yield str(yaml.safe_load(raw)[part]).encode() if part else raw


def _filled(part: Any, path: Path) -> Any:
    """A record, its references to files replaced by what these hold."""
    if isinstance(part, dict):
        return {name: _filled(each, path) for name, each in part.items()}
    if not isinstance(part, str) or not part.startswith("@"):
        return part
    if path.suffix == ".json":
        return json.loads((FOLDER / part[1:] if part[1:] else path).read_bytes())
    found = yaml.safe_load(path.read_bytes())[part[1:]]
    return json.loads(found) if part == "@payload" else found


EXAMINED = [line for line in _table() if line["adapter"]]


@pytest.mark.parametrize("line", EXAMINED, ids=[f"{line['adapter']} {line['file']}" for line in EXAMINED])
def test_each_public_file_translates_or_is_refused_for_the_right_reason(line: dict[str, str]) -> None:
    """As its line of `partner_samples.csv` says: so many documents, all valid, these remarks; or this refusal."""
    for raw in _messages(line):
        try:
            found = get(line["adapter"]).to_shared(raw, EXAM_CONTEXT)
        except FileRefused as refusal:
            assert line["refused"] == refusal.code
            continue
        assert "" == line["refused"]
        assert int(line["documents"]) == len(found.documents)
        assert line["issues"].split() == sorted(issue.code for issue in found.issues)
        assert [] == [
            issue for each in found.documents for issue in validate(Kind(each.document["kind"]), each.document)
        ]
        assert () == found.coverage.unknown


def test_every_line_is_about_a_file_that_is_there() -> None:
    """A line that matches nothing would test nothing."""
    assert [] == [line["file"] for line in _table() if not list(FOLDER.glob(line["file"]))]


def test_every_public_file_has_a_line() -> None:
    """A file added to the folder is examined, or a line says why it is not."""
    named = {path for line in _table() for path in FOLDER.glob(line["file"])}
    assert [] == sorted(
        str(path.relative_to(FOLDER)) for path in FOLDER.rglob("*") if path.is_file() and path not in named
    )
