"""
HL7 v2 over HTTP: a sender of ER7 reads its acknowledgements with the library of others, accepted, to correct, or not for here.
"""

from __future__ import annotations

import re
import uuid
from typing import Any

import hl7
import pytest

pytestmark = pytest.mark.parametrize("desk", ["embedded"], indirect=True)

ER7 = "x-application/hl7-v2+er7"


def message(number: str, kind: str = "REF^I12^REF_I12", born: str = "19840917") -> bytes:
    """A referral about somebody nobody knows."""
    name = f"Personne{uuid.uuid4().hex[:8]}"
    lines = [
        f"MSH|^~\\&|LOGICIEL|MAISON-SANTE|TDU|VALOMBRE|20260302093000+0100||{kind}|{number}|P|2.5|||||FRA|UNICODE UTF-8",
        f"RF1|P|A|SOC|||VAL-{uuid.uuid4().hex[:8]}|20260302|||1^Accès aux droits",
        "PRD|RP|LENOIR^Odile",
        f"PID|1||DOS-{number}^^^^PI||{name}^Amina||{born}|F",
    ]
    return "".join(line + "\r" for line in lines).encode()


def sent(desk: Any, raw: bytes, **headers: str) -> Any:
    """Send ER7 as the CAF."""
    return desk.call("caf", "POST", "/v1/inbound/hl7v2", content=raw, headers={"Content-Type": ER7, **headers})


def acknowledgements(answer: Any) -> list[Any]:
    """The messages of an answer, as the library reads them."""
    assert answer.headers["content-type"].startswith(ER7)
    texts = [text for text in re.split(r"(?=MSH\|)", answer.text) if text]
    return [hl7.parse(text) for text in texts]


def test_each_message_has_its_acknowledgement(desk: Any) -> None:
    """AA with the exchange for the one that was taken, AE with the reason for the one that names nobody, in their order."""
    answer = sent(desk, message("M1") + message("M2", born="") + message("M3"))
    first, second, third = acknowledgements(answer)
    assert (202, "ACK") == (answer.status_code, str(first["MSH"][0][9]).partition("^")[0])
    assert [("AA", "M1"), ("AE", "M2"), ("AA", "M3")] == [
        (str(each["MSA"][0][1]), str(each["MSA"][0][2])) for each in (first, second, third)
    ]
    exchange = str(first["MSA"][0][3])
    assert exchange == desk.done("caf", "GET", f"/v1/exchanges/{exchange}")["id"]
    assert ("LOGICIEL", "MAISON-SANTE") == (str(first["MSH"][0][5]), str(first["MSH"][0][6]))
    assert str(second["ERR"][0][8])


def test_a_message_for_another_is_rejected_and_a_cut_one_is_an_error(desk: Any) -> None:
    """AR for another type of message, AE for one that is cut, both naming it; in the frame of MLLP when it came in one."""
    answer = sent(desk, message("M4", kind="ADT^A01"))
    [rejected] = acknowledgements(answer)
    assert (422, "AR", "M4") == (answer.status_code, str(rejected["MSA"][0][1]), str(rejected["MSA"][0][2]))
    cut = sent(desk, b"\x0b" + message("M5")[:-20])
    assert cut.content.startswith(b"\x0bMSH") and cut.content.endswith(b"\x1c\r") and b"MSA|AE|M5" in cut.content
    nothing = sent(desk, b"rien")
    assert 422 == nothing.status_code and b"MSA|AE|\r" in nothing.content


def test_a_sender_that_asks_for_json_gets_it(desk: Any) -> None:
    """The answer is in JSON for who accepts it, and before there is a message to acknowledge."""
    assert 1 == sent(desk, message("M6"), Accept="application/json").json()["accepted"]
    wrong = desk.call("caf", "POST", "/v1/inbound/hl7v2", content=message("M7"), headers={"Content-Type": "text/csv"})
    assert (415, "unsupported_media_type") == (wrong.status_code, wrong.json()["code"])
    unknown = desk.http.post("/v1/inbound/hl7v2", content=message("M8"), headers={"Content-Type": ER7})
    assert (401, "unauthorized") == (unknown.status_code, unknown.json()["code"])
