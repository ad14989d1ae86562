"""
Public test files of other projects, when their folder stands beside the project: translated, or refused for the right reason.
"""

from importlib.resources import as_file, files
from pathlib import Path

import pytest
from lxml import etree

from adapters.base import FileRefused
from adapters.cnaf_rsa.adapter import CnafRsa
from adapters.cnaf_rsa.fictitious import fictitious_flow
from adapters.testing import EXAM_CONTEXT
from schemas import Kind, validate

FOLDER = Path(__file__).parents[3].parent / "shared" / "samples"
EXPECTED = {
    "RSABEI_invalid.xml": (0, ["household_without_state"]),
    "RSABEM-ouvert.xml": (2, []),
    "RSABEM.xml": "total_mismatch",
}
FLOWS = [path for path in sorted(FOLDER.glob("*/caf_msa/*.xml")) if path.name in EXPECTED]
SCHEMAS = sorted(FOLDER.glob("*/caf_msa/vrsb0801.xsd"))


@pytest.mark.parametrize("path", FLOWS, ids=lambda path: path.name)
def test_a_public_flow_is_read_or_refused_for_the_right_reason(path):
    """The incomplete household gives nothing, the open one its documents, the miscounted file is refused whole."""
    adapter = CnafRsa()
    try:
        translation = adapter.to_shared(path.read_bytes(), EXAM_CONTEXT)
    except FileRefused as refusal:
        assert EXPECTED[path.name] == refusal.code
        return
    assert EXPECTED[path.name] == (len(translation.documents), [issue.code for issue in translation.issues])
    assert translation.coverage.unknown == ()
    assert [
        issue for found in translation.documents for issue in validate(Kind(found.document["kind"]), found.document)
    ] == []


@pytest.mark.parametrize("path", [path for path in FLOWS if path.name == "RSABEM.xml"], ids=lambda path: path.name)
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

    assert list(places(declared["Racine"], "")) == list(CnafRsa().fields)


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
            if not case.name.startswith(("refused", "warnings"))
        ]


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda path: path.name)
@pytest.mark.parametrize("sample", own_samples(), ids=lambda path: path.parent.name)
def test_the_samples_of_the_project_are_true_to_the_format(sample, schema):
    """Each accepted sample validates against the public schema."""
    validator = etree.XMLSchema(etree.parse(str(schema)))
    validator.validate(etree.parse(str(sample)))
    assert [entry.message for entry in validator.error_log] == []
