"""
The adapter `hl7v2`: REF^I12 referrals. The delimiters are read here; what each field means is in `mapping.yaml`.
"""

import json
from collections.abc import Sequence
from importlib.resources import files

from adapters.hl7v2 import er7
from adapters.mapping.engine import MappingAdapter
from adapters.mapping.records import Reader
from schemas import Document


class Hl7v2(MappingAdapter):
    """
    A mapped format whose records are HL7 messages; the line of an issue is the rank of its message.
    """

    def __init__(self) -> None:
        super().__init__(files("adapters.hl7v2"), "hl7v2")
        self.media_types = ("x-application/hl7-v2+er7",)
        self.output_media_type = "x-application/hl7-v2+er7; charset=utf-8"

    def to_partner(self, documents: Sequence[Document]) -> bytes:
        """
        See `Adapter.to_partner`.
        """
        return er7.write([json.loads(line) for line in super().to_partner(documents).splitlines()])

    def _reader(self, raw: bytes) -> Reader:
        lines = (json.dumps(message, ensure_ascii=False) for message in er7.read(raw))
        return super()._reader("\n".join([*lines, ""]).encode())
