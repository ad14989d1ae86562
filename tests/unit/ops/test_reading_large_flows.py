"""
A B flow is read with flat memory: what twice as many households add is only the identifiers that tell them apart.
"""

from ops.bench.memory import measured_alone


def test_memory_does_not_grow_with_the_number_of_households():
    """Between 200 and 3,000 households the peak of the process moves by less than 6 MB, where their documents take 40."""
    small, large = measured_alone(200), measured_alone(3_000)
    assert large["documents"] > 10 * small["documents"]
    assert large["peak_mb"] - small["peak_mb"] < 6
