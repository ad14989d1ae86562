"""What somebody who knocks for the first time is told: where they are, what there is, and what they forgot."""

from __future__ import annotations

import re
from typing import Any

import pytest


def test_the_address_of_the_gateway_leads_everywhere(desk: Any) -> None:
    """In a browser the bare address shows a page, in French first, and none of its links is dead."""
    page = desk.http.get("/")
    links = re.findall(r'href="([^"]+)"', page.text)
    answers = {link: desk.http.get(link, follow_redirects=True).status_code for link in links}
    assert (200, 'lang="fr"') == (page.status_code, 'lang="fr"' if '<html lang="fr">' in page.text else "")
    assert {"/docs", "/schemas/", "/console", "/fhir/R4/metadata", "/ledger/checkpoint"} <= answers.keys()
    assert {200} == set(answers.values())


@pytest.mark.parametrize("address", ["/v2/referrals", "/v1/referral", "/swagger", "/fhir/R5/Task"])
def test_an_address_that_is_none_says_where_they_are_described(desk: Any, refused: Any, address: str) -> None:
    """A mistyped address is not called an identifier."""
    assert "/docs" in refused(desk.call("caf", "GET", address), 404, "not_found")["detail"]


def test_a_format_that_is_unknown_here_gets_the_list(desk: Any, refused: Any) -> None:
    """The partner sees at once how its own format is called."""
    answer = desk.call("caf", "POST", "/v1/inbound/cnaf_rsa", content=b"<Racine/>")
    assert "cnaf-rsa" in refused(answer, 404, "not_found")["detail"]


@pytest.mark.parametrize("address", ["/v1/inbound/cnaf-rsa", "/v1/adapters/cnaf-rsa/translate"])
@pytest.mark.parametrize("content", [b"", b" \r\n"])
def test_an_empty_file_is_called_empty(desk: Any, refused: Any, address: str, content: bytes) -> None:
    """The usual first mistake with curl: nothing was sent."""
    answer = desk.call("caf", "POST", address, content=content, headers={"Content-Type": "application/xml"})
    assert "vide" in refused(answer, 422, "file_refused")["detail"]


@pytest.mark.parametrize(
    ("address", "headers", "rule"),
    [
        ("/v1/exchanges?limit=0", {}, "1 au moins"),
        ("/v1/exchanges?limit=100000", {}, "500 au plus"),
        ("/v1/exchanges?limit=beaucoup", {}, "nombre entier"),
        ("/v1/exchanges?cursor=abc", {}, r"^[0-9]{1,12}(\.[0-9a-f]{8})?$"),
        ("/v1/mailbox?wait=99", {}, "25 au plus"),
        ("/v1/mailbox?wait=inf", {}, "fini"),
        ("/v1/referrals", {"Idempotency-Key": "k1"}, "8 caractères au moins"),
    ],
)
def test_a_wrong_parameter_gets_its_rule(
    desk: Any, refused: Any, new_referral: Any, address: str, headers: dict[str, str], rule: str
) -> None:
    """The answer says where and what is allowed there, and does not repeat what was sent."""
    options = {"json": new_referral()} if headers else {}
    answer = desk.call("caf", "POST" if headers else "GET", address, headers=headers, **options)
    [error] = refused(answer, 400, "malformed_request")["errors"]
    assert rule in error["message"]
