"""
Every page of the console with every role, and everything that is not a page of ours sent by its own form.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.routing import Route

from consent.ledger.event import EventType
from consent.verify import verify_receipt
from gateway.records import record_of

MODEL = Path(__file__).parents[2] / "consent" / "models" / "tznr-caf-departement.yaml"
ASSOCIATIONS = MODEL.with_name("tznr-caf-association.yaml")
PARTNER, OTHER, RELAIS = "99900001100018", "99900002900010", "99900003700013"
OPEN = {"/console/sign-in", "/console/openid", "/console/openid/return"}
EVERYBODY = {"/console", "/console/sessions", "/console/sessions/end", "/console/sign-out"}
EMERGENCIES = {"/console/emergencies", "/console/emergencies/one", "/console/emergencies/review"}
CONVENTION = "/console/conventions/{convention_id}/{version}"
PAGES = {
    "auditor": {"/console/ledger", "/console/ledger/event", "/console/ledger/proof"} | EMERGENCIES,
    "administrator": {
        "/console/partners",
        "/console/conventions",
        CONVENTION,
        "/console/deliveries",
        "/console/deliveries/replay",
    },
    "operator": {"/console/exchanges", "/console/exchanges/{exchange_id}", "/console/try"} | EMERGENCIES,
    "coordinator": {"/console/indicators"},
}

pytestmark = pytest.mark.anyio


def routes_of(app: Any) -> set[tuple[str, str]]:
    """Every address of the console with its methods, from the application itself."""
    found: set[tuple[str, str]] = set()
    waiting = list(app.router.routes)
    while waiting:
        route = waiting.pop()
        inner = getattr(getattr(route, "original_router", None), "routes", None)
        if inner is not None:
            waiting += inner
        elif isinstance(route, Route) and route.path.startswith("/console"):
            found |= {(method, route.path) for method in route.methods or () if method != "HEAD"}
    return found


async def test_every_page_opens_to_its_role_and_to_no_other(house: Callable[..., Any]) -> None:
    """Each route of the application × each role: 200 or 404 for its own, 403 for the others, the door for nobody."""
    async with house() as home:
        routes = routes_of(home.started.app)
        known = OPEN | EVERYBODY | {path for paths in PAGES.values() for path in paths}
        assert {path for _, path in routes} == known, "a page that no role was written for"
        nobody = home.visitor()
        visitors = {
            role: await home.signed_in(role, role, partner=PARTNER if role == "operator" else "") for role in PAGES
        }
        for method, path in sorted(routes):
            if path in OPEN:
                continue
            place = path.replace("{exchange_id}", "00000000-0000-4000-8000-000000000000")
            place = place.replace("{convention_id}", "tznr-inconnue").replace("{version}", "1")
            send = "get" if method == "GET" else "post"
            extra = () if method == "GET" else ({},)
            answer = await getattr(nobody, send)(place, *extra)
            assert (answer.status_code, answer.headers["location"]) == (303, "/console/sign-in"), path
            for role, visitor in visitors.items():
                status = (await getattr(visitor, send)(place, *extra)).status_code
                mine = path in EVERYBODY or path in PAGES[role]
                # A form without its token is refused to everybody, for that reason.
                expected = {403} if method == "POST" or not mine else {200, 404}
                assert status in expected, (method, path, role, status)


async def test_a_form_of_another_site_is_refused(house: Callable[..., Any]) -> None:
    """Without the page's token, from another origin, said to come from another site, or not as a form."""
    async with house() as home:
        audrey, marc = await home.signed_in("audrey", "auditor"), await home.signed_in("marc", "auditor")
        genuine = (await audrey.get("/console")).text.partition('name="csrf" value="')[2][:64]
        another = (await marc.get("/console")).text.partition('name="csrf" value="')[2][:64]
        fields = {"csrf": genuine}
        for forged, headers in (
            ({}, {}),
            ({"csrf": another}, {}),
            ({"csrf": "é" * 64}, {}),
            (fields, {"Origin": "https://ailleurs.example"}),
            (fields, {"Sec-Fetch-Site": "cross-site"}),
        ):
            answer = await audrey.post("/console/sessions/end", forged, **headers)
            assert answer.status_code == 403
            assert "Ce formulaire ne vient pas" in answer.text
        assert (await audrey.post("/console/sessions/end", fields)).status_code == 303


