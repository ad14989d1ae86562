"""
Every trap of the RSA flows that was met in real files, one test each.
"""

import json

import pytest

from adapters.base import FileRefused
from adapters.cnaf_rsa.adapter import CnafRsa
from adapters.testing import EXAM_CONTEXT
from schemas.identity import nir_key

NIR13 = "2840299612034"
MATRICULE = "<MATRICULE>412055000000000</MATRICULE>"


def documents(translation):
    return [translated.document for translated in translation.documents]


def codes(translation):
    return [issue.code for issue in translation.issues]


@pytest.mark.parametrize("encoding", ["windows-1252", "ISO-8859-1", "ISO-8859-15", "UTF-8"])
def test_the_declared_encoding_is_honoured(ordinary, encoding):
    """The same household gives the same documents in each encoding that bodies declare."""
    text = ordinary()
    expected = CnafRsa().to_shared(text.encode("cp1252"), EXAM_CONTEXT)
    declared = text.replace("windows-1252", encoding).encode(encoding)
    assert expected == CnafRsa().to_shared(declared, EXAM_CONTEXT)


def test_a_byte_order_mark_is_tolerated_before_utf8(ordinary):
    """A UTF-8 file that begins with a byte order mark is read."""
    raw = b"\xef\xbb\xbf" + ordinary(("windows-1252", "UTF-8")).encode("utf-8")
    assert len(CnafRsa().to_shared(raw, EXAM_CONTEXT).documents) == 2


def test_accents_are_composed(ordinary):
    """A name in decomposed Unicode is given composed (NFC)."""
    raw = ordinary(("windows-1252", "UTF-8"), ("HÉLOÏSE", "HE\u0301LOI\u0308SE")).encode("utf-8")
    subject = CnafRsa().to_shared(raw, EXAM_CONTEXT).documents[0].document["subject"]
    assert subject["given_names"][0] == "HÉLOÏSE"


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("412055000000000", "4120550"),
        ("004512000000000", "0045120"),
        ("412055100000000", "4120551"),
        ("4120550", "4120550"),
    ],
)
def test_a_caf_matricule_is_the_first_seven_digits(ordinary, read_flow, written, number):
    """Zeros padded on the right are dropped, the number's own zeros stay, on both sides."""
    bilan = documents(read_flow(ordinary((MATRICULE, f"<MATRICULE>{written}</MATRICULE>"))))[0]
    assert {"scheme": "caf_matricule", "value": number} in bilan["subject"]["identifiers"]


@pytest.mark.parametrize("written", ["412055012345678", "41205", "284029961203466", "41205A0"])
def test_a_caf_matricule_of_another_form_is_not_carried(ordinary, read_flow, written):
    """A number that is not the padded form could be a NIR: it is told, and appears nowhere."""
    translation = read_flow(ordinary((MATRICULE, f"<MATRICULE>{written}</MATRICULE>"), (NIR13, "2840299612077")))
    assert codes(translation) == ["matricule_unreadable"]
    assert written not in json.dumps(documents(translation))


def test_an_msa_matricule_is_treated_as_a_nir(ordinary, read_flow):
    """It goes where the NIR goes, never among the partners' identifiers, and into no reference."""
    number = NIR13 + nir_key(NIR13)
    edits = [("<FONORG>CAF</FONORG>", "<FONORG>MSA</FONORG>"), (MATRICULE, f"<MATRICULE>{number}</MATRICULE>")]
    for document in documents(read_flow(ordinary(*edits))):
        assert document["subject"]["msa_matricule"] == number
        assert number not in json.dumps([document["subject"]["identifiers"], document["id"], document["reference"]])


def test_an_msa_matricule_is_never_put_beside_the_spouse(ordinary, read_flow):
    """The number can be the claimant's NIR: the spouse's referral does not hold it."""
    number = NIR13 + nir_key(NIR13)
    spouse = (
        ordinary().split("<Personne>")[1].split("</Personne>")[0].replace("DEM", "CJT").replace(NIR13, "2840299612035")
    )
    spouse = spouse.replace("1034567B", "1034568B").replace("<TOPRESPDOS>1", "<TOPRESPDOS>0")
    edits = [
        ("<FONORG>CAF</FONORG>", "<FONORG>MSA</FONORG>"),
        (MATRICULE, f"<MATRICULE>{number}</MATRICULE>"),
        ("<DonneesAdministratives>", f"<Personne>{spouse}</Personne><DonneesAdministratives>"),
    ]
    referrals = [document for document in documents(read_flow(ordinary(*edits))) if document["kind"] == "referral"]
    assert ["msa_matricule" in referral["subject"] for referral in referrals] == [True, False]


