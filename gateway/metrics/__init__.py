"""
What the gateway counts and measures: OpenTelemetry instruments, published in Prometheus' text format at `/metrics`.

No label holds an identifier: kinds, outcomes, reason codes, route patterns, states and names of loops only. Counters are those of
one process; gauges that come from the database are the same whichever process is asked: take their maximum, not their sum.
"""

from gateway.metrics.measures import NOTHING, Measures
from gateway.metrics.publication import Publication

__all__ = ["NOTHING", "Measures", "Publication"]
