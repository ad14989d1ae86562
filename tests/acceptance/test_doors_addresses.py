"""Addresses that lead nowhere: hostile identifiers, parameters, methods and request lines, on both databases."""

from __future__ import annotations

import socket
import uuid
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

MARK = "Zorglubine"
pytestmark = pytest.mark.usefixtures("nothing_taken_in")

IDENTIFIERS = {
    "another": str(uuid.UUID(int=0x8BAD_F00D, version=4)),
    "a word": MARK,
    "NUL": "%00",
    "NUL inside": f"{MARK}%00a",
    "parent folder": "..%2F..%2Fetc%2Fpasswd",
    "dots": "%2E%2E",
    "accents": quote("éàœ"),
    "not UTF-8": "%FF%FE",
    "surrogate": "%ED%A0%80",
    "bidi control": quote("\u202e"),
    "line feed": f"{MARK}%0A{MARK}",
    "quotes": quote("' OR '1'='1"),
    "template": quote("{{7*7}}${7*7}"),
    "5,000 characters": "a" * 5_000,
    "60,000 characters": "a" * 60_000,
}

READ = (
    "/v1/exchanges/{}",
    "/v1/exchanges/{}/receipt",
    "/v1/consents/{}",
    "/v1/conventions/{}",
    "/fhir/R4/ServiceRequest/{}",
    "/fhir/R4/Task/{}",
    "/schemas/{}/v1.json",
    "/schemas/codes/{}.json",
    "/ledger/tile/{}",
    "/problems/{}",
    "/static/{}",
)

WRITTEN = {
    "/v1/referrals/{}/status": {"status": "accepted"},
    "/v1/mailbox/{}/ack": {},
    "/v1/mailbox/{}/nack": {"reason": "other"},
    "/v1/consents/{}/withdraw": {},
    "/v1/conventions/{}/sign": {"jws": "a.b.c"},
    "/v1/conventions/{}/revoke": {},
    "/v1/inbound/{}": {},
    "/v1/adapters/{}/translate": {},
    "/v1/validate/{}": {},
}

PARAMETERS = (
    "/v1/exchanges?cursor=-1",
    f"/v1/exchanges?cursor={MARK}",
    "/v1/exchanges?cursor=",
    "/v1/exchanges?cursor=%00",
    "/v1/exchanges?cursor=" + quote("١٢"),
    "/v1/exchanges?cursor=" + "9" * 19,
    "/v1/exchanges?cursor=" + "9" * 5_000,
    f"/v1/exchanges?updated_after={MARK}",
    "/v1/exchanges?updated_after=2026-11-23",
    "/v1/exchanges?updated_after=2026-11-23T09:00:00",
    "/v1/exchanges?updated_after=2026-11-23T09:00:00+01:00",  # a plus is a space there
    "/v1/exchanges?updated_after=0001-01-01T00:00:00%2B00:00",
    "/v1/exchanges?updated_after=0001-01-01T00:00:00%2B14:00",
    "/v1/exchanges?updated_after=9999-12-31T23:59:59-14:00",
    "/v1/exchanges?updated_after=%00",
    "/v1/exchanges?limit=0",
    "/v1/exchanges?limit=501",
    "/v1/exchanges?limit=1e3",
    "/v1/exchanges?limit=" + "9" * 5_000,
    "/v1/mailbox?limit=-1",
    f"/v1/mailbox?limit={MARK}",
    "/v1/mailbox?wait=-1",
    "/v1/mailbox?wait=26",
    "/v1/mailbox?wait=nan",
    "/v1/mailbox?wait=inf",
)

TILES = ("0/000.p/999", "64/000", "0/x999/000.p/0", "0/" + "x999/" * 9 + "000", "entries/" + "x999/" * 900 + "000")

REQUEST_LINES = {
    "dot segments": b"GET /v1/exchanges/../../etc/passwd HTTP/1.1",
    "no path": b"GET ?a HTTP/1.1",
    "raw bytes": b"GET /v1/exchanges/\xc3\xa9\xff HTTP/1.1",
    "a space": b"GET /v1/exchanges/a b HTTP/1.1",
    "another protocol": b"GET / SMTP/1.0",
    "no method": b" / HTTP/1.1",
    "an invented method": b"ZORGLUB / HTTP/1.1",
    "a length that is none": b"POST /v1/referrals HTTP/1.1\r\nContent-Length: many",
    "a negative length": b"POST /v1/referrals HTTP/1.1\r\nContent-Length: -1",
    "a huge length": b"POST /v1/referrals HTTP/1.1\r\nContent-Length: " + b"9" * 40,
    "two lengths": b"POST /v1/referrals HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2",
    "a length and chunks": b"POST /v1/referrals HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked",
    "a header without colon": b"GET / HTTP/1.1\r\nZorglubine",
    "NUL in a header": b"GET / HTTP/1.1\r\nX: a\x00b",
}