def test_the_matricule_of_the_former_body_is_dropped(ordinary, read_flow):
    """`MATRICULEORGCEDMUT` has been seen holding a NIR: nothing of it comes out."""
    block = (
        "<OrganismeCedant><FONORGCEDMUT>MSA</FONORGCEDMUT><NUMORGCEDMUT>390</NUMORGCEDMUT>"
        "<MATRICULEORGCEDMUT>2830299612099</MATRICULEORGCEDMUT><DDARRMUT>2024-01-01</DDARRMUT></OrganismeCedant>"
    )
    translation = read_flow(ordinary(("</IdentificationRSA>", f"{block}</IdentificationRSA>")))
    assert documents(read_flow(ordinary())) == documents(translation)


@pytest.mark.parametrize(
    ("written", "flag", "told"),
    [
        (NIR13, "key_added", []),
        (NIR13 + nir_key(NIR13), "key_ok", []),
        (NIR13 + "00", "key_wrong", ["nir_key_wrong"]),
    ],
)
def test_a_nir_of_13_or_15_digits_is_kept_and_flagged(ordinary, read_flow, written, flag, told):
    """A key is added, checked, or said to be wrong; the number is never rejected for it."""
    translation = read_flow(ordinary((NIR13, written)))
    subject = documents(translation)[0]["subject"]
    assert (subject["nir"], subject["nir_flag"], codes(translation)) == (NIR13 + nir_key(NIR13), flag, told)


def test_a_waiting_number_is_no_nir(ordinary, read_flow):
    """A number that begins with 8 goes to `nia`."""
    subject = documents(read_flow(ordinary((NIR13, "8840299612034"))))[0]["subject"]
    assert ("nir" in subject, subject["nia"][:13], subject["nir_flag"]) == (False, "8840299612034", "temporary")


def test_the_application_number_is_an_opaque_string(ordinary, read_flow):
    """Ten characters (MSA) are as good as eleven, and zeros on the left stay."""
    bilan = documents(read_flow(ordinary(("00045120039", "0004512003"))))[0]
    assert {"scheme": "rsa_application", "value": "0004512003"} in bilan["subject"]["identifiers"]


@pytest.mark.parametrize("written", ["CG  ", "CG ", "CG"])
def test_the_partner_type_is_trimmed(ordinary, read_flow, written):
    """`TYPEPARTE` is padded on its right in some files; `IDEPARTE` keeps its zero."""
    fields = documents(read_flow(ordinary(("CG  ", written))))[0]["local"]["fields"]
    assert (fields["TYPEPARTE"], fields["IDEPARTE"]) == ("CG", "039")


def test_amounts_are_not_carried(ordinary, read_flow):
    """No amount comes out, not even the one that looks like a sentinel."""
    translation = read_flow(ordinary(("0000435.00", "0999999.00")))
    text = json.dumps(documents(translation))
    assert [amount for amount in ("999999", "0000145", "607.75") if amount in text] == []


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ("01:18:36.0000", "2026-11-05T01:18:36+01:00"),
        ("10:40:53.450", "2026-11-05T10:40:53+01:00"),
        ("10:40:53", "2026-11-05T10:40:53+01:00"),
        ("99:99:99", "2026-11-05T00:00:00+01:00"),
        ("", "2026-11-05T00:00:00+01:00"),
    ],
)
def test_times_are_read_leniently(ordinary, read_flow, written, moment):
    """Three, four or no decimals; a time that is none is midnight."""
    assert documents(read_flow(ordinary(("01:18:36.0000", written))))[0]["established_at"] == moment


def test_summer_time_is_counted(ordinary, read_flow):
    """A flow made in July has the offset of summer."""
    bilan = documents(read_flow(ordinary(("<DTCREAFLUX>2026-11-05", "<DTCREAFLUX>2026-07-05"))))[0]
    assert bilan["established_at"] == "2026-07-05T01:18:36+02:00"


@pytest.mark.parametrize(("yes", "no"), [("1", "0"), ("true", "false")])
def test_booleans_are_digits_or_words(ordinary, read_flow, yes, no):
    """`1` and `true` make a referral, `0` and `false` none."""
    kinds = [
        [
            document["kind"]
            for document in documents(read_flow(ordinary(("<TOPPERSDRODEVORSA>1", f"<TOPPERSDRODEVORSA>{word}"))))
        ]
        for word in (yes, no)
    ]
    assert kinds == [["bilan", "referral"], ["bilan"]]


@pytest.mark.parametrize("written", ["01", "1"])
def test_the_last_address_has_rank_one(ordinary, read_flow, written):
    """`RGADR` is compared as a number; the other addresses are left."""
    address = documents(read_flow(ordinary(("<RGADR>01", f"<RGADR>{written}"))))[0]["subject"]["address"]
    assert address["lines"] == ["12 RUE DE LA FONTAINE"]


