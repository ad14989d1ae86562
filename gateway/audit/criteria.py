"""
What an auditor asks for, read from the body of a request: by whom, by what, when; and whether it must be opened, and why.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from consent.ledger.event import EventType
from consent.ledger.lists import ALL, CONVENTION, LAST_DAY, PARTNER, day_of_moment
from consent.ledger.search import Asked, Place
from gateway.errors import Problem
from gateway.services import Services
from gateway.simulation import faults_of_person
from gateway.store.database import instant
from schemas import Document, code_list
from schemas.identity import siret_is_valid

MEMBERS: Final = frozenset(
    {
        "subject",
        "partner",
        "convention",
        "purpose",
        "types",
        "from",
        "until",
        "view",
        "reason",
        "case",
        "cursor",
        "limit",
    }
)
"""What a search may hold."""

MAX_ROWS: Final = 1_000

_PSEUDONYM: Final = re.compile(r"p-[0-9a-f]{32}")
_CONVENTION: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_CASE: Final = re.compile(r"[A-Za-z0-9./_-]{1,64}")
_CURSOR: Final = re.compile(r"([0-9]{1,10})\.([0-9]{1,18})\.([0-9]{1,18})")


@dataclass(frozen=True, slots=True)
class View:
    """
    Masked (no `reason`), or opened for a stated `reason` (a code of the list `audit_reason`) and perhaps a `case` reference.
    """

    reason: str | None = None
    case: str | None = None

    @classmethod
    def read(cls, view: Any, reason: Any, case: Any) -> View:
        """Check the three members of a request; raises `Problem` malformed_request."""
        opened = view == "opened" or (view is None and reason is not None)
        if view not in (None, "masked", "opened"):
            raise _wrong("« view » : masked ou opened.", "“view”: masked or opened.")
        if opened and (not isinstance(reason, str) or reason not in code_list("audit_reason")):
            allowed = ", ".join(code_list("audit_reason"))
            raise _wrong(
                f"Pour ouvrir le contenu, donnez « reason » : {allowed}.", f"To open content, give “reason”: {allowed}."
            )
        if case is not None and not (isinstance(case, str) and _CASE.fullmatch(case)):
            raise _wrong(
                "« case » est la référence d'un dossier : 64 caractères au plus, lettres, chiffres et . / _ -, jamais un nom.",
                "“case” is a file's reference: at most 64 characters, letters, digits and . / _ -, never a name.",
            )
        return cls(reason, case) if opened else cls()

    @property
    def opened(self) -> bool:
        """Whether events are shown whole."""
        return self.reason is not None

    def told(self) -> dict[str, Any]:
        """The view as it stands in events."""
        return {"view": "opened" if self.opened else "masked", "reason": self.reason, "case_reference": self.case}


@dataclass(frozen=True, slots=True)
class Criteria:
    """
    One search. `subject` is the person as documents write them, `pseudonym` the one a `partner` knows them by; both None: nobody
    in particular. `since` is included, `until` excluded.
    """

    view: View
    subject: Document | None = field(default=None, repr=False)
    partner: str | None = None
    convention: str | None = None
    purpose: str | None = None
    types: tuple[str, ...] | None = None
    since: datetime | None = None
    until: datetime | None = None
    cursor: Place | None = None
    limit: int = 200

    @classmethod
    def read(cls, body: Mapping[str, Any], sender: Document, services: Services) -> Criteria:
        """Check the members of a body; raises `Problem` malformed_request or document_invalid, without any value."""
        types, limit = body.get("types"), body.get("limit", 200)
        if types is not None and not (isinstance(types, list) and types and set(map(str, types)) <= set(EventType)):
            raise _wrong(
                "« types » est une liste de types d'événements : voyez /schemas/events.json.",
                "“types” is a list of types of events: see /schemas/events.json.",
            )
        if not isinstance(limit, int) or isinstance(limit, bool) or not 1 <= limit <= MAX_ROWS:
            raise _wrong(f"« limit » est un nombre de 1 à {MAX_ROWS}.", f"“limit” is a number from 1 to {MAX_ROWS}.")
        partner = _text(body, "partner", siret_is_valid, "un SIRET", "a SIRET")
        since, until = _moment(body, "from"), _moment(body, "until")
        if since and until and since >= until:
            raise _wrong("« from » doit précéder « until ».", "“from” must be before “until”.")
        return cls(
            view=View.read(body.get("view"), body.get("reason"), body.get("case")),
            subject=read_subject(body.get("subject"), sender, services, partner),
            partner=partner,
            convention=_text(body, "convention", _CONVENTION.fullmatch, "un identifiant", "an identifier"),
            purpose=_text(body, "purpose", code_list("purpose").__contains__, "un code de la liste purpose", "a code"),
            types=None if types is None else tuple(sorted(set(types))),
            since=since,
            until=until,
            cursor=read_cursor(body.get("cursor")),
            limit=limit,
        )

    @property
    def by_pseudonym(self) -> bool:
        """Whether the person is named by a partner's pseudonym."""
        return self.subject is not None and self.subject.keys() == {"pseudonym"}

    def wanted(self) -> dict[str, Any]:
        """Which rows of the list are wanted, as the answer says it."""
        told = {
            "from": self.since and instant(self.since),
            "until": self.until and instant(self.until),
            "partner": None if self.by_pseudonym else self.partner,
            "convention": self.convention,
            "purpose": self.purpose,
            "types": None if self.types is None else list(self.types),
        }
        return {name: value for name, value in told.items() if value is not None}

    def list_of_nobody(self) -> Asked:
        """The list to go through when no person is named: the convention's, else the partner's, else everything."""
        first = day_of_moment(self.since) if self.since else 0
        last = day_of_moment(self.until - timedelta(microseconds=1)) if self.until else LAST_DAY
        first, last = max(first, 0), max(last, 0)
        if self.convention is not None:
            return Asked(CONVENTION, self.convention, first, last)
        return Asked(ALL, "", first, last) if self.partner is None else Asked(PARTNER, self.partner, first, last)


