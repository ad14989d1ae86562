"""Bad input at every door: a refusal that says what to do, never an error of ours, and nothing is taken in or lost."""

from __future__ import annotations

import gzip
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from adapters.cnaf_rsa.fictitious import fictitious_flow

MARK = "Zorglubine"
DEEP = 100_000
JSON, XML, CSV = ({"Content-Type": f"{kind}"} for kind in ("application/json", "application/xml", "text/csv"))
pytestmark = [
    pytest.mark.parametrize("desk", ["embedded"], indirect=True),  # reading is the same on every database
    pytest.mark.usefixtures("nothing_taken_in"),
]

DOORS = {
    "referral": ("caf", "/v1/referrals"),
    "bilan": ("caf", "/v1/bilans"),
    "status": ("departement", "/v1/referrals/{referral}/status"),
    "inbound": ("caf", "/v1/inbound/shared-json"),
    "try-out": ("caf", "/v1/adapters/shared-json/translate"),
    "consent": ("caf", "/v1/consents"),
    "withdrawal": ("caf", "/v1/consents/{consent}/withdraw"),
    "objection": ("caf", "/v1/objections"),
    "refusal": ("departement", "/v1/mailbox/{delivery}/nack"),
    "convention": ("caf", "/v1/conventions"),
    "signature": ("caf", "/v1/conventions/{convention}/sign"),
    "validation": ("caf", "/v1/validate/referral"),
}
"""Every address that reads a JSON body: who may post there, and where."""

ROOM = {"withdrawal": 50_000, "objection": 50_000, "refusal": 10_000, "convention": 100_000, "signature": 100_000}
"""Bytes that a door takes, where it is less than a document."""

NOT_JSON = {
    "empty": b"",
    "not JSON": MARK.encode(),
    "NaN": b'{"%s": NaN}' % MARK.encode(),
    "infinity": b'{"%s": -Infinity}' % MARK.encode(),
    "duplicate key": b'{"%s": 1, "%s": 2}' % (MARK.encode(), MARK.encode()),
    "lone surrogate": b'{"%s": "\\ud800"}' % MARK.encode(),
    "raw surrogate": b'{"%s": "\xed\xa0\x80"}' % MARK.encode(),
    "nested arrays": b'{"%s": ' % MARK.encode() + b"[" * DEEP,
    "nested objects": b'{"a":' * DEEP,
    "closed nested arrays": b'{"a": ' + b"[" * DEEP + b"]" * DEEP + b"}",
    "integer of 5,000 digits": b'{"%s": ' % MARK.encode() + b"9" * 5_000 + b"}",
    "float overflow": b'{"%s": 1e999}' % MARK.encode(),
    "escaped NUL": b'{"%s": "\\u0000"}' % MARK.encode(),
    "raw NUL": b'{"%s": "\x00"}' % MARK.encode(),
    "bidi control": f'{{"{MARK}": "\u202e"}}'.encode(),
    "UTF-16": f'{{"a": "{MARK}"}}'.encode("utf-16"),
    "latin-1": f'{{"a": "é{MARK}"}}'.encode("latin-1"),
    "compressed without saying": gzip.compress(b'{"a": 1}'),
    "cut": b'{"%s": ' % MARK.encode(),
    "two values": b"{} {}",
}

NOT_OBJECTS = {"list": b"[]", "null": b"null", "number": b"1", "text": b'"%s"' % MARK.encode(), "true": b"true"}

FILES = {
    "empty": (b"", "empty"),
    "not XML": (MARK.encode(), "not_xml"),
    "JSON": (b'{"a": 1}', "not_xml"),
    "compressed": (gzip.compress(fictitious_flow(2, 1)), "not_xml"),
    "another XML": (f"<a>{MARK}</a>".encode(), "not_a_cnaf_flow"),
    "badly formed": (f"<Racine><a></b>{MARK}</Racine>".encode(), "malformed_xml"),
    "doctype": (b"<!DOCTYPE Racine><Racine/>", "doctype_refused"),
    "XXE": (b'<?xml version="1.0"?><!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]><r>&x;</r>', "doctype_refused"),
    "billion laughs": (
        b'<!DOCTYPE l [<!ENTITY a "ha">' + b"".join(b'<!ENTITY %c "&%c;&%c;">' % (98 + n, 97 + n, 97 + n) for n in range(24)) + b"]><l>&y;</l>",
        "doctype_refused",
    ),
    "unknown entity": (b"<Racine>&x;</Racine>", "malformed_xml"),
    "many attributes": (b"<Racine " + b" ".join(b'a%d="1"' % n for n in range(20_000)) + b"/>", "element_too_long"),
    "nested elements": (b"<Racine>" + b"<a>" * 20_000, ""),
    "UTF-8 that is windows-1252": (fictitious_flow(2, 1).replace(b"windows-1252", b"utf-8"), ""),
    "windows-1252 that is UTF-8": (fictitious_flow(2, 1).decode("cp1252").encode(), "encoding_mismatch"),
    "UTF-16": (fictitious_flow(2, 1).decode("cp1252").encode("utf-16"), "encoding_not_accepted"),
    "unknown encoding": (fictitious_flow(2, 1).replace(b"windows-1252", MARK.encode()), "encoding_not_accepted"),
    "a codec that is none": (fictitious_flow(2, 1).replace(b"windows-1252", b"zlib"), "encoding_not_accepted"),
    "wrong total": (fictitious_flow(3, 1, declared_total=4), "total_mismatch"),
    "no total": (fictitious_flow(2, 1).split(b"<TransmissionFlux>")[0] + b"</Racine>", "total_missing"),
}  # fmt: skip
"""RSA flows that are none, and the code of the fault where it is always the same."""


