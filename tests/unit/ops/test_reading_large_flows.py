"""
A B flow is read with flat memory: what twice as many households add is only the identifiers that tell them apart.
"""

from ops.bench import held
from ops.bench.memory import measured_alone


def test_memory_does_not_grow_with_the_number_of_households():
    """Between 200 and 3,000 households the peak of the process moves by less than 6 MB, where their documents take 40."""
    small, large = measured_alone(200), measured_alone(3_000)
    assert large["documents"] > 10 * small["documents"]
    assert large["peak_mb"] - small["peak_mb"] < 6


def test_a_running_gateway_takes_a_flow_and_an_attachment_without_growing():
    """A flow of 3 MB is a task whatever its size, and 50 MB come and go: the process grows by less than what passes through it."""
    found = held.measure(700, lambda _told: None)
    assert (700, 0) == (found["flow_households"], found["flow_refused_households"])
    assert found["flow_documents"] > 700
    assert found["flow_growth_mb"] < 60
    assert max(found["attachment_upload_growth_mb"], found["attachment_download_growth_mb"]) < 50
