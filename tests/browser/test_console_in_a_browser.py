"""
The console in a real browser: the door, a second factor, a real OpenID provider, each page accessible on a desk and on a phone.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import pyotp
import pytest

from ops.demo.gateway_process import GatewayProcess, started

PASSWORD = "une phrase que personne ne devine"
PAGES = ["", "/sessions", "/ledger", "/partners", "/conventions", "/deliveries", "/indicators"]
ROLES = ("auditor", "administrator", "coordinator")


@dataclass
class Console:
    """A gateway whose people sign in here or at the provider."""

    gateway: GatewayProcess
    used: int = 0

    def user(self, login: str, *words: str) -> dict[str, Any]:
        roles = [word for role in ROLES for word in ("--role", role)]
        command = [sys.executable, "-m", "ops.cli", "user", "add", login, *roles, *words]
        done = subprocess.run(
            command,
            env=dict(self.gateway.environment),
            input=PASSWORD + "\n",
            capture_output=True,
            text=True,
            check=True,
        )
        return dict(json.loads(done.stdout))


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory, openid_provider: str) -> Iterator[Console]:
    """An embedded gateway that knows the provider."""
    directory = tmp_path_factory.mktemp("console")
    secret = directory / "secret"
    secret.write_text("secret-du-client\n", encoding="utf-8")
    settings = {
        "TDU_OPENID_ISSUER": openid_provider,
        "TDU_OPENID_CLIENT_ID": "console",
        "TDU_OPENID_CLIENT_SECRET_FILE": str(secret),
    }
    with started(directory, settings) as process:
        yield Console(process)


@pytest.fixture
def inside(console: Console, chromium: Any) -> Callable[..., Any]:
    """A page of somebody who signed in with a password and a code, in a browser of that width."""

    def enter(width: int, *words: str) -> Any:
        console.used += 1
        login = f"audrey{console.used}"
        totp = pyotp.parse_uri(console.user(login, *words)["totp_uri"])
        page = chromium.new_context(viewport={"width": width, "height": 900}, locale="fr-FR").new_page()
        page.goto(f"{console.gateway.address}/console")
        page.fill("#login", login)
        page.fill("#password", PASSWORD)
        page.fill("#code", totp.now())
        page.click("main button")
        page.wait_for_url("**/console")
        return page

    return enter


@pytest.mark.parametrize("width", [1280, 390])
def test_each_page_of_the_console_is_accessible(
    width: int, inside: Callable[[int], Any], faults: Callable[..., list[str]]
) -> None:
    """No fault against WCAG 2.2 AA, one main heading, nothing wider than the screen, at a desk and on a phone."""
    page = inside(width)
    home = page.url
    for path in PAGES:
        page.goto(home + path)
        assert faults(page) == [], path
        assert page.locator("h1").count() == 1
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
    page.click("header button")
    assert page.inner_text("h1").startswith("Vous êtes déconnecté")
    page.goto(home)
    assert page.url.endswith("/console/sign-in")
    assert faults(page) == []


@pytest.mark.parametrize("width", [1280, 390])
def test_an_auditor_searches_with_the_keyboard_and_a_mouse(
    width: int, inside: Callable[[int], Any], faults: Callable[..., list[str]]
) -> None:
    """The search stays on the same address, an event opens with a reason and gives its proof; nothing is wider than the screen."""
    page = inside(width)
    page.goto(page.url + "/ledger")
    page.press("#partner", "Enter")
    page.wait_for_selector("h2:has-text('Réponse')")
    for step in ("found", "masked", "opened"):
        if step == "masked":
            page.click("text=Lire le n° 0")
            page.wait_for_selector("text=Contenu masqué")
        if step == "opened":
            page.select_option("#reason", "internal_audit")
            page.click("button:has-text('Ouvrir')")
            page.wait_for_selector("text=Contenu masqué", state="detached")
            page.click("summary:has-text('Les valeurs')")
        assert "?" not in page.url
        assert faults(page) == [], step
        assert page.evaluate("document.documentElement.scrollWidth") <= width, step
    with page.expect_download() as download:
        page.click("text=Télécharger la preuve")
    assert Path(download.value.path()).read_text(encoding="utf-8").startswith("c2sp.org/tlog-proof@v1")


@pytest.mark.parametrize("width", [1280, 390])
def test_an_operator_tries_a_file(width: int, inside: Callable[..., Any], faults: Callable[..., list[str]]) -> None:
    """Chosen from the disk and sent, it is shown rule by rule on a page without a fault, at a desk and on a phone."""
    page = inside(width, "--role", "operator", "--partner", "99900001100018")
    page.goto(page.url + "/try")
    assert faults(page) == []
    sample = Path(str(files("adapters") / "orientation_csv" / "samples" / "tableau-complet" / "partner.csv"))
    page.select_option("#format", "orientation-csv")
    page.set_input_files("#file", sample)
    page.click("main button")
    page.wait_for_selector("h2:has-text('Document 1')")
    assert "subject.birth_name" in page.inner_text("table")
    assert faults(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_somebody_signs_in_at_the_provider_in_a_browser(console: Console, chromium: Any) -> None:
    """From our door to the provider's page and back, then out of both."""
    console.user("alix", "--openid", "alix")
    page = chromium.new_context(locale="fr-FR").new_page()
    page.goto(f"{console.gateway.address}/console/sign-in")
    page.click("text=Se connecter avec son fournisseur")
    page.fill("input[name=sub]", "alix")
    page.press("input[name=sub]", "Enter")
    page.wait_for_url("**/console")
    assert "Auditeur" in page.content()
    page.click("header button")
    page.wait_for_url("**/oauth2/end_session**")
