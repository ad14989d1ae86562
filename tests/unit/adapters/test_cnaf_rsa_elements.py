"""
The list of the format's elements says the truth: what it calls carried changes the documents, what it calls ignored never does.
"""

import json
from collections import Counter
from importlib.resources import files

import pytest

from adapters.base import FileRefused
from adapters.cnaf_rsa.adapter import CnafRsa
from adapters.report import Treatment, count_rules, read_rules
from adapters.testing import EXAM_CONTEXT

ADAPTER = CnafRsa()
# The elements of the B flow; those of the instruction flows are `/Racine/InfoDemandeRSA` and their own total.
RULES = {
    path: rule
    for path, rule in ADAPTER.fields.items()
    if not path.startswith("/Racine/InfoDemandeRSA") and not path.endswith("/NBTOTDEMRSATRANSM")
}
TIMES = {"Personne": 2, "Prestations": 2, "Adresse": 2, "Activite": 2}

# For each carried element: its values in repeated blocks (the last one goes on), and what its first value is changed to.
VALUES: dict[str, tuple[tuple[str, ...], str]] = {
    "TYPEFLUX": (("M",), "I"),
    "NATFLUX": (("D",), "F"),
    "DTCREAFLUX": (("2026-11-05",), "2026-11-06"),
    "HEUCREAFLUX": (("01:18:36.0000",), "02:18:36.0000"),
    "DTREF": (("2026-10-31",), "2026-10-30"),
    "FONORG": (("CAF",), "MSA"),
    "NUMORG": (("391",), "392"),
    "MATRICULE": (("412055000000000",), "412056000000000"),
    "TYPEPARTE": (("CG",), "CT"),
    "IDEPARTE": (("039",), "040"),
    "DTDEMRSA": (("2024-03-11",), "2024-03-12"),
    "NUMDEMRSA": (("00045120039",), "00045121039"),
    "QUAL": (("MME",), "MR"),
    "NOM": (("DESCOMBELLES",), "OLIVARDE"),
    "NOMNAI": (("D'ARTEMARE", "ZAKARINE"), "OLIVARDE"),
    "PRENOM": (("Zoé",), "Anaëlle"),
    "PRENOM2": (("Inès",), "Anaëlle"),
    "PRENOM3": (("Naïma",), "Anaëlle"),
    "NOMCOMNAI": (("VALOMBRE-VILLE",), "BELLECÔTE"),
    "DTNAI": (("1984-02-19",), "1985-02-19"),
    "TYPEDTNAI": (("N",), "J"),
    "NIR": (("2840299612034", "2840299612035"), "2840299612036"),
    "SEXE": (("2",), "1"),
    "TOPRESPDOS": (("1",), "0"),
    "NATPREST": (("PFA", "RSA", "PFA", "RSA"), "RSA"),
    "ROLEPERS": (("RDO", "DEM", "RDO", "ENF"), "AUT"),
    "TOPCHAPERS": (("1",), "0"),
    "IDASSEDIC": (("1034567B", "1034568B"), "1034569B"),
    "TOPPERSDRODEVORSA": (("1",), "0"),
    "TOPPERSENTDRODEVORSA": (("1",), "0"),
    "ACT": (("CHO", "SAL"), "SAC"),
    "DDACT": (("2025-04-01", "2020-01-01"), "2019-01-01"),
    "DFACT": (("2027-01-01",), "2026-01-01"),
    "SITFAM": (("DIV",), "MAR"),
    "RGADR": (("01", "02"), "03"),
    "PAYS": (("FRA",), "HOR"),
    "TYPEADR": (("D",), "P"),
    "COMPLADR": (("BÂTIMENT C",), "BÂTIMENT D"),
    "NUMVOIE": (("12",), "13"),
    "LIBTYPEVOIE": (("RUE",), "ALLÉE"),
    "NOMVOIE": (("DES TILLEULS", "DE LA GARE"), "DU MOULIN"),
    "LIEUDIST": (("LE HAUT MAS",), "LE BAS MAS"),
    "NUMCOM": (("39990",), "39991"),
    "CODEPOS": (("39999",), "39998"),
    "NOMCOM": (("VALOMBRE-VILLE",), "BELLECÔTE"),
    **{f"LIBLIG{number}ADR": ((f"LIGNE {number}",), f"AUTRE {number}") for number in range(3, 8)},
    "ETATDOSRSA": (("4",), "3"),
    "DTREFURSA": (("2026-09-02",), "2026-09-03"),
    "MOTIREFURSA": (("DSD",), "FDD"),
    "MOTISUSDRORSA": (("DB",), "DQ"),
    "DDSUSDRORSA": (("2026-09-04",), "2026-09-05"),
    "MOTISUSVERSRSA": (("06",), "35"),
    "DDSUSVERSRSA": (("2026-09-06",), "2026-09-07"),
    "MOTICLORSA": (("ECH",), "RAU"),
    "DTCLORSA": (("2026-09-08",), "2026-09-09"),
    "TOPSANSDOMFIXE": (("1",), "0"),
    "ORIDEMRSA": (("DEM",), "RMI"),
    "TOPFOYDRODEVORSA": (("1",), "0"),
    "NATPF": (("RSD",), "RSI"),
    "NBTOTDOSRSATRANSM": (("1",), "2"),
}

