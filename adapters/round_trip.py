"""
What a round trip loses: documents written in a partner's format and read again, compared with what they were.
"""

from collections.abc import Iterator, Sequence

from adapters.base import Adapter, AdapterError, Context
from adapters.samples import Case, differences
from schemas import Document


def losses(adapter: Adapter, cases: Sequence[Case], context: Context) -> dict[str, str]:
    """
    The pointer patterns (`/subject/emails/*`) that differ once documents were written and read again, each with the case that
    shows it; the cases that go round have `partner.*` and `back.*`.
    """
    both = adapter.kinds_in & adapter.kinds_out
    found: dict[str, str] = {}
    for case in cases:
        documents = [document for document in case.shared or () if document.get("kind") in both]
        if case.partner is None or case.back is None or not documents:
            continue
        try:
            again = adapter.to_shared(adapter.to_partner(documents), context)
        except AdapterError as error:
            found[f"({error.code})"] = case.name
            continue
        for pointer in _lost(documents, [each.document for each in again.documents]):
            found.setdefault(pointer, case.name)
    return found


def _lost(documents: Sequence[Document], again: Sequence[Document]) -> Iterator[str]:
    if len(documents) != len(again):
        yield f"(documents: {len(documents)} → {len(again)})"
        return
    for before, after in zip(documents, again, strict=True):
        for pointer in differences(before, after):
            yield "/".join("*" if part.isdecimal() else part for part in pointer.split("/"))