def cursor_of(place: Place | None) -> str | None:
    """A place as a cursor."""
    return None if place is None else f"{place.day}.{place.position}.{place.count}"


def read_subject(subject: Any, sender: Document, services: Services, partner: Any) -> Document | None:
    """
    Check who is asked about: a person as documents write them, or `{pseudonym}` with the `partner` that knows it; None for nobody.

    Raises `Problem` malformed_request or document_invalid, without any value.
    """
    if subject is None:
        return None
    if not isinstance(subject, dict):
        raise _wrong("« subject » est un objet.", "“subject” is an object.")
    if subject.keys() == {"pseudonym"}:
        if (
            not isinstance(partner, str)
            or not siret_is_valid(partner)
            or not isinstance(subject["pseudonym"], str)
            or not _PSEUDONYM.fullmatch(subject["pseudonym"])
        ):
            raise _wrong(
                "Un pseudonyme (p-…) se donne avec « partner », l'organisation qui le connaît.",
                "A pseudonym (p-…) is given with “partner”, the organisation that knows it.",
            )
        return subject
    if issues := faults_of_person(subject, sender, services):
        raise Problem(
            "document_invalid",
            "La personne n'est pas assez décrite, ou mal écrite : rien n'a été fait, complétez les points listés.",
            "The person is not described enough, or misspelt: nothing was done, complete the points listed.",
            issues=issues,
        )
    return subject


def _text(body: Mapping[str, Any], name: str, good: Any, what_fr: str, what_en: str) -> str | None:
    value = body.get(name)
    if value is not None and not (isinstance(value, str) and good(value)):
        raise _wrong(f"« {name} » est {what_fr}.", f"“{name}” is {what_en}.")
    return value


def _moment(body: Mapping[str, Any], name: str) -> datetime | None:
    if body.get(name) is None:
        return None
    try:
        found = datetime.fromisoformat(body[name])
        if found.tzinfo is not None:
            instant(found)  # far away dates do not survive the change to UTC
            return found
    except (TypeError, ValueError, OverflowError):
        pass
    raise _wrong(
        f"« {name} » est une date et une heure avec décalage : 2026-11-23T09:00:00+01:00.",
        f"“{name}” is a date and time with offset: 2026-11-23T09:00:00+01:00.",
    )


def read_cursor(cursor: Any) -> Place | None:
    """Read a cursor back; raises `Problem` malformed_request."""
    if cursor is None:
        return None
    match = _CURSOR.fullmatch(cursor) if isinstance(cursor, str) else None
    if match is None or int(match[1]) > LAST_DAY:
        raise _wrong("« cursor » est le « next » de la page précédente.", "“cursor” is the “next” of the page before.")
    return Place(*map(int, match.groups()))


def _wrong(detail_fr: str, detail_en: str) -> Problem:
    return Problem("malformed_request", detail_fr, detail_en)