# Some elements matter only in some households: each is looked at in all of these.
HOUSEHOLDS = {
    "the ordinary household": ({}, ()),
    "nobody is an adult": ({"ROLEPERS": ("AUT",)}, ()),
    "the second file holder is told apart": ({"ROLEPERS": ("AUT",), "TOPRESPDOS": ("1", "1")}, ()),
    "closed for an earlier month only": ({}, ("/FinDroit/",)),
    "roles of the two benefits differ": ({"ROLEPERS": ("CJT", "DEM", "CJT", "ENF")}, ()),
}


CHILDREN = {path: [other for other in RULES if other.rpartition("/")[0] == path] for path in RULES}


def flow(changed="", index=0, other="", values=None, without=()):
    """A flow with every element of the list; occurrence `index` of the element `changed` holds `other`."""
    chosen = {name: pair[0] for name, pair in VALUES.items()} | (values or {})
    seen: Counter[str] = Counter()

    def write(path):
        name = path.rpartition("/")[2]
        if any(end in f"{path}/" for end in without):
            return ""
        if CHILDREN[path]:
            blocks = ("".join(map(write, CHILDREN[path])) for _ in range(TIMES.get(name, 1)))
            return "".join(f"<{name}>{inside}</{name}>" for inside in blocks)
        texts = chosen.get(name, ("x",))
        text = other if (path, seen[path]) == (changed, index) else texts[min(seen[path], len(texts) - 1)]
        seen[path] += 1
        return f"<{name}>{text}</{name}>"

    return ('<?xml version="1.0" encoding="UTF-8"?>\n' + write("/Racine")).encode()


def outcome(raw):
    """The documents as one text, or the code of the refusal."""
    try:
        translation = ADAPTER.to_shared(raw, EXAM_CONTEXT)
    except FileRefused as refusal:
        return refusal.code
    return json.dumps([translated.document for translated in translation.documents], sort_keys=True)


def leaves(*treatments):
    return [path for path, rule in RULES.items() if rule.treatment in treatments]


def test_the_list_has_the_elements_of_the_schema():
    """264 names, 270 places, of which 202 hold a value; counted, and said so in the README."""
    names = {path.rpartition("/")[2] for path in RULES}
    counts = count_rules(RULES)
    assert (len(names), len(RULES), counts["mapped"] + counts["kept"] + counts["ignored"]) == (264, 270, 202)
    told = (files("adapters.cnaf_rsa") / "README.md").read_text(encoding="utf-8")
    assert f"{counts['mapped']} traduits, {counts['kept']} gardés tels quels, {counts['ignored']} écartés" in told


def test_a_flow_with_every_element_has_nothing_unknown():
    """The complete household is translated and each element of the list is counted."""
    coverage = ADAPTER.to_shared(flow(), EXAM_CONTEXT).coverage
    assert ([line.path for line in coverage.lines], coverage.unknown) == (list(RULES), ())


@pytest.mark.parametrize("path", leaves(Treatment.MAPPED, Treatment.KEPT))
def test_a_carried_element_changes_what_comes_out(path):
    """Another value gives other documents, or refuses the file, in at least one sort of household."""
    other = VALUES[path.rpartition("/")[2]][1]
    assert any(
        outcome(flow(values=values, without=without)) != outcome(flow(path, index, other, values, without))
        for values, without in HOUSEHOLDS.values()
        for index in range(4)
    )


@pytest.mark.parametrize("path", leaves(Treatment.IGNORED))
def test_an_ignored_element_never_comes_out(path):
    """Whatever it holds, the documents are the same."""
    assert outcome(flow()) == outcome(flow(path, other="SECRETVALUE"))


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ("/A,mapped,/x,\n/A,mapped,/x,", "twice"),
        ("/A,ignored,,", "without a reason"),
        ("/A,kept,,", "without a target"),
        ("/A,forgotten,,", "forgotten"),
    ],
)
def test_a_dishonest_list_is_not_read(tmp_path, row, fault):
    """Twice the same path, dropped without a reason, carried to nowhere, another treatment: a ValueError."""
    source = tmp_path / "elements.csv"
    source.write_text(f"path,treatment,target,reason\n{row}\n", encoding="utf-8")
    with pytest.raises(ValueError, match=fault):
        read_rules(source)


@pytest.mark.parametrize(
    "name",
    ["PaiementTiers", "NOMTIE", "COMPLIDEADR", "Grossesse", "NATFINGRO", "Controle", "RIB", "IBAN", "BIC", "Creance"],
)
def test_what_must_be_dropped_at_the_door_is_carried_nowhere(name: str) -> None:
    """Bank details, third parties, pregnancy, checks and debts: whatever the element or the block, no rule carries it."""
    mapped = {path for path, rule in RULES.items() if rule.treatment in (Treatment.MAPPED, Treatment.KEPT)}
    assert [] == [path for path in mapped if name in path.split("/")]
