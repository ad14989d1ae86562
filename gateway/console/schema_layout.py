"""
What the pages of the shared language have in common: their templates, their words, their style sheet and icon.
"""

from __future__ import annotations

import re
from hashlib import sha256
from importlib.resources import files
from typing import Any, Final

from markupsafe import Markup

from gateway.console.schema_page_texts import PAGE
from gateway.console.schema_texts import LANGUAGES, Language, spaced
from gateway.templating import templates

_BREAKS: Final = re.compile(r"(?<=[_/.:-])(?=[^_/.:-])")
_STATIC: Final = files("gateway.console") / "static"
WORDS: Final = {
    language: {name: spaced(text, language) for name, text in words.items()} for language, words in PAGE.items()
}
_PAGES: Final = templates("gateway.console", "templates")


def breakable(text: str) -> Markup:
    """
    A long word that may go on on the next line after its own punctuation.
    """
    return Markup("<wbr>").join(Markup.escape(part) for part in _BREAKS.split(text))


def coded(text: str) -> Markup:
    """
    A sentence in which what stands between backquotes is code.
    """
    parts = (Markup("<code>{}</code>").format(part) if rank % 2 else part for rank, part in enumerate(text.split("`")))
    return Markup("").join(parts)


_PAGES.filters |= {"breakable": breakable, "coded": coded}


class UnknownPage(LookupError):
    """
    There is no example, table or event of that name.
    """


def _hashed(name: str) -> str:
    """
    The name under which a static file is served: it changes with the content, so that browsers may keep it.
    """
    stem, _, suffix = name.partition(".")
    return f"{stem}-{sha256((_STATIC / name).read_bytes()).hexdigest()[:12]}.{suffix}"


STATIC: Final = {_hashed(name): name for name in ("schemas.css", "schemas.svg")}
STYLESHEET, ICON = STATIC


def static_file(name: str) -> bytes:
    """
    A static file by the name under which it is served.
    """
    return (_STATIC / STATIC[name]).read_bytes()


def page(
    template: str, language: Language, path: str, section: str, crumbs: list[tuple[str, str]], **context: Any
) -> str:
    """
    Render a whole page from `templates/schemas`: `path` is its address in a language, `crumbs` lead to it (address, title).
    """
    return _PAGES.get_template(f"schemas/{template}.html").render(
        lang=language,
        languages=LANGUAGES,
        t=WORDS[language],
        path=path,
        section=section,
        crumbs=crumbs,
        stylesheet=STYLESHEET,
        icon=ICON,
        **context,
    )


def words(found: Any, language: Language) -> dict[str, str]:
    """
    The title and the description of a schema in one language.
    """
    names = ("title", "description") if language == "fr" else ("x-title-en", "x-description-en")
    return {"title": spaced(found[names[0]], language), "description": spaced(found[names[1]], language)}