@pytest.mark.parametrize("case", NOT_JSON)
@pytest.mark.parametrize("door", DOORS)
def test_what_is_not_strict_json_is_refused(desk: Any, story: Any, refused: Any, door: str, case: str) -> None:
    """No reader after this one may understand the bytes otherwise than it does."""
    who, address = DOORS[door]
    answer = desk.call(who, "POST", _at(address, story), content=NOT_JSON[case], headers=JSON)
    if len(NOT_JSON[case]) > ROOM.get(door, 1_000_000):
        refused(answer, 413, "body_too_large")
    elif door == "convention":  # read as YAML where it does not begin with a brace
        refused(answer, 422, "convention_invalid")
    elif door in ("inbound", "try-out"):
        refused(answer, 422, "file_refused")
    else:
        refused(answer, 400, "malformed_json")


@pytest.mark.parametrize("case", NOT_OBJECTS)
@pytest.mark.parametrize("door", sorted(DOORS.keys() - {"validation"}))
def test_json_that_is_no_object_is_refused(desk: Any, story: Any, refused: Any, door: str, case: str) -> None:
    """Every body is an object; a list, a null or a number is nobody's document."""
    who, address = DOORS[door]
    answer = desk.call(who, "POST", _at(address, story), content=NOT_OBJECTS[case], headers=JSON)
    refused(answer, 422 if door in ("convention", "inbound", "try-out") else 400)


@pytest.mark.parametrize("case", NOT_OBJECTS)
def test_the_validator_says_that_what_is_no_object_is_no_document(desk: Any, case: str) -> None:
    """To be told that a document is bad is what the validator is asked for: its answer is a success."""
    answer = desk.call("caf", "POST", "/v1/validate/referral", content=NOT_OBJECTS[case], headers=JSON)
    assert (200, False) == (answer.status_code, answer.json()["valid"])
    assert MARK not in answer.text


@pytest.mark.parametrize("door", sorted(DOORS.keys() - {"convention"}))
def test_another_media_type_is_refused(desk: Any, story: Any, refused: Any, door: str) -> None:
    """What is not announced as JSON is not read as JSON."""
    who, address = DOORS[door]
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
        answer = desk.call(who, "POST", _at(address, story), content=b"{}", headers={"Content-Type": kind})
        refused(answer, 415, "unsupported_media_type")


@pytest.mark.parametrize("door", DOORS)
def test_a_compressed_body_is_refused(desk: Any, story: Any, refused: Any, door: str) -> None:
    """A kilobyte that becomes a gigabyte is never unpacked, nor mistaken for what it holds."""
    who, address = DOORS[door]
    for coding in ("gzip", "deflate, gzip", "br"):
        headers = JSON | {"Content-Encoding": coding}
        answer = desk.call(who, "POST", _at(address, story), content=gzip.compress(b"{}"), headers=headers)
        refused(answer, 415, "unsupported_media_type")


@pytest.mark.parametrize("case", FILES)
def test_a_file_that_is_not_a_whole_flow_is_refused_whole(desk: Any, refused: Any, case: str) -> None:
    """Nothing of a file is used unless it is known to be entire and harmless; the try-out says the same."""
    content, fault = FILES[case]
    for address in ("/v1/inbound/cnaf-rsa", "/v1/adapters/cnaf-rsa/translate"):
        body = refused(desk.call("caf", "POST", address, content=content, headers=XML), 422, "file_refused")
        assert fault in ("", body["errors"][0]["code"])