async def test_a_cookie_opens_nothing_of_the_api(house: Callable[..., Any]) -> None:
    """The API wants tokens; the console wants cookies; neither takes the other's."""
    async with house() as home:
        audrey = await home.signed_in("audrey", "auditor", "administrator", "coordinator")
        for path in ("/v1/exchanges", "/v1/mailbox", "/v1/ledger/events/00000000-0000-4000-8000-000000000000"):
            assert (await audrey.get(path)).status_code == 401
        cookie = next(iter(audrey.cookies.values()))
        answer = await home.started.http.get(
            f"{home.address}/console", headers={"Authorization": f"Bearer {cookie}"}, follow_redirects=False
        )
        assert answer.status_code == 303


async def test_every_page_says_what_browsers_must_refuse(house: Callable[..., Any]) -> None:
    """No script, no frame, no cache, nothing from outside; and the session's cookie is out of scripts' reach."""
    async with house() as home:
        audrey = await home.signed_in("audrey", "auditor", "administrator", "coordinator")
        for path in ("/console", "/console/ledger", "/console/partners", "/console/indicators", "/console/sign-in"):
            headers = (await audrey.get(path)).headers
            policy = headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "frame-ancestors 'none'" in policy
            assert "script-src" not in policy
            assert headers["cache-control"] == "no-store"
            assert headers["x-content-type-options"] == "nosniff"


async def test_an_operator_sees_their_own_organisation_only(house: Callable[..., Any]) -> None:
    """Another's exchange has the page of one that does not exist."""
    async with house() as home:
        caf = await home.started.partner(PARTNER, "CAF de Valombre", "caf")
        await home.started.partner(OTHER, "Département de Valombre", "dep")
        await caf.propose(MODEL.read_bytes())
        mine = await home.signed_in("claire", "operator", partner=PARTNER)
        theirs = await home.signed_in("denis", "operator", partner=OTHER)
        assert (await mine.get("/console/exchanges")).status_code == 200
        missing = "/console/exchanges/00000000-0000-4000-8000-000000000000"
        assert (await theirs.get(missing)).status_code == 404


async def test_an_administrator_reads_a_convention_and_keeps_it(house: Callable[..., Any]) -> None:
    """The list leads to the page, to the PDF and to the register's entry of each version."""
    async with house() as home:
        caf = await home.started.partner(PARTNER, "CAF de Valombre", "caf")
        await home.started.partner(OTHER, "Département de Valombre", "dep")
        await caf.propose(MODEL.read_bytes())
        alix = await home.signed_in("alix", "administrator")
        listed = (await alix.get("/console/conventions")).text
        for form, start in (("", "<!doctype html>"), ("?format=pdf", "%PDF-"), ("?format=register", "<!doctype html>")):
            address = f"/console/conventions/tznr-valombre-caf-departement/1{form}"
            assert f'href="{address}"' in listed
            answer = await alix.get(address)
            assert answer.status_code == 200
            assert answer.content.startswith(start.encode())
        assert (await alix.get("/console/conventions/tznr-valombre-caf-departement/2")).status_code == 404


async def test_an_auditor_searches_and_opens_with_a_reason(house: Callable[..., Any]) -> None:
    """The answer is masked; opening one event asks for a reason, and both are events of the ledger."""
    async with house() as home:
        caf = await home.started.partner(PARTNER, "CAF de Valombre", "caf")
        await home.started.partner(OTHER, "Département de Valombre", "dep")
        await caf.propose(MODEL.read_bytes())
        audrey = await home.signed_in("audrey", "auditor")
        found = await audrey.form("/console/ledger", "/console/ledger", {"partner": PARTNER})
        assert found.status_code == 200
        assert "Lire le n°" in found.text
        event = found.text.partition('name="id" value="')[2][:36]
        masked = await audrey.form("/console/ledger", "/console/ledger/event", {"id": event})
        assert masked.status_code == 200
        assert "Motif, inscrit au journal" in masked.text
        opened = await audrey.form(
            "/console/ledger", "/console/ledger/event", {"id": event, "reason": "internal_audit", "case": "2026-12"}
        )
        assert opened.status_code == 200
        assert "CAF de Valombre (99900001100018)" in opened.text and "Contenu masqué" not in opened.text
        reason = {"reason": "internal_audit", "case": "2026-12"}
        proof = await audrey.form("/console/ledger", "/console/ledger/proof", {"id": event} | reason)
        vkey = (await audrey.get("/ledger/vkey")).text.strip()
        report = verify_receipt(proof.content, vkey)
        assert report.ok and event in str(report.to_json())
        gone = await audrey.form("/console/ledger", "/console/ledger/proof", {"id": str(uuid.uuid4())})
        assert 404 == gone.status_code
        wrong = await audrey.form("/console/ledger", "/console/ledger", {"partner": "pas un SIRET"})
        assert wrong.status_code == 400
        assert "SIRET" in wrong.text


