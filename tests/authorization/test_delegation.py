"""A system acts in another partner's name only where a convention signed by both says so (RFC 8693)."""

from __future__ import annotations

import json
from typing import Any

import pytest
import sqlalchemy as sa
from joserfc import jws

from consent.tables import ledger_events
from gateway.records import place
from gateway.store import subjects

pytestmark = pytest.mark.anyio

CAF, DEPARTEMENT, ASSOCIATION = "99900001100018", "99900002900010", "99900003700013"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
OF_CONVENTION = "urn:trait-dunion:token-type:convention"
OF_ACCESS = "urn:ietf:params:oauth:token-type:access_token"


def claims(token: str) -> Any:
    """What a token says."""
    return json.loads(jws.extract_compact(token.encode()).payload)


async def exchanged(desk: Any, who: str, subject: str, kind: str = OF_CONVENTION, **form: str) -> Any:
    """Ask for a token in the name of another."""
    return await desk.ask(who, grant_type=EXCHANGE, subject_token=subject, subject_token_type=kind, **form)


async def test_a_party_that_acts_for_another_sends_in_its_name(desk: Any, new_referral: Any) -> None:
    """The association sends the CAF's referral: it is the CAF's, the token says who acts, and so does the ledger."""
    convention = await desk.convention("caf", "departement", third="association", acts_for={"association": "caf"})
    answer = (await exchanged(desk, "association", convention)).json()
    assert OF_ACCESS == answer["issued_token_type"]
    token = answer["access_token"]
    said = claims(token)
    assert (CAF, CAF, "association-logiciel") == (said["sub"], said["partner"], said["client_id"])
    assert {"sub": "association-logiciel", "partner": ASSOCIATION} == said["act"]
    assert [convention] == said["conventions"]
    assert {"referral:send", "bilan:send", "inbound:send", "mailbox:read"} <= set(said["scope"].split())
    assert "convention:write" not in said["scope"] and "consent:send" not in said["scope"]

    taken = await desk.call(token, "POST", "/v1/referrals", json=new_referral("caf", "departement"))
    assert 202 == taken.status_code, taken.text
    [exchange] = taken.json()["exchanges"]
    assert "permitted" == exchange["recipients"][0]["state"], exchange
    mine = await desk.call(await desk.token("caf"), "GET", f"/v1/exchanges/{exchange['exchange']}")
    assert CAF == mine.json()["sender"]
    own = await desk.call(await desk.token("association"), "GET", f"/v1/exchanges/{exchange['exchange']}")
    assert 404 == own.status_code
    introspected = await desk.ask("association", grant_type=EXCHANGE, subject_token=convention, subject_token_type="x")
    assert 400 == introspected.status_code


async def test_what_is_sent_for_another_is_recorded_with_who_did_it(desk: Any, new_referral: Any) -> None:
    """The event is the CAF's, and names the partner that acted."""
    convention = await desk.convention("caf", "departement", third="association", acts_for={"association": "caf"})
    token = (await exchanged(desk, "association", convention)).json()["access_token"]
    taken = await desk.call(token, "POST", "/v1/referrals", json=new_referral("caf", "departement"))
    services = desk.running.runtime.services
    async with services.database.read() as tx:
        query = sa.select(ledger_events).where(ledger_events.c.exchange_id == taken.json()["exchanges"][0]["exchange"])
        row = (await tx.execute(query.order_by(ledger_events.c.seq))).first()
        keys = await subjects.data_keys(tx, [row.subject_id], services.vault)
        event = keys[row.subject_id].open(row.sealed, place(row.id))
    assert CAF == row.actor or CAF.encode() in event
    assert f'"acted_by":"{ASSOCIATION}"'.encode() in event.replace(b" ", b"")


async def test_a_token_handed_over_gives_no_more_than_it_had(desk: Any) -> None:
    """The CAF's system hands over a token that may only send referrals: nothing else comes of it."""
    await desk.convention("caf", "departement", third="association", acts_for={"association": "caf"})
    handed = await desk.token("caf", scope="referral:send")
    answer = await exchanged(desk, "association", handed, OF_ACCESS)
    assert 200 == answer.status_code, answer.text
    assert ("referral:send", CAF) == (answer.json()["scope"], claims(answer.json()["access_token"])["partner"])
    more = await exchanged(desk, "association", handed, OF_ACCESS, scope="bilan:send")
    assert (400, "invalid_scope") == (more.status_code, more.json()["error"])


async def test_only_what_is_delegated_is_opened(desk: Any, new_referral: Any) -> None:
    """Another convention of the CAF, in which nobody acts for it, is closed to the association; so is the CAF's mailbox then."""
    entrusted = await desk.convention("caf", "departement", third="association", acts_for={"association": "caf"})
    await desk.convention("caf", "ccas")
    token = (await exchanged(desk, "association", entrusted)).json()["access_token"]
    assert not {"mailbox:read", "exchange:read"} & set(claims(token)["scope"].split())
    sent = await desk.call(token, "POST", "/v1/referrals", json=new_referral("caf", "ccas"))
    assert (401, "convention_outdated") == (sent.status_code, sent.json()["code"])
    own = await desk.call(await desk.token("caf"), "POST", "/v1/referrals", json=new_referral("caf", "ccas"))
    assert "permitted" == own.json()["exchanges"][0]["recipients"][0]["state"]


