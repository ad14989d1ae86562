"""
The printed convention and the register's entry as HTML: one self-contained file each, made to be read, printed and kept.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment
from markupsafe import Markup

from gateway.printing.sheet import NEVER, RIGHTS, Sheet, day, siret
from gateway.templating import templates


def convention_html(sheet: Sheet) -> str:
    """The convention as a French page; nothing in it is fetched from elsewhere."""
    page = _environment().get_template("convention.html")
    return page.render(sheet=sheet, style=_style(), never=NEVER, rights=RIGHTS)


def register_html(entry: Mapping[str, Any]) -> str:
    """The entry of the register as a French page."""
    shown = [{**controller, "siret_shown": siret(controller["siret"])} for controller in entry["controllers"]]
    dates = entry["validity"]
    return (
        _environment()
        .get_template("register.html")
        .render(
            entry={**entry, "controllers": shown}, style=_style(), since=day(dates["from"]), until=day(dates["until"])
        )
    )


def security_headers() -> dict[str, str]:
    """What a browser may do with these pages: show them, with the one style sheet that is in them."""
    return self_contained(_style())


def self_contained(style: str) -> dict[str, str]:
    """The headers of a page that holds all it needs, its one style sheet in it: a browser fetches and runs nothing."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }


@cache
def _environment() -> Environment:
    return templates("gateway", "printing")


@cache
def _style() -> Markup:
    return Markup((files("gateway.printing") / "style.css").read_text(encoding="utf-8"))  # noqa: S704 - a file of this package
