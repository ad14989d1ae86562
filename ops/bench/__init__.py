"""
Measures of the gateway: each bench is a module with one function, `run(say) -> Measured`; `tdu bench NAME` runs it.
"""

from collections.abc import Mapping
from typing import Final

BENCHES: Final[Mapping[str, str]] = {
    "schemas": "ops.bench.schemas",
    "auth": "ops.bench.auth",
    "gate": "ops.bench.gate",
    "adapters": "ops.bench.adapters",
    "memory": "ops.bench.memory",
    "ingest": "ops.bench.ingest",
    "through": "ops.bench.through",
    "ledger": "ops.bench.ledger",
    "start": "ops.bench.start",
}
"""Each bench by name, and its module, read only when it is run."""
