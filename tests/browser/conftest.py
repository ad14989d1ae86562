"""
A real browser before a real gateway, and the judge of accessibility that nobody here wrote: axe-core, in the page.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from ops.demo.gateway_process import GatewayProcess, started
from ops.services.temporary import install_debian_package

HERE = Path(__file__).parent
AXE_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]

Open = Callable[..., Page]
Judge = Callable[[Page], list[str]]


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """An embedded gateway with nothing in it."""
    with started(tmp_path_factory.mktemp("browser")) as process:
        yield process


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """
    The browser of the machine; Debian's is installed when there is none and that is allowed, else the tests fail.

    Closed with the module: playwright keeps an event loop running, in which no other test could run its own.
    """
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        install_debian_package("chromium")
        program = "chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: Browser, gateway: GatewayProcess) -> Iterator[Open]:
    """
    Open an address of the gateway: `open_page(path, width=1280, dark=False)`.

    At the end, no page asked anything of another host, and none had an error in its console.
    """
    contexts, foreign, errors = [], [], []

    def open_one(path: str, *, width: int = 1280, dark: bool = False) -> Page:
        scheme = "dark" if dark else "light"
        context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, locale="fr-FR")
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: foreign.append(request.url))
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(gateway.address + path)
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert [] == [url for url in foreign if not url.startswith((gateway.address, "data:"))]
    assert [] == [text for text in errors if "404" not in text]


@pytest.fixture(scope="session")
def faults(npm_installed: Callable[[Path], Path]) -> Judge:
    """What axe finds against WCAG 2.2 AA and its best practices on a page: `rule: element`, the worst examples first."""
    axe = (npm_installed(HERE) / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")

    def judge(page: Page) -> list[str]:
        # Evaluated by the debugger, as the page's own policy lets no script in.
        page.evaluate(axe)
        found = page.evaluate("tags => axe.run(document, {runOnly: {type: 'tag', values: tags}})", AXE_RULES)
        return [
            f"{violation['id']}: {node['html'][:200]} ({node['failureSummary']})"
            for violation in found["violations"]
            for node in violation["nodes"][:3]
        ]

    return judge