def test_an_identifier_shared_by_a_couple_is_nobodys(ordinary, read_flow):
    """The same `IDASSEDIC` for two people is told and carried for neither."""
    child = "<NOM>DESCOMBELLES</NOM>\n\t\t\t\t<NOMNAI>DESCOMBELLES"
    job = "<DossierPoleEmploi><IDASSEDIC>1034567B</IDASSEDIC></DossierPoleEmploi>"
    text = ordinary()
    at = text.rindex("</Personne>")
    translation = read_flow(text[:at] + job + text[at:])
    assert child in text
    assert codes(translation) == ["identifier_shared", "identifier_shared"]
    assert "1034567B" not in json.dumps(documents(translation))


def test_a_household_may_have_no_claimant(ordinary, read_flow):
    """Without a `DEM` the bilan is about the file holder, and the adults still get their referral."""
    found = documents(read_flow(ordinary(("<ROLEPERS>DEM", "<ROLEPERS>CJT"))))
    assert [(document["kind"], document["subject"]["birth_name"]) for document in found] == [
        ("bilan", "D'ARTEMARE"),
        ("referral", "D'ARTEMARE"),
    ]


def test_an_empty_element_is_a_missing_one(ordinary, read_flow):
    """An empty or blank element gives the documents of the file without it."""
    line = "\t\t\t\t<NIR>2840299612034</NIR>\n"
    without = documents(read_flow(ordinary((line, ""))))
    for empty in ("<NIR></NIR>", "<NIR/>", "<NIR>   </NIR>", "<NIR>\n</NIR>"):
        assert without == documents(read_flow(ordinary((line, empty))))


def test_third_parties_of_an_address_are_dropped(ordinary, read_flow):
    """`COMPLIDEADR` is never read; a « CHEZ » in another line is withheld, and told."""
    edits = [
        (
            "<COMPLIDEADR /><COMPLADR />",
            "<COMPLIDEADR>CHEZ M. VAUDREVAL</COMPLIDEADR><COMPLADR>Chez Mme Zakarine</COMPLADR>",
        ),
    ]
    translation = read_flow(ordinary(*edits))
    text = json.dumps(documents(translation)).upper()
    assert [name for name in ("VAUDREVAL", "ZAKARINE", "CHEZ") if name in text] == []
    assert codes(translation) == ["third_party_withheld"]


@pytest.mark.parametrize(
    ("kind", "written", "expected"),
    [("N", "1984-02-19", "1984-02-19"), ("J", "1984-02-01", "1984-02-00"), ("O", "1984-01-01", "1984-00-00")],
)
def test_a_presumed_birth_date_has_no_invented_day(ordinary, read_flow, kind, written, expected):
    """`TYPEDTNAI` J and O blank the day, or the day and the month."""
    edits = [
        ("<DTNAI>1984-02-19</DTNAI>\n\t\t\t\t<TYPEDTNAI>N", f"<DTNAI>{written}</DTNAI>\n\t\t\t\t<TYPEDTNAI>{kind}"),
    ]
    assert documents(read_flow(ordinary(*edits)))[0]["subject"]["birth_date"] == expected


def test_the_same_household_twice_in_a_file_is_read_once(ordinary, read_flow):
    """The second time is told and gives no document."""
    text = ordinary(("<NBTOTDOSRSATRANSM>00000001", "<NBTOTDOSRSATRANSM>00000002"))
    start, end = text.index("\t<InfosFoyerRSA>"), text.index("\t<TransmissionFlux>")
    translation = read_flow(text[:end] + text[start:end] + text[end:])
    assert (len(translation.documents), codes(translation)) == (2, ["document_repeated", "document_repeated"])


def test_a_flow_sent_again_gives_the_same_identifiers_and_a_later_one_others(ordinary, read_flow):
    """The key is the body, the matricule, the application and the date of the flow."""
    first, again, later = (
        [document["id"] for document in documents(read_flow(ordinary(*edits)))]
        for edits in ([], [("01:18:36.0000", "02:00:00.0000")], [("<DTCREAFLUX>2026-11-05", "<DTCREAFLUX>2026-12-05")])
    )
    assert first == again
    assert set(first) & set(later) == set()


@pytest.mark.parametrize(
    ("element", "code", "message"),
    [
        ("ETATDOSRSA>2", "ETATDOSRSA>9", "code_unknown"),
        ("SITFAM>DIV", "SITFAM>ZZZ", "code_unknown"),
        ("ACT>CHO", "ACT>ZZZ", "code_unknown"),
    ],
)
def test_an_unknown_code_is_kept_and_told(ordinary, read_flow, element, code, message):
    """The literal survives in `local`; no shared code is guessed."""
    translation = read_flow(ordinary((element, code)))
    name, literal = code.split(">")
    assert codes(translation) == [message]
    assert documents(translation)[0]["local"]["fields"][name] == literal


