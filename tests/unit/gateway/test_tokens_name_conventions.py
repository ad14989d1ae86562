"""Tokens name the conventions that grant them: which ones, how many at most, and what is refused without."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any

import pytest
from joserfc import jws

from consent.conventions.collection import Conventions
from consent.conventions.convention import Convention
from consent.conventions.files import read
from gateway.auth.caller import Caller
from gateway.errors import Problem
from gateway.scopes import MAX_HASHES, claimed, demand_current

CAF, DEPARTEMENT, CCAS = "99900001100018", "99900002900010", "99900004500016"
NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
_MODEL = (files("consent") / "models" / "tznr-caf-departement.yaml").read_text(encoding="utf-8")


def _convention(number: int = 0, version: int = 1, state: str = "valid", since: str = "2026-01-01") -> Convention:
    text = _MODEL.replace("id: tznr-valombre-caf-departement", f"id: convention-{number:03d}")
    text = text.replace("\nversion: 1", f"\nversion: {version}").replace("from: 2026-01-01", f"from: {since}")
    return read(text.encode(), state)


def _caller(conventions: frozenset[str] | None) -> Caller:
    return Caller("caf-rsa", CAF, "Logiciel", frozenset(), frozenset({"partner"}), "jeton", conventions)


def test_a_token_names_what_is_in_force_for_its_partner() -> None:
    """Signed, begun, not over, not stopped, not replaced by a newer version; and of which the partner is a party."""
    first, replaced, newer = _convention(1), _convention(2, 1), _convention(2, 2)
    others = [
        _convention(3, state="suspended"),
        _convention(4, state="proposed"),
        _convention(5, state="revoked"),
        _convention(6, since="2027-01-01"),
    ]
    known = Conventions([first, replaced, newer, *others])
    assert tuple(sorted([first.hash, newer.hash])) == claimed(known, CAF, NOW)
    assert () == claimed(known, CCAS, NOW)
    assert () == claimed(known, CAF, datetime(2031, 1, 1, tzinfo=UTC))


def test_a_newer_version_replaces_an_older_one_once_it_has_begun() -> None:
    """Proposed or still to come it changes nothing; signed, begun and then suspended it leaves nothing in force."""
    older = _convention(1, 1)
    for newer, expected in (
        (_convention(1, 2, "proposed"), (older.hash,)),
        (_convention(1, 2, since="2026-12-01"), (older.hash,)),
        (_convention(1, 2, "suspended"), ()),
    ):
        assert expected == claimed(Conventions([older, newer]), CAF, NOW)


def test_many_conventions_are_named_by_one_digest() -> None:
    """The token stays small whatever their number, and one more or one less makes another digest."""
    known = [_convention(number) for number in range(MAX_HASHES + 2)]
    at_most = claimed(Conventions(known[:MAX_HASHES]), CAF, NOW)
    digests = {claimed(Conventions(known[: MAX_HASHES + more]), CAF, NOW) for more in (1, 2)}
    assert MAX_HASHES == len(at_most)
    assert [1, 1] == [len(digest) for digest in digests]
    assert all(digest[0].startswith("all:") for digest in digests)
    assert 2 == len(digests)


@pytest.mark.parametrize("count", [1, MAX_HASHES + 1])
def test_what_the_token_does_not_name_is_refused(count: int) -> None:
    """By its hash, or by the one digest; a caller that no token names is not asked."""
    known = [_convention(number) for number in range(count)]
    conventions = Conventions(known)
    good = frozenset(claimed(conventions, CAF, NOW))
    demand_current(_caller(good), [known[0].hash], conventions, NOW)
    demand_current(_caller(None), [known[0].hash], conventions, NOW)
    demand_current(_caller(frozenset()), [], conventions, NOW)
    changed = Conventions([_convention(0, 2), *known])
    for stale, used in ((frozenset(), known[0].hash), (good, _convention(0, 2).hash)):
        with pytest.raises(Problem) as refusal:
            demand_current(_caller(stale), [used], changed, NOW)
        assert (401, "convention_outdated") == (refusal.value.status, refusal.value.code)


@pytest.mark.anyio
async def test_the_claim_is_in_the_token_that_the_gateway_gives(in_process: Callable[..., Any]) -> None:
    """Empty before anything is signed, the convention's hash afterwards, none again while it is suspended."""
    text = _MODEL.encode()
    async with in_process() as started:
        caf = await started.partner(CAF, "CAF de Valombre", "caf-valombre")
        departement = await started.partner(DEPARTEMENT, "Département de Valombre", "departement-valombre")
        claims = []
        for step in ("propose", "sign", "suspend", "resume"):
            if step == "sign":
                for partner in (caf, departement):
                    await partner.sign(text)
            elif step == "propose":
                await caf.propose(text)
            else:
                await caf.call("POST", f"/v1/conventions/tznr-valombre-caf-departement/{step}")
            caf.token = None
            await caf.call("GET", "/v1/exchanges")
            assert caf.token is not None
            claims.append(jws.extract_compact(caf.token.access_token.encode()).payload)
    named = [read(text).hash.encode() in claim for claim in claims]
    assert [False, True, False, True] == named
    assert b'"conventions":[]' in claims[0].replace(b" ", b"")


@pytest.mark.anyio
async def test_a_partner_s_software_goes_on_by_itself(in_process: Callable[..., Any]) -> None:
    """The demonstration's client takes a new token when its own names an outdated convention; its send is taken in once."""
    async with in_process() as started:
        caf = await started.partner(CAF, "CAF de Valombre", "caf-valombre")
        departement = await started.partner(DEPARTEMENT, "Département de Valombre", "departement-valombre")
        await caf.propose(_MODEL.encode())
        for partner in (caf, departement):
            await partner.sign(_MODEL.encode())
        await caf.call("GET", "/v1/exchanges")
        before = caf.token
        newer = _MODEL.replace("\nversion: 1", "\nversion: 2").encode()
        await caf.propose(newer)
        for partner in (caf, departement):
            await partner.sign(newer)
        caf.token = before
        document = {
            "kind": "referral",
            "schema_version": "1.0",
            "id": "00000001-5d1e-4c7a-9b3f-2e6d8c4a1f50",
            "created_at": "2026-11-23T09:00:00+01:00",
            "sender": {"siret": CAF},
            "purpose": "inform_about_rights",
            "subject": {"birth_name": "Personne", "given_names": ["Camille"], "birth_date": "1980-05-17"},
            "rights": [{"right": "rsa", "state": "to_request"}],
        }
        taken = (await caf.call("POST", "/v1/referrals", json=document)).json()
        received = await departement.pull(1)
        assert caf.token is not before
    assert (1, 1) == (taken["accepted"], len(received))
