"""
The instruction flows I and R: what is never read never comes out, what is refused is never stored, adults only.
"""

import json
from importlib.resources import files

import pytest

from adapters.base import FileRefused
from adapters.cnaf_rsa.adapter import CnafRsa
from adapters.report import Treatment
from adapters.testing import EXAM_CONTEXT

ADAPTER = CnafRsa()
SAMPLES = files("adapters.cnaf_rsa") / "samples"


def sample(flow):
    return (SAMPLES / f"instruction-{flow}" / "partner.xml").read_bytes()


def documents(raw):
    return [found.document for found in ADAPTER.to_shared(raw, EXAM_CONTEXT).documents]


def ignored():
    """The names that the instruction flows have and that are left out everywhere in them."""
    by_name = {}
    for path, rule in ADAPTER.fields.items():
        if path.startswith("/Racine/InfoDemandeRSA") and rule.treatment is not Treatment.GROUP:
            by_name.setdefault(path.rpartition("/")[2], set()).add(rule.treatment)
    return sorted(name for name, treatments in by_name.items() if treatments == {Treatment.IGNORED})


@pytest.mark.parametrize("flow", ["i", "r"])
def test_what_is_left_out_changes_no_document(flow):
    """Bank details, free texts, nationality, amounts: with a secret in each of them, the documents are the same."""
    text = sample(flow).decode("cp1252")
    expected = documents(text.encode("cp1252"))
    changed = 0
    for name in ignored():
        pieces = text.split(f"<{name}>")
        changed += len(pieces) > 1
        text = f"<{name}>SECRET".join([pieces[0], *(f"<{piece.partition('<')[2]}" for piece in pieces[1:])])
    assert changed > 10
    assert documents(text.encode("cp1252")) == expected


@pytest.mark.parametrize("flow", ["i", "r"])
def test_a_cut_instruction_flow_is_refused_and_never_stored(flow):
    """Cut anywhere after its header, its bytes may hold bank details or social data: no quarantine."""
    raw = sample(flow)
    for cut in range(raw.index(b"<InfoDemandeRSA>") + 2_000, len(raw) - 20, 1_000):
        with pytest.raises(FileRefused) as refusal:
            ADAPTER.to_shared(raw[:cut], EXAM_CONTEXT)
        assert not refusal.value.quarantine


def test_a_wrong_total_is_refused_and_never_stored():
    """The same as a cut file: the number of applications says whether it is whole."""
    raw = sample("r").replace(b"<NBTOTDEMRSATRANSM>2", b"<NBTOTDEMRSATRANSM>3")
    with pytest.raises(FileRefused) as refusal:
        ADAPTER.to_shared(raw, EXAM_CONTEXT)
    assert (refusal.value.code, refusal.value.quarantine) == ("total_mismatch", False)


def test_a_household_block_in_an_instruction_flow_is_not_read():
    """Only the records of the flow that the header announces are translated; the others are named as unknown."""
    raw = sample("i").replace(b"InfoDemandeRSA>", b"InfosFoyerRSA>").replace(b"TRANSM>2", b"TRANSM>0")
    found = ADAPTER.to_shared(raw, EXAM_CONTEXT)
    assert found.documents == ()
    assert found.coverage.unknown


def test_each_adult_whose_data_were_collected_gets_constraints_and_no_child_does():
    """Two households: a couple and a lone man; health and disability are among the special constraints only."""
    referrals = [each for each in documents(sample("r")) if each["kind"] == "referral"]
    codes = [[each["code"] for each in referral.get("constraints", ())] for referral in referrals]
    special = [[each["code"] for each in referral.get("special_constraints", ())] for referral in referrals]
    assert codes == [["literacy", "financial", "family", "mobility", "housing"], [], ["housing"]]
    assert special == [["health"], [], ["disability", "health"]]


def test_the_literal_of_a_health_difficulty_or_of_an_absent_spouse_is_not_kept():
    """0402, 0403, 0506 (hospital, prison) and 0508 are in no document."""
    text = json.dumps(documents(sample("r")))
    assert [code for code in ("0402", "0403", "0506", "0508") if f'"code": "{code}"' in text] == []


def test_only_the_claimant_has_the_telephone_of_the_file():
    """In an instruction, contacts are the claimant's: the one bilan is about the claimant."""
    (first, second) = documents(sample("i"))
    assert (first["subject"]["phones"], first["subject"]["emails"]) == (
        ["+33199000031"],
        ["berenice.morezin@courriel.example"],
    )
    assert "msa_matricule" in second["subject"]
