"""
The pages of the console, rendered: whole pages, French first and English second, no script, everything from here.
"""

from __future__ import annotations

from typing import Any, Final

from consent.ledger.catalogue import CATALOGUE as EVENTS
from consent.reasons import CATALOGUE as REASONS
from gateway.auth.people.roles import LABELS, PersonRole
from gateway.console.schema_layout import ICON, STYLESHEET
from gateway.console.words import KINDS, PAGES, REFUSED, STATES, WITHHELD
from gateway.templating import templates
from schemas import code_list

_ENVIRONMENT: Final = templates("gateway.console", "templates/console")
_ENVIRONMENT.globals.update(
    stylesheet=STYLESHEET,
    icon=ICON,
    pages=PAGES,
    roles=tuple(PersonRole),
    labels=LABELS,
    refused=REFUSED,
    states=STATES,
    kinds_named=KINDS,
    purposes=code_list("purpose"),
    events=EVENTS,
    gate_reasons=REASONS,
    withheld=WITHHELD,
)


def page(name: str, **told: Any) -> str:
    """Render one page of `templates/console`; `signed_in` is the session, absent at the door."""
    return _ENVIRONMENT.get_template(f"{name}.html").render({"signed_in": None, **told})
