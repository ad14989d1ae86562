"""
The pages of the shared language in a real browser: both languages, wide and narrow, light and dark, keyboard, accessibility.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

DESKTOP, PHONE = 1280, 390
PAGES = [
    "",
    "codes/",
    "codes/refusal_reason/",
    "categories/",
    "status/v1/",
    "person/v1/",
    "status/v1/valid/dora-rejected/",
    "status/v1/invalid/unknown-status/",
    "status/v1/tables/systems/",
    "nowhere/",
]
VIEWS = [("fr", DESKTOP, False), ("en", PHONE, False), ("fr", PHONE, True), ("en", DESKTOP, True)]
SHOWN = [(page, *VIEWS[(rank + turn) % 4]) for rank, page in enumerate(PAGES) for turn in (0, 1)]
"""Each page in both languages, and among the pages each view as often."""


@pytest.mark.parametrize(("page", "language", "width", "dark"), SHOWN)
def test_each_page_is_accessible(
    page: str, language: str, width: int, dark: bool, open_page: Callable[..., Any], faults: Callable[..., list[str]]
) -> None:
    """All that it can open being shown: no fault against WCAG 2.2 AA, one main heading, its language, nothing too wide."""
    shown = open_page(f"/schemas/{language}/{page}", width=width, dark=dark)
    shown.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")

    assert faults(shown) == []
    assert shown.locator("html").get_attribute("lang") == language
    assert shown.locator("h1").count() == 1
    assert shown.title().endswith(" · Trait d'union")
    assert shown.evaluate("document.documentElement.scrollWidth") <= width


def test_the_address_without_a_language_leads_to_the_readers(open_page: Callable[..., Any]) -> None:
    """A browser set in French comes to the French pages."""
    assert open_page("/schemas").url.endswith("/schemas/fr/")


def test_the_other_language_is_one_click_away(open_page: Callable[..., Any]) -> None:
    """From any page, the link to the other language leads to the same page, and back."""
    shown = open_page("/schemas/fr/codes/right/")
    assert shown.locator("h1").inner_text().startswith("Droits et aides")
    shown.get_by_role("link", name="English").click()
    assert shown.url.endswith("/schemas/en/codes/right/")
    assert shown.locator("h1").inner_text().startswith("Rights and benefits")
    shown.get_by_role("link", name="Français").click()
    assert shown.url.endswith("/schemas/fr/codes/right/")


def test_a_reader_finds_an_allowed_code_with_the_keyboard(open_page: Callable[..., Any]) -> None:
    """The skip link comes first and is seen; a list of codes opens with a key; what has the focus is always outlined."""
    shown = open_page("/schemas/fr/status/v1/")
    shown.keyboard.press("Tab")
    assert shown.evaluate("document.activeElement.className") == "skip"
    assert shown.evaluate("document.activeElement.getBoundingClientRect().top") >= 0
    shown.keyboard.press("Enter")
    assert shown.evaluate("location.hash") == "#content"
    details = shown.locator("[id='/status'] details").first
    details.locator("summary").focus()
    shown.keyboard.press("Enter")
    assert details.get_by_text("Acceptée, sur liste d'attente").is_visible()
    shown.keyboard.press("Tab")
    style = shown.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert style == "solid"


def test_a_place_of_a_document_has_an_address(open_page: Callable[..., Any]) -> None:
    """From a code list to the property that uses it: the browser goes to its row and marks it."""
    shown = open_page("/schemas/fr/codes/non_take_up_reason/")
    shown.get_by_role("link", name="/lines/*/non_take_up_reason", exact=True).click()
    target = shown.locator(":target")

    assert target.count() == 1
    assert target.evaluate(
        "each => { const box = each.getBoundingClientRect(); return box.top >= 0 && box.top < innerHeight }"
    )
