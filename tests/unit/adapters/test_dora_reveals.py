"""
Dora's rule: the France Travail number is shown to who receives an orientation only once it is accepted.
"""

import json
from pathlib import Path

import pytest

import adapters
from adapters.registry import ADAPTERS
from adapters.testing import EXAM_CONTEXT

NUMBER = "00412345678"


@pytest.mark.parametrize(("status", "shown"), [("OUVERTE", False), ("REFUSÉE", False), ("VALIDÉE", True)])
def test_the_number_is_read_and_written_once_accepted(status: str, shown: bool) -> None:
    """Before, it is neither taken from what comes, nor written in what leaves."""
    samples = Path(adapters.__file__).parent / "dora" / "samples"
    [accepted] = [each for each in samples.glob("*/partner.json") if NUMBER in each.read_text(encoding="utf-8") and "VALIDÉE" in each.read_text(encoding="utf-8")][:1]  # fmt: skip
    found = json.loads(accepted.read_text(encoding="utf-8"))
    orientation = (found[0] if isinstance(found, list) else found) | {"status": status}
    dora = ADAPTERS["dora"]
    [read] = dora.to_shared(json.dumps(orientation).encode(), EXAM_CONTEXT).documents
    assert shown == (NUMBER in json.dumps(read.document))
    told = dict(read.document)
    told["subject"] = told["subject"] | {"identifiers": [{"scheme": "france_travail", "value": NUMBER}]}
    assert shown == (NUMBER.encode() in dora.to_partner([told]))