async def test_an_auditor_reaches_what_is_rare_without_turning_empty_pages(house: Callable[..., Any]) -> None:
    """Among hundreds of events the few that are asked for come first, then the answer ends; nothing found is said so."""
    async with house() as home:
        caf = await home.started.partner(PARTNER, "CAF de Valombre", "caf")
        await home.started.partner(OTHER, "Département de Valombre", "dep")
        await caf.propose(MODEL.read_bytes())
        services = home.started.runtime.services
        own, now = services.vault.own, services.clock()
        many = [record_of(EventType.CONFIGURATION_CHANGED, now, PARTNER, {"change": "essai"}, own) for _ in range(300)]
        async with services.database.write() as tx:
            await services.ledger.append(tx, many)
        await caf.sign(MODEL.read_bytes())
        audrey = await home.signed_in("audrey", "auditor")
        first = await audrey.form("/console/ledger", "/console/ledger", {"type": "convention_signed"})
        assert "1 événement sur cette page" in first.text and "Lire le n°" in first.text
        cursor = re.search(r'name="cursor" value="([0-9.]+)"', first.text)
        last = first
        if cursor:
            asked = {"type": "convention_signed", "cursor": cursor[1]}
            last = await audrey.form("/console/ledger", "/console/ledger", asked)
            assert "Plus aucun événement ne répond" in last.text
        assert 'name="cursor"' not in last.text
        none = await audrey.form("/console/ledger", "/console/ledger", {"type": "erasure"})
        assert "Aucun événement ne répond" in none.text and 'name="cursor"' not in none.text


async def test_an_emergency_access_is_reviewed_by_the_other_party(house: Callable[..., Any]) -> None:
    """Who opened it sees it and cannot review it; the other party reads, reviews, and it no longer waits; a stranger sees none."""
    text = ASSOCIATIONS.read_text(encoding="utf-8").replace('schema_version: "1.0"', 'schema_version: "1.1"')
    lines = text.split("    # break_glass:")[1].split("\n\n")[0]
    text = text.replace("    # break_glass:" + lines, ("    # break_glass:" + lines).replace("    # ", "    "))
    async with house() as home:
        caf = await home.started.partner(PARTNER, "CAF de Valombre", "caf")
        relais = await home.started.partner(RELAIS, "Le Relais", "relais")
        await caf.propose(text.encode())
        for partner in (caf, relais):
            await partner.sign(text.encode())
        access = {
            "subject": {"birth_name": "Carvalho", "given_names": ["Lise"], "birth_date": "1980-05-17", "sex": "female"},
            "kind": "referral",
            "purpose": "inform_about_rights",
            "recipient": RELAIS,
            "reason": "shelter",
            "statement": "Sortie d'hôpital ce soir, sans logement, injoignable.",
            "agent": {"name": "Dominique Vasseur", "role": "Assistante sociale"},
        }
        ident = (await caf.call("POST", "/v1/break-glass", json=access)).json()["id"]
        page, one, send = "/console/emergencies", "/console/emergencies/one", "/console/emergencies/review"
        opener = await home.signed_in("claire", "operator", partner=PARTNER)
        other = await home.signed_in("denis", "operator", partner=RELAIS)
        stranger = await home.signed_in("emma", "operator", partner=OTHER)
        listed = (await other.get(page)).text
        assert "1 à revoir" in listed and ident in listed and "Vasseur" not in listed and "Carvalho" not in listed
        assert ident not in (await stranger.get(page)).text
        review = {"id": ident, "name": "Claude Aubry", "role": "Référente", "outcome": "unjustified"}
        own = await opener.form(page, send, review)
        assert own.status_code == 403
        seen = await other.form(page, one, {"id": ident})
        assert "Dominique Vasseur" in seen.text and "Revoir cet accès" in seen.text and "Carvalho" not in seen.text
        assert (await other.form(page, send, review | {"outcome": ""})).status_code == 400
        done = await other.form(page, send, review)
        assert done.status_code == 200 and "La revue est inscrite" in done.text and "injustifié" in done.text
        assert "0 à revoir" in (await other.get(page)).text
        assert (await other.form(page, send, review)).status_code == 409