@pytest.mark.parametrize("cut", [0.1, 0.5, 0.99])
def test_a_cut_flow_is_kept_aside_for_its_sender(desk: Any, refused: Any, cut: float) -> None:
    """The problem names the quarantine, so that its sender can be helped without sending the file again."""
    flow = fictitious_flow(4, 1)
    answer = desk.call("caf", "POST", "/v1/inbound/cnaf-rsa", content=flow[: int(len(flow) * cut)], headers=XML)
    body = refused(answer, 422, "file_refused")
    assert "truncated" == body["errors"][0]["code"]
    assert str(uuid.UUID(body["quarantine"])) == body["quarantine"]


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", ""),
        (MARK.encode(), ""),
        (b'"' + MARK.encode() + b"a;" * 300_000, ""),
        (b"MATRICULE;NOM\n\x00;\x00", ""),
        (b"\xff\xfe" + "MATRICULE;NOM\n".encode("utf-16-le"), ""),
        (b"MATRICULE;" * 20_000, ""),
        (gzip.compress(b"MATRICULE;NOM"), ""),
    ],
    ids=["empty", "one word", "a cell without end", "NUL", "UTF-16", "20,000 columns", "compressed"],
)
def test_a_csv_that_is_not_of_the_format_is_refused(desk: Any, refused: Any, content: bytes, fault: str) -> None:
    """A spreadsheet saved any other way is refused with what is wrong with it."""
    refused(
        desk.call("caf", "POST", "/v1/inbound/webrsa-orientation", content=content, headers=CSV), 422, "file_refused"
    )


@pytest.mark.parametrize("announced", [True, False], ids=["announced", "chunked"])
@pytest.mark.parametrize("address", ["/v1/inbound/shared-json", "/v1/referrals", "/v1/conventions", "/v1/objections"])
def test_sixty_megabytes_are_refused(desk: Any, refused: Any, address: str, announced: bool) -> None:
    """A body is counted as it comes, whether its length was announced or not."""
    content = b"<" * 60_000_000 if announced else _pieces(60)
    refused(desk.call("caf", "POST", address, content=content, headers=JSON), 413, "body_too_large")


@pytest.mark.parametrize(
    ("kind", "path", "status"),
    [
        ("bilan", "/v1/referrals", 400),
        ("referral", "/v1/bilans", 400),
        ("consent", "/v1/referrals", 400),
        ("convention", "/v1/inbound/shared-json", 422),
        ("consent", "/v1/inbound/shared-json", 422),
        ("referral", "/v1/consents", 422),
        (["referral"], "/v1/referrals", 400),
        (MARK, "/v1/inbound/shared-json", 422),
    ],
)
def test_a_document_at_the_wrong_address_is_refused(
    desk: Any, new_referral: Any, refused: Any, kind: Any, path: str, status: int
) -> None:
    """The address says what kind of document is meant; a document that says otherwise is a mistake."""
    refused(desk.call("caf", "POST", path, json=new_referral(kind=kind)), status)


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"sender": MARK}, "/sender"),
        ({"sender": None}, "/sender"),
        ({"sender": [MARK]}, "/sender"),
        ({"id": ...}, "/id"),
        ({"id": 5}, "/id"),
        ({"id": [MARK]}, "/id"),
        ({"id": MARK}, "/id"),
        ({"recipients": MARK}, "/recipients"),
        ({"recipients": [MARK]}, "/recipients/0"),
        ({"subject": ...}, "/subject"),
        ({"subject": None}, "/subject"),
        ({"subject": {}}, "/subject"),
        ({"subject": {"nir": 5}}, "/subject/nir"),
        ({"purpose": []}, "/purpose"),
        ({"purpose": MARK}, "/purpose"),
        ({"created_at": "9999-12-31T23:59:59-14:00"}, "/created_at"),
        ({"schema_version": "9.9"}, "/schema_version"),
        ({"rights": [{"right": "rsa"}] * 20_000}, "/rights"),
        ({MARK: MARK}, "/*"),
    ],
)  # fmt: skip
def test_a_referral_that_breaks_its_schema_is_refused_with_the_place(
    desk: Any, new_referral: Any, refused: Any, changes: dict[str, Any], pointer: str
) -> None:
    """Each fault comes with its pointer; nothing is repaired in silence, not even the id or the sender."""
    for path in ("/v1/referrals", "/v1/inbound/shared-json"):
        body = refused(desk.call("caf", "POST", path, json=new_referral(**changes)), 422, "document_invalid")
        assert pointer in {error["pointer"] for error in body["errors"]}


def test_a_person_who_cannot_be_recognised_is_said_to_be_unknown(desk: Any, new_referral: Any, refused: Any) -> None:
    """A pseudonym that the gateway never gave to this partner names nobody."""
    subject = {"pseudonym": "p-" + "0" * 32}
    refused(desk.call("caf", "POST", "/v1/referrals", json=new_referral(subject=subject)), 422, "unknown_subject")
    refused(desk.call("caf", "POST", "/v1/objections", json={"subject": subject}), 422, "unknown_subject")


def _at(address: str, story: Any) -> str:
    known = {name: getattr(story, name) for name in ("referral", "consent", "delivery", "convention")}
    return address.format(**known)


def _pieces(megabytes: int) -> Iterator[bytes]:
    for _ in range(megabytes):
        yield b"<" * 1_000_000
