"""
The shared language in a browser: `/schemas/fr/` and `/schemas/en/`, made from the schemas, without script, all from here.
"""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from gateway.console import event_pages
from gateway.console import schema_pages as pages
from gateway.console.schema_layout import STATIC, UnknownPage, static_file
from gateway.console.schema_texts import LANGUAGES, Language
from gateway.errors import not_found
from schemas.registry import UnknownSchema
from schemas.vocabulary import UnknownCodeList

router = APIRouter(include_in_schema=False)

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_MEDIA_TYPES = {"css": "text/css; charset=utf-8", "svg": "image/svg+xml"}


@router.get("/schemas")
@router.get("/schemas/")
def choose_language(request: Request) -> Response:
    """Lead to the pages in the reader's language: French, unless the browser prefers English."""
    asked = request.headers.get("accept-language", "").lower()
    places = {language: asked.find(language) for language in LANGUAGES if language in asked}
    preferred = min(places, key=lambda language: places[language], default=LANGUAGES[0])
    headers = {"Vary": "Accept-Language", "Cache-Control": "no-cache"}
    return RedirectResponse(f"/schemas/{preferred}/", headers=headers)


@router.get("/schemas/static/{name}")
def static(name: str) -> Response:
    """Serve the style sheet and the icon; their names change with their content."""
    if name not in STATIC:
        raise not_found()
    headers = {"Cache-Control": "public, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}
    return Response(static_file(name), media_type=_MEDIA_TYPES[name.rpartition(".")[2]], headers=headers)


@router.get("/schemas/{name}/v{major}/{group}/{file}.json")
def example_file(name: str, major: str, group: str, file: str) -> Response:
    """Serve an example document as it is written."""
    try:
        raw = pages.example_file(name, _number(major), group, file)
    except (UnknownPage, UnknownSchema):
        raise not_found() from None
    return Response(raw, media_type="application/json", headers=_HEADERS)


@router.get("/schemas/{language}/")
def index(language: str) -> Response:
    """Show what there is."""
    return _shown(language, pages.index)


@router.get("/schemas/{language}/codes/")
def codes(language: str) -> Response:
    """Show the code lists."""
    return _shown(language, pages.codes)


@router.get("/schemas/{language}/codes/{name}/")
def one_code_list(language: str, name: str) -> Response:
    """Show a code list and its crosswalks."""
    return _shown(language, lambda found: pages.one_code_list(found, name))


@router.get("/schemas/{language}/events/")
def events(language: str) -> Response:
    """Show the types of events of the ledger."""
    return _shown(language, event_pages.events)


@router.get("/schemas/{language}/events/{name}/")
def one_event(language: str, name: str) -> Response:
    """Show what the events of a type hold."""
    return _shown(language, lambda found: event_pages.one_event(found, name))


@router.get("/schemas/{language}/categories/")
def categories(language: str) -> Response:
    """Show the data categories."""
    return _shown(language, pages.categories)


@router.get("/schemas/{language}/{name}/v{major}/")
def kind(language: str, name: str, major: str) -> Response:
    """Show a schema."""
    return _shown(language, lambda found: pages.kind(found, name, _number(major)))


@router.get("/schemas/{language}/{name}/v{major}/tables/{file}/")
def table(language: str, name: str, major: str, file: str) -> Response:
    """Show where the fields of other systems are in a document."""
    return _shown(language, lambda found: pages.table(found, name, _number(major), file))


@router.get("/schemas/{language}/{name}/v{major}/{group}/{file}/")
def example(language: str, name: str, major: str, group: str, file: str) -> Response:
    """Show an example document."""
    return _shown(language, lambda found: pages.example(found, name, _number(major), group, file))


@router.get("/schemas/fr")
@router.get("/schemas/en")
@router.get("/schemas/fr/{rest:path}")
@router.get("/schemas/en/{rest:path}")
def elsewhere(request: Request, rest: str = "") -> Response:
    """Lead to the page whose address lacks its final slash; else say, in the language of the address, that there is none."""
    path = request.url.path
    if not path.endswith("/") and "." not in rest:
        return RedirectResponse(f"{path}/", headers={"Cache-Control": "no-cache"})
    return _shown(path.split("/")[2], _nowhere)


def _nowhere(_language: Language) -> str:
    raise UnknownPage


def _shown(asked: str, page: Callable[[Language], str]) -> Response:
    """
    The page in the language of its address; an address that leads nowhere has a page too, in French if in no language.
    """
    language = next((each for each in LANGUAGES if each == asked), None)
    if language is None:
        return _answer(LANGUAGES[0], pages.not_found(LANGUAGES[0]), 404)
    try:
        return _answer(language, page(language), 200)
    except (UnknownPage, UnknownSchema, UnknownCodeList):
        return _answer(language, pages.not_found(language), 404)


def _answer(language: Language, text: str, status: int) -> Response:
    cache = "public, max-age=3600" if status == 200 else "no-store"
    return HTMLResponse(text, status, {**_HEADERS, "Content-Language": language, "Cache-Control": cache})


def _number(text: str) -> int:
    """A version as written in an address; what is not a short number is the version of no schema."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 4 else 0
