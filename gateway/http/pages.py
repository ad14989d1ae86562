"""
Pages for developers: the API's description, and what each problem means. Everything is served from here.
"""

from __future__ import annotations

from html import escape
from importlib.resources import files

from fastapi import APIRouter
from starlette.responses import HTMLResponse, Response

from gateway.errors import TITLES, not_found

router = APIRouter(include_in_schema=False)

_STATIC = files("gateway.console") / "static"
_FILES = {
    "swagger-ui-5.35.0.js": "text/javascript",
    "swagger-ui-5.35.0.css": "text/css",
    "swagger-ui-5.35.0.LICENSE.txt": "text/plain; charset=utf-8",
    "docs.js": "text/javascript",
    "asyncapi-react-3.2.1.js": "text/javascript",
    "asyncapi-react-3.2.1.css": "text/css",
    "asyncapi-react-3.2.1.LICENSE.txt": "text/plain; charset=utf-8",
    "messages.js": "text/javascript",
}

_SECURE = {
    # swagger-ui draws its icons as data: images and sets inline styles; no script is inline and nothing comes from outside.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}

_DRAWN = _SECURE | {
    # The component compiles its schemas with `new Function`; the page shows nothing but what the gateway itself describes.
    "Content-Security-Policy": _SECURE["Content-Security-Policy"].replace("'self';", "'self' 'unsafe-eval';", 1),
}

_DOCS = """<!doctype html>
<html lang="fr">
<head>
<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Trait d'union : l'API</title>
<link rel="stylesheet" href="/static/swagger-ui-5.35.0.css">
</head>
<body>
<main id="swagger-ui"></main>
<script src="/static/swagger-ui-5.35.0.js"></script>
<script src="/static/docs.js"></script>
</body>
</html>
"""

_MESSAGES = """<!doctype html>
<html lang="fr">
<head>
<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Trait d'union : les messages</title>
<link rel="stylesheet" href="/static/asyncapi-react-3.2.1.css">
</head>
<body>
<main id="asyncapi"></main>
<script src="/static/asyncapi-react-3.2.1.js"></script>
<script src="/static/messages.js"></script>
</body>
</html>
"""

_PROBLEM = """<!doctype html>
<html lang="fr">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>{title_fr}</title></head>
<body>
<main>
<h1>{title_fr}</h1>
<p lang="en">{title_en}</p>
<p>Code : <code>{code}</code>, statut HTTP {status}.</p>
<p>Le champ <code>detail</code> de la réponse dit quoi faire, et <code>errors</code> donne chaque point avec sa place.</p>
<p lang="en">The answer's <code>detail</code> says what to do, and <code>errors</code> lists each fault with its place.</p>
</main>
</body>
</html>
"""


_HOME = """<!doctype html>
<html lang="fr">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>Trait d'union</title></head>
<body>
<main>
<h1>Trait d'union</h1>
<p>La passerelle d'interopérabilité du secteur social. Cette adresse sert les logiciels des partenaires.</p>
<p lang="en">The interoperability gateway of the social sector. This address serves the partners' software.</p>
<ul>
<li><a href="/docs">L'API</a> : envoyer, recevoir, suivre, prouver <span lang="en">(the API)</span></li>
<li><a href="/docs/messages">Les messages</a> que la passerelle envoie d'elle-même <span lang="en">(the messages it sends)</span></li>
<li><a href="/schemas/">Le langage commun</a> : ce qu'est une orientation, un bilan, un accord <span lang="en">(the shared language)</span></li>
<li><a href="/console">La console</a> des agents <span lang="en">(the console)</span></li>
<li><a href="/fhir/R4/metadata">La façade FHIR R4</a> <span lang="en">(the FHIR R4 façade)</span></li>
<li><a href="/ledger/checkpoint">La tête signée du journal</a>, que chacun peut vérifier <span lang="en">(the signed head of the public log)</span></li>
</ul>
</main>
</body>
</html>
"""


@router.get("/")
async def home() -> Response:
    """Say what this is to a person who opens the gateway's address in a browser."""
    return HTMLResponse(_HOME, headers=_SECURE)


@router.get("/docs")
async def docs() -> Response:
    """Show the API's description in a browser."""
    return HTMLResponse(_DOCS, headers=_SECURE)


@router.get("/docs/messages")
async def messages() -> Response:
    """Show the description of the messages in a browser."""
    return HTMLResponse(_MESSAGES, headers=_DRAWN)


@router.get("/static/{name}")
async def static(name: str) -> Response:
    """Serve a file of the pages; its name changes with its content."""
    if name not in _FILES:
        raise not_found()
    headers = {"Cache-Control": "public, max-age=86400", "X-Content-Type-Options": "nosniff"}
    return Response((_STATIC / name).read_bytes(), media_type=_FILES[name], headers=headers)


@router.get("/problems/{code}")
async def problem(code: str) -> Response:
    """Say what a problem's `type` means."""
    if code not in TITLES:
        raise not_found()
    status, title_fr, title_en = TITLES[code]
    page = _PROBLEM.format(title_fr=escape(title_fr), title_en=escape(title_en), code=code, status=status)
    return HTMLResponse(page, headers=_SECURE)