@pytest.mark.parametrize("desk", ["embedded"], indirect=True)
@pytest.mark.parametrize("case", IDENTIFIERS)
def test_an_address_that_names_nothing_is_refused(desk: Any, refused: Any, case: str) -> None:
    """What is no identifier is never looked for, and what does not exist is not found, read or written."""
    _knock_everywhere(desk, refused, IDENTIFIERS[case])


@pytest.mark.parametrize("case", ["NUL", "NUL inside", "surrogate"])
def test_what_a_database_cannot_hold_never_reaches_it(desk: Any, refused: Any, case: str) -> None:
    """PostgreSQL knows no NUL and no half of a character, SQLite knows both: the answer is the same."""
    _knock_everywhere(desk, refused, IDENTIFIERS[case])


@pytest.mark.parametrize("place", range(len(PARAMETERS)), ids=[path[4:60] for path in PARAMETERS])
def test_a_parameter_that_means_nothing_is_refused(desk: Any, refused: Any, place: int) -> None:
    """A number out of range, a date without offset or a wait without end are refused, never guessed."""
    refused(desk.call("caf", "GET", PARAMETERS[place], timeout=5), 400, "malformed_request")


@pytest.mark.parametrize("place", range(len(TILES)), ids=[path[:20] for path in TILES])
def test_a_tile_beyond_the_log_is_not_found(desk: Any, refused: Any, place: int) -> None:
    """The public log is open to everybody, so that everybody tries numbers."""
    refused(desk.http.get(f"/ledger/tile/{TILES[place]}"), 404, "not_found")


@pytest.mark.parametrize("desk", ["embedded"], indirect=True)
def test_a_method_that_an_address_does_not_know_is_refused(desk: Any, refused: Any) -> None:
    """Every address of the description answers 405 to the methods it does not list, and names those it does."""
    for path, methods in desk.http.get("/openapi.json").json()["paths"].items():
        for method in {"get", "post", "put", "delete", "patch", "options"} - methods.keys():
            concrete = path.replace("{path}", "x").replace("{", "").replace("}", "")
            answer = desk.http.request(method, concrete)
            refused(answer, 405, "method_not_allowed")
            assert {name.strip() for name in answer.headers["allow"].split(",")} <= {name.upper() for name in methods}


@pytest.mark.parametrize("desk", ["embedded"], indirect=True)
@pytest.mark.parametrize(
    "path", ["/v2/referrals", "/v1", "/v1/exchanges/", "//v1/exchanges", "/.env", "/admin", "/v1/referrals/"]
)
def test_an_unknown_address_is_not_found(desk: Any, refused: Any, path: str) -> None:
    """Nothing answers beside the description, and nothing is redirected."""
    refused(desk.call("caf", "GET", path), 404, "not_found")


@pytest.mark.parametrize("desk", ["embedded"], indirect=True)
@pytest.mark.parametrize("case", REQUEST_LINES)
def test_what_is_not_http_is_refused_and_hung_up_on(desk: Any, case: str) -> None:
    """Below the application the server answers 4xx by itself, in a word, and closes."""
    place = urlsplit(desk.gateway.address)
    with socket.create_connection((place.hostname, place.port), timeout=5) as line:
        line.sendall(REQUEST_LINES[case] + b"\r\nHost: passerelle\r\nConnection: close\r\n\r\n")
        answer = b""
        while piece := line.recv(65_536):
            answer += piece
    assert answer.startswith(b"HTTP/1.1 4"), answer[:200]
    assert MARK.encode() not in answer and b"Traceback" not in answer


def test_every_problem_has_a_page_at_its_type_address(desk: Any, refused: Any) -> None:
    """The `type` of a problem is an address that a developer can open."""
    body = refused(desk.call("caf", "GET", f"/v1/exchanges/{IDENTIFIERS['another']}"), 404, "not_found")
    page = desk.http.get(body["type"])
    assert (200, "text/html; charset=utf-8") == (page.status_code, page.headers["content-type"])
    assert body["title"] in page.text and body["title_en"] in page.text


def _knock_everywhere(desk: Any, refused: Any, identifier: str) -> None:
    """Read and write about one identifier at every address that takes one."""
    answers = [desk.call("caf", "GET", path.format(identifier)) for path in READ]
    answers += [desk.call("caf", "POST", path.format(identifier), json=body) for path, body in WRITTEN.items()]
    # A proof names the whole address, and may not be longer than a token: what is far too long is refused with it.
    known = (400, 404) if len(identifier) < 5_000 else (400, 401, 404)
    for answer in answers:
        refused(answer, answer.status_code if answer.status_code in known else 404)
