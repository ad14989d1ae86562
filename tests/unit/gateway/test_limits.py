"""A system that asks for too much is told when to come back, and slows nobody else down."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from gateway.auth.client import client_assertion
from gateway.auth.errors import RegistrationRefused
from gateway.auth.profile import TRIAL, Security
from gateway.limits import Exceeded, Limits, read_limit
from ops.demo.partner import KID

pytestmark = pytest.mark.anyio

CAF, DEPARTEMENT = "99900001100018", "99900002900010"


async def test_what_is_beyond_the_limit_is_refused_and_not_counted() -> None:
    """By system and by kind, with a cost; a refusal costs nothing, and says when to come back."""
    limits = Limits({"requests": "3/minute", "bytes": "100/hour"})
    for _ in range(3):
        await limits.count("requests", "caf")
    with pytest.raises(Exceeded) as refused:
        await limits.count("requests", "caf")
    assert 1 <= refused.value.seconds <= 60 and {"Retry-After": str(refused.value.seconds)} == refused.value.headers
    assert refused.value.message_fr.endswith(".") and "requêtes" in refused.value.message_fr
    await limits.count("requests", "departement")
    await limits.count("tokens", "caf")
    with pytest.raises(Exceeded):
        await limits.count("bytes", "caf", cost=101)
    await limits.count("bytes", "caf", cost=100)
    with pytest.raises(Exceeded):
        await limits.count("bytes", "caf", cost=1)


async def test_a_system_s_own_limit_replaces_the_gateway_s() -> None:
    """Wider, narrower or none; kinds that it does not name stay the gateway's."""
    limits = Limits({"requests": "1/minute"})
    for _ in range(5):
        await limits.count("requests", "grand", {"requests": "100/minute"})
        await limits.count("requests", "sans", {"requests": ""})
    await limits.count("requests", "autre", {"bytes": "1/minute"})
    with pytest.raises(Exceeded):
        await limits.count("requests", "autre", {"bytes": "1/minute"})


@pytest.mark.parametrize("text", ["beaucoup", "-1/minute", "10/siècle", "1/minute; drop"])
def test_a_limit_that_cannot_be_read_is_refused(text: str) -> None:
    """At the start of the gateway, and when a system is registered."""
    with pytest.raises(ValueError):
        Limits({"requests": text})
    with pytest.raises(RegistrationRefused):
        Security(limits={"requests": text}).checked()
    with pytest.raises(RegistrationRefused):
        Security(limits={"pensées": "1/minute"}).checked()


def test_an_empty_limit_is_none() -> None:
    """What the operator leaves empty is not limited."""
    assert read_limit("") is None and read_limit(" ") is None
    assert TRIAL.checked() == TRIAL


@pytest.fixture
async def strict(in_process: Callable[..., AbstractAsyncContextManager[Any]]) -> AsyncIterator[Any]:
    """A gateway that allows little, with one partner."""
    async with in_process() as running:
        caf = await running.partner(CAF, "CAF de Valombre", "caf-rsa")
        _limit(running, {"tokens": "2/minute", "requests": "4/minute", "bytes": "60/minute"})
        yield running, caf


def _limit(running: Any, usual: dict[str, str]) -> None:
    limits = Limits(usual)
    running.runtime.auth.limits = limits
    object.__setattr__(running.runtime.services, "limits", limits)


async def test_requests_beyond_the_limit_get_429(strict: Any) -> None:
    """A problem with Retry-After at the API, an OAuth error at the token address; both in French and English."""
    running, caf = strict
    address = running.gateway.address
    for _ in range(4):
        assert 200 == (await caf.call("GET", "/v1/exchanges")).status_code
    refused = await caf.call("GET", "/v1/exchanges", expect=(429,))
    body = refused.json()
    assert ("too_many_requests", 429) == (body["code"], body["status"])
    assert 1 <= int(refused.headers["retry-after"]) <= 60 and body["detail"] != body["detail_en"]
    caf.token = None
    assert 429 == (await caf.call("GET", "/v1/exchanges", expect=(429,))).status_code
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": client_assertion(caf.client_id, address, caf.pem, KID),
    }
    third = await running.http.post(f"{address}/oauth2/token", data=form)
    assert (429, "temporarily_unavailable") == (third.status_code, third.json()["error"])
    assert int(third.headers["retry-after"]) >= 1 and third.json()["message_fr"]


async def test_bytes_are_counted(strict: Any) -> None:
    """Sixty bytes a minute: a longer body is refused before anything is done with it, a shorter one is read."""
    _, caf = strict
    question = {"kind": "referral", "purpose": "award_right", "recipient": DEPARTEMENT}
    assert 429 == (await caf.call("POST", "/v1/decisions/simulate", json=question, expect=(429,))).status_code
    refused = await caf.call("POST", "/v1/decisions/simulate", json={"kind": "referral"}, expect=(400, 429))
    assert 400 == refused.status_code


async def test_looking_people_up_is_limited(strict: Any) -> None:
    """Asking about one person after the other is how a list of names is checked: it stops at once."""
    running, caf = strict
    _limit(running, {"subjects": "1/day"})
    person = {"birth_name": "Essai", "given_names": ["Camille"], "birth_date": "1980-05-17", "sex": "female"}
    question = {"kind": "referral", "purpose": "award_right", "recipient": DEPARTEMENT, "subject": person}
    assert 200 == (await caf.call("POST", "/v1/decisions/simulate", json=question)).status_code
    refused = await caf.call("POST", "/v1/decisions/simulate", json=question, expect=(429,))
    assert "personnes recherchées" in refused.json()["detail"]
