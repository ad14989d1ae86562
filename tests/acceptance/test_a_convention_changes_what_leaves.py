"""Changing one category in a convention's file changes what leaves, with nothing else than the two parties' signatures."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from importlib.resources import files
from typing import Any

import pytest

from ops.demo.partner import Partner

pytestmark = pytest.mark.anyio

CAF, DEPARTEMENT = "99900001100018", "99900002900010"
_MODEL = (files("consent") / "models" / "tznr-caf-departement.yaml").read_text(encoding="utf-8")
_LINE = "categories: [identity, nir, partner_identifier, contact, address, family, situation, needs, rights, orientation, professional]"


def _version(number: int, *, without: str = "") -> bytes:
    """The model convention at a version, the first flow without one of its categories."""
    assert _LINE in _MODEL
    return _MODEL.replace("\nversion: 1", f"\nversion: {number}").replace(_LINE, _LINE.replace(without, "")).encode()


def _referral() -> dict[str, Any]:
    return {
        "kind": "referral",
        "schema_version": "1.0",
        "id": str(uuid.uuid4()),
        "created_at": "2026-11-23T09:00:00+01:00",
        "sender": {"siret": CAF},
        "purpose": "inform_about_rights",
        "subject": {
            "birth_name": f"Personne{uuid.uuid4().hex[:8]}",
            "given_names": ["Camille"],
            "birth_date": "1980-05-17",
            "sex": "female",
            "phones": ["+33199000030"],
        },
        "rights": [{"right": "rsa", "state": "to_request"}],
    }


async def _put_in_force(caf: Partner, departement: Partner, text: bytes) -> str:
    await caf.propose(text)
    await caf.sign(text)
    return await departement.sign(text)


async def _received(caf: Partner, departement: Partner) -> dict[str, Any]:
    """What the département receives of a referral that the CAF sends."""
    await caf.call("POST", "/v1/referrals", json=_referral())
    [delivery] = await departement.pull(1)
    document: dict[str, Any] = delivery["document"]
    return document


async def test_a_new_version_signed_by_both_changes_what_leaves(in_process: Callable[..., Any]) -> None:
    """Without the category `contact` the telephone stays; signed by both, the version that has it lets it leave; and back."""
    async with in_process() as started:
        caf = await started.partner(CAF, "CAF de Valombre", "caf-valombre")
        departement = await started.partner(DEPARTEMENT, "Département de Valombre", "departement-valombre")
        assert "valid" == await _put_in_force(caf, departement, _version(1, without="contact, "))
        first = await _received(caf, departement)
        await caf.propose(_version(2))
        assert "proposed" == await caf.sign(_version(2))
        signed_by_one = await _received(caf, departement)
        assert "valid" == await departement.sign(_version(2))
        second = await _received(caf, departement)
        await _put_in_force(caf, departement, _version(3, without="contact, "))
        third = await _received(caf, departement)
    received = (first, signed_by_one, second, third)
    assert [None, None, ["+33199000030"], None] == [each["subject"].get("phones") for each in received]
    assert [second["subject"].keys() - {"phones"}] * 3 == [
        each["subject"].keys() for each in (first, signed_by_one, third)
    ]
    assert {"rsa"} == {right["right"] for each in received for right in each["rights"]}


async def test_a_token_from_before_the_change_is_refused_until_it_is_renewed(in_process: Callable[..., Any]) -> None:
    """What is sent with a token that does not name the new version is refused whole, and passes with a new token as it is."""
    async with in_process() as started:
        caf = await started.partner(CAF, "CAF de Valombre", "caf-valombre")
        departement = await started.partner(DEPARTEMENT, "Département de Valombre", "departement-valombre")
        await _put_in_force(caf, departement, _version(1))
        await caf.call("GET", "/v1/exchanges")
        assert caf.token is not None
        before = caf.token.headers | {"Idempotency-Key": "le-meme-envoi"}
        await _put_in_force(caf, departement, _version(2))
        document = _referral()
        address = f"{started.gateway.address}/v1/referrals"
        refused = await started.http.post(address, json=document, headers=before)
        listed = await caf.call("GET", "/v1/exchanges")
        assert caf.token is not None
        after = caf.token.headers | {"Idempotency-Key": "le-meme-envoi"}
        taken = await started.http.post(address, json=document, headers=after)
    assert (401, "convention_outdated") == (refused.status_code, refused.json()["code"])
    assert "nouveau jeton" in refused.json()["detail"]
    assert 'error="invalid_token"' in refused.headers["www-authenticate"]
    assert [] == listed.json()["exchanges"]
    assert (202, 1) == (taken.status_code, taken.json()["accepted"])