async def test_a_delegation_ends_with_its_convention(desk: Any) -> None:
    """Once a party has revoked it, the convention delegates nothing."""
    convention = await desk.convention("caf", "departement", third="association", acts_for={"association": "caf"})
    assert 200 == (await exchanged(desk, "association", convention)).status_code
    revoked = await desk.call(await desk.token("caf"), "POST", f"/v1/conventions/{desk.ids[convention]}/revoke")
    assert revoked.status_code < 300, revoked.text
    answer = await exchanged(desk, "association", convention)
    assert (400, "invalid_target") == (answer.status_code, answer.json()["error"])


async def test_what_is_no_delegation_is_refused(desk: Any) -> None:
    """Another's convention, one without delegation, the other way round, a chain, an invented subject: each with its code."""
    delegating = await desk.convention("caf", "departement", third="association", acts_for={"association": "caf"})
    plain = await desk.convention("caf", "ccas")
    absent = "99900009400014"
    orphan = await desk.convention("departement", "ccas")
    delegated = (await exchanged(desk, "association", delegating)).json()["access_token"]
    once = '[{"type":"exchange","kind":"referral","purpose":"award_right","recipients":["99900002900010"]}]'
    one_off = await desk.token("caf", authorization_details=once)
    own = await desk.token("association")
    stranger = await desk.token("ccas")
    cases: dict[str, tuple[str, dict[str, str], str]] = {
        "of the party it acts for": ("caf", {"subject_token": delegating}, "invalid_target"),
        "of a party without delegation": ("departement", {"subject_token": delegating}, "invalid_target"),
        "of a stranger": ("ccas", {"subject_token": delegating}, "invalid_target"),
        "a convention without delegation": ("caf", {"subject_token": plain}, "invalid_target"),
        "a convention of others": ("association", {"subject_token": orphan}, "invalid_target"),
        "an invented convention": ("association", {"subject_token": "ab" * 32}, "invalid_target"),
        "a SIRET": ("association", {"subject_token": CAF}, "invalid_target"),
        "an absent partner": ("association", {"subject_token": absent}, "invalid_target"),
        "a NUL": ("association", {"subject_token": "\x00"}, "invalid_target"),
        "no subject": ("association", {"subject_token": ""}, "invalid_request"),
        "no type": ("association", {"subject_token": delegating, "subject_token_type": ""}, "invalid_request"),
        "an unknown type": (
            "association",
            {"subject_token": delegating, "subject_token_type": "urn:x"},
            "invalid_request",
        ),
        "an actor token": ("association", {"subject_token": delegating, "actor_token": own}, "invalid_request"),
        "another kind of token asked for": (
            "association",
            {"subject_token": delegating, "requested_token_type": "urn:ietf:params:oauth:token-type:refresh_token"},
            "invalid_request",
        ),
        "a chain": ("association", {"subject_token": delegated, "subject_token_type": OF_ACCESS}, "invalid_target"),
        "its own token": ("association", {"subject_token": own, "subject_token_type": OF_ACCESS}, "invalid_target"),
        "a stranger's token": (
            "association",
            {"subject_token": stranger, "subject_token_type": OF_ACCESS},
            "invalid_target",
        ),
        "a one-off token": (
            "association",
            {"subject_token": one_off, "subject_token_type": OF_ACCESS},
            "invalid_target",
        ),
        "an altered token": (
            "association",
            {"subject_token": own[:-4] + "AAAA", "subject_token_type": OF_ACCESS},
            "invalid_request",
        ),
        "an assertion as token": (
            "association",
            {"subject_token": "a.b.c", "subject_token_type": OF_ACCESS},
            "invalid_request",
        ),
        "more than is delegated": (
            "association",
            {"subject_token": delegating, "scope": "convention:write"},
            "invalid_scope",
        ),
        "another part of the internet": (
            "association",
            {"subject_token": delegating, "resource": "https://ailleurs.example.org"},
            "invalid_target",
        ),
    }
    for case, (who, form, error) in cases.items():
        answer = await desk.ask(who, grant_type=EXCHANGE, **({"subject_token_type": OF_CONVENTION} | form))
        assert (400, error) == (answer.status_code, answer.json()["error"]), f"{case}: {answer.text}"
        assert answer.json()["message_fr"]


async def test_a_partner_that_did_not_sign_is_not_acted_for(desk: Any) -> None:
    """`acts_for` naming somebody who is no party binds nobody: the association cannot speak for the CCAS that way."""
    convention = await desk.convention("caf", "departement", third="association", acts_for={"association": "ccas"})
    answer = await exchanged(desk, "association", convention)
    assert (400, "invalid_target") == (answer.status_code, answer.json()["error"])