def test_an_unknown_state_is_not_checked(ordinary, read_flow):
    """A state outside the list says nothing of the right."""
    bilan = documents(read_flow(ordinary(("ETATDOSRSA>2", "ETATDOSRSA>9"))))[0]
    assert ([line["state"] for line in bilan["lines"]], bilan["local"]["status"]) == (["not_checked"], "9")


@pytest.mark.parametrize("code", ["CG", "70", "44", "04"])
def test_a_sanction_is_shown_as_a_plain_suspension(ordinary, read_flow, code):
    """Sanctions, health and residence permits: a suspension, without its code."""
    stop = f"</EtatDossierRSA><SuspensionVersement><MOTISUSVERSRSA>{code}</MOTISUSVERSRSA><DDSUSVERSRSA>2026-09-01</DDSUSVERSRSA></SuspensionVersement>"
    bilan, referral = documents(read_flow(ordinary(("</EtatDossierRSA>", stop), ("ETATDOSRSA>2", "ETATDOSRSA>4"))))
    assert [reason["code"] for reason in referral["reasons"]] == ["payment_suspended", "rights_review"]
    assert bilan["situation"]["benefit_state"] == "open_payment_suspended"
    kept = [each for document in (bilan, referral) for each in document["local"].get("codes", [])]
    assert [each for each in kept if "MOTISUS" in each["scheme"]] == []


def test_health_is_neither_mapped_nor_kept(ordinary, read_flow):
    """An activity code that reveals health leaves no trace at all."""
    bilan, referral = documents(read_flow(ordinary(("<ACT>CHO", "<ACT>INV"))))
    assert ("employment" in bilan["situation"], "INV" in json.dumps([bilan, referral])) == (False, False)


def test_a_name_that_reads_backwards_is_not_carried(ordinary):
    """A bidi control in a name, written as it is or as a reference, is told and the name left out."""
    for hidden in ("\u202e", "&#x202E;"):
        raw = ordinary(("windows-1252", "UTF-8"), ("<NOM>DESCOMBELLES", f"<NOM>DES{hidden}COMBELLES")).encode()
        translation = CnafRsa().to_shared(raw, EXAM_CONTEXT)
        assert "bidi_control" in codes(translation)
        assert "used_name" not in documents(translation)[0]["subject"]


def test_a_body_that_is_neither_caf_nor_msa_is_told(ordinary, read_flow):
    """Its matricule could be anything: it is not carried."""
    translation = read_flow(ordinary(("<FONORG>CAF", "<FONORG>ZZZ")))
    assert sorted(codes(translation)) == ["code_unknown", "matricule_unreadable"]


def test_a_person_without_identity_gets_no_document(ordinary, read_flow):
    """Neither a NIR nor a name: nothing is made about them, and it is told."""
    edits = [("\t\t\t\t<NIR>2840299612034</NIR>\n", ""), ("<NOMNAI>D'ARTEMARE", "<NOMNAI>")]
    translation = read_flow(ordinary(*edits))
    assert (documents(translation), codes(translation)) == ([], ["identity_incomplete"])


def test_a_household_without_anybody_is_told(ordinary, read_flow):
    """A household with no `Personne` gives nothing."""
    text = ordinary()
    start, end = text.index("\t\t<Personne>"), text.rindex("</Personne>") + len("</Personne>")
    translation = read_flow(text[:start] + text[end:])
    assert (documents(translation), codes(translation)) == ([], ["household_without_person"])


def test_a_regular_flow_with_an_anomaly_block_is_read(ordinary, read_flow):
    """An anomaly beside a state and a total does not make the file an anomaly companion."""
    edits = [("\t</InfosFoyerRSA>", "<Anomalie><LIBANO>DOSSIER 4120550</LIBANO></Anomalie></InfosFoyerRSA>")]
    assert len(read_flow(ordinary(*edits)).documents) == 2


def test_no_state_is_derived_from_an_anomaly_file(ordinary, read_flow):
    """Anomalies and no total of households: refused, not kept, whatever the file is called."""
    edits = [
        ("\t</InfosFoyerRSA>", "<Anomalie><LIBANO>DOSSIER 4120550</LIBANO></Anomalie></InfosFoyerRSA>"),
        ("<NBTOTDOSRSATRANSM>00000001</NBTOTDOSRSATRANSM>", ""),
    ]
    with pytest.raises(FileRefused) as refusal:
        read_flow(ordinary(*edits))
    assert (refusal.value.code, refusal.value.quarantine) == ("anomaly_companion", False)
