"""
The adapter `rdv-insertion-webhook`: appointments and invitations that rdv-insertion tells of. Messages are cut into people
here; what each field means is in `mapping.yaml`.
"""

import json
from collections.abc import Sequence
from importlib.resources import files

from adapters.mapping.engine import MappingAdapter
from adapters.mapping.records import Reader
from adapters.rdv_insertion_webhook import messages
from schemas import Document


class RdvInsertionWebhook(MappingAdapter):
    """
    A mapped format whose records are people in messages; the line of an issue is the rank of the person.
    """

    def __init__(self) -> None:
        super().__init__(files("adapters.rdv_insertion_webhook"), "rdv-insertion-webhook")
        self.media_types = ("application/json",)
        self.output_media_type = "application/json"

    def to_partner(self, documents: Sequence[Document]) -> bytes:
        """
        See `Adapter.to_partner`.
        """
        records = [json.loads(line) for line in super().to_partner(documents).splitlines()]
        return json.dumps(messages.write(records), ensure_ascii=False, indent=2).encode() + b"\n"

    def _reader(self, raw: bytes) -> Reader:
        lines = (json.dumps(record, ensure_ascii=False) for record in messages.read(raw))
        return super()._reader("\n".join([*lines, ""]).encode())
