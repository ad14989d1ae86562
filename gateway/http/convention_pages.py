"""
A convention to read and to keep: its French page, the same in PDF, and its entry of the register of processing (RGPD art. 30).
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from anyio import to_thread
from fastapi import Query, Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from consent.conventions.convention import Convention
from gateway.printing.html import convention_html, register_html, security_headers
from gateway.printing.register import register_entry
from gateway.printing.sheet import Sheet, sheet

Form = Annotated[
    Literal["json", "html", "pdf"] | None,
    Query(
        alias="format", description="Par défaut selon « Accept », sinon json. / By default as `Accept` says, else json."
    ),
]
EntryForm = Annotated[
    Literal["json", "html"] | None,
    Query(
        alias="format", description="Par défaut selon « Accept », sinon json. / By default as `Accept` says, else json."
    ),
]
PRINTED: Final[dict[str, dict[str, str]]] = {"text/html": {}, "application/pdf": {}}
"""What a convention can be answered as, beside JSON."""

_TYPES: Final = {"application/json": "json", "text/html": "html", "application/pdf": "pdf"}


def wanted(request: Request, form: str | None, *, pdf: bool = True) -> str:
    """Choose `json`, `html` or `pdf`: as the address says, else the first type of `Accept` that there is, else JSON."""
    if form is not None:
        return form
    for part in request.headers.get("accept", "").split(","):
        found = _TYPES.get(part.partition(";")[0].strip().lower())
        if found is not None and (pdf or found != "pdf"):
            return found
    return "json"


async def printed(convention: Convention, form: str) -> Response:
    """Answer with the page of a convention, `html` or `pdf`."""
    if form == "pdf":
        content = await to_thread.run_sync(_drawn, sheet(convention))
        return Response(content, media_type="application/pdf", headers=_named(f"{_name(convention)}.pdf"))
    page = await to_thread.run_sync(convention_html, sheet(convention))
    return HTMLResponse(page, headers=security_headers())


def _drawn(content: Sheet) -> bytes:
    """The PDF, in a thread, where the library that draws is read when somebody first wants one: requests do not wait for it."""
    from gateway.printing.pdf import convention_pdf  # noqa: PLC0415 - only a PDF needs the library that draws it

    return convention_pdf(content)


async def registered(convention: Convention, form: str) -> Response:
    """Answer with the entry of the register, `json` or `html`."""
    entry = await to_thread.run_sync(register_entry, convention)
    if form == "html":
        return HTMLResponse(register_html(entry), headers=security_headers())
    return JSONResponse(entry, headers={"Cache-Control": "no-store"})


def _named(name: str) -> dict[str, str]:
    return {
        "Content-Disposition": f'inline; filename="{name}"',
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
    }


def _name(convention: Convention) -> str:
    return f"{convention.id}-v{convention.version}"
