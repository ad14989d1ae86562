"""
The adapters that the gateway knows, by the word of their address.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from adapters.base import Adapter
from adapters.cnaf_rsa.adapter import CnafRsa
from adapters.shared_json.adapter import SharedJson
from adapters.webrsa_orientation.adapter import WebrsaOrientation

_ADAPTERS: Final[tuple[Adapter, ...]] = (CnafRsa(), SharedJson(), WebrsaOrientation())

ADAPTERS: Final[Mapping[str, Adapter]] = MappingProxyType({adapter.name: adapter for adapter in _ADAPTERS})


class UnknownAdapter(LookupError):
    """
    No adapter has that name; `name` is not part of the sentence, since it comes from outside.
    """

    def __init__(self) -> None:
        self.message_fr = f"Aucun adaptateur ne porte ce nom. Adaptateurs : {', '.join(ADAPTERS)}."
        self.message_en = f"No adapter has this name. Adapters: {', '.join(ADAPTERS)}."
        super().__init__(f"{self.message_fr} / {self.message_en}")


def get(name: str) -> Adapter:
    """
    The adapter of that name. Raises `UnknownAdapter`.
    """
    try:
        return ADAPTERS[name]
    except KeyError:
        raise UnknownAdapter from None
