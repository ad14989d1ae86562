"""
Traces: one goes from a partner's POST to the other partner's acknowledgement, and holds nothing personal.

Its context is kept beside what the POST started (the columns `trace`), and travels in the message of the bus. `spans` is
what the flow calls, `asgi` surrounds HTTP requests, `sdk` says where spans go: it is called beside the command line.

    POST …                     HTTP          kept: exchanges.trace, deliveries.trace, the outbox's event
     ├─ publish deliveries     the relay     one per trace and batch; goes on in the message
     │   └─ process deliveries the courier   one per trace and batch
     ├─ hand over mailbox      the recipient's pull, whose own span is linked to each of the traces it served
     └─ acknowledge mailbox    the recipient's acknowledgement, likewise
"""

from gateway.telemetry.asgi import TraceMiddleware
from gateway.telemetry.sdk import close, set_up
from gateway.telemetry.spans import Carried, Parts, bus_system, current_traceparent, messaging, note, parts, span, told

__all__ = [
    "Carried",
    "Parts",
    "TraceMiddleware",
    "bus_system",
    "close",
    "current_traceparent",
    "messaging",
    "note",
    "parts",
    "set_up",
    "span",
    "told",
]
