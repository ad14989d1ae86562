"""
Every format says what became of its records: read, used, refused with a reason, set aside.
"""

from importlib.resources import files

import pytest

from adapters import registry
from adapters._template.python.adapter import Template
from adapters.base import Adapter, AdapterError
from adapters.exam import EXAM_CONTEXT
from adapters.samples import cases

READING = [adapter for adapter in registry.ADAPTERS.values() if adapter.kinds_in]


@pytest.mark.parametrize("adapter", READING, ids=lambda adapter: adapter.name)
def test_each_shipped_format_counts_its_records(adapter: Adapter) -> None:
    """On each sample that is not refused: the counts are there, and they are those of what the file gave and told."""
    counted = []
    for case in cases(files("adapters") / adapter.name.replace("-", "_")):
        try:
            translation = adapter.to_shared(case.partner or b"", EXAM_CONTEXT)
        except AdapterError:
            continue
        counted.append(translation.records)
        assert translation.records is not None
        assert translation.records.used <= len(translation.documents)
        assert bool(translation.records.used) == bool(translation.documents)
        assert not translation.records.refused or translation.issues
    assert counted


def test_the_template_in_python_counts_the_rows_that_it_refuses() -> None:
    """What a programmer copies keeps the count: one row used, one refused with its reason."""
    text = "NOM;PRENOM;NAISSANCE;MOTIF;DOSSIER\nUN;Ana;12/05/1961;;1\nDEUX;;12/05/1961;;2\n"
    found = Template().to_shared(text.encode(), EXAM_CONTEXT)

    assert found.records is not None
    assert (2, 1, 1, ()) == (found.records.read, found.records.used, found.records.refused, found.records.set_aside)
    assert ["identity_incomplete"] == [issue.code for issue in found.issues]


def test_the_households_of_a_caf_are_counted() -> None:
    """A household that is used and one without a state of its file, which is told: one record each."""
    adapter = registry.get("cnaf-rsa")
    totals = [0, 0]
    for case in cases(files("adapters") / "cnaf_rsa"):
        try:
            translation = adapter.to_shared(case.partner or b"", EXAM_CONTEXT)
        except AdapterError:
            continue
        assert translation.records is not None
        unstated = sum(issue.code == "household_without_state" for issue in translation.issues)
        assert translation.records.refused >= unstated
        totals[0] += translation.records.used
        totals[1] += unstated
    assert all(totals)
