"""
One adapter sitting the exam: its folder, its samples, what it makes of them; and what a question says that it found.
"""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

from adapters.base import Adapter, Context, FileRefused, Translation, fictitious_id
from adapters.mapping.engine import MappingAdapter
from adapters.quality import Claims, Subject, read_claims
from adapters.samples import Case, cases

EXAM_CONTEXT: Final = Context(
    organisation={"siret": "99900001100018", "name": "CAF de Valombre"},
    purpose="inform_about_rights",
    now=datetime.fromisoformat("2026-11-23T08:00:00+01:00"),
    document_id=fictitious_id,
)
"""A fictitious sender, a fixed hour, and identifiers that depend only on their key."""


@dataclass(frozen=True, slots=True)
class Finding:
    """
    One thing that is not as it should be: in which case or table, what, and what to write next.
    """

    where: str
    message_fr: str
    message_en: str


class Sitting:
    """
    One adapter at the exam: its folder, its cases, what it makes of them. `large` asks the 50 MB questions too.
    """

    def __init__(
        self,
        adapter: Adapter,
        folder: Traversable | None = None,
        context: Context = EXAM_CONTEXT,
        *,
        large: bool = False,
    ) -> None:
        self.adapter = adapter
        self.folder = folder or folder_of(adapter)
        self.context = context
        self.large = large

    @cached_property
    def cases(self) -> list[Case]:
        """
        The samples.
        """
        return cases(self.folder)

    @cached_property
    def inbound(self) -> list[Case]:
        """
        The samples that the partner sends.
        """
        return [case for case in self.cases if case.partner is not None]

    @cached_property
    def claims(self) -> Claims:
        """
        What `quality.toml` says.
        """
        return read_claims(self.folder)

    def translated(self, raw: bytes | None) -> tuple[Translation | None, FileRefused | None]:
        """
        The translation of a file, or its refusal.
        """
        try:
            return self.adapter.to_shared(raw or b"", self.context), None
        except FileRefused as refusal:
            return None, refusal

    @property
    def subject(self) -> Subject:
        """
        What the rules of quality look at.
        """
        return Subject(self.adapter, self.folder, self.cases, self.context, self.claims)


Ask = Callable[[Sitting], Iterator[Finding]]
"""A question: what it finds is what is not as it should be."""


def folder_of(adapter: Adapter) -> Traversable:
    """
    The folder of an adapter: that of its mapping, or that of the file of its class.
    """
    if isinstance(adapter, MappingAdapter):
        return adapter.folder
    return Path(inspect.getfile(type(adapter))).parent
