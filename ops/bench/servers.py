"""
The servers that a bench needs, found or started by `make bench`, which gives their addresses in the environment.
"""

from __future__ import annotations

import os


class ServerMissing(LookupError):
    """No address was given for a server that a bench needs; `variable` is the one that should hold it."""

    def __init__(self, variable: str) -> None:
        super().__init__(variable)
        self.variable = variable


def demanded(variable: str) -> str:
    """Read the address of a server that a bench needs; raises `ServerMissing` without it."""
    if address := os.environ.get(variable):
        return address
    raise ServerMissing(variable)
