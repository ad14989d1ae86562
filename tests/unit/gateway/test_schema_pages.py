"""
The pages of the shared language as a visitor walks them: every link leads somewhere, and both languages say as much.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import cache
from urllib.parse import unquote, urljoin, urlsplit

import httpx
import pytest
from fastapi import FastAPI
from lxml import html

from gateway.console import schema_texts
from gateway.http import language, schema_pages
from schemas import Kind, code_lists

LANGUAGES = schema_texts.LANGUAGES


@cache
def site() -> FastAPI:
    """The pages, and the files that they lead to."""
    app = FastAPI()
    app.include_router(language.router)
    app.include_router(schema_pages.router)
    return app


def visitor() -> httpx.AsyncClient:
    """A visitor of the site."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=site()), base_url="http://gateway.example")


def visited(address: str, **headers: str) -> httpx.Response:
    """What one visit gives."""

    async def visit() -> httpx.Response:
        async with visitor() as http:
            return await http.get(address, headers=headers)

    return asyncio.run(visit())


@cache
def walked(start: str) -> dict[str, html.HtmlElement | None]:
    """Every address that can be reached from `start` under /schemas/, with its page; None for what is no page."""
    found: dict[str, html.HtmlElement | None] = {}

    async def walk() -> None:
        waiting = [start]
        async with visitor() as http:
            while waiting:
                address = waiting.pop()
                if address in found:
                    continue
                answer = await http.get(address)
                assert answer.status_code == 200, address
                is_page = answer.headers["content-type"].startswith("text/html")
                found[address] = html.fromstring(answer.content) if is_page else None
                waiting.extend(link for link, _ in links(address, found[address]))

    asyncio.run(walk())
    return found


def links(address: str, page: html.HtmlElement | None) -> Iterator[tuple[str, str]]:
    """Where a page leads inside its own language (or to a file): addresses and anchors."""
    if page is None:
        return
    for link in page.xpath("//a/@href | //link/@href"):
        where = urlsplit(urljoin(address, link))
        other = {f"/schemas/{each}/" for each in LANGUAGES} - {address[:12]}
        if where.path.startswith("/schemas/") and where.path[:12] not in other:
            yield where.path, unquote(where.fragment)


@pytest.mark.parametrize("spoken", LANGUAGES)
def test_every_link_leads_somewhere(spoken: str) -> None:
    """Walking from the first page, each address answers and each anchor exists on its page, once."""
    pages = walked(f"/schemas/{spoken}/")
    ids = {address: list(page.xpath("//@id")) for address, page in pages.items() if page is not None}
    repeated = [address for address, names in ids.items() if len(names) != len(set(names))]
    lost = [
        (address, where, anchor)
        for address, page in pages.items()
        for where, anchor in links(address, page)
        if anchor and anchor not in ids[where]
    ]

    assert repeated == []
    assert lost == []
    assert {f"/schemas/{spoken}/codes/{name}/" for name in code_lists()} <= pages.keys()
    assert {f"/schemas/{spoken}/{kind}/v1/" for kind in Kind} <= pages.keys()
    assert {f"/schemas/{kind}/v1.bundle.json" for kind in Kind} <= pages.keys()


def test_both_languages_have_the_same_pages() -> None:
    """Each French page has its English one, at the same place, with the same headings in number and the same tables."""
    french, english = (walked(f"/schemas/{spoken}/") for spoken in LANGUAGES)

    assert {address.replace("/fr/", "/en/") for address in french} == english.keys()
    for address, page in french.items():
        if page is not None:
            other = english[address.replace("/fr/", "/en/")]
            assert other is not None
            for what in ("//h1", "//h2", "//h3", "//tr"):
                assert len(page.xpath(what)) == len(other.xpath(what)), (address, what)
            assert page.xpath("//h1")[0].text_content()
            assert (page.get("lang"), other.get("lang")) == LANGUAGES


@pytest.mark.parametrize(
    ("address", "leads"),
    [
        ("/schemas", "/schemas/fr/"),
        ("/schemas/fr", "/schemas/fr/"),
        ("/schemas/en/bilan/v1", "/schemas/en/bilan/v1/"),
        ("/schemas/fr/codes/right", "/schemas/fr/codes/right/"),
    ],
)
def test_an_address_without_its_slash_leads_to_the_page(address: str, leads: str) -> None:
    """What people type is enough."""
    answer = visited(address)

    assert answer.status_code == 307
    assert answer.headers["location"] == leads


@pytest.mark.parametrize(
    ("accepted", "leads"),
    [("", "fr"), ("de", "fr"), ("en-GB,en;q=0.9", "en"), ("fr-FR,fr;q=0.9,en;q=0.8", "fr"), ("en-US,fr;q=0.5", "en")],
)
def test_the_first_page_speaks_the_readers_language(accepted: str, leads: str) -> None:
    """French, unless the browser prefers English."""
    answer = visited("/schemas/", **{"Accept-Language": accepted})

    assert answer.headers["location"] == f"/schemas/{leads}/"
    assert answer.headers["vary"] == "Accept-Language"


@pytest.mark.parametrize(
    "address", ["/schemas/fr/nowhere/", "/schemas/en/a/b/c/d/e/", "/schemas/fr/referral/v2/", "/schemas/en/codes/none/",
                "/schemas/fr/referral/v1/valid/none/", "/schemas/fr/referral/v1/tables/none/", "/schemas/fr/x.json", "/schemas/de/"],
)  # fmt: skip
def test_an_address_that_leads_nowhere_has_a_page_too(address: str) -> None:
    """404, in the language of the address, with the way back to the first page."""
    answer = visited(address)
    spoken = "en" if address.startswith("/schemas/en/") else "fr"

    assert answer.status_code == 404
    assert f'<html lang="{spoken}">' in answer.text
    assert f'href="/schemas/{spoken}/"' in answer.text
