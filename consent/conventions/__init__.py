"""
Conventions as code: read, checked, signed, compared, compiled, and indexed for the gate.
"""

from consent.conventions.checks import ConventionRefused, check
from consent.conventions.collection import Conventions
from consent.conventions.convention import Convention, ConventionState
from consent.conventions.files import ConventionUnreadable, load, load_yaml, read

__all__ = [
    "Convention",
    "ConventionRefused",
    "ConventionState",
    "ConventionUnreadable",
    "Conventions",
    "check",
    "load",
    "load_yaml",
    "read",
]
