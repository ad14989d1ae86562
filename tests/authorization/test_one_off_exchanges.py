"""A token asked for one exchange (RFC 9396) lets that one through, once, and nothing else."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

pytestmark = pytest.mark.anyio

DEPARTEMENT, CCAS = "99900002900010", "99900004500016"


def detail(**changes: Any) -> dict[str, Any]:
    """What is asked for; a member given as `...` is left out."""
    good = {"type": "exchange", "kind": "referral", "purpose": "inform_about_rights", "recipients": [DEPARTEMENT]}
    return {name: value for name, value in (good | changes).items() if value is not ...}


async def test_the_exchange_asked_for_goes_through_once(desk: Any, new_referral: Any) -> None:
    """The answer and the token say what was granted; a second document is refused, a retry of the first is not."""
    await desk.convention("caf", "departement")
    answer = (await desk.ask("caf", authorization_details=json.dumps([detail()]))).json()
    assert ([detail()], "inbound:send referral:send") == (answer["authorization_details"], answer["scope"])
    token, document = answer["access_token"], new_referral("caf", "departement")
    keyed = {"Idempotency-Key": "une-seule-fois"}
    first = await desk.call(token, "POST", "/v1/referrals", json=document, headers=keyed)
    assert 202 == first.status_code, first.text
    again = await desk.call(token, "POST", "/v1/referrals", json=document, headers=keyed)
    assert (202, first.json()) == (again.status_code, again.json())
    second = await desk.call(token, "POST", "/v1/referrals", json=new_referral("caf", "departement"))
    assert (403, "forbidden") == (second.status_code, second.json()["code"])


async def test_copies_sent_at_once_go_through_once(desk: Any, new_referral: Any) -> None:
    """Sixteen documents race with one token: one is taken in."""
    await desk.convention("caf", "departement")
    token = await desk.token("caf", authorization_details=json.dumps([detail()]))
    answers = await asyncio.gather(
        *(desk.call(token, "POST", "/v1/referrals", json=new_referral("caf", "departement")) for _ in range(16))
    )
    assert [202] + [403] * 15 == sorted(answer.status_code for answer in answers)


async def test_another_exchange_is_refused(desk: Any, new_referral: Any) -> None:
    """Another recipient, purpose or kind, several documents, none named, another address: all refused, and nothing is spent."""
    await desk.convention("caf", "departement")
    await desk.convention("caf", "ccas")
    token = await desk.token("caf", authorization_details=json.dumps([detail()]))
    for wrong in (
        new_referral("caf", "ccas"),
        new_referral("caf", "departement", recipients=[{"siret": DEPARTEMENT}, {"siret": CCAS}]),
        new_referral("caf", "departement", recipients=...),
        new_referral("caf", "departement", purpose="award_right"),
    ):
        answer = await desk.call(token, "POST", "/v1/referrals", json=wrong)
        assert (403, "forbidden") == (answer.status_code, answer.json()["code"]), answer.text
    two = "\n".join(json.dumps(new_referral("caf", "departement")) for _ in range(2))
    several = await desk.call(
        token, "POST", "/v1/inbound/shared-json", content=two, headers={"Content-Type": "application/x-ndjson"}
    )
    assert (403, "forbidden") == (several.status_code, several.json()["code"])
    for method, path in (("GET", "/v1/mailbox"), ("GET", "/v1/exchanges"), ("POST", "/v1/consents")):
        assert 403 == (await desk.call(token, method, path, **({"json": {}} if method == "POST" else {}))).status_code
    good = await desk.call(token, "POST", "/v1/referrals", json=new_referral("caf", "departement"))
    assert 202 == good.status_code


async def test_details_that_no_convention_permits_or_that_are_none_get_no_token(desk: Any) -> None:
    """Each malformed or unrouted request is refused with the code of RFC 9396."""
    await desk.convention("caf", "departement")
    wrong: dict[str, str] = {
        "unrouted recipient": json.dumps([detail(recipients=[CCAS])]),
        "one unrouted recipient among two": json.dumps([detail(recipients=[DEPARTEMENT, CCAS])]),
        "a purpose that no convention has": json.dumps([detail(purpose="control")]),
        "a kind that is not carried": json.dumps([detail(kind="convention")]),
        "unknown type": json.dumps([detail(type="payment")]),
        "unknown member": json.dumps([detail(locations=["https://ailleurs.example.org"])]),
        "no kind": json.dumps([detail(kind=...)]),
        "no recipient": json.dumps([detail(recipients=[])]),
        "recipients a text": json.dumps([detail(recipients=DEPARTEMENT)]),
        "a recipient that is no SIRET": json.dumps([detail(recipients=["99900002900011"])]),
        "a recipient that is a number": json.dumps([detail(recipients=[99900002900010])]),
        "twenty-one recipients": json.dumps([detail(recipients=[DEPARTEMENT] * 21)]),
        "purpose empty": json.dumps([detail(purpose="")]),
        "purpose a list": json.dumps([detail(purpose=["award_right"])]),
        "two of them": json.dumps([detail(), detail(kind="bilan")]),
        "none": "[]",
        "an object": json.dumps(detail()),
        "a list of texts": '["exchange"]',
        "not JSON": "{",
        "a member twice": '[{"type":"exchange","type":"exchange"}]',
        "deep": "[" * 200 + "]" * 200,
        "long": json.dumps([detail(purpose="p" * 5_000)]),
    }
    for case, written in wrong.items():
        answer = await desk.ask("caf", authorization_details=written)
        assert (400, "invalid_authorization_details") == (answer.status_code, answer.json()["error"]), (
            f"{case}: {answer.text}"
        )
    scope = await desk.ask("caf", authorization_details=json.dumps([detail()]), scope="mailbox:read")
    assert (400, "invalid_scope") == (scope.status_code, scope.json()["error"])
    nobody = await desk.ask("association", authorization_details=json.dumps([detail()]))
    assert (400, "invalid_authorization_details") == (nobody.status_code, nobody.json()["error"])
